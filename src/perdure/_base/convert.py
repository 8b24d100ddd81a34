"""A value to what an annotation asks for. (pure)

`msgspec.convert` knows dataclasses, Structs, TypedDicts, named tuples, Enums, times, UUIDs and generics of
them; pydantic models validate themselves; any other class accepts its instances only. An instance of the
class asked for is taken as it is: it was checked, or not, when it was made.
"""

from __future__ import annotations

import collections.abc
import enum
import inspect
import re
import types
import typing
from typing import Any, Final

import msgspec

from perdure._base.shapes import LEAVES, ModelShape, shape_of

_WRONG_TYPE: Final = re.compile(r"^Expected `[^`]*`, got `[^`]*`( - at .*)?$", re.DOTALL)
_PLACE: Final = re.compile(r" - at `(?:key` in `)?\$(?P<path>[^`]*)`$")
_JSON_WORDS: Final = {"null": "None", "object": "dict", "array": "list"}
_AS_THEY_ARE: Final = (bytes, bytearray, memoryview)
"""Else msgspec, which thinks of JSON, would read a text as base64 where bytes are asked for."""


def convert(value: Any, type: Any, *, label: str = "value") -> Any:
    """
    Return *value* as the annotation *type* asks for it: itself if it fits, else an equal of that type.

    Args:
        value: what was stored or sent; a dict for a dataclass, a text for a UUID or a time …
        type: any annotation that msgspec understands, a pydantic model, or a class to be an instance of.
        label: what error texts call the value.

    Raises:
        TypeError: the value is of another type, or *type* is no annotation that values can be converted to.
        ValueError: the type fits and the content does not: a field is missing, a number is out of range.
    """
    if type is None or type is Any or type is inspect.Parameter.empty or _is_instance(value, type):
        return value
    try:
        return _convert(value, type)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), value, type, label) from None
    except RecursionError:
        raise ValueError(f"{label} is nested too deeply, or holds itself, and was not converted.") from None


def is_convertible(type: Any) -> bool:
    """Tell whether values can be converted to *type*: not if it mentions a name that is nowhere, or what msgspec refuses."""
    try:
        _convert(object(), type)
    except msgspec.ValidationError:
        return True
    except Exception:  # a name that cannot be resolved, an annotation that is none …
        return False
    return True


def _is_instance(value: Any, asked: Any) -> bool:
    """Tell whether *value* is of the class *asked* (or of one in a union), so that there is nothing to do."""
    if isinstance(asked, type) and typing.get_origin(asked) is None:
        if value.__class__ is asked:
            return True
        return asked not in LEAVES and shape_of(asked) is not None and isinstance(value, asked)
    return _is_union(asked) and any(_is_instance(value, member) for member in typing.get_args(asked))


def _is_union(asked: Any) -> bool:
    return isinstance(asked, types.UnionType) or typing.get_origin(asked) is typing.Union


def _convert(value: Any, asked: Any) -> Any:
    try:
        return _by_msgspec(value, asked)
    except msgspec.ValidationError:
        # msgspec takes no subclass's instance for a dataclass or Struct, and no member for an Enum, only its value.
        if _fits(value, asked):
            return value
        bare = _without_members(value)
        if bare is value:
            raise
        return _by_msgspec(bare, asked)
    except TypeError as error:
        if _is_union(asked):
            return _convert_to_first(value, typing.get_args(asked))
        raise TypeError(f"Values cannot be converted to {_shown(asked)}: {error}.") from None


def _by_msgspec(value: Any, asked: Any) -> Any:
    return msgspec.convert(value, asked, builtin_types=_AS_THEY_ARE, dec_hook=_convert_other)


def _fits(value: Any, asked: Any) -> bool:
    """Tell whether *value*, a container most likely, holds at all places instances of what *asked* has there."""
    if asked is Any or _is_instance(value, asked):
        return True
    origin, inside = typing.get_origin(asked), typing.get_args(asked)
    if origin is None:
        return isinstance(asked, type) and asked in LEAVES and value.__class__ is asked
    if _is_union(asked):
        return any(_fits(value, member) for member in inside)
    if not isinstance(origin, type) or not isinstance(value, origin):
        return False
    if isinstance(value, dict):
        key, item = inside
        return all(_fits(k, key) and _fits(v, item) for k, v in value.items())
    if isinstance(value, tuple) and origin is tuple and inside[-1:] != (...,):
        return len(value) == len(inside) and all(map(_fits, value, inside))
    return isinstance(value, collections.abc.Collection) and all(_fits(item, inside[0]) for item in value)


def _convert_to_first(value: Any, members: tuple[Any, ...]) -> Any:
    """Convert to the first that fits of a union that msgspec cannot tell apart, such as two dataclasses."""
    for member in members:
        try:
            return _convert(value, member)
        except msgspec.ValidationError:
            continue
    names = " or ".join(f"`{_shown(member)}`" for member in members)
    raise msgspec.ValidationError(f"it fits none of {names}")


def _convert_other(asked: Any, value: Any) -> Any:
    """Convert to a class that msgspec does not know; what it raises, msgspec completes with the place."""
    if isinstance(asked, type):
        if isinstance(value, asked):
            return value
        shape = shape_of(asked)
        if isinstance(shape, ModelShape):
            return shape.cls.model_validate(value)
    raise TypeError(f"Expected `{_shown(asked)}`, got `{type(value).__qualname__}`")


def _without_members(value: Any) -> Any:
    """Return *value* with the values of Enum members in place of the members, itself if there are none."""
    kind = type(value)
    if kind is dict:
        plain: Any = {_without_members(key): _without_members(child) for key, child in value.items()}
        same = all(
            a is b
            for pair in zip(plain.items(), value.items(), strict=True)
            for a, b in zip(*pair, strict=True)
        )
    elif kind in (list, tuple, set, frozenset):
        items = [_without_members(child) for child in value]
        plain = kind(items)
        same = all(a is b for a, b in zip(items, value, strict=True))
    else:
        return value.value if isinstance(value, enum.Enum) else value
    return value if same else plain


def _misfit(text: str, value: Any, asked: Any, label: str) -> Exception:
    kind = TypeError if _WRONG_TYPE.match(text) else ValueError
    place = _PLACE.search(text)
    where = "" if place is None else f" at {label}{place['path']}"
    text = text if place is None else text[: place.start()]
    if text.startswith("Expected"):  # msgspec's own words; what a class of the user's says stays as it is
        text = re.sub(r"\b(null|object|array)\b(?=[^`]*`)", lambda word: _JSON_WORDS[word[0]], text)
    text += where
    return kind(f"{label} (a value of type {type(value).__qualname__}) does not fit {_shown(asked)}: {text}.")


def _shown(asked: Any) -> str:
    return asked.__qualname__ if isinstance(asked, type) and typing.get_origin(asked) is None else str(asked)
