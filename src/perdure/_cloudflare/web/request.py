"""Request as JavaScript shows it. (cooperative)"""

from __future__ import annotations

from typing import Any

from perdure._cloudflare.exceptions import js_exception
from perdure._cloudflare.values import js_text
from perdure._cloudflare.web.abort import AbortSignal
from perdure._cloudflare.web.body import WebBody, native_body
from perdure._cloudflare.web.headers import native_headers
from perdure._cloudflare.web.shape import is_absent, read_options
from perdure.web import Request as NativeRequest

_OPTIONS = ("method", "headers", "body", "redirect", "cf", "signal")


class Request(WebBody):
    """
    A request.

    Args:
        input: a URL, or a request to derive this one from, which takes over its body.
        init: `method`, `headers`, `body`, `redirect`, `cf`, `signal`; or a request that gives them.
    """

    _native: NativeRequest
    _cf: Any = None
    _signal: AbortSignal | None = None

    # What only browsers know; each is what the standard has for nothing in particular.
    cache = "default"
    credentials = "same-origin"
    destination = ""
    integrity = ""
    isHistoryNavigation = False
    keepalive = False
    mode = "cors"
    referrer = "about:client"
    referrerPolicy = ""

    def __init__(self, input: Any, init: Any = None, **named: Any) -> None:
        original = getattr(input, "js_object", input)  # a Request of the Python SDK
        init = getattr(init, "js_object", init)
        found = read_options(init, named, *_OPTIONS)
        if isinstance(init, Request):
            found["body"] = init.body
        if isinstance(original, (Request, NativeRequest)):
            source: NativeRequest | str = original._native if isinstance(original, Request) else original
        else:
            source = js_text(original)
        try:
            self._native = _made(source, found)
        except (TypeError, ValueError) as error:
            raise js_exception(error) from error
        self._cf = found.get("cf", original._cf if isinstance(original, Request) else None)
        self._signal = found.get("signal", original._signal if isinstance(original, Request) else None)

    @property
    def method(self) -> str:
        return self._native.method

    @property
    def url(self) -> str:
        return self._native.url

    @property
    def redirect(self) -> str:
        return self._native.redirect

    @property
    def cf(self) -> Any:
        """What is known of the connection, and what was given as `cf`; None for a request made here without it."""
        return self._cf

    @property
    def signal(self) -> AbortSignal:
        if self._signal is None:
            self._signal = AbortSignal()
        return self._signal

    def clone(self) -> Request:
        try:
            copy = view_request(self._native.clone())
        except TypeError as error:
            raise js_exception(error) from error
        copy._cf, copy._signal = self._cf, self._signal
        return copy

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url})"


def view_request(native: NativeRequest) -> Request:
    """Return the view of *native*."""
    view = Request.__new__(Request)
    view._native = native
    return view


def _made(source: NativeRequest | str, options: dict[str, Any]) -> NativeRequest:
    init: dict[str, Any] = {}
    if "method" in options:
        init["method"] = str(getattr(options["method"], "value", options["method"]))
    if "headers" in options:
        init["headers"] = native_headers(options["headers"])
    if "redirect" in options:
        init["redirect"] = js_text(options["redirect"])
    if not is_absent(options.get("body")):
        init["body"], content_type = native_body(options["body"])
        if content_type is not None:
            headers = init.setdefault(
                "headers", native_headers(source.headers if isinstance(source, NativeRequest) else None)
            )
            if "content-type" not in headers:
                headers.set("content-type", content_type)
    return NativeRequest(source, **init)
