"""`Object`, `Array`, `Map`, `Set`, `structuredClone`. (pure)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import starmap
from typing import Any, Final

from perdure._cloudflare.convert import python_to_rpc
from perdure._cloudflare.values import (
    JsArray,
    JsClass,
    JsIterator,
    JsMap,
    JsObject,
    JsSet,
    js_name,
    js_text,
    relaxed_call,
    to_js,
)
from perdure._cloudflare.values.collections import entries_of, keys_of, values_of


class _OfAny:
    """A function of a prototype, which is called on any value: `Object.prototype.toString.call(value)`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.call = function


_TAGS: Final = {
    bool: "Boolean",
    dict: "Object",
    float: "Number",
    int: "Number",
    list: "Array",
    str: "String",
    tuple: "Array",
    type(None): "Undefined",
}
"""What JavaScript calls Python's own; `js_name` has Python's names for those, for errors."""


class _Prototype:
    """`Object.prototype`."""

    toString = _OfAny(lambda value: f"[object {_TAGS.get(type(value)) or js_name(value)}]")
    hasOwnProperty = _OfAny(lambda value, key: Object.hasOwn(value, key))


class Object(metaclass=JsClass):
    """`Object.fromEntries(...)` and its like; `Object.new()` is an object to be filled."""

    prototype = _Prototype()

    def __new__(cls, value: Any = None, **items: Any) -> Any:
        return JsObject(items) if value is None else value

    @staticmethod
    def fromEntries(entries: Any) -> JsObject:
        """Return an object with *entries*: pairs, a Map, a dict."""
        made = JsObject()
        pairs = dict.items(entries) if isinstance(entries, dict) else entries
        for key, item in pairs:
            dict.__setitem__(made, js_text(key), item)
        return made

    @staticmethod
    def keys(value: Any) -> JsArray:
        names = None if isinstance(value, dict) else getattr(value, "object_keys", None)
        return keys_of(_items(value)) if names is None else names()  # of env's bindings, none is asked for

    @staticmethod
    def values(value: Any) -> JsArray:
        return values_of(_items(value))

    @staticmethod
    def entries(value: Any) -> JsArray:
        return entries_of(_items(value))

    getOwnPropertyNames = keys

    @staticmethod
    def assign(target: Any, *sources: Any) -> Any:
        """Put the items of *sources* into *target*, and return that."""
        for source in sources:
            if source is not None:
                for key, item in _items(source).items():
                    target[key] = item
        return target

    @staticmethod
    def create(prototype: Any = None) -> JsObject:
        return JsObject()

    @staticmethod
    def freeze(value: Any) -> Any:
        """Return *value*; nothing keeps it from being changed here."""
        return value

    seal = freeze

    @staticmethod
    def is_(one: Any, other: Any) -> bool:
        return one is other or (
            type(one) is type(other) and (one == other or (one != one and other != other))
        )

    @staticmethod
    def hasOwn(value: Any, key: Any) -> bool:
        return key in _items(value)

    @staticmethod
    def groupBy(items: Iterable[Any], function: Callable[..., Any]) -> JsObject:
        made = JsObject()
        for index, item in enumerate(items):
            key = js_text(relaxed_call(function, item, index))
            dict.setdefault(made, key, JsArray()).append(item)
        return made


def _items(value: Any) -> dict[Any, Any]:
    """Return what `Object.keys` and its like see of *value*."""
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, (list, tuple, str)):
        return {str(index): item for index, item in enumerate(value)}
    items = getattr(value, "object_entries", None)  # a pair of WebSockets, say
    # Not `dict(items())`: an array has `keys()`, and would be taken for a mapping.
    return {} if items is None else {key: item for key, item in items()}  # noqa: C416


class Array(metaclass=JsClass):
    """`Array.from_(...)`, `Array.of(...)`, `Array.isArray(...)`; `Array.new(1, 2)`."""

    def __new__(cls, *items: Any) -> Any:
        if len(items) == 1 and isinstance(items[0], int):
            return JsArray([None] * items[0])
        return JsArray(items)

    @staticmethod
    def from_(items: Any, function: Callable[..., Any] | None = None) -> JsArray:
        """Return an array of what *items* yields, each through *function*; of a Map, its entries."""
        if isinstance(items, JsMap):
            items = starmap(lambda *pair: JsArray(pair), dict.items(items))
        elif isinstance(items, dict):
            length = dict.get(items, "length", 0)
            items = [dict.get(items, index, dict.get(items, str(index))) for index in range(length)]
        made = JsArray(items)
        if function is None:
            return made
        return JsArray(relaxed_call(function, item, index) for index, item in enumerate(made))

    @staticmethod
    def of(*items: Any) -> JsArray:
        return JsArray(items)

    @staticmethod
    def isArray(value: Any) -> bool:
        return isinstance(value, (list, tuple))


class Map(metaclass=JsClass):
    """`Map.new(entries)`."""

    def __new__(cls, entries: Any = None) -> Any:
        if isinstance(entries, dict):
            return JsMap(entries)
        return JsMap({key: item for key, item in entries or ()})  # noqa: C416  # a pair may be an array


class Set(metaclass=JsClass):
    """`Set.new(items)`."""

    def __new__(cls, items: Any = None) -> Any:
        return JsSet(items or ())


def structuredClone(value: Any, options: Any = None) -> Any:
    """Return a deep copy of *value*."""
    return to_js(python_to_rpc(value), dict_converter=Object.fromEntries)


Iterator = JsIterator
