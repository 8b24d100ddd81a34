"""Which classes travel by value, and the shape of each: one kind of class, one Shape. (pure)"""

from __future__ import annotations

import datetime
import decimal
import enum
import sys
import uuid
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, TypeAlias

import msgspec

from perdure._base.bigint import BigInt
from perdure._base.exceptions import ExceptionShape
from perdure._base.state import Shape, StateShape, attributes_of, set_attributes, slots_of

LEAVES: Final[frozenset[type]] = frozenset(
    {
        type(None), bool, int, float, str, bytes, BigInt,
        datetime.date, datetime.time, datetime.timedelta, uuid.UUID, decimal.Decimal,
    }
)  # fmt: skip
"""Classes whose instances never change and hold nothing: they pass through as they are. An aware `datetime`
does too, but each has to be looked at."""

CROSS: Final = "__perdure_cross__"
"""Marks classes whose instances cross a call by reference, or by a copy of their own, and are never stored: the
method of this name returns what arrives (`_rpc/crossing.py`)."""

_BUILTIN_VALUES: Final = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    str,
    bytes,
    bytearray,
    int,
    float,
    complex,
    *LEAVES,
)
_SHAPES_MAX: Final = 10_000  # classes made at run time must not pile up here for ever


class LeafShape(Shape):
    """Members of an `Enum`: there is one of each, so they pass through."""

    __slots__ = ()


class AliasShape(Shape):
    """A dict of ours with conveniences (`__perdure_as__ = dict`): it travels as the plain dict it is."""

    __slots__ = ()


class NamedTupleShape(Shape):
    """A named tuple: immutable, so its items come first. They are told by field, for when fields change."""

    __slots__ = ()

    def make(self, items: list[Any]) -> Any:
        """Return the tuple of *items*."""
        return tuple.__new__(self.cls, items)

    def field_names(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.cls._fields
        return names

    def default(self, name: str) -> Any:
        return self.cls._field_defaults.get(name, MISSING)


class DataclassShape(StateShape):
    """A dataclass: its slots and its `__dict__`, other attributes included, as a plain object has them."""

    __slots__ = ("_defaults", "_slots")

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self._slots = slots_of(cls)
        self._defaults = {field.name: field for field in fields(cls)}

    def take(self, value: Any) -> dict[str, Any]:
        return attributes_of(value, self._slots)

    def blank(self) -> Any:
        return object.__new__(self.cls)

    def fill(self, target: Any, state: dict[str, Any]) -> None:
        set_attributes(target, state, self._slots)

    def field_names(self) -> tuple[str, ...]:
        return tuple(self._defaults)

    def default(self, name: str) -> Any:
        field = self._defaults[name]
        return field.default if field.default_factory is MISSING else field.default_factory()

    def required(self, name: str) -> bool:
        return self._defaults[name].init


_copy_struct: Final[Any] = getattr(msgspec.Struct, "__copy__")  # noqa: B009 - its stubs do not know it


class StructShape(StateShape):
    """A `msgspec.Struct`: its fields, and its `__dict__` where it has one."""

    __slots__ = ("_fields", "_template")

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self._fields: tuple[str, ...] = self.cls.__struct_fields__
        self._template: Any = None

    def take(self, value: Any) -> dict[str, Any]:
        state = {name: getattr(value, name) for name in self._fields if hasattr(value, name)}
        state.update(getattr(value, "__dict__", ()))
        state.pop("__orig_class__", None)
        return state

    def blank(self) -> Any:
        # A Struct cannot be made without its constructor, but it can be copied without one.
        if self._template is None:
            self._template = self._make_template()
        return _copy_struct(self._template)

    def _make_template(self) -> Any:
        empty = dict.fromkeys(self._fields)
        if not hasattr(self.cls, "__post_init__"):
            return self.cls(**empty)
        silent: Any = type(self.cls)(self.cls.__name__, (self.cls,), {"__post_init__": lambda self: None})
        template = silent(**empty)
        template.__class__ = self.cls
        return template

    def fill(self, target: Any, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if name in self._fields:
                msgspec.structs.force_setattr(target, name, value)
            elif hasattr(target, "__dict__"):
                target.__dict__[name] = value

    def field_names(self) -> tuple[str, ...]:
        return self._fields

    def default(self, name: str) -> Any:
        field = next(field for field in msgspec.structs.fields(self.cls) if field.name == name)
        if field.default is not msgspec.NODEFAULT:
            return field.default
        return MISSING if field.default_factory is msgspec.NODEFAULT else field.default_factory()


_MODEL_PARTS: Final = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


class ModelShape(StateShape):
    """A pydantic model: its fields, which of them were set, and its extra and private attributes."""

    __slots__ = ()

    def take(self, value: Any) -> dict[str, Any]:
        state = dict(value.__dict__)
        for name in _MODEL_PARTS:
            state[name] = getattr(value, name, None)
        return state

    def blank(self) -> Any:
        return object.__new__(self.cls)

    def fill(self, target: Any, state: dict[str, Any]) -> None:
        for name in _MODEL_PARTS:
            object.__setattr__(target, name, state.pop(name, None))
        object.__setattr__(target, "__dict__", state)

    def adapt(self, declared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        state = super().adapt(declared, own)
        if state.get("__pydantic_fields_set__") is None:  # it was another kind of class
            state["__pydantic_fields_set__"] = set(declared)
        return state

    def field_names(self) -> tuple[str, ...]:
        return tuple(self.cls.model_fields)

    def default(self, name: str) -> Any:
        field = self.cls.model_fields[name]
        return MISSING if field.is_required() else field.get_default(call_default_factory=True)


AnyShape: TypeAlias = LeafShape | AliasShape | NamedTupleShape | StateShape

_shapes: dict[type, AnyShape | None] = {}


def shape_of(cls: type) -> AnyShape | None:
    """Return how *cls* travels, or None where its instances do not (or are built in)."""
    try:
        return _shapes[cls]
    except KeyError:
        if len(_shapes) >= _SHAPES_MAX:
            _shapes.clear()
        shape = _shapes[cls] = _find_shape(cls)
        return shape


def _find_shape(cls: type) -> AnyShape | None:
    alias = getattr(cls, "__perdure_as__", None)
    if alias is dict and issubclass(cls, dict):
        return AliasShape(cls)
    if hasattr(cls, CROSS):
        return None
    if issubclass(cls, enum.Enum):
        return LeafShape(cls)
    if issubclass(cls, BaseException):
        return ExceptionShape(cls)
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        return NamedTupleShape(cls)
    if issubclass(cls, _BUILTIN_VALUES):
        return None
    if issubclass(cls, msgspec.Struct):
        return StructShape(cls)
    model = _pydantic_model()
    if model is not None and issubclass(cls, model):
        return ModelShape(cls)
    return _dataclass_shape(cls) if is_dataclass(cls) else None


def _dataclass_shape(cls: type) -> StateShape | None:
    shape = DataclassShape(cls)
    try:
        shape.blank()
    except TypeError:  # it extends a class written in C, whose state is out of reach
        return None
    return shape


def _pydantic_model() -> type | None:
    """Return pydantic's BaseModel where the application has imported it; never import it."""
    module = sys.modules.get("pydantic.main")
    return None if module is None else vars(module).get("BaseModel")
