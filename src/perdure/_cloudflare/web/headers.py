"""Headers as JavaScript shows them, and as the Python SDK does: an `http.client.HTTPMessage`. (pure)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPMessage
from typing import Any

from perdure._cloudflare.values import JsArray, JsIterator, js_text, relaxed_call
from perdure._cloudflare.web.shape import WebObject, is_absent
from perdure.web import Headers as NativeHeaders


class HTTPMessageMapping(HTTPMessage, Mapping):  # type: ignore[type-arg, misc]
    """
    The headers of a `workers.Request` or `Response`: names without case; a missing one is None, not a KeyError.

    Setting one replaces it, as projects mean it that change some headers of a response and give them to another one.
    """

    def __setitem__(self, name: str, value: str) -> None:
        del self[name]
        self._add(name, value)

    def add_header(self, _name: str, _value: Any, **_params: Any) -> None:
        """Add a value to *_name* and keep those it has."""
        kept = self.get_all(_name, [])
        super().add_header(_name, _value, **_params)
        added = self[_name]
        del self[_name]
        for value in (*kept, added):
            self._add(_name, value)

    def _add(self, name: str, value: str) -> None:
        super().__setitem__(name, value)


class Headers(WebObject):
    """A view of a message's headers; changing it changes them."""

    _native: NativeHeaders

    def __init__(self, init: Any = None) -> None:
        self._native = native_headers(init)

    def get(self, name: str, default: Any = None) -> str | None:
        return self._native.get(js_text(name), default)

    def getAll(self, name: str) -> list[str]:
        if js_text(name).lower() != "set-cookie":
            raise TypeError('getAll() can only be used with the header name "Set-Cookie".')
        return self.getSetCookie()

    def getSetCookie(self) -> list[str]:
        return self._native.get_all("set-cookie")

    def has(self, name: str) -> bool:
        return js_text(name) in self._native

    def set(self, name: str, value: Any) -> None:
        self._native.set(js_text(name), js_text(value))

    def append(self, name: str, value: Any) -> None:
        self._native.append(js_text(name), js_text(value))

    def delete(self, name: str) -> None:
        self._native.delete(js_text(name))

    def entries(self) -> JsIterator:
        return JsIterator(JsArray(pair) for pair in combined(self._native))

    def keys(self) -> JsIterator:
        return JsIterator([name for name, _ in combined(self._native)])

    def values(self) -> JsIterator:
        return JsIterator([value for _, value in combined(self._native)])

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(combined(self._native))

    def forEach(self, function: Callable[..., Any], _this: Any = None) -> None:
        for name, value in combined(self._native):
            relaxed_call(function, value, name, self)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.entries())

    def __getitem__(self, name: str) -> str:
        return self._native[js_text(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        del self._native[js_text(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._native

    def __repr__(self) -> str:
        return f"Headers({dict(self.items())!r})"


def view_headers(native: NativeHeaders) -> Headers:
    """Return the view of *native*."""
    view = Headers.__new__(Headers)
    view._native = native
    return view


def native_headers(init: Any) -> NativeHeaders:
    """Return new headers from all that users give as `headers=`; values become text as in JavaScript."""
    if is_absent(init):
        return NativeHeaders()
    if isinstance(init, (Headers, NativeHeaders)):
        return NativeHeaders(init._native if isinstance(init, Headers) else init)
    if isinstance(init, (str, bytes)) or not (hasattr(init, "items") or isinstance(init, Iterable)):
        raise TypeError("Received unexpected type for headers argument")
    headers = NativeHeaders()
    for pair in init.items() if hasattr(init, "items") else init:
        try:
            name, value = pair
        except (TypeError, ValueError):
            raise TypeError(
                f"headers is a dict, a list of (name, value) pairs, or js.Headers; got {pair!r} in it"
            ) from None
        headers.append(js_text(name), js_text(value))
    return headers


def combined(native: NativeHeaders) -> list[tuple[str, str]]:
    """Return (name, value) sorted by name, the values of a name joined; each Set-Cookie by itself."""
    pairs: list[tuple[str, str]] = []
    for name in sorted(native.keys()):
        values = native.get_all(name)
        pairs += [(name, value) for value in (values if name == "set-cookie" else [", ".join(values)])]
    return pairs


def http_message(native: NativeHeaders) -> HTTPMessageMapping:
    """Return a copy of *native* in the shape that the Python SDK gives to users."""
    message = HTTPMessageMapping()
    for name, value in combined(native):
        message._add(name, value)
    return message
