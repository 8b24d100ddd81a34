"""One form for every mistake a user can make: what, where, the nearest right name, what to do. (pure)

error[config/missing-class]: class "Room" is bound but not defined in src/index.py
  --> wrangler.jsonc:7:43
   7 | {"name": "ROOM", "class_name": "Room"}
     |                                ^^^^^^ did you mean "Rooms"?
  = help: define it there, or correct class_name
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from perdure.errors import ConfigError

Severity = Literal["error", "warning", "info"]

SOURCE_WIDTH_MAX = 120
"""A source line longer than this is shown in part: a minified file must not fill the screen."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, or one thing worth knowing, with the place it was found in."""

    code: str
    """`area/what`, stable: tests, scripts and the documentation name it."""
    message: str
    severity: Severity = "error"
    file: str | None = None
    line: int | None = None
    """Counted from 1, as editors do; columns too, in characters."""
    column: int | None = None
    length: int = 1
    source: str | None = None
    """The text of that line, without its end."""
    hint: str | None = None
    """Stands beside the caret, most often the nearest right name."""
    help: str | None = None
    trace: tuple[str, ...] = ()
    """For an exception of the user's code: the user's own frames, outermost first."""

    def as_warning(self) -> Problem:
        return replace(self, severity="warning")


class ProblemsFound(ConfigError):
    """Problems that stop what was asked for; `str()` shows all of them in the one form."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n\n".join(render(problem) for problem in self.problems))


def refused(code: str, message: str, **more: Any) -> ProblemsFound:
    """Return the error of one problem, to be raised."""
    return ProblemsFound([Problem(code, message, **more)])


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return those that stop a start."""
    return tuple(problem for problem in problems if problem.severity == "error")


def nearest(wrong: str, right: Iterable[str]) -> str | None:
    """Return the name that was probably meant, or None when none is near."""
    names = list(right)
    by_lower_case = {name.lower(): name for name in names}
    found = difflib.get_close_matches(wrong.lower(), list(by_lower_case), n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else None


def did_you_mean(wrong: str, right: Iterable[str]) -> str | None:
    """Return `did you mean "…"?`, or None when no name is near."""
    name = nearest(wrong, right)
    return f'did you mean "{name}"?' if name is not None else None


COLOURS: dict[str, str] = {"error": "31", "warning": "33", "info": "36", "place": "34", "strong": "1"}


def render(problem: Problem, *, colour: bool = False) -> str:
    """Return the problem as text for a person, without a final line end."""

    def paint(text: str, name: str) -> str:
        return f"\x1b[1;{COLOURS[name]}m{text}\x1b[0m" if colour else text

    lines = [f"{paint(f'{problem.severity}[{problem.code}]', problem.severity)}: {problem.message}"]
    if problem.file is not None:
        place = ":".join(
            str(part) for part in (problem.file, problem.line, problem.column) if part is not None
        )
        lines.append(f"  {paint('-->', 'place')} {place}")
    if problem.source is not None and problem.line is not None:
        number = str(problem.line)
        text, column, length = _window(problem.source, problem.column or 1, problem.length)
        bar = paint("|", "place")
        lines.append(f"{paint(number.rjust(4), 'place')} {bar} {text}")
        if problem.column is not None:
            caret = paint("^" * length + (f" {problem.hint}" if problem.hint else ""), problem.severity)
            lines.append(f"{' ' * max(4, len(number))} {bar} {' ' * (column - 1)}{caret}")
        elif problem.hint:
            lines.append(f"{' ' * max(4, len(number))} {bar} {problem.hint}")
    elif problem.hint:
        lines.append(f"  {paint('=', 'place')} hint: {problem.hint}")
    lines += [f"  {paint('|', 'place')} {frame}" for frame in problem.trace]
    if problem.help:
        first, *rest = problem.help.splitlines()
        lines.append(f"  {paint('=', 'place')} help: {first}")
        lines += [f"          {line}" for line in rest]
    return "\n".join(lines)


def _window(source: str, column: int, length: int) -> tuple[str, int, int]:
    """Return the part of the line to show, and where the caret stands in it."""
    text = source.replace("\t", " ").rstrip()
    length = max(1, min(length, len(text) - column + 1))
    if len(text) <= SOURCE_WIDTH_MAX:
        return text, column, length
    start = max(0, min(column - 1 - SOURCE_WIDTH_MAX // 3, len(text) - SOURCE_WIDTH_MAX))
    end = start + SOURCE_WIDTH_MAX
    shown = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
    at = column - start + (1 if start else 0)
    return shown, at, max(1, min(length, SOURCE_WIDTH_MAX - at + 1))


def as_json(problem: Problem) -> dict[str, Any]:
    """Return the problem as JSON data, with the keys that have a value (`--json`, the reload pipe)."""
    names = ("severity", "code", "message", "file", "line", "column", "length", "source", "hint", "help")
    data = {name: getattr(problem, name) for name in names if getattr(problem, name) is not None}
    if problem.trace:
        data["trace"] = list(problem.trace)
    return data


def from_json(data: dict[str, Any]) -> Problem:
    """Return the problem that `as_json` wrote."""
    return Problem(**{**data, "trace": tuple(data.get("trace", ()))})


def listed(names: Sequence[str]) -> str:
    """Return names as they stand in a sentence: `"A", "B" and "C"`."""
    quoted = [f'"{name}"' for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"
