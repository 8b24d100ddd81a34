"""The graph form of a value back to the value. (pure)

All nodes are made blank, then those of `built` in their order, then the rest is filled: by then whatever is
hashed is complete.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from perdure import errors
from perdure._base import graph, leaves
from perdure._base.exceptions import ExceptionShape
from perdure._base.registry import Registry
from perdure._base.shapes import (
    LEAVES,
    AnyShape,
    DataclassShape,
    LeafShape,
    ModelShape,
    NamedTupleShape,
    StructShape,
    shape_of,
)
from perdure._base.state import StateMismatch, StateShape


class Reference:
    """Number of a node, where a payload refers to it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _from_extension(code: int, data: memoryview) -> Any:
    if code == leaves.REFERENCE:
        return Reference(int.from_bytes(data, "big"))
    return leaves.from_extension(code, data)


PARTS: Final = msgspec.msgpack.Decoder(ext_hook=_from_extension)
"""Reads classes, kinds, payloads, built and root."""


def decode(data: memoryview, registry: Registry, elsewhere: Sequence[Any] = ()) -> Any:
    """
    Return the value that `encode` made *data* of, with items of *elsewhere* where it had no value form.

    Raises:
        DataCloneError: it names a class that is not known here, or has changed too much.
        Exception: of any kind, if the data is damaged.
    """
    classes, kinds, payloads, built, root = PARTS.decode(data)
    return _Reader(registry, classes, kinds, payloads, elsewhere).run(built, root)


class _Class(NamedTuple):
    """A class as the data names it; `shape` is None where only exceptions may be unknown."""

    name: str
    shape: AnyShape | None
    names: list[str]
    declared: int


class _Reader:
    """One value on its way from bytes. Any exception but DataCloneError means that they are damaged."""

    def __init__(
        self,
        registry: Registry,
        classes: list[Any],
        kinds: bytes,
        payloads: list[Any],
        elsewhere: Sequence[Any],
    ) -> None:
        self._registry = registry
        self._elsewhere = elsewhere
        self._entries = classes
        self._classes: dict[int, _Class] = {}
        self._kinds = kinds
        self._payloads = payloads
        self._nodes: list[Any] = []

    def run(self, built: list[int], root: Any) -> Any:
        """Return the value."""
        for kind, payload in zip(self._kinds, self._payloads, strict=True):
            self._nodes.append(self._blank(kind, payload))
        done = set()
        for number in built:
            self._build(number, self._kinds[number], self._payloads[number])
            if self._kinds[number] != graph.GROUP:
                done.add(number)
        for number, kind in enumerate(self._kinds):
            if number not in done:
                self._fill(kind, self._payloads[number], self._nodes[number])
        return self._item(root)

    def _blank(self, kind: int, payload: Any) -> Any:
        """Return a node without children, or `_UNBUILT` for one that cannot be without."""
        if kind in (graph.LIST, graph.DICT):
            return _checked(payload, list if kind == graph.LIST else dict)
        if kind in (graph.ITEMS, graph.SET):
            return {} if kind == graph.ITEMS else set()
        if kind == graph.BYTEARRAY:
            return bytearray(_checked(payload, bytes))
        if kind == graph.MEMBER:
            return self._member(*payload)
        if kind == graph.EXCEPTION:
            known = self._class(payload[0], ExceptionShape)
            return known.shape.blank() if isinstance(known.shape, StateShape) else _stand_in(payload, known)
        if kind == graph.INSTANCE:
            shape = self._class(payload[0], _INSTANCES).shape
            assert isinstance(shape, StateShape)
            return shape.blank()
        if kind in (graph.TUPLE, graph.FROZENSET, graph.NAMED_TUPLE, graph.GROUP):
            return _UNBUILT
        if kind == graph.ELSEWHERE:
            return self._elsewhere[_checked(payload, int)]
        raise ValueError("no such kind of node")

    def _build(self, number: int, kind: int, payload: Any) -> None:
        """Make one of those that need what they refer to."""
        if number < 0:
            raise ValueError("no such node")
        new: Any
        if kind == graph.INSTANCE:
            self._fill(kind, payload, self._nodes[number])
            return
        if kind == graph.GROUP:
            new = self._group(payload)
        else:
            items = [self._item(child) for child in payload]
            if kind == graph.TUPLE:
                new = tuple(items)
            elif kind == graph.FROZENSET:
                new = frozenset(items)
            elif kind == graph.NAMED_TUPLE:
                known = self._class(items[0], NamedTupleShape)
                assert isinstance(known.shape, NamedTupleShape)
                new = known.shape.make(list(self._state(known, items[1:]).values()))
            else:
                raise ValueError("this kind is not built")
        self._nodes[number] = new

    def _group(self, payload: list[Any]) -> BaseException:
        known = self._class(payload[0], ExceptionShape)
        if known.shape is None:
            return _stand_in(payload, known)
        assert isinstance(known.shape, ExceptionShape)
        members = [self._item(child) for child in payload[4 : 4 + payload[3]]]
        group: BaseException = known.shape.make_group(payload[2], members)
        return group

    def _fill(self, kind: int, payload: Any, target: Any) -> None:
        """Give a node its children."""
        if target is _UNBUILT:
            raise ValueError("a node that is never built")
        if kind == graph.LIST:
            for index, child in enumerate(target):
                if type(child) not in graph.NATIVE_MOSTLY:
                    target[index] = self._item(child)
        elif kind == graph.DICT:
            if not graph.NATIVE_MOSTLY.issuperset(map(type, target)):
                raise ValueError("a key of another kind")
            for key, child in target.items():
                if type(child) not in graph.NATIVE_MOSTLY:
                    target[key] = self._item(child)
        elif kind == graph.ITEMS:
            items = [self._item(child) for child in payload]
            target.update(zip(items[::2], items[1::2], strict=True))
        elif kind == graph.SET:
            target.update([self._item(child) for child in payload])
        elif kind in (graph.INSTANCE, graph.EXCEPTION, graph.GROUP):
            self._fill_instance(kind, payload, target)

    def _fill_instance(self, kind: int, payload: list[Any], target: Any) -> None:
        known = self._class(payload[0], _INSTANCES if kind == graph.INSTANCE else ExceptionShape)
        if not isinstance(known.shape, StateShape):
            return  # a RemoteError stands for it
        skipped = 1 if kind == graph.INSTANCE else 2 if kind == graph.EXCEPTION else 4 + payload[3]
        values = [self._item(child) for child in payload[skipped:]]
        known.shape.fill(target, self._state(known, values))

    def _state(self, known: _Class, values: list[Any]) -> dict[str, Any]:
        assert known.shape is not None
        state = list(zip(known.names, values, strict=True))
        try:
            return known.shape.adapt(dict(state[: known.declared]), dict(state[known.declared :]))
        except StateMismatch as mismatch:
            raise errors.DataCloneError(
                f'The value is an instance of "{known.name}", which has changed since: {mismatch}.'
            ) from None

    def _member(self, entry: int, which: Any) -> Any:
        known = self._class(entry, LeafShape)
        assert known.shape is not None
        members: Any = known.shape.cls
        try:
            return members(which) if issubclass(members, enum.Flag) else members[which]
        except (KeyError, ValueError):
            raise errors.DataCloneError(
                f'The value is a member of "{known.name}" that is not in the class any more.'
            ) from None

    def _class(self, entry: int, kinds: Any) -> _Class:
        known = self._classes.get(entry)
        if known is None:
            known = self._classes[entry] = self._find_class(*self._entries[entry])
        if known.shape is None:
            if kinds is ExceptionShape:
                return known
            self._registry.resolve(known.name)  # raises: says what to do
        if not isinstance(known.shape, kinds):
            raise errors.DataCloneError(
                f'The value is an instance of "{known.name}", which was another kind of class when it was '
                "stored, and cannot be rebuilt."
            )
        return known

    def _find_class(self, name: str, declared: int, *names: str) -> _Class:
        if not name.isprintable():
            raise ValueError("no name of a class")
        try:
            shape = shape_of(self._registry.resolve(name))
        except errors.DataCloneError:
            shape = None
        return _Class(name, shape, [_checked(name, str) for name in names], declared)

    def _item(self, item: Any) -> Any:
        """Return the leaf or the node that *item* of a payload stands for."""
        kind = type(item)
        if kind is Reference:
            node = self._nodes[item.number]
            if node is _UNBUILT:
                raise ValueError("a reference to what is built later")
            return node
        if kind in LEAVES or kind is datetime.datetime:
            return item
        raise ValueError("a container inside a payload")


def _stand_in(payload: list[Any], known: _Class) -> errors.RemoteError:
    return errors.RemoteError(payload[1], known.name.removeprefix("builtins:").replace(":", "."))


_INSTANCES: Final = (DataclassShape, StructShape, ModelShape)
_UNBUILT: Final = object()

_V = TypeVar("_V")


def _checked(found: Any, kind: type[_V]) -> _V:
    if type(found) is not kind:
        raise TypeError("another type was expected")
    return found
