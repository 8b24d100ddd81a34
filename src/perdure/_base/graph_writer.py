"""A value to its graph form. (pure)

This goes like copying in values.py and keeps its invariant: while something is built from the inside out, no
waiting container is touched. So the order in which nodes are built is one in which they can be built again.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec.msgpack import Ext

from perdure import errors
from perdure._base import graph, leaves, limits
from perdure._base.exceptions import ExceptionShape, remote_error, text_of
from perdure._base.portable import portable_state
from perdure._base.refusal import Refused, refuse
from perdure._base.registry import Registry
from perdure._base.shapes import LEAVES, AliasShape, LeafShape, NamedTupleShape, shape_of
from perdure._base.state import StateShape

_DEPTH_MAX: Final = limits.VALUE_DEPTH_MAX
_encoder: Final = msgspec.msgpack.Encoder()


def encode(value: Any, registry: Registry, refer: Callable[[Any], int] | None = None) -> bytes:
    """
    Return *value* in graph form; *refer* is asked, at least once, for the number of each part that has none.

    Raises:
        Refused: something inside cannot be stored.
    """
    try:
        return _encoder.encode(_Writer(registry, graph.NATIVE_MOSTLY, refer).run(value))
    except (UnicodeEncodeError, OverflowError):
        return _encoder.encode(_Writer(registry, graph.NATIVE, refer).run(value))


class _Writer:
    """One value on its way to bytes."""

    def __init__(
        self, registry: Registry, native: frozenset[type], refer: Callable[[Any], int] | None
    ) -> None:
        self._registry = registry
        self._refer = refer
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
        if self._kinds[number] == graph.DICT:
            if self._native.issuperset(map(type, children)):
                self._payloads[number] = {key: self._of(child) for key, child in children.items()}
                return
            self._kinds[number] = graph.ITEMS
            children = [part for item in children.items() for part in item]
        if self._native.issuperset(map(type, children)):
            self._payloads[number] += children
        else:
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
        """Make a node whose children may wait; None if *source* has to be built from the inside out."""
        if kind is tuple or kind is frozenset:
            return None
        if kind is bytearray:
            return self._node(source, graph.BYTEARRAY, bytes(source))
        if kind is not dict and kind is not list and kind is not set:
            return self._begin_instance(source, kind)
        number = self._node(
            source, graph.DICT if kind is dict else graph.LIST if kind is list else graph.SET, []
        )
        self._waiting.append((number, source))
        return number

    def _begin_instance(self, source: Any, kind: type) -> int | None:
        shape = shape_of(kind)
        if shape is None:
            if self._refer is None:
                raise refuse(source)
            return self._node(source, graph.ELSEWHERE, self._refer(source))
        if isinstance(shape, ExceptionShape):
            return self._begin_exception(source, shape)
        if isinstance(shape, AliasShape):
            number = self._node(source, graph.DICT, [])
            self._waiting.append((number, source))
            return number
        if isinstance(shape, LeafShape):
            which = source.value if isinstance(source, enum.Flag) else source.name
            return self._node(source, graph.MEMBER, [self._class(source, ()), which])
        if shape.hashed or isinstance(shape, NamedTupleShape):
            return None
        head, values = self._taken(source, shape)
        number = self._node(source, graph.INSTANCE, [head])
        self._waiting.append((number, values))
        return number

    def _begin_exception(self, source: BaseException, shape: ExceptionShape) -> int | None:
        state = portable_state(source, shape, self._registry, stored=True)
        if state is None:
            stand_in = remote_error(source)
            shape = ExceptionShape(type(stand_in))
            number = self._node(source, graph.EXCEPTION, [])
            source, state = stand_in, shape.take(stand_in)
        elif shape.group:
            return None
        else:
            number = self._node(source, graph.EXCEPTION, [])
        self._payloads[number] += [self._class(source, tuple(state)), self._of(text_of(source))]
        self._waiting.append((number, state.values()))
        return number

    def _taken(self, source: Any, shape: StateShape) -> tuple[int, list[Any]]:
        """Return the class entry of an instance, and the values of its attributes in the order there."""
        state = shape.take(source)
        names = shape.field_names()
        if tuple(state) == names:
            return self._class(source, names, len(names)), list(state.values())
        declared = [name for name in names if name in state]
        names = (*declared, *(name for name in state if name not in declared))
        return self._class(source, names, len(declared)), [state[name] for name in names]

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
            return source, iter(source), [], graph.TUPLE if kind is tuple else graph.FROZENSET, None
        shape = shape_of(kind)
        if isinstance(shape, NamedTupleShape):
            names = shape.field_names()
            return source, iter(source), [self._class(source, names, len(names))], graph.NAMED_TUPLE, None
        assert isinstance(shape, StateShape), "only what _begin accepted is built"
        if isinstance(shape, ExceptionShape):
            return source, iter(shape.members_of(source)[1]), [], graph.GROUP, None
        head, values = self._taken(source, shape)
        number = self._node(source, graph.INSTANCE, None)
        return source, iter(values), [head], graph.INSTANCE, number

    def _close(self, frame: _Frame) -> int:
        source, _, items, kind, number = frame
        if number is not None:
            self._payloads[number] = items
        elif id(source) in self._numbers:
            # A cycle that leads back here through a container has built it already.
            return self._numbers[id(source)]
        elif kind == graph.GROUP:
            shape = ExceptionShape(type(source))
            state = portable_state(source, shape, self._registry, stored=True)
            assert state is not None, "it could travel when it was begun"
            text, message = self._of(text_of(source)), self._of(shape.members_of(source)[0])
            head = [self._class(source, tuple(state)), text, message, len(items)]
            number = self._node(source, kind, head + items)
            self._waiting.append((number, state.values()))
        else:
            number = self._node(source, kind, items)
        self._built.append(number)
        return number


_Frame = tuple[Any, Iterator[Any], list[Any], int, int | None]
"""Something built when its children are: source, children to do, payload so far, kind, number if any."""


def _reference(number: int) -> Ext:
    return Ext(leaves.REFERENCE, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _too_deep(culprit: Any) -> Refused:
    return Refused(culprit, f"A value nested deeper than {_DEPTH_MAX:,} levels cannot be stored.")
