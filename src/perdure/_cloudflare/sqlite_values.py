"""Values of SQLite on their way through JavaScript, whose numbers are all doubles: of objects' SQL and of D1. (pure)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from perdure._cloudflare.values import JsDict, as_number

INTEGER_MAX: Final = 2**53 - 1
"""Up to here a double is exact; larger integers are bigints, which no binding takes."""


def row_object(row: dict[str, Any], column: Callable[[Any], Any]) -> JsDict:
    """Return a row as a project sees it, each value through *column*."""
    return JsDict(zip(row, map(column, row.values()), strict=True))


def number(value: Any) -> Any:
    """Return a number as Python gets it from JavaScript: whole ones as int, large ones as the double they became."""
    if type(value) is int:
        return value if abs(value) <= INTEGER_MAX else float(value)
    return as_number(value) if type(value) is float else value
