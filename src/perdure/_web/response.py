"""Response: what a `fetch` handler returns. (cooperative)"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, overload

import msgspec

from perdure._base.current import current
from perdure._base.refusal import refuse
from perdure._web.body import Body, BodyInit
from perdure._web.headers import Headers, HeadersInit
from perdure._web.message import Message, take_body
from perdure._web.relay import relay
from perdure._web.url import normalise

if TYPE_CHECKING:
    from perdure._web.request import Request
    from perdure.websockets import WebSocket

NULL_BODY_STATUSES: Final = frozenset({101, 204, 205, 304})
REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_BAD_STATUS_TEXT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


class _BuildJson(Protocol):
    def __call__(
        self, data: Any, *, status: int = 200, status_text: str = "", headers: HeadersInit = None
    ) -> Response: ...


class _Json:
    """`Response.json(data)` builds a response; `await response.json()` reads one."""

    @overload
    def __get__(self, instance: None, owner: type[Response]) -> _BuildJson: ...
    @overload
    def __get__(self, instance: Response, owner: type[Response]) -> Callable[[], Awaitable[Any]]: ...
    def __get__(self, instance: Response | None, owner: type[Response]) -> Any:
        return owner._build_json if instance is None else instance._read_json


class Response(Message):
    """
    An HTTP response.

    Args:
        body: None, str, bytes, `FormData`, or an (async) iterable of bytes, which is streamed. A str brings
            `text/plain;charset=UTF-8` unless the headers name a content type.
        status: 200 to 599; ValueError otherwise. 204, 205 and 304 take no body.
        status_text: reason phrase; servers send the standard one.
        headers: `Headers`, a mapping, or (name, value) pairs.
        websocket: with status 101, the end of a `WebSocketPair` for whoever made the request.
    """

    __slots__ = ("_redirected", "_status", "_status_text", "_url", "_websocket")

    def __init__(
        self,
        body: BodyInit = None,
        *,
        status: int = 200,
        status_text: str = "",
        headers: HeadersInit = None,
        websocket: WebSocket | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError(f"A response status is an int from 200 to 599; got {type(status).__name__}")
        if websocket is not None and status != 101:
            raise ValueError("Responses with a WebSocket must have status code 101.")
        if not 200 <= status <= 599 and websocket is None:
            raise ValueError(
                "Responses may only be constructed with status codes in the range 200 to 599, inclusive."
            )
        if body is not None and status in NULL_BODY_STATUSES:
            raise TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.")
        if status_text and _BAD_STATUS_TEXT.search(status_text):
            raise TypeError(f"Invalid status text: {status_text!r}")
        super().__init__(body, headers)
        self._status = int(status)
        self._status_text = status_text
        self._url = ""
        self._redirected = False
        self._websocket: WebSocket | None = None if websocket is None else websocket._moved()

    json = _Json()
    """On the class, `Response.json(data, status=…, headers=…)` builds a JSON response; on a response,
    `await response.json()` reads the body."""

    @classmethod
    def _build_json(
        cls, data: Any, *, status: int = 200, status_text: str = "", headers: HeadersInit = None
    ) -> Response:
        """Encode *data*: what JSON has, and dataclasses, Structs, datetimes, UUIDs, Enums, Decimals."""
        response = cls(
            _encode_json(data),
            status=status,
            status_text=status_text,
            headers=headers,
        )
        if "content-type" not in response._headers:
            response._headers._pairs.append(("content-type", "application/json"))
        return response

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> Response:
        """Return a response that sends the client to the absolute *url*."""
        if status not in REDIRECT_STATUSES:
            raise ValueError(f"{status} is not a redirect status code.")
        return cls(None, status=status, headers={"location": normalise(url)})

    def __perdure_cross__(self, crossing: Any) -> Response:
        if self._websocket is not None:
            raise refuse(self._websocket)
        sent = copy_response(self)
        relay(sent, current.get(), asyncio.get_running_loop())
        return sent

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def status_text(self) -> str:
        """The reason phrase given, else the standard one."""
        return self._status_text or reason(self._status)

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self._status <= 299

    @property
    def url(self) -> str:
        """Where the response came from, after redirects; "" for one made here."""
        return self._url

    @property
    def redirected(self) -> bool:
        """Whether a redirect was followed to get it."""
        return self._redirected

    @property
    def websocket(self) -> WebSocket | None:
        """The WebSocket of a response with status 101; `accept()` it, or pass the response on."""
        return self._websocket

    def clone(self) -> Response:
        """Return a copy with a body of its own; TypeError when this one's body is used."""
        if self._websocket is not None:
            raise TypeError("Cannot clone a response to a WebSocket handshake.")
        body = None if self._body is None else self._body.tee()
        return make_response(
            self._status, self._headers.copy(), body, self._status_text, self._url, self._redirected
        )

    def __repr__(self) -> str:
        return f"<Response {self._status} {self.status_text}>".replace(" >", ">")


def make_response(
    status: int,
    headers: Headers,
    body: Body | None,
    status_text: str = "",
    url: str = "",
    redirected: bool = False,
) -> Response:
    """Return a response from parts that are known to be right; nothing is checked, copied or added."""
    response = Response.__new__(Response)
    response._status = status
    response._status_text = status_text
    response._headers = headers
    response._body = body
    response._url = url
    response._redirected = redirected
    response._websocket = None
    return response


def copy_response(
    response: Response,
    *,
    url: str | None = None,
    redirected: bool | None = None,
    wrap: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]] | None = None,
) -> Response:
    """
    Return a response to pass on: headers copied, the body taken over from *response*.

    *wrap* is given the body when that is a stream, and returns the stream that takes its place; bytes at
    hand go through as they are.
    """
    body = take_body(response)
    if wrap is not None and body is not None and body.data is None:
        body = Body(source=wrap(body))
    copy = make_response(
        response._status,
        response._headers.copy(),
        body,
        response._status_text,
        response._url if url is None else url,
        response._redirected if redirected is None else redirected,
    )
    if response._websocket is not None:
        copy._websocket = response._websocket._moved()
    return copy


def check_upgrade(response: Response, request: Request) -> None:
    """Refuse a WebSocket that *request* did not ask for (STB-06)."""
    if response._websocket is not None and not asks_for_websocket(request):
        raise TypeError(
            "Worker tried to return a WebSocket in a response to a request which did not contain the header "
            '"Upgrade: websocket".'
        )


def asks_for_websocket(request: Request) -> bool:
    """Whether the request wants to become a WebSocket."""
    return (request.headers.get("upgrade") or "").strip().lower() == "websocket"


def reason(status: int) -> str:
    """Return the standard reason phrase, "" when there is none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _encode_json(data: Any) -> bytes:
    try:
        return msgspec.json.encode(data, enc_hook=_plain)
    except UnicodeEncodeError:
        # Half of a surrogate pair is no UTF-8, but JSON can escape it; JSON.stringify does.
        return json.dumps(msgspec.to_builtins(data, enc_hook=_plain)).encode("ascii")


def _plain(value: Any) -> Any:
    """Return the built-in form of a subclass of str, int or float, which the encoder does not know."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
