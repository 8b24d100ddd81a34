"""Values to bytes and back: one version byte, then MessagePack. (pure)

Two forms, told apart by the version byte:

    1  plain   MessagePack of the value itself: dicts, lists, and leaves that MessagePack knows, nested a
               few levels, no container twice. Nearly all values are of this kind; C does all the work.
    2  graph   [classes, kinds, payloads, built, root]: every container is a *node* with a number, and stands
               in another's payload as a reference. So depth costs no stack, shared references and cycles
               stay what they are, and a class is named once.

        classes    [[name, number of declared fields, attribute, …], …]
        kinds      one byte a node, see below
        payloads   what each node holds, only leaves and references
        built      numbers of the nodes that cannot be made before what they refer to, in order
        root       a leaf or a reference

Invariants: reading runs no code that the data chooses and imports nothing; it makes instances of classes the
registry names, without their constructors. Damaged data gives an error that tells its size, never a part of
it (KVA-23). Anything this version writes, later versions read.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from perdure import errors
from perdure._base import graph_reader, graph_writer
from perdure._base.convert import convert
from perdure._base.refusal import Refused, as_error
from perdure._base.registry import Registry
from perdure._base.shapes import AliasShape, shape_of

PLAIN: Final = 1
GRAPH: Final = 2

_PLAIN_LEVELS_MAX: Final = 64  # MessagePack is read and written recursively: leave the application its stack
_PLAIN_LEAVES: Final = frozenset({type(None), bool, int, float, str, bytes})

_NO_CLASSES: Final = Registry()


def _no_extensions(code: int, data: memoryview) -> Any:
    raise ValueError("the plain form has no extensions")


_encoder: Final = msgspec.msgpack.Encoder()
_plain_decoder: Final = msgspec.msgpack.Decoder(ext_hook=_no_extensions)


def dumps(
    value: Any,
    registry: Registry | None = None,
    *,
    label: str = "value",
    refer: Callable[[Any], int] | None = None,
) -> bytes:
    """
    Return *value* as bytes.

    Args:
        value: any value that can travel.
        registry: names the application's classes.
        label: what error texts call the value.
        refer: gives the number of what has no value form, for `loads` to find it again; None refuses it. It may be
            asked twice.

    Raises:
        DataCloneError: something inside cannot be stored; the text names it and the path to it.
    """
    if _is_plain(value):
        try:
            return b"\x01" + _encoder.encode(value)
        except (UnicodeEncodeError, OverflowError, RecursionError):
            pass  # lone surrogates, integers beyond 64 bits, little stack left: the other form has them all
    try:
        return b"\x02" + graph_writer.encode(value, _NO_CLASSES if registry is None else registry, refer)
    except Refused as refused:
        raise as_error(refused, value, label) from None


def loads(
    data: bytes | memoryview,
    registry: Registry | None = None,
    type: Any = None,
    *,
    label: str = "stored value",
    elsewhere: Sequence[Any] = (),
) -> Any:
    """
    Return the value that `dumps` made *data* of, as a fresh copy.

    Args:
        data: what `dumps` returned.
        registry: knows the application's classes.
        type: convert the value to this annotation; classes it mentions are known too.
        label: what error texts call the value.
        elsewhere: what has no value form, by its number.

    Raises:
        DataCloneError: the data is damaged, or names a class that is not known here.
        TypeError, ValueError: the value does not fit *type*.
    """
    if registry is None:
        registry = _NO_CLASSES
    if type is not None:
        # The plain form has no classes to name.
        registry = registry.allowing(type) if data[:1] == b"\x02" else registry
        return convert(_read(data, registry, label, elsewhere), type)
    return _read(data, registry, label, elsewhere)


def plain_parts(data: bytes | memoryview) -> Any:
    """Return the value of the plain form, whose first byte was looked at."""
    return _plain_decoder.decode(memoryview(data)[1:])


def _read(data: bytes | memoryview, registry: Registry, label: str, elsewhere: Sequence[Any]) -> Any:
    form = data[0] if data else 0
    try:
        if form == PLAIN:
            return plain_parts(data)
        if form == GRAPH:
            return graph_reader.decode(memoryview(data)[1:], registry, elsewhere)
    except errors.DataCloneError:
        raise
    except RecursionError:
        raise errors.DataCloneError(
            f"The {label} ({_size(data)}) could not be read: there is too little stack left."
        ) from None
    except Exception:
        # Whatever it is, its text may quote the data.
        raise errors.DataCloneError(f"The {label} is corrupt ({_size(data)}): it does not decode.") from None
    if form > GRAPH:
        raise errors.DataCloneError(
            f"The {label} ({_size(data)}) has format {form}, and this version of Perdure knows up to "
            f"{GRAPH}: a newer one wrote it, or it is corrupt."
        )
    raise errors.DataCloneError(f"The {label} is corrupt ({_size(data)}): it begins with no known format.")


def _size(data: bytes | memoryview) -> str:
    return "1 byte" if len(data) == 1 else f"{len(data):,} bytes"


def _is_plain(value: Any) -> bool:
    """Tell whether MessagePack alone gives *value* back as it is: every type exact, no container twice."""
    if type(value) in _PLAIN_LEAVES:
        return True
    all_leaves = _PLAIN_LEAVES.issuperset
    seen: set[int] = set()
    count = 0
    level: list[Any] = [value]
    for _ in range(_PLAIN_LEVELS_MAX):
        count += len(level)
        seen.update(map(id, level))
        if len(seen) != count:
            return False
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is list:
                if not all_leaves(map(type, item)):
                    inner += [child for child in item if type(child) not in _PLAIN_LEAVES]
            elif kind is dict or isinstance(shape_of(kind), AliasShape):
                if all_leaves(map(type, chain(item, item.values()))):
                    continue
                if not all_leaves(map(type, item)):
                    return False
                inner += [child for child in item.values() if type(child) not in _PLAIN_LEAVES]
            elif kind is not datetime.datetime or item.tzinfo is not datetime.UTC or item.fold:
                return False
        if not inner:
            return True
        level = inner
    return False
