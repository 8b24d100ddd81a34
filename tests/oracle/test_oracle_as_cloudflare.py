"""The scenarios of keys and values, SQL, ids and WebSockets as a project for Cloudflare's Python Workers, camelCase by the rule."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from . import camel
from .differences import NOT_YET
from .in_memory import answers_of
from .mapping import ERROR_CLASSES, folded, same
from .server import application
from .test_oracle import PLAYABLE, PORTS, compared, recorded, report, wanted
from .test_oracle_in_memory import SERVER_ALONE

AREAS = ("00", "01", "02", "03", "04", "05", "06", "16", "17", "18", "202", "212", "221", "245", "248")
"""Ids, keys and values, SQL; WebSockets; and more of each."""
NAMES = [name for name in PLAYABLE if name.startswith(AREAS)]


def _steps(reason: str, *steps: tuple[str, int]) -> dict[tuple[str, int], str]:
    return dict.fromkeys(steps, reason)


OTHERWISE: dict[tuple[str, int], str] = {
    **_steps(
        "A call without an argument it needs gets Python's own words.",
        ("004-stubs", 3),
        ("004-stubs", 5),
        ("165-ws-tags", 21),
        ("245-sql-arguments", 84),
    ),
    **_steps(
        "A tuple cannot be stored, and a dict or list is no key of a dict and no member of a set.",
        ("016-kv-value-types", 0),
        ("016-kv-value-types", 1),
        ("016-kv-value-types", 3),
    ),
    **_steps(
        "Integral numbers are ints in Python, which has no int -0.",
        ("016-kv-value-types", 5),
        ("044-sql-bindings", 16),
    ),
    **_steps("An int beyond 2**53 - 1 is a BigInt, as Pyodide makes it one.", ("044-sql-bindings", 3)),
    **_steps("A double that is a large integer is that integer, to its last digit.", ("046-sql-values", 6)),
    **_steps("A BLOB is a memoryview, and an iterator of Python's no bytes.", ("046-sql-values", 33)),
    **_steps(
        "An exception that is stored comes back as a plain one, with its text.", ("017-kv-object-graphs", 3)
    ),
    **_steps(
        "Values are converted level by level, and Python allows a thousand.", ("017-kv-object-graphs", 8)
    ),
    **_steps("An iterator of Python's is not its own `iter` in JavaScript.", ("030-sync-kv", 3)),
    **_steps(
        "What is sent is text or bytes: others are no WebSocket message.", ("162-ws-close-arguments", 4)
    ),
    **_steps("A function is shown by its name; a text needs one byte less.", ("166-ws-attachment", 6)),
    **_steps(
        "A time is a Date, which is no datetime, and the pair's texts can be replaced.",
        ("168-ws-auto-response", 15),
        ("168-ws-auto-response", 25),
        ("168-ws-auto-response", 42),
    ),
    **_steps("The text names what cannot be stored.", ("212-kv-refusals", 24), ("212-kv-refusals", 25)),
    **_steps("The id is no JSON; `str(id)` is its digits.", ("001-id-from-name", 14)),
    **_steps("Messages of clients are bytes at once, and never a Blob.", ("175-ws-protocol-and-timeout", 5)),
}
"""Steps whose answers differ in Cloudflare's Python too, or here alone, and why."""


def rights(name: str, index: int, answer: Any) -> list[Any]:
    """Return the answers that are right: workerd's, and ours in Cloudflare's names where that differs on purpose."""
    return [_here(folded(answer)), camel.spoken(wanted(name, index, answer))]


def _here(value: Any) -> Any:
    """Return an answer of workerd's with the classes that errors have in Python, and its name."""
    match value:
        case str():
            return value.replace("JavaScript API", "Python API")
        case list():
            return [_here(item) for item in value]
        case dict():
            new = {key: _here(item) for key, item in value.items()}
            if "message" in new and new.get("name") in ERROR_CLASSES:
                new["name"] = ERROR_CLASSES[new["name"]]
            return new
    return value


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("name", NAMES)
def test_the_answers_are_those_of_workerd(name: str, tmp_path: Path) -> None:
    """Each step answers as recorded, or as the differences on purpose say; OTHERWISE lists the few that do neither."""
    scenario = recorded(name)
    app = application(scenario, PORTS[name], tmp_path / "app", camel.port, ["python_workers"])
    answers = answers_of(scenario, app)
    wrong, right = [], []
    for index, step in compared(name):
        if index not in answers or (name, index) in {*SERVER_ALONE, *NOT_YET}:
            continue
        got, wants = answers[index], rights(name, index, step["answer"])
        is_right = any(same(want, got) for want in wants)
        if (name, index) in OTHERWISE:
            right += [index] if is_right else []
        elif not is_right:
            wrong.append(report(index, step, wants[0], got))
    assert not wrong, f"{name}\n" + "\n".join(wrong)
    assert not right, f"{name}: steps {right} of OTHERWISE are right by now; take them out"


def test_the_ports_say_cloudflares_names() -> None:
    """By the rule, members, handlers and options; constructors of JavaScript are called with `new`."""
    source = """
from perdure import DurableObject, WebSocketPair

class Room(DurableObject):
    async def websocket_message(self, ws, message):
        one, other = WebSocketPair()
        with self.ctx.storage.transaction_sync():
            await self.ctx.storage.list(start_after="a")
        return self.ctx.storage.sql.exec("...").to_list()
"""
    ported = camel.port(source)
    assert "from workers import DurableObject\nfrom js import WebSocketPair\n" in ported
    assert ported[ported.index("class Room") :] == ast.unparse(
        ast.parse("""
class Room(DurableObject):
    async def webSocketMessage(self, ws, message):
        one, other = WebSocketPair.new().object_values()
        def block():
            await self.ctx.storage.list(startAfter="a")
        self.ctx.storage.transactionSync(block)
        return plain(self.ctx.storage.sql.exec("...").toArray())
""")
    )
