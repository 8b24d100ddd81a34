"""`await fetch(url)`: HTTP requests to the outside world. (edge)

Works with `httpx`, which comes with the extra `perdure[fetch]`. Bodies are streamed both ways; redirects are
followed unless the request says "manual"; cookies are never kept between requests. Inside an object nothing
leaves before what it wrote is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from perdure._web.body import Body
from perdure._web.headers import from_wire, to_wire
from perdure._web.response import NULL_BODY_STATUSES, asks_for_websocket, make_response
from perdure.context import confirmed
from perdure.environment import outside
from perdure.errors import Disconnected
from perdure.outgoing_websockets import upgrade
from perdure.web import Request, Response, follow

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S: Final = 30.0

# Each belongs to one connection, or follows from the URL and the body.
_NOT_FORWARDED: Final = frozenset(
    {
        b"connection",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
_users: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
"""How many runtimes run on a loop."""


async def fetch(input: Request | str, **init: Any) -> Response:
    """
    Send a request to an absolute http(s) URL and return the response.

    Keyword arguments are those of `Request`: `method`, `headers`, `body`, `redirect`. The response comes as
    soon as its head is there; its body arrives as it is read, decoded if it was compressed. A streamed request
    body is sent to its end before that. With the header `Upgrade: websocket` the response carries `websocket`, if the
    server grants one.

    Raises:
        Disconnected: no connection, or it broke (`retryable`).
        ImportError: `httpx` is not installed; the text names the extra.
    """
    request = input if isinstance(input, Request) and not init else Request(input, **init)
    return await follow(request, send)


async def send(request: Request) -> Response:
    """Send exactly this request, as soon as the running object's writes are durable."""
    if asks_for_websocket(request):
        return await upgrade(request)
    instead = outside()
    if instead is not None:
        await confirmed()
        return await instead.send(request)
    return await send_outside(request)


async def send_outside(request: Request) -> Response:
    """Send it over the network."""
    client = _client()
    await confirmed()
    try:
        response = await client.send(_outgoing(client, request), stream=True)
    except Exception as error:
        raise _translated(error, request) from error
    return _incoming(response, request, client)


def join() -> None:
    """Hear that one more runtime uses the running loop's connections."""
    loop = asyncio.get_running_loop()
    _users[loop] = _users.get(loop, 0) + 1


async def leave() -> None:
    """Hear that a runtime ended; the last one closes the loop's connections."""
    loop = asyncio.get_running_loop()
    _users[loop] = _users.get(loop, 0) - 1
    if _users[loop] <= 0:
        await close()


async def close() -> None:
    """Close the running loop's connections; a later `fetch` opens new ones."""
    client = _clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


def _client() -> httpx.AsyncClient:
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        try:
            import httpx
        except ImportError as error:
            raise ImportError(
                "perdure.fetch needs httpx: install it with  pip install 'perdure[fetch]'"
            ) from error
        from http.cookiejar import CookieJar, DefaultCookiePolicy  # slow to import, and rarely needed

        client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            cookies=CookieJar(
                DefaultCookiePolicy(allowed_domains=())
            ),  # users share the client: it keeps none
            headers={"user-agent": "perdure"},
        )
        _clients[loop] = client
    return client


def _outgoing(client: httpx.AsyncClient, request: Request) -> httpx.Request:
    body = request.body
    headers = [pair for pair in to_wire(request.headers) if pair[0] not in _NOT_FORWARDED]
    # What may come back compressed is decoded here: only httpx knows which codings it can.
    headers = [pair for pair in headers if pair[0] != b"accept-encoding" or pair[1] == b"identity"]
    content: bytes | AsyncIterator[bytes] | None = None
    if body is not None:
        content = _gated(body) if body.data is None else body.take().data
    if not isinstance(content, AsyncIterator):  # the length of a stream is its sender's to know
        headers = [pair for pair in headers if pair[0] != b"content-length"]
    return client.build_request(request.method, request.url, headers=headers, content=content)


async def _gated(body: Body) -> AsyncIterator[bytes]:
    """Hold each piece until what its maker wrote before it is durable."""
    async for chunk in body:
        await confirmed()
        yield chunk


def _incoming(response: httpx.Response, request: Request, client: httpx.AsyncClient) -> Response:
    headers = from_wire(response.headers.raw)
    codings = {coding.strip().lower() for coding in ",".join(headers.get_all("content-encoding")).split(",")}
    known = {coding.strip() for coding in client.headers["accept-encoding"].split(",")}
    decoded = codings <= known
    body: Body | None = None
    if request.method != "HEAD" and response.status_code not in NULL_BODY_STATUSES:
        body = Body(source=_Stream(response, request, decoded))
        if decoded:  # told of the bytes on the wire, which are not the reader's
            headers.delete("content-encoding")
            headers.delete("content-length")
    return make_response(response.status_code, headers, body, response.reason_phrase, request.url)


class _Stream:
    """The body of a response; lets the connection go at its end, or when nobody wants it any more."""

    __slots__ = ("_chunks", "_loop", "_request", "_response")

    def __init__(self, response: httpx.Response, request: Request, decoded: bool) -> None:
        self._response = response
        self._request = request
        self._chunks = response.aiter_bytes() if decoded else response.aiter_raw()
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._chunks.__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        """Give up the rest of the body."""
        await self._response.aclose()

    def __del__(self) -> None:
        if not self._response.is_closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.create_task, self._response.aclose())


def _translated(error: Exception, request: Request) -> Exception:
    import httpx

    if isinstance(error, httpx.InvalidURL):
        return TypeError(f"Invalid URL: {request.url}")
    if isinstance(error, httpx.TransportError):
        reason = str(error) or type(error).__name__
        return Disconnected(f"Network connection lost: {request.method} {request.url}: {reason}")
    return error
