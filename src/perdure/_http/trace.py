"""What broke, as data: exceptions with their causes, notes, stack frames and source lines. (edge)

Reads source files, through `linecache`; everything else about an error page is made from what this returns.
"""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perdure._base.limits import ERROR_FRAMES_MAX

CHAIN_MAX: Final = 12  # exceptions shown of one chain or group
CONTEXT_LINES: Final = 5  # source lines shown before and after the failing one

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@dataclass(frozen=True, slots=True)
class Frame:
    """One step of a call stack."""

    file: str
    line: int
    function: str
    ours: bool
    """The step is in the application, not in Perdure or a library."""
    source: tuple[tuple[int, str], ...]
    """Numbered source lines around `line`; empty when there are none to read."""
    start: int
    """First column of the failing expression in `line`, or -1."""
    end: int

    @property
    def code(self) -> str:
        """The failing line, without its indentation."""
        return next((text.strip() for number, text in self.source if number == self.line), "")


@dataclass(frozen=True, slots=True)
class Failure:
    """One exception of a chain."""

    relation: str
    """How it belongs to the one shown before it; "" for the first."""
    kind: str
    message: str
    notes: tuple[str, ...]
    frames: tuple[Frame, ...]
    left_out: int
    """Frames between the first and the last that are not shown."""


def describe(error: BaseException) -> list[Failure]:
    """Return *error* and what led to it, the final exception first."""
    found: list[Failure] = []
    seen: set[int] = set()
    waiting: list[tuple[str, BaseException]] = [("", error)]
    while waiting and len(found) < CHAIN_MAX:
        relation, current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        found.append(_failure(relation, current))
        if isinstance(current, BaseExceptionGroup):
            waiting += [("one of the group", member) for member in current.exceptions]
        if current.__cause__ is not None:
            waiting.append(("caused by", current.__cause__))
        elif current.__context__ is not None and not current.__suppress_context__:
            waiting.append(("while this was being handled", current.__context__))
    return found


def stack_text(error: BaseException) -> str:
    """Return the traceback as Python prints it, without the steps inside Perdure on the way to user code."""
    whole = traceback.TracebackException.from_exception(error, compact=True)
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        last = part.stack[-1:]
        part.stack[:-1] = [step for step in part.stack[:-1] if not step.filename.startswith(_PACKAGE)]
        if len(part.stack) > ERROR_FRAMES_MAX:
            part.stack[:] = [*part.stack[: ERROR_FRAMES_MAX // 3], *part.stack[-2 * ERROR_FRAMES_MAX // 3 :]]
        assert part.stack[-1:] == last, "where it was raised is always told"
        waiting += [*(part.exceptions or ()), *filter(None, (part.__cause__, part.__context__))]
    return "".join(whole.format()).rstrip()


def message_of(error: BaseException) -> str:
    """Return the text of *error*, even if its `__str__` fails."""
    try:
        return str(error)
    except Exception:
        return "<its __str__ failed>"


def kind_of(error: BaseException) -> str:
    """Return the class's name as a traceback shows it."""
    cls = type(error)
    return (
        cls.__qualname__
        if cls.__module__ in ("builtins", "__main__")
        else f"{cls.__module__}.{cls.__qualname__}"
    )


def _failure(relation: str, error: BaseException) -> Failure:
    # Only this class knows the columns of a step.
    steps = list(traceback.TracebackException.from_exception(error, lookup_lines=False, compact=True).stack)
    left_out = max(0, len(steps) - ERROR_FRAMES_MAX)
    if left_out:
        head = ERROR_FRAMES_MAX // 3
        steps = steps[:head] + steps[head + left_out :]
    notes = getattr(error, "__notes__", None)
    return Failure(
        relation,
        kind_of(error),
        message_of(error),
        tuple(str(note) for note in notes) if isinstance(notes, list) else (),
        tuple(_frame(step) for step in steps),
        left_out,
    )


def _frame(step: traceback.FrameSummary) -> Frame:
    line = step.lineno or 0
    text = linecache.getline(step.filename, line)
    around = range(max(1, line - CONTEXT_LINES), line + CONTEXT_LINES + 1)
    lines = linecache.getlines(step.filename)
    source = tuple((number, lines[number - 1].rstrip("\n")) for number in around if number <= len(lines))
    start, end = -1, -1
    if step.colno is not None and step.end_colno is not None and step.end_lineno == line:
        raw = text.encode()  # columns count bytes
        start = len(raw[: step.colno].decode("utf-8", "replace"))
        end = len(raw[: step.end_colno].decode("utf-8", "replace"))
    return Frame(step.filename, line, step.name, _is_application(step.filename), source, start, end)


def _is_application(file: str) -> bool:
    return not file.startswith((_PACKAGE, "<frozen", *_LIBRARIES))
