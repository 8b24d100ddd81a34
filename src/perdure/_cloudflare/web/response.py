"""Response as JavaScript shows it. (cooperative)"""

from __future__ import annotations

import json
from typing import Any, Final

from perdure._cloudflare.convert import native_of
from perdure._cloudflare.exceptions import js_error, js_exception
from perdure._cloudflare.values import js_name, js_text, to_py
from perdure._cloudflare.web.body import WebBody, native_body
from perdure._cloudflare.web.headers import native_headers
from perdure._cloudflare.web.shape import is_absent, read_options
from perdure._cloudflare.websocket_view import websocket_view
from perdure.web import Response as NativeResponse
from perdure.websockets import WebSocket as NativeWebSocket

_OPTIONS = ("status", "statusText", "headers", "webSocket", "cf")
NO_WEBSOCKET: Final = (
    "The webSocket of a Response is an end of a WebSocketPair, or that of a response to fetch() with the header Upgrade; "
    "got {kind}. What a socket of js.WebSocket.new(url) hears, a pair can be told by its listeners."
)


class _Json:
    """`Response.json(data)` makes a response; `await response.json()` reads one."""

    def __get__(self, instance: Response | None, owner: type[Response]) -> Any:
        return owner._from_json if instance is None else super(Response, instance).json


class Response(WebBody):
    """
    A response.

    Args:
        body: text, bytes, a stream, a form, a blob, or None.
        init: `status`, `statusText`, `headers`, `webSocket`, `cf`; or a response that gives them.
    """

    _native: NativeResponse
    _cf: Any = None

    def __init__(self, body: Any = None, init: Any = None, **named: Any) -> None:
        found = read_options(getattr(init, "js_object", init), named, *_OPTIONS)
        content, content_type = native_body(body)
        headers = native_headers(found.get("headers"))
        if content_type is not None and "content-type" not in headers:
            headers.set("content-type", content_type)
        options: dict[str, Any] = {}
        if not is_absent(found.get("webSocket")):
            options["websocket"] = native = native_of(found["webSocket"])
            if not isinstance(native, NativeWebSocket):
                raise js_error("TypeError", NO_WEBSOCKET.format(kind=js_name(native)))
        try:
            self._native = NativeResponse(
                content,
                status=_status(found.get("status")),
                status_text=js_text(found.get("statusText", "")),
                headers=headers,
                **options,
            )
        except (TypeError, ValueError) as error:
            raise js_exception(error) from error
        self._cf = found.get("cf")

    json = _Json()

    @classmethod
    def _from_json(cls, data: Any = None, init: Any = None, **named: Any) -> Response:
        found = read_options(getattr(init, "js_object", init), named, *_OPTIONS)
        headers = native_headers(found.pop("headers", None))
        if "content-type" not in headers:
            headers.set("content-type", "application/json")
        text = json.dumps(to_py(data), separators=(",", ":"), ensure_ascii=False)
        return cls(text, headers=headers, **found)

    @classmethod
    def redirect(cls, url: Any, status: int = 302) -> Response:
        """Return a response that sends the client to *url*."""
        try:
            return view_response(NativeResponse.redirect(js_text(url), int(status)))
        except (TypeError, ValueError) as error:
            raise js_exception(error) from error

    @property
    def status(self) -> int:
        return self._native.status

    @property
    def statusText(self) -> str:
        return self._native.status_text

    @property
    def ok(self) -> bool:
        return self._native.ok

    @property
    def url(self) -> str:
        return self._native.url

    @property
    def redirected(self) -> bool:
        return self._native.redirected

    @property
    def type(self) -> str:
        return "default"

    @property
    def webSocket(self) -> Any:
        """With status 101: the end of a connection that is the receiver's, to accept or to pass on."""
        native = self._native.websocket
        return None if native is None else websocket_view(native)

    @property
    def cf(self) -> Any:
        return self._cf

    def clone(self) -> Response:
        try:
            return view_response(self._native.clone())
        except TypeError as error:
            raise js_exception(error) from error

    def __repr__(self) -> str:
        return f"Response({self.status} {self.statusText})"


def view_response(native: NativeResponse) -> Response:
    """Return the view of *native*."""
    view = Response.__new__(Response)
    view._native = native
    return view


def _status(value: Any) -> int:
    if is_absent(value):
        return 200
    return value if isinstance(value, int) and not isinstance(value, bool) else int(js_text(value))
