"""Errors as JavaScript shows them: `JsException`, which is also the Python error that it was. (pure)

On Cloudflare whatever fails beyond Python is a `JsException`, also what Python raised in another object. Here
`except JsException` and `except ValueError` both take a ValueError that came from there.
"""

from __future__ import annotations

import contextlib
import traceback
import types
from collections.abc import Iterator
from typing import Any, Final

from perdure import errors
from perdure._cloudflare.values.base import Constructor, JsProxy

PYTHON_ERROR: Final = "PythonError"
"""What JavaScript calls whatever Python raised."""

_PYTHON_CLASSES: Final[dict[str, type[Exception]]] = {
    "TypeError": TypeError,
    "RangeError": ValueError,
    "SyntaxError": ValueError,
    "ReferenceError": NameError,
    "TimeoutError": TimeoutError,
}
"""What an error of JavaScript resembles."""

_OWN: Final = "_is_the_projects_own"
_SHOWN: Final = (
    "name",
    "message",
    "stack",
    "constructor",
    "__str__",
    "__repr__",
    "toString",
    "_shown",
    "durableObjectReset",
)
"""What a hybrid has from JsException, whatever the other class makes of the names."""

_hybrids: Final[dict[type[Exception], type[Exception] | None]] = {}
_HYBRIDS_MAX: Final = 1000


class JsException(Exception, JsProxy):
    """
    An error of JavaScript, or of the other side of a call.

    Attributes:
        remote, retryable, overloaded, durableObjectReset: Cloudflare's flags of what failed in a call.
    """

    remote: bool = False
    retryable: bool = False
    overloaded: bool = False
    cause: Any = None

    @property
    def durableObjectReset(self) -> bool:
        return bool(getattr(self, "durable_object_reset", False))

    def __init__(self, message: str = "", name: str = "Error", stack: str = "") -> None:
        super().__init__(message)
        self._shown = {"name": name, "message": message, "stack": stack}

    _shown: dict[str, str]

    @property
    def name(self) -> str:
        return str(self.__dict__["_shown"]["name"])

    @property
    def message(self) -> str:
        return str(self.__dict__["_shown"]["message"])

    @property
    def stack(self) -> str:
        return str(self.__dict__["_shown"]["stack"] or self)

    @property
    def constructor(self) -> Constructor:
        return Constructor(self.name)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name

    def toString(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def js_error(name: str, message: str) -> JsException:
    """Return a new error of JavaScript: a `TypeError`, a `RangeError` (also a ValueError) and so on."""
    cls = _PYTHON_CLASSES.get(name)
    if cls is None:
        return JsException(message, name)
    return js_exception(cls(message), name)  # type: ignore[return-value]


def js_exception(error: BaseException, name: str | None = None) -> BaseException:
    """
    Return *error* as compat code catches it: an instance of its own class and of `JsException`.

    What is no `Exception` (an aborted object, a cancelled task) stays what it is.
    """
    if not isinstance(error, Exception) or isinstance(error, JsException) or error.__dict__.pop(_OWN, False):
        return error
    cls = _hybrid_of(type(error))
    name = name or _name_of(error)
    text = _text_of(error, name)
    if cls is None:
        new: Exception = JsException(text, name)
    else:
        new = _blank(cls, error)
    new.__dict__.update(vars(error))
    trace = "\n".join([text, *getattr(error, "__notes__", ())])
    new.__dict__["_shown"] = {"name": name, "message": text, "stack": f"{name}: {trace}"}
    new.__dict__["_original"] = error
    return new.with_traceback(error.__traceback__)


@contextlib.contextmanager
def the_projects_own() -> Iterator[None]:
    """Run code of the project's that a call of its own runs, as `transactionSync(f)` does: what it raises comes out as it is."""
    try:
        yield
    except Exception as error:
        error.__dict__[_OWN] = True
        raise


def python_exception(error: BaseException) -> BaseException:
    """Return the error that a hybrid was made of, else *error* itself: it is about to leave Python code."""
    original: BaseException = getattr(error, "__dict__", {}).get("_original", error)
    return original.with_traceback(error.__traceback__)  # with the code that the hybrid has come through


class _Leaving:
    """What `leaving` is; a class, since every event passes through it."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing is done before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and (original := python_exception(error)) is not error:
            raise original from error.__cause__


leaving: Final = _Leaving()
"""Around code of the project's: an error leaves it as what it was, with the one that it was raised in the handling of."""


def _name_of(error: Exception) -> str:
    if isinstance(error, errors.DataCloneError):
        return "DataCloneError"
    if isinstance(error, errors.RemoteError):
        return PYTHON_ERROR
    if isinstance(error, errors.PerdureError):
        return "Error"
    if not getattr(error, "remote", False):
        for name, cls in _PYTHON_CLASSES.items():
            if type(error) is cls:
                return name
    return PYTHON_ERROR


def _text_of(error: Exception, name: str) -> str:
    if isinstance(error, errors.RemoteError):
        return f"{error.name}: {error}"
    if name == PYTHON_ERROR:  # the last line of Python's traceback, which is what people look for in it
        return traceback.format_exception_only(error)[0].strip()
    try:
        return str(error)
    except Exception:
        return type(error).__name__


def _hybrid_of(cls: type[Exception]) -> type[Exception] | None:
    """Return the class of both kinds, or None where Python cannot make it."""
    if cls not in _hybrids:
        if len(_hybrids) >= _HYBRIDS_MAX:
            _hybrids.clear()
        space = {name: vars(JsException)[name] for name in _SHOWN if name in vars(JsException)}
        space |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__init__": cls.__init__}
        try:
            _hybrids[cls] = types.new_class(
                cls.__name__, (cls, JsException), exec_body=lambda body: body.update(space)
            )
        except Exception:  # a class that cannot be extended, or whose layout has no room
            _hybrids[cls] = None
    return _hybrids[cls]


def _blank(cls: type[Exception], error: Exception) -> Exception:
    """Return an instance of *cls* with what C keeps of *error*; `__init__` of a user's class is not run."""
    native = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
    try:
        new: Exception = native.__new__(cls, *error.args)
        native.__init__(new, *error.args)  # type: ignore[misc]
    except Exception:
        new = Exception.__new__(cls)
    new.args = error.args
    return new
