"""`console`: lines on standard output, and on standard error for warnings and errors. (edge)"""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TextIO

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.javascript.json_text import JSON
from perdure._cloudflare.values import JsMap, JsNull, js_number, js_text

_DEPTH_MAX: Final = 4
_ITEMS_MAX: Final = 100
_DIRECTIVE: Final = re.compile(r"%[sdifjoOc%]")
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")


def inspect(value: Any, depth: int = 0) -> str:
    """Return *value* as a console shows it."""
    if isinstance(value, str):
        return (
            value
            if depth == 0
            else "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
        )
    if value is None or isinstance(value, (bool, int, float, JsNull)):
        return js_text(value)
    if isinstance(value, JsException):
        return value.stack
    if isinstance(value, BaseException):
        return traceback.format_exception_only(value)[0].strip()
    if isinstance(value, dict):
        return _dict_text(value, depth)
    if isinstance(value, (list, tuple)):
        return _enclosed("", (inspect(item, depth + 1) for item in value), "[]", depth, len(value))
    if isinstance(value, (set, frozenset)):
        return _enclosed(
            f"Set({len(value)}) ", (inspect(item, depth + 1) for item in value), "{}", depth, len(value)
        )
    return repr(value) if depth else str(value)


def _dict_text(value: dict[Any, Any], depth: int) -> str:
    arrow = " => " if isinstance(value, JsMap) else ": "
    title = f"Map({len(value)}) " if isinstance(value, JsMap) else ""
    parts = (
        (key if isinstance(key, str) and not title and _NAME.fullmatch(key) else inspect(key, 1))
        + arrow
        + inspect(item, depth + 1)
        for key, item in dict.items(value)
    )
    return _enclosed(title, parts, "{}", depth, len(value))


def _enclosed(title: str, parts: Iterable[str], brackets: str, depth: int, count: int) -> str:
    if not count:
        return title + brackets
    if depth >= _DEPTH_MAX:
        return "[Array]" if brackets == "[]" else "[Object]"
    shown = [part for part, _ in zip(parts, range(_ITEMS_MAX), strict=False)]
    if count > _ITEMS_MAX:
        shown.append(f"... {count - _ITEMS_MAX} more items")
    return f"{title}{brackets[0]} {', '.join(shown)} {brackets[1]}"


def format_line(values: tuple[Any, ...]) -> str:
    """Return the line for *values*, the first of which may be a format (`%s`, `%d`, `%j` …)."""
    rest = list(values)
    shown: list[str] = []
    if rest and isinstance(rest[0], str) and len(rest) > 1:
        shown.append(_DIRECTIVE.sub(lambda found: _filled(found[0], rest), rest.pop(0)))
    return " ".join([*shown, *map(inspect, rest)])


def _filled(directive: str, rest: list[Any]) -> str:
    if directive == "%%":
        return "%"
    if not rest:
        return directive
    value = rest.pop(0)
    match directive:
        case "%s":
            return inspect(value)
        case "%d":
            return js_text(js_number(value))
        case "%i":
            number = js_number(value)
            return js_text(int(number) if number - number == 0 else float("nan"))
        case "%f":
            return js_text(js_number(value))
        case "%j":
            return JSON.stringify(value)
        case "%c":  # style, for browsers
            return ""
        case _:
            return inspect(value, 1)


class Console:
    """`console`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._began_s: dict[str, float] = {}
        self._margin = ""

    def _write(self, stream: TextIO, text: str) -> None:
        if self._margin:
            text = self._margin + text.replace("\n", "\n" + self._margin)
        print(text, file=stream, flush=True)

    def log(self, *values: Any) -> None:
        self._write(sys.stdout, format_line(values))

    info = debug = log

    def error(self, *values: Any) -> None:
        self._write(sys.stderr, format_line(values))

    warn = error

    def trace(self, *values: Any) -> None:
        self.error(*(("Trace: " + inspect(values[0]), *values[1:]) if values else ("Trace",)))

    def assert_(self, condition: Any = False, *values: Any) -> None:
        if not condition:
            self.error(
                *(
                    ("Assertion failed: " + inspect(values[0]), *values[1:])
                    if values
                    else ("Assertion failed",)
                )
            )

    def dir(self, value: Any, options: Any = None) -> None:
        self.log(inspect(value, 1))

    dirxml = log

    def table(self, data: Any, columns: Any = None) -> None:
        """Write rows as a table: a list of dicts or lists, or a dict of them."""
        if not isinstance(data, (list, tuple, dict)):
            self.log(data)
            return
        self._write(sys.stdout, _table(data, columns))

    def count(self, label: str = "default") -> None:
        self._counts[label] += 1
        self.log(f"{label}: {self._counts[label]}")

    def countReset(self, label: str = "default") -> None:
        del self._counts[label]

    def time(self, label: str = "default") -> None:
        self._began_s[label] = time.perf_counter()

    def timeLog(self, label: str = "default", *values: Any) -> None:
        began_s = self._began_s.get(label)
        if began_s is None:
            self.warn(f"No such label '{label}' for console.time()")
        else:
            self.log(f"{label}: {(time.perf_counter() - began_s) * 1000:.3f}ms", *values)

    def timeEnd(self, label: str = "default") -> None:
        self.timeLog(label)
        self._began_s.pop(label, None)

    def group(self, *values: Any) -> None:
        if values:
            self.log(*values)
        self._margin += "  "

    groupCollapsed = group

    def groupEnd(self) -> None:
        self._margin = self._margin[2:]

    def clear(self) -> None:
        """Leave what is there: it may be a file."""

    def __getattr__(self, name: str) -> Any:
        if name == "assert":
            return self.assert_
        raise AttributeError(f"js.console has no {name!r}")

    def __repr__(self) -> str:
        return "Object [console]"


def _table(data: Any, columns: Any) -> str:
    rows = list(dict.items(data)) if isinstance(data, dict) else list(enumerate(data))
    cells: list[tuple[str, dict[Any, Any]]] = []
    names: dict[Any, None] = dict.fromkeys(columns or ())
    for key, row in rows:
        if isinstance(row, dict):
            items = dict(row)
        elif isinstance(row, (list, tuple)):
            items = dict(enumerate(row))
        else:
            items = {"Values": row}
        cells.append((str(key), items))
        if not columns:
            names.update(dict.fromkeys(items))
    head = ["(index)", *map(str, names)]
    body = [
        [key, *(inspect(items[name], 1) if name in items else "" for name in names)] for key, items in cells
    ]
    widths = [max(len(line[at]) for line in (head, *body)) for at in range(len(head))]
    lines = [
        " │ ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in (head, *body)
    ]
    lines.insert(1, "─┼─".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


console: Final = Console()
