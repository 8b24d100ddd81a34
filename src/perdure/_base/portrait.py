"""A stored value as JSON data and back, without the application's classes. (pure)

For tools that look at data where the application is not imported, or where its classes have changed since.
What JSON has stands as it is. The rest is an object with one key that begins with `$`:

    {"$bytes": base64}  {"$bytearray": base64}  {"$set": […]}  {"$frozenset": […]}  {"$tuple": […]}
    {"$dict": [[key, value], …]}        a dict with keys that are no strings, or begin with `$`
    {"$int": "…"}                       beyond 64 bits
    {"$float": "nan" | "inf" | "-inf"}
    {"$date": …}  {"$time": …}  {"$datetime": …}  {"$decimal": "…"}  {"$uuid": "…"}  {"$timedelta": [days, seconds, microseconds]}

What only the application can make is shown, and not read back:

    {"$class": "module:Name", attribute: value, …}     instances and exceptions (with "$text" and "$items")
    {"$member": "module:Name.MEMBER"}                  members of an Enum
    {"$omitted": "cycle" | "depth" | "size"}           what would not end, or not fit
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import uuid
from collections.abc import Callable
from typing import Any, Final

from perdure._base import graph
from perdure._base.codec import GRAPH, PLAIN, plain_parts
from perdure._base.graph_reader import PARTS, Reference
from perdure.errors import DataCloneError

DEPTH_MAX: Final = 100
NODES_MAX: Final = 100_000
"""Shared parts are shown each time: a small value could become endless."""
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


def portrait(data: bytes) -> Any:
    """
    Return what `codec.dumps` made *data* of, as JSON data.

    Raises:
        DataCloneError: the data is damaged, or a newer version wrote it.
    """
    try:
        if data[:1] == bytes([PLAIN]):
            return _Painter([], b"", []).value(plain_parts(data), 0)
        if data[:1] == bytes([GRAPH]):
            classes, kinds, payloads, _, root = PARTS.decode(memoryview(data)[1:])
            return _Painter(classes, kinds, payloads).value(root, 0)
    except Exception:  # whatever it is, its text may quote the data
        raise DataCloneError(
            f"The stored value is corrupt ({len(data):,} bytes): it does not decode."
        ) from None
    raise DataCloneError(
        f"The stored value ({len(data):,} bytes) is in a form that this version of Perdure does not know."
    )


def leaf(value: Any) -> Any:
    """Return a value that holds no others as JSON data."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if _INT_MIN <= value <= _INT_MAX else {"$int": hex(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime.timedelta):
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, (datetime.date, datetime.time)):
        return {f"${type(value).__name__}": value.isoformat()}
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return {f"${type(value).__name__.lower()}": str(value)}
    raise TypeError(f"{type(value).__name__} is no leaf")


class _Painter:
    """One value on its way; containers come from nodes of the graph form, or as they are in the plain one."""

    def __init__(self, classes: list[Any], kinds: bytes, payloads: list[Any]) -> None:
        self._classes = classes
        self._kinds = kinds
        self._payloads = payloads
        self._above: set[int] = set()
        self._count = 0

    def value(self, item: Any, depth: int) -> Any:
        self._count += 1
        if self._count > NODES_MAX:
            return {"$omitted": "size"}
        if isinstance(item, Reference):
            return self._node(item.number, depth)
        if not isinstance(item, (dict, list)):
            return leaf(item)
        if depth >= DEPTH_MAX:
            return {"$omitted": "depth"}
        if isinstance(item, list):
            return self._items(item, depth)
        return self._mapping(list(item.items()), depth)

    def _items(self, items: list[Any], depth: int) -> list[Any]:
        shown = []
        for item in items:
            shown.append(self.value(item, depth + 1))
            if self._count > NODES_MAX:
                break
        return shown

    def _mapping(self, pairs: list[tuple[Any, Any]], depth: int) -> Any:
        if all(isinstance(key, str) and key[:1] != "$" for key, _ in pairs):
            values = self._items([value for _, value in pairs], depth)
            return {leaf(key): value for (key, _), value in zip(pairs, values, strict=False)}
        return {"$dict": [self._items(list(pair), depth) for pair in pairs]}

    def _node(self, number: int, depth: int) -> Any:
        if number in self._above:
            return {"$omitted": "cycle"}
        if depth >= DEPTH_MAX:
            return {"$omitted": "depth"}
        self._above.add(number)
        try:
            return self._container(self._kinds[number], self._payloads[number], depth)
        finally:
            self._above.discard(number)

    def _container(self, kind: int, payload: Any, depth: int) -> Any:
        if kind == graph.LIST:
            return self._items(payload, depth)
        if kind == graph.DICT:
            return self._mapping(list(payload.items()), depth)
        if kind == graph.ITEMS:
            return self._mapping(list(zip(payload[::2], payload[1::2], strict=True)), depth)
        if kind in _SEQUENCES:
            return {_SEQUENCES[kind]: self._items(payload, depth)}
        if kind == graph.BYTEARRAY:
            return {"$bytearray": base64.b64encode(payload).decode()}
        name, _, *names = self._classes[payload[0]]
        if kind == graph.MEMBER:
            return {"$member": f"{name}.{payload[1]}"}
        shown = {"$class": name}
        if kind in (graph.NAMED_TUPLE, graph.INSTANCE):
            values = payload[1:]
        elif kind == graph.EXCEPTION:
            shown["$text"], values = payload[1], payload[2:]
        elif kind == graph.GROUP:
            members = 4 + payload[3]
            shown["$text"], values = payload[1], payload[members:]
            shown["$items"] = self._items(payload[4:members], depth)
        else:
            raise ValueError("no such kind of node")
        return shown | dict(zip(names, self._items(values, depth), strict=False))


_SEQUENCES: Final = {graph.SET: "$set", graph.TUPLE: "$tuple", graph.FROZENSET: "$frozenset"}


def json_value(text: str) -> Any:
    """
    Return the JSON in *text*; an int of any length in its tag, as `portrait` shows it.

    Raises:
        ValueError: it is none, or has NaN or Infinity, which JSON has not.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f'{constant} is not JSON; write {{"$float": "{constant.lower()}"}}')

    return json.loads(text, parse_int=lambda digits: leaf(int(digits)), parse_constant=refuse)


def value_of(shown: Any) -> Any:
    """
    Return the value that the JSON data *shown* stands for.

    Raises:
        ValueError: a `$…` that only the application can make, or one that is written wrongly.
    """
    if isinstance(shown, list):
        return [value_of(item) for item in shown]
    if not isinstance(shown, dict):
        return shown
    tags = [key for key in shown if key[:1] == "$"]
    if not tags:
        return {key: value_of(item) for key, item in shown.items()}
    read = _READERS.get(tags[0])
    if read is None or len(shown) > 1:
        raise ValueError(f"{tags[0]} is nothing that can be written: only the application can make it")
    try:
        return read(shown[tags[0]])
    except Exception as error:  # each reader has its own kinds
        raise ValueError(f"{tags[0]} holds {shown[tags[0]]!r}, which is none: {error}") from None


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "$bytes": _bytes,
    "$bytearray": lambda text: bytearray(_bytes(text)),
    "$set": lambda items: set(value_of(items)),
    "$frozenset": lambda items: frozenset(value_of(items)),
    "$tuple": lambda items: tuple(value_of(items)),
    "$dict": lambda pairs: {value_of(key): value_of(item) for key, item in pairs},
    "$int": lambda text: int(text, 0),
    "$float": float,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$datetime": datetime.datetime.fromisoformat,
    "$timedelta": lambda parts: datetime.timedelta(*parts),
    "$decimal": decimal.Decimal,
    "$uuid": uuid.UUID,
}
