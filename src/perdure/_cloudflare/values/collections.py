"""Objects, arrays, maps and sets: Python's own, with the members that people call on JavaScript's. (pure)

They are instances of `dict`, `list` and `set`, so that Python code and `json` take them as they are. What a dict
*holds* comes before what JavaScript's objects *have*: `row.size` is the column, if there is one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from perdure._cloudflare.values.base import Constructor, JsProxy, JsValue, js_name, jsnull
from perdure._cloudflare.values.calls import relaxed_call
from perdure._cloudflare.values.text import js_text

_KEYS_SHOWN: Final = 12


class JsDict(dict[Any, Any]):
    """
    A dict whose items are attributes too: `row["name"]` and `row.name`. Rows, and objects that were received.

    It is no `JsProxy`, as the SDK has converted these; it has the members of one, which older code uses.
    """

    _js_name = "Object"
    _extras: dict[str, Callable[[Any], Any]]

    def __getattr__(self, name: str) -> Any:
        try:
            return dict.__getitem__(self, name)
        except KeyError:
            pass
        extra = self._extras.get(name)
        if extra is None:
            raise AttributeError(self._missing(name))
        return extra(self)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(self._missing(name)) from None

    def _missing(self, name: str) -> str:
        if name[:2] == "__":
            return name
        keys = [str(key) for key in dict.keys(self)]
        shown = ", ".join(keys[:_KEYS_SHOWN]) + (", …" if len(keys) > _KEYS_SHOWN else "")
        return f"no {name!r} here: {'the keys are ' + shown if keys else 'it is empty'}"

    def __reduce__(self) -> Any:
        return type(self), (dict(self),)


class JsObject(JsDict, JsProxy):
    """An object that JavaScript made: its items come before the methods of `dict`, too (`cart.items`)."""

    def __getattribute__(self, name: str) -> Any:
        if name[:1] != "_" and dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        return super().__getattribute__(name)


class JsMap(JsDict, JsProxy):
    """A Map: any keys, in order."""

    _js_name = "Map"


def _bound(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda value: functools.partial(function, value)


def _to_py(value: JsDict, **options: Any) -> Any:
    return JsValue.to_py(value, **options)  # type: ignore[arg-type]


def _set(value: JsMap, key: Any, item: Any) -> JsMap:
    value[key] = item
    return value


def _delete(value: JsMap, key: Any) -> bool:
    """Remove an entry; tell whether it was there."""
    had = key in value
    dict.pop(value, key, None)
    return had


def _for_each(value: JsMap, function: Callable[..., Any]) -> None:
    for key, item in list(dict.items(value)):
        relaxed_call(function, item, key, value)


def keys_of(value: dict[Any, Any]) -> JsArray:
    """Return `Object.keys(value)`: texts, whatever the keys are here."""
    return JsArray(js_text(key) for key in dict.keys(value))


def values_of(value: dict[Any, Any]) -> JsArray:
    """Return `Object.values(value)`."""
    return JsArray(dict.values(value))


def entries_of(value: dict[Any, Any]) -> JsArray:
    """Return `Object.entries(value)`."""
    return JsArray(JsArray((js_text(key), item)) for key, item in dict.items(value))


JsDict._extras = {
    "to_py": _bound(_to_py),
    "object_keys": _bound(keys_of),
    "object_values": _bound(values_of),
    "object_entries": _bound(entries_of),
    "as_object_map": _bound(lambda value, **_: value),
    "hasOwnProperty": _bound(lambda value, key: dict.__contains__(value, key)),
    "toString": _bound(js_text),
    "destroy": _bound(lambda value: None),
    "js_id": id,
    "typeof": lambda value: "object",
    "constructor": lambda value: Constructor(js_name(value)),
}
JsMap._extras = {
    **JsDict._extras,
    "size": len,
    "set": _bound(_set),
    "has": _bound(lambda value, key: dict.__contains__(value, key)),
    "delete": _bound(_delete),
    "forEach": _bound(_for_each),
    "entries": _bound(lambda value: JsIterator([JsArray(pair) for pair in dict.items(value)])),
}


class JsIterator(JsValue):
    """What JavaScript's `values()` and `entries()` return: a Python iterator that has `next()`."""

    __slots__ = ("_items",)
    _js_name = "Iterator"

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def __next__(self) -> Any:
        return next(self._items)

    def next(self) -> JsObject:
        for item in self._items:
            return JsObject(value=item, done=False)
        return JsObject(value=None, done=True)

    def toArray(self) -> JsArray:
        return JsArray(self._items)


class JsSet(set[Any], JsValue):
    """A Set."""

    _js_name = "Set"

    @property
    def size(self) -> int:
        return len(self)

    def has(self, item: Any) -> bool:
        return item in self

    def delete(self, item: Any) -> bool:
        """Remove *item*; tell whether it was there."""
        had = item in self
        self.discard(item)
        return had

    def add(self, item: Any) -> JsSet:  # type: ignore[override]
        super().add(item)
        return self

    def values(self) -> JsIterator:
        return JsIterator(list(self))

    keys = values

    def entries(self) -> JsIterator:
        return JsIterator([JsArray((item, item)) for item in self])

    def forEach(self, function: Callable[..., Any]) -> None:
        for item in list(self):
            relaxed_call(function, item, item, self)


class JsArray(list[Any], JsValue):
    """An Array; `sort` and `pop` are JavaScript's as long as they get what JavaScript's get."""

    _js_name = "Array"

    @property
    def length(self) -> int:
        return len(self)

    def new(self, *args: Any) -> None:
        raise TypeError("this Array is not a constructor")

    def _each(self, function: Callable[..., Any]) -> Iterator[Any]:
        return (relaxed_call(function, item, index, self) for index, item in enumerate(list(self)))

    def push(self, *items: Any) -> int:
        self.extend(items)
        return len(self)

    def pop(self, *index: Any) -> Any:
        return super().pop(*index) if self or index else None

    def shift(self) -> Any:
        return super().pop(0) if self else None

    def unshift(self, *items: Any) -> int:
        self[:0] = items
        return len(self)

    def at(self, index: int) -> Any:
        return self[index] if -len(self) <= index < len(self) else None

    def slice(self, start: int | None = None, end: int | None = None) -> JsArray:
        return JsArray(self[start:end])

    def splice(self, start: int, count: int | None = None, *items: Any) -> JsArray:
        begin = slice(start, None).indices(len(self))[0]
        end = len(self) if count is None else begin + max(count, 0)
        gone = JsArray(self[begin:end])
        self[begin:end] = items
        return gone

    def concat(self, *others: Any) -> JsArray:
        joined = JsArray(self)
        for other in others:
            joined.extend(other) if isinstance(other, (list, tuple)) else joined.append(other)
        return joined

    def join(self, separator: str = ",") -> str:
        return separator.join("" if item is None or item is jsnull else js_text(item) for item in self)

    def map(self, function: Callable[..., Any]) -> JsArray:
        return JsArray(self._each(function))

    def filter(self, function: Callable[..., Any]) -> JsArray:
        return JsArray(item for item, kept in zip(list(self), self._each(function), strict=True) if kept)

    def forEach(self, function: Callable[..., Any]) -> None:
        for _ in self._each(function):
            pass

    def find(self, function: Callable[..., Any]) -> Any:
        index = self.findIndex(function)
        return self[index] if index >= 0 else None

    def findIndex(self, function: Callable[..., Any]) -> int:
        return next((index for index, found in enumerate(self._each(function)) if found), -1)

    def some(self, function: Callable[..., Any]) -> bool:
        return any(self._each(function))

    def every(self, function: Callable[..., Any]) -> bool:
        return all(self._each(function))

    def reduce(self, function: Callable[..., Any], *initial: Any) -> Any:
        return functools.reduce(lambda total, item: relaxed_call(function, total, item), self, *initial)

    def includes(self, item: Any) -> bool:
        return item in self

    def indexOf(self, item: Any) -> int:
        return self.index(item) if item in self else -1

    def lastIndexOf(self, item: Any) -> int:
        return next((index for index in range(len(self) - 1, -1, -1) if self[index] == item), -1)

    def fill(self, value: Any) -> JsArray:
        self[:] = [value] * len(self)
        return self

    def flat(self, depth: int = 1) -> JsArray:
        flat = JsArray()
        for item in self:
            if depth > 0 and isinstance(item, (list, tuple)):
                flat.extend(JsArray(item).flat(depth - 1))
            else:
                flat.append(item)
        return flat

    def flatMap(self, function: Callable[..., Any]) -> JsArray:
        return self.map(function).flat()

    def reverse(self) -> JsArray:  # type: ignore[override]
        super().reverse()
        return self

    def sort(self, compare: Callable[..., Any] | None = None, **python: Any) -> JsArray:  # type: ignore[override]
        """Sort as JavaScript does: by *compare(a, b)*, or as texts; with `key=` or `reverse=` as Python does."""
        if python:
            super().sort(**python)
        else:
            super().sort(key=js_text if compare is None else functools.cmp_to_key(compare))
        return self

    def keys(self) -> JsIterator:
        return JsIterator(range(len(self)))

    def values(self) -> JsIterator:
        return JsIterator(self)

    def entries(self) -> JsIterator:
        return JsIterator([JsArray(pair) for pair in enumerate(self)])

    def toString(self) -> str:
        return js_text(self)

    def object_values(self) -> JsArray:
        return JsArray(self)

    def object_keys(self) -> JsArray:
        return JsArray(str(index) for index in range(len(self)))

    def object_entries(self) -> JsArray:
        return JsArray(JsArray((str(index), item)) for index, item in enumerate(self))
