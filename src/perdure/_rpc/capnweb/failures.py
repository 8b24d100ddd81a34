"""Exceptions to error expressions and back: JavaScript's classes by name, Python's besides. (pure)

An exception of a class that JavaScript has arrives there as that, any other as Error; `pyType` tells another Python
program its class. Only classes that the registry names are made here, without their constructors, and none that
would end a task or a process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from perdure import errors
from perdure._base.exceptions import ARGS, CAUSE, ExceptionShape, name_of_class, remote_error, text_of
from perdure._base.registry import Registry
from perdure._base.shapes import shape_of

JS_ERRORS: Final = frozenset(
    {
        "Error",
        "EvalError",
        "RangeError",
        "ReferenceError",
        "SyntaxError",
        "TypeError",
        "URIError",
        "AggregateError",
    }
)

_TO_JS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TypeError, "TypeError"),
    (NameError, "ReferenceError"),
    (SyntaxError, "SyntaxError"),
    (ValueError, "RangeError"),
    (OverflowError, "RangeError"),
    (BaseExceptionGroup, "AggregateError"),
)
_FROM_JS: Final[dict[str, type[Exception]]] = {
    "TypeError": TypeError,
    "ReferenceError": NameError,
    "SyntaxError": SyntaxError,
    "RangeError": ValueError,
}
FLAGS: Final = {
    "remote": "remote",
    "retryable": "retryable",
    "overloaded": "overloaded",
    "durable_object_reset": "durableObjectReset",
}
"""What an error tells of how it came about: attribute in Python, property in JavaScript."""
_FROM_FLAG: Final = {there: here for here, there in FLAGS.items()}
TYPE: Final = "pyType"
ARGUMENTS: Final = "pyArgs"
NOTES: Final = "pyNotes"
_MEMBERS: Final = "errors"
_KEPT: Final = {"name", "durable_object_id", *FLAGS}
"""Attributes that do not go out as they are: which object failed is nobody's business outside."""
_NEVER: Final = (StopIteration, StopAsyncIteration)
"""An exception of these would be taken for the end of something where it arrives."""


def describe(error: BaseException) -> tuple[str, str, dict[str, Any]]:
    """Return class for JavaScript, message and properties of *error*; the properties are values to be encoded."""
    props: dict[str, Any] = {}
    message = text_of(error)
    if isinstance(error, errors.RemoteError):
        name = error.name if error.name in JS_ERRORS else "Error"
        if name != error.name:
            props[TYPE] = error.name
    else:
        name = next((there for here, there in _TO_JS if isinstance(error, here)), "Error")
        cls = type(error)
        if _FROM_JS.get(name) is not cls:
            props[TYPE] = (
                cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}:{cls.__qualname__}"
            )
    shape = shape_of(type(error))
    assert isinstance(shape, ExceptionShape), "every exception class has this shape"
    try:
        state = shape.take(error)
    except Exception:  # a class that does not let itself be looked at
        return name, message, props
    if isinstance(error, BaseExceptionGroup):
        message, members = shape.members_of(error)
        props[_MEMBERS] = list(members)
    elif not isinstance(error, errors.RemoteError) and state[ARGS] != (message,):
        props[ARGUMENTS] = list(state[ARGS])
    if CAUSE in state:
        props["cause"] = state[CAUSE]
    for name_here, found in state.items():
        if name_here == "__notes__":
            props[NOTES] = found
        elif name_here.startswith(":"):
            if name_here in shape._native_names:
                props[name_here[1:]] = found
        elif name_here not in _KEPT and not name_here.startswith("_"):
            props[name_here] = found
    for here, there in FLAGS.items():
        if found := getattr(error, here, None):
            props[there] = found
    return name, message, props


def restore(
    name: str, message: str, props: dict[str, Any], decode: Callable[[Any], Any], registry: Registry
) -> Exception:
    """
    Return the exception that an error expression stands for.

    Args:
        name: its class in JavaScript.
        message: its message.
        props: its properties, as expressions.
        decode: makes values of these.
        registry: names the classes that arrive as themselves.
    """
    state = {key: decode(item) for key, item in props.items()}
    error = _make(name, message, state, registry)
    notes = state.get(NOTES)
    for note in notes if type(notes) is list else ():
        if type(note) is str:
            error.add_note(note)
    if isinstance(cause := state.get("cause"), BaseException):
        error.__cause__ = cause
    for key, found in state.items():
        if key in _FROM_FLAG:
            _set(error, _FROM_FLAG[key], found)
        elif key not in (TYPE, ARGUMENTS, NOTES, "name", "message", "stack") and not isinstance(
            found, BaseException
        ):
            _set(error, key, found)
    return error


def _make(name: str, message: str, state: dict[str, Any], registry: Registry) -> Exception:
    asked = state.get(TYPE)
    cls = _class_of(asked, registry) if type(asked) is str else _FROM_JS.get(name)
    members = state.get(_MEMBERS)
    if name == "AggregateError" and (cls is None or not issubclass(cls, ExceptionGroup)):
        cls = ExceptionGroup
    if cls is None:
        shown = asked if type(asked) is str else name
        return errors.RemoteError(message, shown.replace(":", "."))
    shape = shape_of(cls)
    assert isinstance(shape, ExceptionShape), "every exception class has this shape"
    try:
        if shape.group:
            if type(members) is not list or not members or not all(isinstance(m, Exception) for m in members):
                return errors.RemoteError(message, name)
            error: Exception = shape.make_group(message, members)
        else:
            error = shape.blank()
            args = state.get(ARGUMENTS)
            native = {
                key: state[key[1:]]
                for key in shape._native_names
                if type(state.get(key[1:])) in (str, int, bytes)
            }
            shape.fill(error, {ARGS: tuple(args) if type(args) is list else (message,), **native})
        text_of(error)
    except Exception:  # what the class makes of this; it is not ours
        return errors.RemoteError(message, name_of_class(cls))
    return error


def _class_of(name: str, registry: Registry) -> type[Exception] | None:
    try:
        cls = registry.resolve(name if ":" in name else f"builtins:{name}")
    except errors.DataCloneError:
        return None
    if not issubclass(cls, Exception) or issubclass(cls, _NEVER):
        return None
    return cls


def _set(error: Exception, name: str, found: Any) -> None:
    """Set an attribute that the class leaves to its instances: no method, no property, nothing of Python's own."""
    if name.startswith("_") or (hasattr(type(error), name) and name not in FLAGS):
        return
    try:
        setattr(error, name, found)
    except Exception:  # a class whose instances take none
        return


def is_safe(error: BaseException) -> bool:
    """Whether raising *error* where it arrives ends no task, no process and no loop."""
    return isinstance(error, Exception) and not isinstance(error, _NEVER)


def as_failure(value: Any) -> BaseException:
    """Return *value*, which the peer gave as a reason, as an exception: JavaScript can throw anything."""
    if isinstance(value, BaseException):
        return value if is_safe(value) else remote_error(value)
    return errors.RemoteError(value if type(value) is str else repr(value)[:200], "Error")
