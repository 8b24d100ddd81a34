"""`Error` and its like: exceptions of JavaScript, to be made, raised and passed. (pure)"""

from __future__ import annotations

from typing import Any, Final

from perdure._cloudflare.exceptions import JsException, js_error
from perdure._cloudflare.values import JsClass, js_text

_DOM_NAME: Final = "Error"


class _ErrorClass(JsClass):
    """Also knows its instances: `isinstance(error, js.TypeError)`."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, JsException) and (cls is Error or value.name == cls.name)


class Error(metaclass=_ErrorClass):
    """`Error.new(message)`: something to raise, or to send as a value."""

    def __new__(cls, message: Any = None, options: Any = None, **more: Any) -> Any:
        made = js_error(cls.name, "" if message is None else js_text(message))
        cause = {**(options or {}), **more}.get("cause")
        if cause is not None:
            made.cause = cause
        return made


def _kind(name: str) -> Any:
    return _ErrorClass(name, (Error,), {})


TypeError: Final = _kind("TypeError")
RangeError: Final = _kind("RangeError")
SyntaxError: Final = _kind("SyntaxError")
ReferenceError: Final = _kind("ReferenceError")
EvalError: Final = _kind("EvalError")
URIError: Final = _kind("URIError")


class AggregateError(Error):
    """Several errors at once, as `Promise.any` rejects with."""

    def __new__(cls, errors: Any, message: Any = None) -> Any:
        made = js_error("AggregateError", "" if message is None else js_text(message))
        made.errors = list(errors)  # type: ignore[attr-defined]
        return made


class DOMException(metaclass=_ErrorClass):
    """`DOMException.new(message, name)`."""

    def __new__(cls, message: Any = "", name: Any = _DOM_NAME) -> Any:
        return JsException(js_text(message), js_text(name))
