"""Write docs/reference/api.md and testing.md from the docstrings of the public names."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import perdure
import perdure.client
import perdure.rpc
import perdure.testing
import perdure.testing.clock
import perdure.testing.disk
import perdure.testing.faults
import perdure.testing.news

REFERENCE = Path(__file__).resolve().parent.parent / "docs/reference"


class Page(NamedTuple):
    """
    A page, and what stands on it.

    Attributes:
        introduction: how it begins.
        module: whose names they are.
        sections: heading → names; those of an empty section are all public ones that no other has.
    """

    introduction: str
    module: ModuleType
    sections: Mapping[str, Sequence[str]]


API_SECTIONS = {
    "What applications extend": ["DurableObject", "WorkerEntrypoint"],
    "`ctx`": ["DurableObjectState", "ExecutionContext"],
    "Alarms, schedules and cron": [
        "AlarmInfo",
        "ScheduledObject",
        "Schedules",
        "Schedule",
        "ScheduleRun",
        "ScheduledController",
    ],
    "`ctx.storage`": [
        "DurableObjectStorage",
        "DurableObjectTransaction",
        "SyncKvStorage",
        "SqlStorage",
        "SqlCursor",
        "Row",
    ],
    "Naming and calling objects": [
        "Namespace",
        "DurableObjectId",
        "DurableObjectStub",
        "ObjectList",
        "ObjectInfo",
    ],
    "HTTP": ["Request", "Response", "Headers", "FormData", "File", "Blob", "fetch"],
    "Calls by reference": [
        "RpcTarget",
        "RpcStub",
        "rpc.RpcPromise",
        "rpc.dispose",
        "rpc.rpc",
        "rpc.pipeline",
        "rpc.WritableStream",
        "rpc.ReadableStream",
    ],
    "Cap'n Web": [
        "rpc.serve",
        "rpc.BigInt",
        "rpc.TypedArray",
        "rpc.Blob",
        "client.connect",
        "client.connect_sync",
        "client.SyncRpcStub",
    ],
    "From threads and sync code": ["RuntimeThread", "SyncObjects", "SyncNamespace", "SyncStub"],
    "Around objects": ["Runtime", "env", "confirmed", "value"],
    "Errors": [],
}
TESTING_SECTIONS = {
    "A runtime for a test": ["runtime", "Perdure", "news.LogEntry"],
    "Inside objects": [
        "run_in_durable_object",
        "run_durable_object_alarm",
        "evict_durable_object",
        "list_durable_object_ids",
    ],
    "All objects": [
        "evict_all_durable_objects",
        "abort_all_durable_objects",
        "delete_all_durable_objects",
        "reset",
    ],
    "Workers that a test makes": [
        "create_execution_context",
        "wait_on_execution_context",
        "create_scheduled_controller",
    ],
    "WebSockets": ["WebSocketPeer", "WebSocketClosed", "WebSocketRefused"],
    "The network": [
        "Outbound",
        "outbound.Route",
        "outbound.WebSocketRoute",
        "outbound.Call",
        "NetworkRefused",
    ],
    "Simulations": [
        "simulated",
        "explore",
        "crash_at_every_point",
        "run_simulation",
        "Simulation",
        "Deadlock",
    ],
    "Accidents": ["faults", "faults.Faults", "disk.SimulatedDisk"],
    "Against a model": ["DurableObjectStateMachine"],
    "Time and loops of one's own tests": [
        "clock.ManualClock",
        "clock.VirtualClock",
        "loop.SimulatedLoop",
        "loop.simulate",
    ],
}
MADE = (
    *("Runtime", "Request", "Response", "Headers", "FormData", "File", "Blob"),
    *("client.connect", "client.connect_sync"),
    *("clock.ManualClock", "clock.VirtualClock", "loop.SimulatedLoop"),
)
"""Classes that users make instances of."""
SEE_THE_CLASS = "See the class."
"""The docstring of what the class itself has told of, or what is called by others than users."""
API_INTRODUCTION = """\
# API

Every public name of `perdure`, and of its modules `rpc` and `client`, from its docstring. Ids like `SQL-02` are rows of the
[compatibility page](../compatibility.md); tools for tests are on a [page of their own](testing.md). This page is written by `make docs`;
a test keeps it true.
"""
TESTING_INTRODUCTION = """\
# Testing

Every public name of `perdure.testing`, from its docstring; [how to use them](../testing.md) is another page. Those with a module's name are
imported from there: `from perdure.testing.clock import ManualClock`. The fixture `perdure` gives a `Perdure`, the decorators of simulations a
`Simulation`. This page is written by `make docs`; a test keeps it true.
"""


def signature(name: str, thing: Any, *, method: bool = False) -> str:
    """Return the signature as it stands in the source, without decorators and overloads."""
    try:
        source = textwrap.dedent(inspect.getsource(thing))
        node = next(
            n for n in ast.parse(source).body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
    except (OSError, TypeError, StopIteration):
        return name
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if method and positional and positional[0].arg in ("self", "cls"):
        (arguments.posonlyargs or arguments.args).pop(0)
    shown = re.sub(r"\s+", " ", ast.unparse(arguments))
    shown = shown.replace("=MISSING", "=…").replace("=_FROM_ORIGINAL", "=…")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{'async ' if isinstance(node, ast.AsyncFunctionDef) else ''}{name}({shown}){returns}"


def prose(text: str) -> str:
    """Return a docstring as Markdown: `Args:` and its like become lists."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        heading = re.fullmatch(r"(Args|Attributes|Returns|Raises):", line)
        entry = re.match(r"    (\*{0,2}[\w, ]+): (.*)", line)
        if heading:
            inside = True
            lines += [f"*{heading[1]}*", ""]
        elif inside and entry:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif inside and line.startswith("    "):
            lines.append(f"  {line.strip()}" if lines[-1].startswith(("-", " ")) else f"- {line.strip()}")
        else:
            inside = inside and not line.strip()
            lines.append(line)
    return "\n".join(lines)


def members(cls: type, elsewhere: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return the public methods and properties that *cls* and its bases of ours define, but for bases *elsewhere*, in order."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("perdure") and base not in elsewhere:
            found.update({name: thing for name, thing in vars(base).items() if not name.startswith("_")})
    return list(found.items())


def find(module: ModuleType, name: str) -> Any:
    """Return what *name*, perhaps of a module below, stands for."""
    return functools.reduce(getattr, name.split("."), module)


def describe(name: str, thing: Any, elsewhere: Sequence[Any]) -> list[str]:
    """Return the lines about one public name; bases *elsewhere* on the page are not described again."""
    if inspect.ismodule(thing):
        return [f"### `{name}`", "", prose(inspect.getdoc(thing) or ""), ""]
    if not inspect.isclass(thing):
        shown = signature(name, thing) if inspect.isfunction(thing) else name
        return [f"### `{name}`", "", f"```python\n{shown}\n```", "", prose(inspect.getdoc(thing) or ""), ""]
    lines = [f"### `{name}`", ""]
    if "__init__" in vars(thing) and name in MADE:
        made = signature(name, thing.__init__, method=True).replace(" -> None", "")
        lines += [f"```python\n{made}\n```", ""]
    lines += [prose(inspect.getdoc(thing) or ""), ""]
    for member, what in members(thing, elsewhere):
        if what.__doc__ == SEE_THE_CLASS:
            continue
        if isinstance(what, property):
            lines += [f"**`.{member}`** {prose(inspect.getdoc(what) or '')}", ""]
        elif isinstance(what, (classmethod, staticmethod)) or (inspect.isfunction(what) and what.__doc__):
            function = what.__func__ if isinstance(what, (classmethod, staticmethod)) else what
            lines += [
                f"**`.{signature(member, function, method=True)}`**",
                "",
                prose(inspect.getdoc(function) or ""),
                "",
            ]
    return lines


def written(page: Page) -> str:
    """Return the whole page."""
    named = {name for names in page.sections.values() for name in names}
    others = [name for name in page.module.__all__ if name not in named]
    lines = [page.introduction]
    for section, names in page.sections.items():
        lines += [f"## {section}", ""]
        for name in names or others:
            thing = find(page.module, name)
            lines += describe(name, thing, [find(page.module, other) for other in named if other != name])
    parts = re.split(r"(```.*?```)", "\n".join(lines), flags=re.DOTALL)  # every second one is code
    parts[::2] = [re.sub(r"\n{3,}", "\n\n", part) for part in parts[::2]]
    return "".join(parts).rstrip() + "\n"


PAGES = {
    REFERENCE / "api.md": Page(API_INTRODUCTION, perdure, API_SECTIONS),
    REFERENCE / "testing.md": Page(TESTING_INTRODUCTION, perdure.testing, TESTING_SECTIONS),
}

if __name__ == "__main__":
    for path, page in PAGES.items():
        path.write_text(written(page))
