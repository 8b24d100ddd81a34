"""Exceptions as values: their class, arguments, notes, attributes and cause, without the traceback. (pure)

`__init__` is never run with guessed arguments: an exception is made blank by the built-in class it extends
and gets its state, also that which built-in classes keep in C (`errno`, `reason`, `code` …).
"""

from __future__ import annotations

from typing import Any, Final

from perdure import errors
from perdure._base.state import StateShape, attributes_of, slots_of

# Entries of the state that are not attributes of the instance's own begin with a colon.
ARGS: Final = ":args"
CAUSE: Final = ":cause"
SUPPRESS: Final = ":suppress_context"
MESSAGE: Final = ":message"
MEMBERS: Final = ":members"

_base: Final[Any] = BaseException  # the attributes as C has them, whatever a subclass makes of the names

_NATIVE_STATE: Final[tuple[tuple[type[BaseException], tuple[str, ...]], ...]] = (
    (OSError, ("errno", "strerror", "filename", "filename2")),
    (UnicodeEncodeError, ("encoding", "object", "start", "end", "reason")),
    (UnicodeDecodeError, ("encoding", "object", "start", "end", "reason")),
    (UnicodeTranslateError, ("object", "start", "end", "reason")),
    (SyntaxError, ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset")),
    (ImportError, ("msg", "name", "path")),
    (StopIteration, ("value",)),
    (SystemExit, ("code",)),
    (AttributeError, ("name",)),  # not `obj`: it is whatever object lacked the attribute
    (NameError, ("name",)),
)
"""What built-in exceptions keep outside of `__dict__` and `args`."""


class ExceptionShape(StateShape):
    """An exception class. A group needs its members before it can be made: `group` tells."""

    __slots__ = ("_native", "_native_names", "_slots", "group")

    def __init__(self, cls: type[BaseException]) -> None:
        super().__init__(cls)
        self.hashed = False
        self.group = issubclass(cls, BaseExceptionGroup)
        self._slots = slots_of(cls)
        self._native: Any = next(base for base in cls.__mro__ if base.__module__ == "builtins")
        self._native_names = {
            ":" + name: vars(base)[name]
            for base, names in _NATIVE_STATE
            if issubclass(cls, base)
            for name in names
        }

    def take(self, value: Any) -> dict[str, Any]:
        state = {ARGS: _base.args.__get__(value)}
        for name, native in self._native_names.items():
            found = native.__get__(value)
            if found is not None:
                state[name] = found
        cause = _base.__cause__.__get__(value)
        if cause is not None:
            state[CAUSE] = cause
        if value.__suppress_context__:
            state[SUPPRESS] = True
        for name, found in attributes_of(value, self._slots).items():
            if not name.startswith(":"):
                state[name] = found
        return state

    def members_of(self, value: Any) -> tuple[str, tuple[BaseException, ...]]:
        """Return message and members of the group *value*."""
        group: Any = BaseExceptionGroup
        return group.message.__get__(value), group.exceptions.__get__(value)

    def blank(self) -> Any:
        return self._native.__new__(self.cls)

    def make_group(self, message: str, members: list[BaseException]) -> Any:
        """Return a group without further state."""
        return self._native.__new__(self.cls, message, members)

    def fill(self, target: Any, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if not name.startswith(":"):
                if name in self._slots:
                    self._slots[name].__set__(target, value)
                else:
                    target.__dict__[name] = value
            elif name in self._native_names:
                self._native_names[name].__set__(target, value)
        _base.args.__set__(target, state.get(ARGS, ()))
        _base.__cause__.__set__(target, state.get(CAUSE))
        # Setting a cause also sets this one, so it comes last.
        target.__suppress_context__ = SUPPRESS in state

    def adapt(self, declared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        return declared | own


def text_of(error: BaseException) -> str:
    """Return what *error* says of itself; an exception whose own `__str__` fails still has a text."""
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__qualname__}, whose text could not be made>"


def name_of_class(cls: type) -> str:
    """Return the name by which people know the class *cls*."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def remote_error(error: BaseException) -> errors.RemoteError:
    """Return what stands for an exception whose class cannot travel."""
    return errors.RemoteError(text_of(error), name_of_class(type(error)))
