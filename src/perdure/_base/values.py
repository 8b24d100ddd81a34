"""Structured copy of values within the process. (pure)

What cannot change passes through as it is; everything else is copied. Cycles and shared references inside a value
stay what they are. Source: the structured clone of RPC-08 and KVA-12, in Python's terms.

How: a mutable container is copied shallowly, which is one call into C, and then each item in the copy that needs
it is replaced; containers found on the way wait in a list, so that depth costs no stack. Only what cannot be made
before its items (tuples, frozen sets, keys, groups of exceptions) is built from the inside out.

Invariant: while one of those is being built, no waiting container is touched; so whatever is hashed is complete.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from operator import is_
from typing import Any, Final, TypeVar

from perdure._base import limits
from perdure._base.exceptions import ExceptionShape, remote_error
from perdure._base.portable import portable_state
from perdure._base.refusal import Refused, as_error, refuse
from perdure._base.registry import Registry
from perdure._base.shapes import LEAVES, AliasShape, LeafShape, NamedTupleShape, shape_of
from perdure._base.state import Shape

_T = TypeVar("_T")

_HEAD_BYTES: Final = 2
_NODE_BYTES: Final = 5
"""What a value takes beside the bytes of its text: Cloudflare's format says kind and length in at most so many."""

_LEVELS_MAX: Final = limits.VALUE_DEPTH_MAX


def copy(value: _T, *, registry: Registry | None = None, label: str = "value") -> _T:
    """
    Return a structured copy of *value*.

    Args:
        value: any value that can travel.
        registry: knows the exception classes that arrive as themselves; None lets all of them.
        label: what error texts call the value.

    Raises:
        DataCloneError: something inside cannot travel; the text names it and the path to it.
    """
    return copy_sized(value, registry=registry, label=label)[0]


def copy_sized(value: _T, *, registry: Registry | None = None, label: str = "value") -> tuple[_T, int]:
    """
    Return a structured copy of *value*, and how many bytes it takes as a message.

    Text and bytes are counted exactly (text as UTF-8), all else by the number of items (RPC-15).
    """
    kind = type(value)
    if kind in LEAVES:
        return value, _HEAD_BYTES + _NODE_BYTES + _text_bytes(value, kind)
    copier = _Copier(registry)
    try:
        new = copier.run(value)
    except Refused as refused:
        raise as_error(refused, value, label) from None
    return new, _HEAD_BYTES + _NODE_BYTES * copier.nodes + copier.text_bytes


def copy_exception(error: BaseException, registry: Registry | None = None) -> BaseException:
    """
    Return *error* as its caller gets it: by copy if its class can travel, else a `RemoteError` (RPC-25, ERR-07).

    This never fails: an error about an error would hide the first one.
    """
    try:
        return copy(error, registry=registry)
    except Exception:
        return remote_error(error)


def _text_bytes(value: Any, kind: type) -> int:
    if kind is str:
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return len(value) if kind is bytes else 0


class _Copier:
    """One copy in the making."""

    __slots__ = ("_memo", "_plain", "_registry", "_shaped", "nodes", "text_bytes")

    def __init__(self, registry: Registry | None) -> None:
        self.nodes = 1
        self.text_bytes = 0
        self._registry = registry
        self._memo: dict[int, Any] = {}
        self._plain: list[Any] = []  # shallow copies of lists and dicts whose items wait to be replaced
        self._shaped: list[
            tuple[Any, Any, Shape | None]
        ] = []  # empty target, source or state, how to fill it

    def run(self, root: Any) -> Any:
        new = self._of(root)
        level = 0
        while self._plain or self._shaped:
            level += 1
            if level > _LEVELS_MAX:
                raise Refused(root, f"A value nested deeper than {_LEVELS_MAX:,} levels could not be cloned.")
            plain, self._plain = self._plain, []
            shaped, self._shaped = self._shaped, []
            self._fill_plain(plain)
            for target, source, shape in shaped:
                self._fill_shaped(target, source, shape)
        return new

    def _fill_plain(self, level: list[Any]) -> None:
        text_bytes = 0
        for target in level:
            if type(target) is list:
                self.nodes += len(target)
                for index, child in enumerate(target):
                    kind = type(child)
                    if kind is str or kind is bytes:
                        text_bytes += (
                            len(child) if kind is bytes or child.isascii() else _text_bytes(child, kind)
                        )
                    elif kind not in LEAVES:
                        target[index] = self._of(child)
                continue
            self.nodes += 2 * len(target)
            odd_keys = False
            for key, child in target.items():
                if type(key) is str:
                    text_bytes += len(key)
                elif type(key) not in LEAVES:
                    odd_keys = True
                kind = type(child)
                if kind is str or kind is bytes:
                    text_bytes += len(child) if kind is bytes or child.isascii() else _text_bytes(child, kind)
                elif kind not in LEAVES:
                    target[key] = self._of(child)
            if odd_keys:
                self._replace_keys(target)
        self.text_bytes += text_bytes

    def _replace_keys(self, target: dict[Any, Any]) -> None:
        items = list(target.items())
        target.clear()
        for key, child in items:
            target[key if type(key) in LEAVES else self._of(key)] = child

    def _fill_shaped(self, target: Any, source: Any, shape: Shape | None) -> None:
        self.nodes += len(source)
        if shape is None:
            target.update([self._item(child) for child in source])
        else:
            shape.fill(target, {name: self._item(child) for name, child in source.items()})

    def _item(self, child: Any) -> Any:
        kind = type(child)
        if kind in LEAVES:
            self.text_bytes += _text_bytes(child, kind)
            return child
        return self._of(child)

    def _of(self, source: Any) -> Any:
        """Return the copy of *source*, which is no leaf; if it is a mutable container its items are still to do."""
        known = self._memo.get(id(source))
        if known is not None:
            return known
        new = self._begin(source)
        return self._build(source) if new is None else new

    def _begin(self, source: Any) -> Any:
        """Return a copy whose items wait, or None if *source* has to be built from the inside out."""
        kind = type(source)
        new: Any
        if kind is dict or kind is list:
            new = source.copy()
            self._plain.append(new)
        elif kind is tuple or kind is frozenset:
            return None
        elif kind is datetime.datetime:
            if source.utcoffset() is None:
                raise refuse(source)
            return source
        elif kind is set:
            new = set()
            self._shaped.append((new, source, None))
        elif kind is bytearray:
            new = bytearray(source)
            self.text_bytes += len(new)
        else:
            shape = shape_of(kind)
            if shape is None:
                raise refuse(source)
            if isinstance(shape, LeafShape):
                return source
            if isinstance(shape, AliasShape):
                new = dict(source)
                self._plain.append(new)
            elif isinstance(shape, ExceptionShape):
                return self._begin_exception(source, shape)
            elif shape.hashed or isinstance(shape, NamedTupleShape):
                return None
            else:
                new = shape.blank()
                self._shaped.append((new, shape.take(source), shape))
        self._memo[id(source)] = new
        return new

    def _begin_exception(self, source: BaseException, shape: ExceptionShape) -> Any:
        state = portable_state(source, shape, self._registry)
        if state is None:
            new: Any = remote_error(source)
        elif shape.group:
            return None
        else:
            new = shape.blank()
            self._shaped.append((new, state, shape))
        self._memo[id(source)] = new
        return new

    def _build(self, root: Any) -> Any:
        """Return the copy of *root*, built from the inside out without recursion."""
        frames = [self._open(root)]
        while True:
            frame = frames[-1]
            for child in frame.children:
                if type(child) in LEAVES:
                    frame.items.append(self._item(child))
                    continue
                new = self._memo.get(id(child))
                if new is None:
                    new = self._begin(child)
                if new is None:
                    if len(frames) >= _LEVELS_MAX:
                        raise Refused(
                            root, f"A value nested deeper than {_LEVELS_MAX:,} levels could not be cloned."
                        )
                    frames.append(self._open(child))
                    break
                frame.items.append(new)
            else:
                frames.pop()
                new = self._close(frame)
                if not frames:
                    return new
                frames[-1].items.append(new)

    def _open(self, source: Any) -> _Frame:
        """Begin to build *source*; an instance is known from now on, so that cycles through it find it."""
        kind = type(source)
        if kind is tuple or kind is frozenset:
            self.nodes += len(source)
            return _Frame(source, iter(source))
        shape = shape_of(kind)
        assert shape is not None, "only what _begin accepted is built"
        if isinstance(shape, NamedTupleShape):
            self.nodes += len(source)
            return _Frame(source, iter(source), shape)
        if isinstance(shape, ExceptionShape):
            return _Frame(source, iter(shape.members_of(source)[1]), shape)
        state = shape.take(source)
        self.nodes += len(state)
        new = self._memo[id(source)] = shape.blank()
        return _Frame(source, iter(state.values()), shape, new, tuple(state))

    def _close(self, frame: _Frame) -> Any:
        source, shape, items = frame.source, frame.shape, frame.items
        if frame.new is not None:
            assert shape is not None, "an instance has a shape"
            shape.fill(frame.new, dict(zip(frame.names, items, strict=True)))
            return frame.new
        # A cycle that leads back here through a container has built it already.
        known = self._memo.get(id(source))
        if known is not None:
            return known
        new: Any
        if isinstance(shape, ExceptionShape):
            new = shape.make_group(shape.members_of(source)[0], items)
            state = portable_state(source, shape, self._registry)
            self._shaped.append((new, state, shape))
        elif all(map(is_, items, source)):
            new = source
        elif isinstance(shape, NamedTupleShape):
            new = shape.make(items)
        else:
            new = type(source)(items)
        self._memo[id(source)] = new
        return new


class _Frame:
    """Something that is built when its children are."""

    __slots__ = ("children", "items", "names", "new", "shape", "source")

    def __init__(
        self,
        source: Any,
        children: Iterator[Any],
        shape: Shape | None = None,
        new: Any = None,
        names: tuple[str, ...] = (),
    ) -> None:
        self.source = source
        self.children = children
        self.items: list[Any] = []
        self.shape = shape
        self.new = new
        self.names = names
