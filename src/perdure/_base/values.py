"""Structured copy of values within the process. (pure)

What cannot change passes through as it is; everything else is copied. Cycles and shared references inside a
value stay what they are. Source: the structured clone of RPC-08 and KVA-12, in Python's terms.

How: a mutable container is copied shallowly, which is one call into C, and then each item in the copy that
needs it is replaced; containers found on the way wait in a list, so depth costs no stack. Only what cannot
be made before its items (tuples, frozen sets, keys, groups of exceptions) is built from the inside out.

Invariant: while one of those is built, no waiting container is touched; so whatever is hashed is complete.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import Any, Final, TypeAlias, TypeVar

from perdure._base import limits
from perdure._base.exceptions import ExceptionShape, remote_error
from perdure._base.portable import portable_state
from perdure._base.refusal import Refused, as_error, refuse
from perdure._base.registry import Registry
from perdure._base.shapes import LEAVES, AliasShape, LeafShape, NamedTupleShape, shape_of
from perdure._base.state import StateShape

_T = TypeVar("_T")

_HEAD_BYTES: Final = 2
_NODE_BYTES: Final = 5
"""What a value takes beside the bytes of its text: about what kind and length take in Cloudflare's format."""

_LEVELS_MAX: Final = limits.VALUE_DEPTH_MAX

Cross: TypeAlias = Callable[[Any], Any]
"""Takes what has no copy, and returns what arrives in its place: of a function, a stub. Raises `Refused`."""
_L = TypeVar("_L", bound=Cross)


def copy(
    value: _T, *, registry: Registry | None = None, label: str = "value", cross: Cross | None = None
) -> _T:
    """
    Return a structured copy of *value*.

    Args:
        value: any value that can travel.
        registry: knows the exception classes that arrive as themselves; None lets all of them.
        label: what error texts call the value.
        cross: what becomes of that which has no copy; None refuses it.

    Raises:
        DataCloneError: something inside cannot travel; the text names it and the path to it.
    """
    return copy_sized(value, registry=registry, label=label, cross=cross)[0]


def copy_sized(
    value: _T, *, registry: Registry | None = None, label: str = "value", cross: Cross | None = None
) -> tuple[_T, int]:
    """
    Return a structured copy of *value*, and how many bytes it takes as a message.

    Text and bytes are counted exactly (text as UTF-8), all else by the number of items (RPC-15).
    """
    kind = type(value)
    if kind in LEAVES:
        return value, _HEAD_BYTES + _NODE_BYTES + (
            _text_bytes((value,)) if kind is str or kind is bytes else 0
        )
    flat: Any = value
    if kind is dict or kind is list or kind is tuple:  # most arguments and results hold leaves only
        text_bytes = _flat_bytes(flat, kind)
        if text_bytes >= 0:
            nodes = 1 + (2 if kind is dict else 1) * len(flat)
            return flat if kind is tuple else flat.copy(), _HEAD_BYTES + _NODE_BYTES * nodes + text_bytes
    copier = _Copier(registry, cross)
    try:
        new = copier.run(value)
    except Refused as refused:
        raise as_error(refused, value, label) from None
    return new, _HEAD_BYTES + _NODE_BYTES * copier.nodes + copier.text_bytes


def copy_call(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    registry: Registry | None = None,
    lend: Callable[[], _L] | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any], int, _L | None]:
    """
    Return structured copies of a call's arguments, how many bytes they take as a message, and what *lend* made.

    *lend* is called when an argument is no flat value; what it returns is asked for all that has no copy.

    Raises:
        DataCloneError: one of them cannot travel; the text says which, as `arguments[0]` or `arguments["by"]`.
    """
    if not kwargs:
        text_bytes = _text_bytes(args)
        if text_bytes >= 0:
            return args, {}, _HEAD_BYTES + _NODE_BYTES * (1 + len(args)) + text_bytes, None
        cross = None if lend is None else lend()
        new_args, size = copy_sized(args, registry=registry, label="arguments", cross=cross)
        return new_args, {}, size, cross
    # One value, so that what two arguments share stays shared.
    together: dict[Any, Any] = dict(enumerate(args))
    together.update(kwargs)
    cross = None if lend is None else lend()
    new, size = copy_sized(together, registry=registry, label="arguments", cross=cross)
    return tuple([new.pop(index) for index in range(len(args))]), new, size, cross


def copy_exception(error: BaseException, registry: Registry | None = None) -> BaseException:
    """
    Return *error* as its caller gets it: by copy if its class can travel, else a `RemoteError`.

    This never fails: an error about an error would hide the first one (RPC-25, ERR-07).
    """
    try:
        return copy(error, registry=registry)
    except Exception:
        return remote_error(error)


def _text_bytes(items: Iterable[Any]) -> int:
    """Return the bytes of text in *items* if all are leaves, else -1."""
    total = 0
    for item in items:
        kind = type(item)
        if kind is str:
            total += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
        elif kind not in LEAVES:
            return -1
        elif kind is bytes:
            total += len(item)
    return total


def _flat_bytes(container: Any, kind: type) -> int:
    """Return the bytes of text in a dict, list or tuple that holds only leaves, else -1."""
    if kind is not dict:
        return _text_bytes(container)
    in_values = _text_bytes(container.values())
    in_keys = -1 if in_values < 0 else _text_bytes(container)
    return -1 if in_keys < 0 else in_keys + in_values


class _Copier:
    """One copy in the making."""

    __slots__ = ("_cross", "_memo", "_plain", "_registry", "_shaped", "nodes", "text_bytes")

    def __init__(self, registry: Registry | None, cross: Cross | None) -> None:
        self.nodes = 1
        self.text_bytes = 0
        self._registry = registry
        self._cross = cross
        self._memo: dict[int, Any] = {}
        self._plain: list[Any] = []  # shallow copies of lists and dicts whose items wait to be replaced
        self._shaped: list[_Shaped] = []  # blank targets whose state waits to be copied

    def run(self, root: Any) -> Any:
        new = self._of(root)
        level = 0
        while self._plain or self._shaped:
            level += 1
            if level > _LEVELS_MAX:
                raise _too_deep(root)
            plain, self._plain = self._plain, []
            shaped, self._shaped = self._shaped, []
            for target in plain:
                if type(target) is list:
                    self._fill_list(target)
                else:
                    self._fill_dict(target)
            for waiting in shaped:
                self._fill_shaped(*waiting)
        return new

    def _fill_list(self, target: list[Any]) -> None:
        leaves = []
        for index, child in enumerate(target):
            kind = type(child)
            if kind in LEAVES:
                if kind is str or kind is bytes:
                    leaves.append(child)
            else:
                target[index] = self._of(child)
        self.nodes += len(target)
        self.text_bytes += _text_bytes(leaves)

    def _fill_dict(self, target: dict[Any, Any]) -> None:
        leaves = []
        odd_keys = False
        for key, child in target.items():
            if type(key) is str:
                leaves.append(key)
            elif type(key) not in LEAVES:
                odd_keys = True
            kind = type(child)
            if kind in LEAVES:
                if kind is str or kind is bytes:
                    leaves.append(child)
            else:
                target[key] = self._of(child)
        if odd_keys:
            items = list(target.items())
            target.clear()
            for key, child in items:
                target[self._item(key)] = child
        self.nodes += 2 * len(target)
        self.text_bytes += _text_bytes(leaves)

    def _fill_shaped(self, target: Any, source: Any, shape: StateShape | None) -> None:
        if shape is None:
            target.update([self._item(child) for child in source])
        else:
            shape.fill(target, {name: self._item(child) for name, child in source.items()})
        self.nodes += len(source)

    def _item(self, child: Any) -> Any:
        if type(child) in LEAVES:
            self.text_bytes += _text_bytes((child,))
            return child
        return self._of(child)

    def _of(self, source: Any) -> Any:
        """Return the copy of *source*, which is no leaf; the items of a container may still be to do."""
        memo = self._memo
        key = id(source)
        if key in memo:
            return memo[key]
        kind = type(source)
        new: Any
        if kind is dict or kind is list:
            new = memo[key] = source.copy()
            text_bytes = _flat_bytes(source, kind)
            if text_bytes < 0:
                self._plain.append(new)
            else:
                self.text_bytes += text_bytes
                self.nodes += 2 * len(source) if kind is dict else len(source)
            return new
        new = self._begin(source, kind)
        return self._build(source) if new is None else new

    def _begin(self, source: Any, kind: type) -> Any:
        """Return a copy whose items may wait, or None if *source* has to be built from the inside out."""
        new: Any
        if kind is tuple or kind is frozenset:
            text_bytes = _text_bytes(source)
            if text_bytes < 0:
                return None
            self.text_bytes += text_bytes
            self.nodes += len(source)
            return source
        if kind is datetime.datetime:
            if source.utcoffset() is None:
                raise refuse(source)
            return source
        if kind is dict or kind is list:
            new = source.copy()
            self._plain.append(new)
        elif kind is set:
            new = set()
            self._shaped.append((new, source, None))
        elif kind is bytearray:
            new = bytearray(source)
            self.text_bytes += len(new)
        else:
            return self._begin_instance(source, kind)
        self._memo[id(source)] = new
        return new

    def _begin_instance(self, source: Any, kind: type) -> Any:
        shape = shape_of(kind)
        new: Any
        if shape is None:
            if self._cross is None:
                raise refuse(source)
            new = self._memo[id(source)] = self._cross(source)
            return new
        if isinstance(shape, LeafShape):
            return source
        if isinstance(shape, AliasShape):
            new = dict(source)
            self._plain.append(new)
        elif isinstance(shape, ExceptionShape):
            state = portable_state(source, shape, self._registry)
            if state is None:
                new = remote_error(source)
            elif shape.group:
                return None
            else:
                new = shape.blank()
                self._shaped.append((new, state, shape))
        elif shape.hashed or isinstance(shape, NamedTupleShape):
            return None
        else:
            new = shape.blank()
            self._shaped.append((new, shape.take(source), shape))
        self._memo[id(source)] = new
        return new

    def _build(self, root: Any) -> Any:
        """Return the copy of *root*, built from the inside out without recursion."""
        memo = self._memo
        frames = [self._open(root)]
        while True:
            _, children, items, _, _ = frames[-1]
            for child in children:
                kind = type(child)
                if kind in LEAVES:
                    items.append(self._item(child))
                    continue
                new = memo[id(child)] if id(child) in memo else self._begin(child, kind)
                if new is None:
                    if len(frames) >= _LEVELS_MAX:
                        raise _too_deep(root)
                    frames.append(self._open(child))
                    break
                items.append(new)
            else:
                new = self._close(frames.pop())
                if not frames:
                    return new
                frames[-1][2].append(new)

    def _open(self, source: Any) -> _Frame:
        """Begin to build *source*; an instance is known from now on, so that cycles through it find it."""
        kind = type(source)
        if kind is tuple or kind is frozenset:
            return source, iter(source), [], None, None
        shape = shape_of(kind)
        if isinstance(shape, NamedTupleShape):
            return source, iter(source), [], shape, None
        assert isinstance(shape, StateShape), "only what _begin accepted is built"
        if isinstance(shape, ExceptionShape):
            return source, iter(shape.members_of(source)[1]), [], shape, None
        state = shape.take(source)
        self._memo[id(source)] = shape.blank()
        return source, iter(state.values()), [], shape, tuple(state)

    def _close(self, frame: _Frame) -> Any:
        source, _, items, shape, names = frame
        self.nodes += len(items)
        new: Any
        if names is not None:
            assert isinstance(shape, StateShape), "what has names has a state"
            new = self._memo[id(source)]
            shape.fill(new, dict(zip(names, items, strict=True)))
            return new
        # A cycle that leads back here through a container has built it already.
        if id(source) in self._memo:
            return self._memo[id(source)]
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


_Shaped = tuple[Any, Any, StateShape | None]
"""Blank target; elements of a set, or state; how to fill an instance."""

_Frame = tuple[Any, Iterator[Any], list[Any], NamedTupleShape | StateShape | None, tuple[str, ...] | None]
"""Something built when its children are: source, children to do, children done, shape, names of the state."""


def _too_deep(culprit: Any) -> Refused:
    return Refused(culprit, f"A value nested deeper than {_LEVELS_MAX:,} levels could not be cloned.")
