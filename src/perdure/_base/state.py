"""The state of an instance, apart from its class. (pure)

Invariant: taking apart and putting together runs no code of the class: not `__init__`, `__new__`,
`__post_init__`, a property or a hook. An instance is a class and its state, nothing else; a *blank*
instance exists before its state does, which is what lets cycles through it be rebuilt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING
from types import MemberDescriptorType
from typing import Any


class StateMismatch(Exception):
    """A stored state does not fit the class of today."""


class Shape:
    """
    How the instances of one class travel.

    Attributes:
        cls: the class.
        hashed: its hash may depend on its state, so that it must be complete before it is put into a set.
    """

    __slots__ = ("cls", "hashed")

    def __init__(self, cls: type) -> None:
        self.cls: Any = cls
        hashing: Any = cls.__hash__
        self.hashed = hashing is not None and hashing is not object.__hash__

    def field_names(self) -> tuple[str, ...]:
        """Return the names the class declares; other attributes are the instance's own."""
        return ()

    def default(self, name: str) -> Any:
        """Return a fresh default of the declared field *name*, or `MISSING`."""
        return MISSING

    def adapt(self, declared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """
        Return the state that the class of today takes, from one stored when it may have been another.

        A field that is new gets its default; one that is gone is dropped.

        Raises:
            StateMismatch: a field is missing and has no default.
        """
        state = {}
        for name in self.field_names():
            found = declared[name] if name in declared else self._fresh(name)
            if found is not MISSING:
                state[name] = found
            elif self.required(name):
                raise StateMismatch(
                    f'it has no field "{name}" and the class gives that field no default; '
                    f"it has: {', '.join(declared) or 'no fields'}"
                )
        state.update(own)
        return state

    def _fresh(self, name: str) -> Any:
        try:
            return self.default(name)
        except Exception as error:
            raise StateMismatch(f'the default of its field "{name}" failed: {error!r}') from error

    def required(self, name: str) -> bool:
        """Tell whether an instance without the field *name* would be broken."""
        return True


class StateShape(Shape, ABC):
    """That of a class whose instances are taken apart and rebuilt."""

    __slots__ = ()

    @abstractmethod
    def take(self, value: Any) -> dict[str, Any]:
        """Return the state of *value* by attribute name; what is not set is not in it."""

    @abstractmethod
    def blank(self) -> Any:
        """Return an instance without state."""

    @abstractmethod
    def fill(self, target: Any, state: dict[str, Any]) -> None:
        """Give the blank *target* its state."""


def slots_of(cls: type) -> dict[str, MemberDescriptorType]:
    """Return the slots of *cls* and its bases by name, as the descriptors that read and set them."""
    return {
        name: found
        for base in reversed(cls.__mro__)
        for name, found in vars(base).items()
        if isinstance(found, MemberDescriptorType) and base.__module__ != "builtins"
    }


def attributes_of(value: Any, slots: dict[str, MemberDescriptorType]) -> dict[str, Any]:
    """Return what is set on *value*: its slots, then its `__dict__`."""
    state: dict[str, Any] = {}
    for name, slot in slots.items():
        try:
            state[name] = slot.__get__(value)
        except AttributeError:
            continue
    state.update(getattr(value, "__dict__", ()))
    # Box[int](1) notes the alias it was made by on the instance: it is no part of the value.
    state.pop("__orig_class__", None)
    return state


def set_attributes(target: Any, state: dict[str, Any], slots: dict[str, MemberDescriptorType]) -> None:
    """Set what `attributes_of` found; what a class without `__dict__` has no slot for is dropped."""
    if not slots:
        target.__dict__.update(state)
        return
    own = getattr(target, "__dict__", None)
    for name, value in state.items():
        if name in slots:
            slots[name].__set__(target, value)
        elif own is not None:
            own[name] = value
