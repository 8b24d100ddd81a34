"""Rows for people and for programs: aligned, CSV, JSON. (pure)

Cells are JSON data as `_base.portrait` makes it, so blobs and unusual floats are objects with one key `$…`. What came
from a database never reaches a terminal as it is: control characters are shown, not sent.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

CELL_WIDTH_MAX: Final = 60
"""A longer cell is cut short on a terminal; into a pipe it goes whole."""
NULL: Final = "NULL"


def cell(value: Any) -> str:
    """Return one value as a line of text."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict) and len(value) == 1:
        (tag, content), *_ = value.items()
        if tag == "$bytes":
            return f"x'{base64.b64decode(content).hex()}'"
        if tag in ("$float", "$int"):
            return str(content)
    return printable(json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """Return *text* with its control characters as escapes, line ends among them."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )


def aligned(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, width_max: int | None = CELL_WIDTH_MAX
) -> list[str]:
    """Return the lines of a table: a head, and one line a row; columns of numbers stand to the right."""
    heads = [printable(column) for column in columns]
    texts = [[_cut(cell(value), width_max) for value in row] for row in rows]
    widths = [max([_width(head), *(_width(row[index]) for row in texts)]) for index, head in enumerate(heads)]
    right = [
        bool(rows) and all(_is_number(row[index]) or row[index] is None for row in rows)
        for index in range(len(heads))
    ]
    return [
        "  ".join(
            _padded(text, width, to_right) for text, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in (heads, *texts)
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cut(text: str, width_max: int | None) -> str:
    if width_max is None or _width(text) <= width_max:
        return text
    kept, width = [], 1
    for character in text:
        width += _width(character)
        if width > width_max:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _padded(text: str, width: int, to_right: bool) -> str:
    padding = " " * (width - _width(text))
    return padding + text if to_right else text + padding


def _width(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return the rows as CSV (RFC 4180, with lines as here): nothing for NULL, blobs as hexadecimal digits."""
    return "".join(
        _csv_line(line) for line in (columns, *([_csv_cell(value) for value in row] for row in rows))
    )


def _csv_line(values: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)  # so that both characters are quoted in values
    return out.getvalue().removesuffix("\r\n") + "\n"


def _csv_cell(value: Any) -> Any:
    if isinstance(value, dict):
        return cell(value)[2:-1] if "$bytes" in value else cell(value)
    return value


def as_objects(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the rows as JSON objects; of two columns with one name the last wins."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


def size_text(size_bytes: int) -> str:
    """Return a size for people: `4 KiB`, `1.5 MiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1024 or unit == "TiB":
            break
    return f"{size:.0f} {unit}" if size >= 10 or size == int(size) else f"{size:.1f} {unit}"


def label(target: Mapping[str, Any]) -> str:
    """Name an object for people."""
    return f"{target['class_name']}({target.get('name', target.get('id'))})"
