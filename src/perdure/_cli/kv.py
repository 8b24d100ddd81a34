"""`perdure kv`: keys and values of one object. (edge)"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from perdure._admin.operations import KvDelete, KvGet, KvList, KvPut
from perdure._base.portrait import json_value
from perdure._cli import exits, reach
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text
from perdure._cli.table import aligned
from perdure._config.problem import refused


def run_kv(
    options: RunOptions,
    target: dict[str, Any],
    action: str,
    rest: tuple[str, ...],
    span: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    """Do one *action*; return the exit code."""
    match action, rest:
        case "get", (key,):
            answer = reach.run(options, KvGet(key=key, **target))
            if not answer["found"]:
                raise refused("kv/no-key", f"there is no key {key!r}")
            print(json_text(answer["value"]))
        case "put", (key, text):
            reach.run(options, KvPut(key=key, value=_value(text), **target))
        case "delete", (_, *_):
            answer = reach.run(options, KvDelete(keys=rest, **target))
            print(json_text(answer) if as_json else f"{counted(answer['deleted'], 'key')} deleted")
        case "list", ():
            answer = reach.run(options, KvList(**span, **target))
            _print_pairs(answer["pairs"], answer["more"], as_json=as_json)
        case _:
            _wrong(action)
    return exits.OK


def _wrong(action: str) -> NoReturn:
    wants = {"get": "KEY", "put": "KEY VALUE", "delete": "KEY…", "list": "no further argument"}
    raise refused(
        "usage/argument", f"`{action}` takes {wants[action]}", help="`perdure kv --help` shows what there is"
    )


def _value(text: str) -> Any:
    if text == "-":
        text = sys.stdin.read()
    try:
        return json_value(text)
    except ValueError as error:
        raise refused(
            "kv/value",
            f"the value is not JSON: {error}",
            help=f"a text stands in double quotes, which the shell must leave: {json.dumps(json.dumps(text[:20]))}"
            if len(text) < 1000
            else None,
        ) from None


def _print_pairs(pairs: list[tuple[str, Any]], more: bool, *, as_json: bool) -> None:
    if as_json:
        print(json_text({"pairs": dict(pairs), "more": more}))
        return
    width = {} if sys.stdout.isatty() else {"width_max": None}
    rows = [[key, json.dumps(value, ensure_ascii=False)] for key, value in pairs]
    for line in aligned(["key", "value"], rows, **width):
        print(line)
    if more:
        print("… and more: --limit shows more of them, --prefix some", file=sys.stderr)
