"""`perdure call`: one method call from the shell. (edge)"""

from __future__ import annotations

from typing import Any

from perdure._admin.operations import Call
from perdure._base.portrait import json_value
from perdure._cli import exits, reach
from perdure._cli.options import RunOptions
from perdure._cli.output import json_text
from perdure._config.problem import refused


def run_call(
    options: RunOptions,
    target: dict[str, Any],
    method: str,
    args: tuple[str, ...],
    keywords: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Call, print the result, return the exit code; a result of None is printed as JSON only."""
    kwargs = {}
    for text in keywords:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise refused("usage/argument", f'--kw "{text}" is not NAME=VALUE', help="for instance --kw by=3")
        kwargs[name] = argument(value)
    operation = Call(method=method, args=tuple(map(argument, args)), kwargs=kwargs, **target)
    value = reach.run(options, operation)["value"]
    if as_json or value is not None:
        print(json_text(value))
    return exits.OK


def argument(text: str) -> Any:
    """Return the JSON that *text* is, or the text."""
    try:
        return json_value(text)
    except ValueError:
        return text
