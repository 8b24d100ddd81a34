"""The graph form of a stored value: nodes that refer to each other by number. (pure)

See codec.py for the format. Writing goes like copying in values.py, and keeps its invariant: while something is
built from the inside out, no waiting container is touched. Reading makes all nodes blank, then those of `built`
in their order, then fills the rest: by then whatever is hashed is complete.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec.msgpack import Ext

from perdure import errors
from perdure._base import leaves, limits
from perdure._base.exceptions import ExceptionShape, remote_error, text_of
from perdure._base.portable import portable_state
from perdure._base.refusal import Refused, refuse
from perdure._base.registry import Registry
from perdure._base.shapes import (
    LEAVES,
    AliasShape,
    DataclassShape,
    LeafShape,
    ModelShape,
    NamedTupleShape,
    StructShape,
    shape_of,
)
from perdure._base.state import Shape, StateMismatch

# Kinds of node. Bytes in stored data: never reuse one.
_LIST: Final = ord("l")
_DICT: Final = ord("d")  # keys are leaves that MessagePack knows
_ITEMS: Final = ord("i")  # a dict with other keys: key, value, key, value …
_SET: Final = ord("s")
_BYTEARRAY: Final = ord("b")
_TUPLE: Final = ord("t")
_FROZENSET: Final = ord("f")
_MEMBER: Final = ord("m")  # of an Enum: class, name or value
_NAMED_TUPLE: Final = ord("n")  # class, items
_INSTANCE: Final = ord("o")  # class, values of the attributes
_EXCEPTION: Final = ord("e")  # class, text, values of the attributes
_GROUP: Final = ord("g")  # class, text, number of members, members, values of the attributes

_NATIVE: Final = frozenset({type(None), bool, float, bytes})
_NATIVE_MOSTLY: Final = _NATIVE | {int, str}  # but for 65 bits and lone surrogates
"""Leaves that MessagePack has types for."""

_DEPTH_MAX: Final = limits.VALUE_DEPTH_MAX
_encoder: Final = msgspec.msgpack.Encoder()


def encode(value: Any, registry: Registry) -> bytes:
    """
    Return *value* in graph form.

    Raises:
        Refused: something inside cannot be stored.
    """
    try:
        return _encoder.encode(_Writer(registry, _NATIVE_MOSTLY).run(value))
    except (UnicodeEncodeError, OverflowError):
        return _encoder.encode(_Writer(registry, _NATIVE).run(value))


class _Writer:
    """One value on its way to bytes."""

    def __init__(self, registry: Registry, native: frozenset[type]) -> None:
        self._registry = registry
        self._native = native
        self._numbers: dict[int, int] = {}  # of nodes, by identity of what they were made of
        self._alive: list[Any] = []  # which stays alive meanwhile, so that no identity comes twice
        self._classes: dict[tuple[Any, ...], int] = {}
        self._kinds = bytearray()
        self._payloads: list[Any] = []
        self._built: list[int] = []
        self._waiting: list[tuple[int, Any]] = []  # nodes whose children are still to be written

    def run(self, root: Any) -> list[Any]:
        """Return the parts of the graph form."""
        written = self._of(root)
        level = 0
        while self._waiting:
            level += 1
            if level > _DEPTH_MAX:
                raise _too_deep(root)
            waiting, self._waiting = self._waiting, []
            for number, children in waiting:
                self._fill(number, children)
        return [list(self._classes), bytes(self._kinds), self._payloads, self._built, written]

    def _fill(self, number: int, children: Any) -> None:
        if self._kinds[number] == _DICT:
            if self._native.issuperset(map(type, children)):
                self._payloads[number] = {key: self._of(child) for key, child in children.items()}
                return
            self._kinds[number] = _ITEMS
            children = [part for item in children.items() for part in item]
        self._payloads[number] += [self._of(child) for child in children]

    def _of(self, source: Any) -> Any:
        """Return what stands for *source* in a payload: a leaf, or a reference to its node."""
        kind = type(source)
        if kind in self._native:
            return source
        if kind in LEAVES or kind is datetime.datetime:
            return leaves.to_extension(source, kind)
        number = self._numbers.get(id(source))
        if number is None:
            number = self._begin(source, kind)
        if number is None:
            number = self._build(source)
        return _reference(number)

    def _node(self, source: Any, kind: int, payload: Any) -> int:
        number = len(self._payloads)
        self._numbers[id(source)] = number
        self._alive.append(source)
        self._kinds.append(kind)
        self._payloads.append(payload)
        return number

    def _begin(self, source: Any, kind: type) -> int | None:
        """Make a node whose children may wait, or return None if *source* has to be built from the inside out."""
        if kind is tuple or kind is frozenset:
            return None
        if kind is bytearray:
            return self._node(source, _BYTEARRAY, bytes(source))
        if kind is not dict and kind is not list and kind is not set:
            return self._begin_instance(source, kind)
        number = self._node(source, _DICT if kind is dict else _LIST if kind is list else _SET, [])
        self._waiting.append((number, source))
        return number

    def _begin_instance(self, source: Any, kind: type) -> int | None:
        shape = shape_of(kind)
        if shape is None:
            raise refuse(source)
        if isinstance(shape, ExceptionShape):
            return self._begin_exception(source, shape)
        if isinstance(shape, AliasShape):
            number = self._node(source, _DICT, [])
            self._waiting.append((number, source))
            return number
        if isinstance(shape, LeafShape):
            which = source.value if isinstance(source, enum.Flag) else source.name
            return self._node(source, _MEMBER, [self._class(source, ()), which])
        if shape.hashed or isinstance(shape, NamedTupleShape):
            return None
        head, values = self._taken(source, shape)
        number = self._node(source, _INSTANCE, [head])
        self._waiting.append((number, values))
        return number

    def _begin_exception(self, source: BaseException, shape: ExceptionShape) -> int | None:
        state = portable_state(source, shape, self._registry, stored=True)
        if state is None:
            stand_in = remote_error(source)
            shape = ExceptionShape(type(stand_in))
            number = self._node(source, _EXCEPTION, [])
            source, state = stand_in, shape.take(stand_in)
        elif shape.group:
            return None
        else:
            number = self._node(source, _EXCEPTION, [])
        self._payloads[number] += [self._class(source, tuple(state)), self._of(text_of(source))]
        self._waiting.append((number, state.values()))
        return number

    def _taken(self, source: Any, shape: Shape) -> tuple[int, list[Any]]:
        """Return the class entry of an instance, and the values of its attributes in the order of the entry."""
        state = shape.take(source)
        declared = [name for name in shape.field_names() if name in state]
        names = declared + [name for name in state if name not in declared]
        return self._class(source, tuple(names), len(declared)), [state[name] for name in names]

    def _class(self, source: Any, names: tuple[str, ...], declared: int = 0) -> int:
        try:
            name = self._registry.name_of(type(source))
        except errors.DataCloneError as unknown:
            raise Refused(source, str(unknown)) from None
        return self._classes.setdefault((name, declared, *names), len(self._classes))

    def _build(self, root: Any) -> int:
        """Return the node of *root*, built from the inside out without recursion."""
        frames = [self._open(root)]
        while True:
            _, children, items, _, _ = frames[-1]
            for child in children:
                kind = type(child)
                number = None
                if kind not in LEAVES and kind is not datetime.datetime:
                    number = self._numbers.get(id(child))
                    if number is None:
                        number = self._begin(child, kind)
                    if number is None:
                        if len(frames) >= _DEPTH_MAX:
                            raise _too_deep(root)
                        frames.append(self._open(child))
                        break
                items.append(self._of(child) if number is None else _reference(number))
            else:
                number = self._close(frames.pop())
                if not frames:
                    return number
                frames[-1][2].append(_reference(number))

    def _open(self, source: Any) -> _Frame:
        """Begin to build *source*; an instance is a node from now on, so that cycles through it find it."""
        kind = type(source)
        if kind is tuple or kind is frozenset:
            return source, iter(source), [], _TUPLE if kind is tuple else _FROZENSET, None
        shape = shape_of(kind)
        assert shape is not None, "only what _begin accepted is built"
        if isinstance(shape, NamedTupleShape):
            names = shape.field_names()
            return source, iter(source), [self._class(source, names, len(names))], _NAMED_TUPLE, None
        if isinstance(shape, ExceptionShape):
            return source, iter(shape.members_of(source)[1]), [], _GROUP, None
        head, values = self._taken(source, shape)
        number = self._node(source, _INSTANCE, None)
        return source, iter(values), [head], _INSTANCE, number

    def _close(self, frame: _Frame) -> int:
        source, _, items, kind, number = frame
        if number is not None:
            self._payloads[number] = items
        elif id(source) in self._numbers:
            # A cycle that leads back here through a container has built it already.
            return self._numbers[id(source)]
        elif kind == _GROUP:
            shape = ExceptionShape(type(source))
            state = portable_state(source, shape, self._registry, stored=True)
            assert state is not None, "it could travel when it was begun"
            message = shape.members_of(source)[0]
            head = [
                self._class(source, tuple(state)),
                self._of(text_of(source)),
                self._of(message),
                len(items),
            ]
            number = self._node(source, kind, head + items)
            self._waiting.append((number, state.values()))
        else:
            number = self._node(source, kind, items)
        self._built.append(number)
        return number


_Frame = tuple[Any, Iterator[Any], list[Any], int, int | None]
"""Something built when its children are: source, children to do, payload so far, kind, number if it has one."""


def _reference(number: int) -> Ext:
    return Ext(leaves.REFERENCE, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _too_deep(culprit: Any) -> Refused:
    return Refused(culprit, f"A value nested deeper than {_DEPTH_MAX:,} levels cannot be stored.")


class _Reference:
    """Number of a node, where a payload refers to it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _from_extension(code: int, data: memoryview) -> Any:
    if code == leaves.REFERENCE:
        return _Reference(int.from_bytes(data, "big"))
    return leaves.from_extension(code, data)


_decoder: Final = msgspec.msgpack.Decoder(ext_hook=_from_extension)


def decode(data: memoryview, registry: Registry) -> Any:
    """
    Return the value that `encode` made *data* of.

    Raises:
        DataCloneError: it names a class that is not known here, or has changed too much.
        Exception: of any kind, if the data is damaged.
    """
    classes, kinds, payloads, built, root = _decoder.decode(data)
    return _Reader(registry, classes, kinds, payloads).run(built, root)


class _Class(NamedTuple):
    """A class as the data names it; `shape` is None where only exceptions may be unknown."""

    name: str
    shape: Shape | None
    names: list[str]
    declared: int


class _Reader:
    """One value on its way from bytes. Any exception but DataCloneError means that they are damaged."""

    def __init__(self, registry: Registry, classes: list[Any], kinds: bytes, payloads: list[Any]) -> None:
        self._registry = registry
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
            if self._kinds[number] != _GROUP:
                done.add(number)
        for number, kind in enumerate(self._kinds):
            if number not in done:
                self._fill(kind, self._payloads[number], self._nodes[number])
        return self._item(root)

    def _blank(self, kind: int, payload: Any) -> Any:
        """Return a node without children, or `_UNBUILT` for one that cannot be without."""
        if kind in (_LIST, _DICT):
            return _checked(payload, list if kind == _LIST else dict)
        if kind in (_ITEMS, _SET):
            return {} if kind == _ITEMS else set()
        if kind == _BYTEARRAY:
            return bytearray(_checked(payload, bytes))
        if kind == _MEMBER:
            return self._member(*payload)
        if kind == _EXCEPTION:
            known = self._class(payload[0], ExceptionShape)
            return errors.RemoteError(payload[1], known.name) if known.shape is None else known.shape.blank()
        if kind == _INSTANCE:
            shape = self._class(payload[0], _INSTANCES).shape
            assert shape is not None
            return shape.blank()
        if kind in (_TUPLE, _FROZENSET, _NAMED_TUPLE, _GROUP):
            return _UNBUILT
        raise ValueError("no such kind of node")

    def _build(self, number: int, kind: int, payload: Any) -> None:
        """Make one of those that need what they refer to."""
        if number < 0:
            raise ValueError("no such node")
        new: Any
        if kind == _INSTANCE:
            self._fill(kind, payload, self._nodes[number])
            return
        if kind == _GROUP:
            new = self._group(payload)
        else:
            items = [self._item(child) for child in payload]
            if kind == _TUPLE:
                new = tuple(items)
            elif kind == _FROZENSET:
                new = frozenset(items)
            elif kind == _NAMED_TUPLE:
                known = self._class(items[0], NamedTupleShape)
                assert isinstance(known.shape, NamedTupleShape)
                new = known.shape.make(list(self._state(known, items[1:]).values()))
            else:
                raise ValueError("this kind is not built")
        self._nodes[number] = new

    def _group(self, payload: list[Any]) -> BaseException:
        known = self._class(payload[0], ExceptionShape)
        if known.shape is None:
            return errors.RemoteError(payload[1], known.name)
        assert isinstance(known.shape, ExceptionShape)
        members = [self._item(child) for child in payload[4 : 4 + payload[3]]]
        group: BaseException = known.shape.make_group(payload[2], members)
        return group

    def _fill(self, kind: int, payload: Any, target: Any) -> None:
        """Give a node its children."""
        if target is _UNBUILT:
            raise ValueError("a node that is never built")
        if kind == _LIST:
            for index, child in enumerate(target):
                if type(child) not in _NATIVE_MOSTLY:
                    target[index] = self._item(child)
        elif kind == _DICT:
            if not _NATIVE_MOSTLY.issuperset(map(type, target)):
                raise ValueError("a key of another kind")
            for key, child in target.items():
                if type(child) not in _NATIVE_MOSTLY:
                    target[key] = self._item(child)
        elif kind == _ITEMS:
            items = [self._item(child) for child in payload]
            target.update(zip(items[::2], items[1::2], strict=True))
        elif kind == _SET:
            target.update([self._item(child) for child in payload])
        elif kind in (_INSTANCE, _EXCEPTION, _GROUP):
            self._fill_instance(kind, payload, target)

    def _fill_instance(self, kind: int, payload: list[Any], target: Any) -> None:
        known = self._class(payload[0], _INSTANCES if kind == _INSTANCE else ExceptionShape)
        if known.shape is None:
            return  # a RemoteError stands for it
        skipped = {_INSTANCE: 1, _EXCEPTION: 2}.get(kind) or 4 + payload[3]
        values = [self._item(child) for child in payload[skipped:]]
        known.shape.fill(target, self._state(known, values))

    def _state(self, known: _Class, values: list[Any]) -> dict[str, Any]:
        assert known.shape is not None
        state = list(zip(known.names, values, strict=True))
        try:
            return known.shape.adapt(dict(state[: known.declared]), dict(state[known.declared :]))
        except StateMismatch as mismatch:
            raise errors.DataCloneError(
                f'The value is an instance of "{known.name}", which has changed since it was stored: {mismatch}.'
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
                f'The value is an instance of "{known.name}", which was another kind of class when it was stored.'
            )
        return known

    def _find_class(self, name: str, declared: int, *names: str) -> _Class:
        try:
            shape = shape_of(self._registry.resolve(name))
        except errors.DataCloneError:
            shape = None
        return _Class(name, shape, [_checked(name, str) for name in names], declared)

    def _item(self, item: Any) -> Any:
        """Return the leaf or the node that *item* of a payload stands for."""
        kind = type(item)
        if kind is _Reference:
            node = self._nodes[item.number]
            if node is _UNBUILT:
                raise ValueError("a reference to what is built later")
            return node
        if kind in LEAVES or kind is datetime.datetime:
            return item
        raise ValueError("a container inside a payload")


_INSTANCES: Final = (DataclassShape, StructShape, ModelShape)
_UNBUILT: Final = object()

_V = TypeVar("_V")


def _checked(found: Any, kind: type[_V]) -> _V:
    if type(found) is not kind:
        raise TypeError("another type was expected")
    return found
