"""Which classes may be named in stored and sent values, and by which names. (pure)

A stored instance carries the name of its class, `module:qualified.name`. Names are answered from three places
only: classes decorated with `@perdure.value`, the modules of the application, and the classes an annotation
mentions. Exceptions of Python itself and Perdure's own are always known. Nothing is ever imported to answer a
name, and no name leads to anything but a class whose instances travel by value.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, overload

from perdure import errors
from perdure._base.shapes import AliasShape, shape_of

_C = TypeVar("_C", bound=type)

_classes: dict[str, type] = {}
"""Classes decorated with `@perdure.value`, by name."""
_names: dict[type, str] = {}
"""The same the other way round."""

_HINT: Final = "Decorate it with @perdure.value, or call perdure.value(TheClass) when the application starts."


@overload
def value(cls: _C, /) -> _C: ...
@overload
def value(*, name: str) -> Callable[[_C], _C]: ...
def value(cls: _C | None = None, /, *, name: str | None = None) -> _C | Callable[[_C], _C]:
    """
    Let instances of a class be stored and sent by value, wherever the class is defined.

    Classes in the application's own modules need no decorator; others do: those of libraries (call
    `perdure.value(TheClass)`), those defined inside functions, and those whose stored name shall stay when
    the class moves (`@perdure.value(name="booking.Seat")`).

    Args:
        cls: a dataclass, `msgspec.Struct`, `Enum`, `NamedTuple`, exception or pydantic model. With
            `@dataclass`, put `@perdure.value` above it.
        name: the name to store instances under; `module:qualified.name` without it.

    Raises:
        TypeError: instances of the class cannot travel by value.
        ValueError: another class has this name.
    """
    if cls is None:
        return lambda cls: _register(cls, name)
    return _register(cls, name)


def _register(cls: _C, name: str | None) -> _C:
    if not isinstance(cls, type):
        raise TypeError(f"perdure.value() is for classes, not for {cls!r}.")
    if isinstance(shape_of(cls), AliasShape | None):
        raise TypeError(
            f'perdure.value() cannot register "{cls.__qualname__}": only dataclasses, msgspec Structs, '
            "Enums, named tuples, exceptions and pydantic models travel by value. "
            "Put @perdure.value above @dataclass."
        )
    name = full_name(cls) if name is None else name
    known = _classes.get(name)
    # The same definition may run twice, for instance inside a function: the last one counts.
    if known is not None and known is not cls and full_name(known) != full_name(cls):
        raise ValueError(f'perdure.value(): the name "{name}" already belongs to {full_name(known)}.')
    _classes[name] = cls
    _names[cls] = name
    return cls


def full_name(cls: type) -> str:
    """Return `module:qualified.name` of *cls*."""
    return f"{cls.__module__}:{cls.__qualname__}"


class Registry:
    """
    The names one application uses for its classes.

    Args:
        modules: modules of the application; what is below them belongs to them.
        aliases: stored name by module name, for a module that goes by several: `{"__main__": "app"}`.
        classes: classes that are known besides.
    """

    def __init__(
        self,
        modules: Iterable[str] = (),
        *,
        aliases: Mapping[str, str] | None = None,
        classes: Iterable[type] = (),
    ) -> None:
        self._modules = frozenset(modules)
        self._aliases = dict(aliases or {})
        self._classes = {full_name(cls): cls for cls in classes}
        self._cache: dict[type, str] = {}

    def allowing(self, annotation: Any) -> Registry:
        """Return a registry that also knows the classes *annotation* mentions."""
        known = [*self._classes.values(), *classes_in(annotation)]
        return Registry(self._modules, aliases=self._aliases, classes=known)

    def name_of(self, cls: type) -> str:
        """
        Return the name of *cls*, one that `resolve` answers with that very class.

        Raises:
            DataCloneError: the class has no name here.
        """
        name = _names.get(cls) or self._cache.get(cls)
        if name is None:
            name = self._cache[cls] = self._find_name(cls)
        return name

    def knows(self, cls: type) -> bool:
        """Tell whether *cls* has a name."""
        try:
            self.name_of(cls)
        except errors.DataCloneError:
            return False
        return True

    def _find_name(self, cls: type) -> str:
        shown = f'Could not serialize object of type "{cls.__qualname__}".'
        name = full_name(cls)
        if self._classes.get(name) is cls:
            return name
        if not self._allows(cls.__module__, cls):
            raise errors.DataCloneError(
                f'{shown} Its module "{cls.__module__}" is not one of the application\'s, so the class '
                f"has no name to store it under. {_HINT}"
            )
        if "<locals>" in cls.__qualname__:
            raise errors.DataCloneError(
                f"{shown} It is defined inside a function, where it cannot be found again. Move it to the "
                "top of its module, or decorate it with @perdure.value."
            )
        if _look_up(cls.__module__, cls.__qualname__) is not cls:
            raise errors.DataCloneError(
                f'{shown} It cannot be found again: "{cls.__qualname__}" in the module "{cls.__module__}" is '
                "not this class. Give it a name of its own there, or decorate it with @perdure.value."
            )
        return f"{self._aliases.get(cls.__module__, cls.__module__)}:{cls.__qualname__}"

    def resolve(self, name: str) -> type:
        """
        Return the class called *name*, from what is already imported.

        Raises:
            DataCloneError: there is no such class here.
        """
        found = _classes.get(name) or self._classes.get(name)
        if found is not None:
            return found
        module, _, qualname = name.partition(":")
        candidates = [module, *(real for real, stored in self._aliases.items() if stored == module)]
        for candidate in candidates:
            found = _look_up(candidate, qualname)
            if found is not None and self._allows(candidate, found) and shape_of(found) is not None:
                return found
        raise errors.DataCloneError(
            f'The value is an instance of "{name}", and there is no such class here. If it was renamed or '
            f'moved, give it its old name with @perdure.value(name="{name}"); if its module is not imported '
            "yet, import it when the application starts."
        )

    def _allows(self, module: str, cls: type) -> bool:
        top = module.partition(".")[0]
        if issubclass(cls, BaseException) and (top == "perdure" or top in sys.stdlib_module_names):
            return True
        while module:
            if module in self._modules:
                return True
            module = module.rpartition(".")[0]
        return False


def _look_up(module: str, qualname: str) -> type | None:
    """Return the class at *qualname* in an imported module; no import, no `__getattr__`, no property."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        if found is None:
            return None
        # vars() of a class or module is a plain mapping, whatever the class does to attribute access.
        found = vars(found).get(part) if isinstance(found, type) or found is sys.modules.get(module) else None
    return found if isinstance(found, type) else None


def classes_in(annotation: Any) -> list[type]:
    """Return the classes that *annotation* mentions: itself, arguments of generics, members of unions."""
    found: list[type] = []
    todo = [annotation]
    while todo:
        item = todo.pop()
        if isinstance(item, type) and typing.get_origin(item) is None and shape_of(item) is not None:
            found.append(item)
        origin = typing.get_origin(item)
        if isinstance(origin, type) and shape_of(origin) is not None:
            found.append(origin)
        todo.extend(typing.get_args(item))
    return found
