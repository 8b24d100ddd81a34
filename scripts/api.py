"""Write docs/reference/api.md from the docstrings of the public names."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import perdure
import perdure.client
import perdure.rpc

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/api.md"
SECTIONS = {
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
MADE = (
    "Runtime",
    "Request",
    "Response",
    "Headers",
    "FormData",
    "File",
    "Blob",
    "client.connect",
    "client.connect_sync",
)
"""Classes that users make instances of."""
INTRODUCTION = """\
# API

Every public name of `perdure`, and of its modules `rpc` and `client`, from its docstring. Ids like `SQL-02` are rows of the
[compatibility page](../compatibility.md). This page is written by `make docs`; a test keeps it true.
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


def members(cls: type) -> list[tuple[str, Any]]:
    """Return the public methods and properties that *cls* and its bases of ours define, in order."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("perdure"):
            found.update({name: thing for name, thing in vars(base).items() if not name.startswith("_")})
    return list(found.items())


def describe(name: str) -> list[str]:
    """Return the lines about one public name."""
    thing = functools.reduce(getattr, name.split("."), perdure)
    if not inspect.isclass(thing):
        shown = signature(name, thing) if inspect.isfunction(thing) else name
        return [f"### `{name}`", "", f"```python\n{shown}\n```", "", prose(inspect.getdoc(thing) or ""), ""]
    lines = [f"### `{name}`", ""]
    if "__init__" in vars(thing) and name in MADE:
        made = signature(name, thing.__init__, method=True).replace(" -> None", "")
        lines += [f"```python\n{made}\n```", ""]
    lines += [prose(inspect.getdoc(thing) or ""), ""]
    for member, what in members(thing):
        if isinstance(what, property):
            lines += [f"**`.{member}`** {prose(inspect.getdoc(what) or '')}", ""]
        elif isinstance(what, (classmethod, staticmethod)) or (
            inspect.isfunction(what) and inspect.getdoc(what)
        ):
            function = what.__func__ if isinstance(what, (classmethod, staticmethod)) else what
            lines += [
                f"**`.{signature(member, function, method=True)}`**",
                "",
                prose(inspect.getdoc(function) or ""),
                "",
            ]
    return lines


def page() -> str:
    """Return the whole page."""
    named = {name for names in SECTIONS.values() for name in names}
    errors = [name for name in perdure.__all__ if name not in named]
    lines = [INTRODUCTION]
    for section, names in SECTIONS.items():
        lines += [f"## {section}", ""]
        for name in names or errors:
            lines += describe(name)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
