"""`to_js` and `to_py`: Python's values with the members of JavaScript's, and back to Python's own. (pure)"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any, TypeAlias

from perdure._cloudflare.values.base import JsNull, JsProxy, JsValue
from perdure._cloudflare.values.buffers import JsBytes, Uint8Array, is_buffer
from perdure._cloudflare.values.collections import JsArray, JsMap, JsObject, JsSet
from perdure._cloudflare.values.dates import JsDate

Converter: TypeAlias = Callable[..., Any]


def to_js(
    obj: Any,
    /,
    *,
    depth: int = -1,
    pyproxies: Any = None,
    create_pyproxies: bool = True,
    dict_converter: Converter | None = None,
    default_converter: Converter | None = None,
    eager_converter: Converter | None = None,
) -> Any:
    """
    Return a copy of *obj* that has the members of JavaScript's values too.

    Args:
        obj: any value.
        depth: how many levels to convert; -1 is all.
        pyproxies, create_pyproxies: accepted; there is nothing to give back here.
        dict_converter: makes the object for a dict from its entries, for instance `Object.fromEntries`; without one
            a dict becomes a Map, which is taken wherever an object of options is, too.
        default_converter: `f(value, convert, cache)` for what has no counterpart; without one that stays as it is.
        eager_converter: the same, asked first for every value.
    """
    return _ToJs(dict_converter, default_converter, eager_converter).convert(obj, depth)


class _ToJs:
    def __init__(
        self,
        dict_converter: Converter | None,
        default_converter: Converter | None,
        eager_converter: Converter | None,
    ) -> None:
        self._of_dict = dict_converter
        self._of_other = default_converter
        self._eager = eager_converter
        self._made: dict[int, tuple[Any, Any]] = {}

    def convert(self, value: Any, depth: int) -> Any:
        if self._eager is not None:
            return self._eager(value, lambda inner: self._convert(inner, depth), self._cache)
        return self._convert(value, depth)

    def _cache(self, value: Any, made: Any) -> None:
        self._made[id(value)] = value, made

    def _convert(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)) or depth == 0:
            return value
        known = self._made.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, dict) and not isinstance(value, (JsMap, JsObject)):
            return self._dict(value, depth)
        if isinstance(value, (list, tuple)) and not isinstance(value, JsArray):
            made = JsArray()
            self._cache(value, made)
            made.extend(self.convert(item, depth - 1) for item in value)
            return made
        if isinstance(value, (set, frozenset)) and not isinstance(value, JsSet):
            return JsSet(self.convert(item, depth - 1) for item in value)
        if isinstance(value, JsProxy):
            return value
        if isinstance(value, bytes):
            return JsBytes(value)
        if isinstance(value, (bytearray, memoryview, array.array)):
            return Uint8Array(memoryview(value).cast("B"))
        if self._of_other is not None:
            return self._of_other(value, lambda inner: self.convert(inner, depth - 1), self._cache)
        return value

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if self._of_dict is None:
            made = JsMap()
            self._cache(value, made)
            for key, item in dict.items(value):
                dict.__setitem__(made, key, self.convert(item, depth - 1))
            return made
        entries = JsArray(JsArray((key, self.convert(item, depth - 1))) for key, item in dict.items(value))
        return self._of_dict(entries)


def to_py(value: Any, /, *, depth: int = -1, default_converter: Converter | None = None) -> Any:
    """
    Return *value*, and what is in it, as Python's own: dict, list, set, memoryview, naive datetime, None.

    Args:
        value: any value.
        depth: how many levels to convert; -1 is all.
        default_converter: `f(value, convert, cache)` for what has no counterpart; without one that stays as it is.
    """
    return _ToPy(default_converter).convert(value, depth)


class _ToPy:
    def __init__(self, default_converter: Converter | None) -> None:
        self._of_other = default_converter
        self._made: dict[int, tuple[Any, Any]] = {}

    def _cache(self, value: Any, made: Any) -> None:
        self._made[id(value)] = value, made

    def convert(self, value: Any, depth: int = -1) -> Any:
        if isinstance(value, JsNull):
            return None
        if value is None or isinstance(value, (bool, int, float, str)) or depth == 0:
            return value
        known = self._made.get(id(value))
        if known is not None:
            return known[1]
        made: Any
        if isinstance(value, dict):
            made = {}
            self._cache(value, made)
            for key, item in dict.items(value):
                made[key] = self.convert(item, depth - 1)
        elif isinstance(value, list):
            made = []
            self._cache(value, made)
            made.extend(self.convert(item, depth - 1) for item in value)
        elif isinstance(value, JsSet):
            made = {self.convert(item, depth - 1) for item in value}
        elif isinstance(value, JsDate) or (isinstance(value, JsValue) and is_buffer(value)):
            made = value.to_py()
        elif self._of_other is not None and isinstance(value, JsProxy):
            made = self._of_other(value, lambda inner: self.convert(inner, depth - 1), self._cache)
        else:
            made = value
        return made
