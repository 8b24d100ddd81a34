"""`JSON`. (pure)"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NoReturn

from perdure._base.bigint import to_decimal
from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import (
    JsArray,
    JsNull,
    JsObject,
    JsSet,
    TypedArray,
    as_number,
    js_number,
    js_text,
    unproxied,
)
from perdure._cloudflare.values.text import number_text

_INDENT_MAX: Final = 10
_LEFT_OUT: Final = object()
"""Stands for a function, which is no JSON."""


class Json:
    """`JSON.parse(text)` and `JSON.stringify(value)`."""

    def parse(self, text: Any, reviver: Callable[..., Any] | None = None) -> Any:
        """
        Return the value that *text* is JSON of: objects and arrays of JavaScript, None for null.

        Raises:
            JsException: a `SyntaxError` (also a ValueError): it is no JSON.
        """
        try:
            value = _array_ized(_decoder.decode(text if isinstance(text, str) else js_text(text)))
        except RecursionError:
            raise _too_deep() from None
        except json.JSONDecodeError as error:
            if error.pos >= len(error.doc.rstrip()):
                raise js_error("SyntaxError", "Unexpected end of JSON input") from None
            found = error.doc[error.pos]
            raise js_error(
                "SyntaxError",
                f"Unexpected token '{found}' in JSON at position {error.pos} (line {error.lineno} column {error.colno})",
            ) from None
        return value if reviver is None else _revived("", value, reviver)

    def stringify(self, value: Any, replacer: Any = None, space: Any = None) -> str:
        """
        Return *value* as JSON. None is null; functions are left out.

        Args:
            value: what to write.
            replacer: names of the keys to write, or `f(key, value)` that gives what is written instead.
            space: a number of blanks, or a text, to indent by.

        Raises:
            JsException: a `TypeError`: it holds itself, or something that is no JSON.
        """
        indent = (
            space[:_INDENT_MAX]
            if isinstance(space, str)
            else " " * min(_INDENT_MAX, int(js_number(space or 0)))
        )
        try:
            return _Writer(replacer, indent).text("", value)
        except RecursionError:
            raise _too_deep() from None

    def __repr__(self) -> str:
        return "Object [JSON]"


def _too_deep() -> Exception:
    return js_error(
        "RangeError", "Maximum call stack size exceeded: the value is nested too deeply for JSON here"
    )


def _no_constant(name: str) -> NoReturn:
    raise js_error("SyntaxError", f"Unexpected token '{name[0]}': {name} is not valid JSON")


def _integer(text: str) -> int | float:
    """Return an integer exactly; one of more digits than Python reads is what JavaScript makes of it."""
    try:
        return int(text)
    except ValueError:
        return float(text)


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=lambda pairs: JsObject(pairs),
    parse_int=_integer,
    parse_float=lambda text: as_number(float(text)),
    parse_constant=_no_constant,
)


def _array_ized(value: Any) -> Any:
    """Return *value* with arrays of JavaScript for the lists that Python's decoder made."""
    if type(value) is list:
        return JsArray([_array_ized(item) for item in value])
    if type(value) is JsObject:
        for key, item in dict.items(value):
            if type(item) in (list, JsObject):
                dict.__setitem__(value, key, _array_ized(item))
    return value


def _revived(key: str, value: Any, reviver: Callable[..., Any]) -> Any:
    if isinstance(value, dict):
        for name, item in list(dict.items(value)):
            dict.__setitem__(value, name, _revived(name, item, reviver))
    elif isinstance(value, list):
        value[:] = [_revived(str(index), item, reviver) for index, item in enumerate(value)]
    return reviver(key, value)


class _Writer:
    """One text in the making."""

    def __init__(self, replacer: Any, indent: str) -> None:
        self._function = unproxied(replacer) if callable(replacer) else None
        names: Iterable[Any] | None = None if callable(replacer) else replacer
        self._names = None if names is None else {js_text(name) for name in names}
        self._indent = indent
        self._open: list[Any] = []

    def text(self, key: str, value: Any) -> str:
        written = self._written(key, value)
        return "null" if written is _LEFT_OUT else written

    def _written(self, key: str, value: Any) -> Any:
        """Return the JSON of *value*, or `_LEFT_OUT`."""
        to_json = None if isinstance(value, dict) else getattr(value, "toJSON", None)
        if to_json is not None:
            value = to_json()
        if self._function is not None:
            value = self._function(key, value)
        value = unproxied(value)
        if value is None or isinstance(value, JsNull):
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return (
                json.dumps(str.__str__(value), ensure_ascii=False).encode(errors="backslashreplace").decode()
            )
        if isinstance(value, int):
            return to_decimal(value)
        if isinstance(value, float):
            return number_text(value) if math.isfinite(value) else "null"
        if isinstance(value, dict):
            return self._within(value, self._members(dict.items(value)), "{}")
        if isinstance(value, (list, tuple)):
            return self._within(
                value, (self.text(str(index), item) for index, item in enumerate(value)), "[]"
            )
        if isinstance(value, TypedArray):
            return self._within(value, self._members(enumerate(value)), "{}")
        return self._other(value)

    def _other(self, value: Any) -> Any:
        if callable(value):
            return _LEFT_OUT
        if isinstance(value, (JsSet, set, frozenset, memoryview, bytes, bytearray)) or hasattr(
            value, "constructor"
        ):
            return "{}"
        raise js_error(
            "TypeError",
            f"JSON.stringify() cannot write an instance of the Python class {type(value).__qualname__}: give it a dict.",
        )

    def _members(self, items: Iterable[tuple[Any, Any]]) -> Iterator[str]:
        colon = ": " if self._indent else ":"
        for key, item in items:
            name = js_text(key)
            if self._names is None or name in self._names:
                written = self._written(name, item)
                if written is not _LEFT_OUT:
                    yield f"{json.dumps(name, ensure_ascii=False)}{colon}{written}"

    def _within(self, value: Any, parts: Iterator[str], brackets: str) -> str:
        if any(value is outer for outer in self._open):
            raise js_error("TypeError", "Converting circular structure to JSON: the value holds itself")
        self._open.append(value)
        margin = "\n" + self._indent * len(self._open) if self._indent else ""
        inside = ("," + margin).join(parts)
        self._open.pop()
        if not inside:
            return brackets
        end = "\n" + self._indent * len(self._open) if self._indent else ""
        return f"{brackets[0]}{margin}{inside}{end}{brackets[1]}"


JSON: Final = Json()
