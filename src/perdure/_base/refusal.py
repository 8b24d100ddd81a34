"""What is said of a value that cannot be copied or stored: what it is, where it is, what to do. (pure)"""

from __future__ import annotations

import datetime
import json
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

from perdure import errors
from perdure._base.exceptions import ARGS, CAUSE, ExceptionShape
from perdure._base.shapes import LEAVES, AliasShape, LeafShape, NamedTupleShape, shape_of

_STEPS_SHOWN: Final = 16
_KEY_SHOWN: Final = 60
_PLAIN: Final = LEAVES - {datetime.time}  # a time may be what is refused
_CONTAINERS: Final = frozenset({dict, list, tuple, set, frozenset, bytearray})
_SUPPORTED: Final = "Make it a dataclass, a msgspec.Struct, a NamedTuple or a dict."

# What JavaScript's structured clone says "could not be cloned" of: code and running things.
_NAMED_KINDS: Final[tuple[tuple[tuple[type, ...], str, str], ...]] = (
    ((types.FunctionType, types.BuiltinFunctionType), "function", ""),
    ((types.MethodType,), "method", ""),
    ((types.CoroutineType,), "coroutine", "Await it first."),
    ((types.GeneratorType,), "generator", "Send list(...) of it."),
    ((types.AsyncGeneratorType,), "async generator", "Keep a list of what it yields."),
    ((types.ModuleType,), "module", ""),
    ((type,), "class", ""),
)

_BUILTIN_BASES: Final[tuple[tuple[type, str], ...]] = (
    (dict, "dict(value)"), (list, "list(value)"), (tuple, "tuple(value)"), (set, "set(value)"),
    (frozenset, "frozenset(value)"), (str, "str(value)"), (bytes, "bytes(value)"),
    (bytearray, "bytearray(value)"), (int, "int(value)"), (float, "float(value)"),
    (datetime.datetime, "a plain datetime.datetime"),    (datetime.date, "a plain datetime.date"),
)  # fmt: skip


class Refused(Exception):
    """An object inside a value cannot travel; the public error adds where it was found."""

    def __init__(self, culprit: object, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.culprit = culprit
        self.text = text
        self.hint = hint


def refuse(culprit: Any) -> Refused:
    """Return why *culprit* cannot be copied."""
    kind = type(culprit)
    if hasattr(kind, "__perdure_noun__"):  # a stub: it crosses calls, and is nothing to keep (RPC-31)
        return Refused(culprit, f"{kind.__perdure_noun__} cannot be serialized in this context.")
    for kinds, noun, hint in _NAMED_KINDS:
        if isinstance(culprit, kinds):
            name = getattr(culprit, "__qualname__", None) or getattr(culprit, "__name__", "?")
            return Refused(culprit, f"<{noun} {name}> could not be cloned.", hint)
    if kind in (datetime.datetime, datetime.time):
        example = f"datetime.{kind.__name__}"
        return Refused(
            culprit,
            f"{example} without a time zone could not be cloned.",
            "It would mean another instant elsewhere: give it a time zone, for instance tzinfo=datetime.UTC.",
        )
    text = (
        f'Could not serialize object of type "{kind.__qualname__}". This type does not support serialization.'
    )
    if kind is memoryview:
        return Refused(culprit, text, "Send bytes(value).")
    for base, plain in _BUILTIN_BASES:
        if issubclass(kind, base):
            return Refused(culprit, text, f"It is a subclass of {base.__name__}: send {plain}.")
    if kind.__module__ == "builtins" or isinstance(culprit, Iterator):
        return Refused(culprit, text)
    return Refused(culprit, text, getattr(kind, "__perdure_hint__", _SUPPORTED))


def stays(culprit: Any, crossing: object) -> Any:
    """Be the `__perdure_cross__` of a class whose instances stay where they are, though they could be iterated."""
    raise refuse(culprit)


def as_error(refused: Refused, root: Any, label: str) -> errors.DataCloneError:
    """Return the public error, with the path to the culprit inside *root*, which is called *label*."""
    path = find_path(root, refused.culprit)
    where = f" (at {label}{path})" if path else ""
    return errors.DataCloneError(" ".join(part for part in (refused.text + where, refused.hint) if part))


def find_path(root: Any, wanted: object) -> str:
    """Return the shortest way from *root* to the very object *wanted*, as `["list"][2].field`."""
    seen = {id(root)}
    trail: list[tuple[int, str, Any]] = [(-1, "", root)]
    for at, (_, _, node) in enumerate(trail):
        if node is wanted:
            return _written(trail, at)
        for step, child in _steps(node):
            if id(child) not in seen:
                seen.add(id(child))
                trail.append((at, step, child))
    return ""


def can_travel(value: Any, allowed: Callable[[type], bool]) -> bool:
    """
    Tell whether all of *value* can be copied, and *allowed* lets the classes of all instances in it.

    An exception always can: what cannot travel with it stays behind.
    """
    seen = {id(value)}
    trail = [value]
    for node in trail:
        kind = type(node)
        if kind in _PLAIN or kind in _CONTAINERS:
            pass
        elif kind is datetime.datetime or kind is datetime.time:
            if node.tzinfo is not None and node.utcoffset() is None:
                return False
            if node.tzinfo is None and kind is datetime.datetime:
                return False
        else:
            shape = shape_of(kind)
            if shape is None:
                return False
            if isinstance(shape, ExceptionShape):
                continue
            if not isinstance(shape, AliasShape) and not allowed(kind):
                return False
        for _, child in _steps(node):
            if id(child) not in seen:
                seen.add(id(child))
                trail.append(child)
    return True


def _written(trail: list[tuple[int, str, Any]], at: int) -> str:
    steps: list[str] = []
    while at > 0:
        at, step, _ = trail[at]
        steps.append(step)
    steps.reverse()
    if len(steps) > _STEPS_SHOWN:
        half = _STEPS_SHOWN // 2
        steps[half:-half] = [f" … {len(steps) - 2 * half} more … "]
    return "".join(steps)


def _steps(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield what *node* holds that is not a leaf, each with the step that leads there."""
    kind = type(node)
    shape = None if kind in _PLAIN else shape_of(kind)
    if kind is dict or isinstance(shape, AliasShape):
        for key, child in node.items():
            if type(key) not in _PLAIN:
                yield f".key({_shown(key)})", key
            if type(child) not in _PLAIN:
                yield f"[{_shown(key)}]", child
    elif kind is list or kind is tuple:
        yield from ((f"[{index}]", child) for index, child in enumerate(node) if type(child) not in _PLAIN)
    elif kind is set or kind is frozenset:
        yield from ((f".element({_shown(child)})", child) for child in node if type(child) not in _PLAIN)
    elif isinstance(shape, NamedTupleShape):
        yield from ((f".{name}", child) for name, child in zip(node._fields, node, strict=False))
    elif shape is not None and not isinstance(shape, LeafShape):
        if isinstance(shape, ExceptionShape) and shape.group:
            yield ".exceptions", shape.members_of(node)[1]
        names = {ARGS: ".args", CAUSE: ".__cause__"}
        for name, child in shape.take(node).items():
            yield names.get(name, f".{name.removeprefix(':')}"), child


def _shown(key: Any) -> str:
    """Return a key as one writes it; a long one is cut."""
    if type(key) is str:
        # What cannot be printed (a lone surrogate) is shown escaped.
        text = json.dumps(key[:_KEY_SHOWN], ensure_ascii=False).encode(errors="backslashreplace").decode()
    elif type(key) in _PLAIN and (type(key) is not int or key.bit_length() < 256):
        text = repr(key)
    else:
        return f"<{type(key).__qualname__}>"
    return text if len(text) <= _KEY_SHOWN else text[:_KEY_SHOWN] + "…"
