"""WebSockets to the outside world: `await connect_websocket(url)`, and `fetch` with an `Upgrade` header. (edge)

Carried by the client of `websockets`. Nothing connects before what the running object wrote is durable. A connection
keeps its object in memory for 15 minutes at most, as any task does, and never hibernates (WS-32).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from perdure._base import limits
from perdure._base.current import current
from perdure._sockets.carrier import Carrier
from perdure._sockets.end import pair
from perdure._web.body import Body
from perdure._web.headers import Headers, HeadersInit, make_headers
from perdure._web.response import make_response
from perdure.context import confirmed
from perdure.environment import outside
from perdure.errors import Disconnected, PerdureError
from perdure.web import Request, Response
from perdure.websockets import WebSocket, websocket

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

NO_URL: Final = "connect_websocket() takes an absolute ws: or wss: URL without a fragment; got {url!r}"
NOT_101: Final = (
    "Failed to establish the WebSocket connection: expected server to reply with HTTP status code 101 (switching "
    "protocols), but received {status} instead."
)
_PROTOCOL: Final = "sec-websocket-protocol"
# Each belongs to one connection, or is the handshake's own.
_NOT_FORWARDED: Final = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
        _PROTOCOL,
    }
)
_running: Final[set[asyncio.Task[None]]] = set()


async def connect_websocket(
    url: str, *, protocols: Iterable[str] = (), headers: HeadersInit = None
) -> WebSocket:
    """
    Connect to a WebSocket server; the socket is open and accepted.

    Args:
        url: a ws: or wss: URL.
        protocols: subprotocols to offer; `ws.protocol` tells which one the server chose.
        headers: further headers of the handshake.

    Raises:
        Disconnected: no connection (`retryable`).
        PerdureError: the server refused; the text tells the status.
    """
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("ws", "wss") or not parts.netloc or parts.fragment:
        raise ValueError(NO_URL.format(url=url))
    offered = [protocols] if isinstance(protocols, str) else list(protocols)
    response = await open_websocket(url, offered, Headers(headers))
    ws = response.websocket
    if ws is None:
        raise PerdureError(NOT_101.format(status=response.status))
    ws.accept()
    return ws


async def upgrade(request: Request) -> Response:
    """Send a request for a WebSocket; the response carries it, or says why not."""
    offered = [part.strip() for part in (request.headers.get(_PROTOCOL) or "").split(",") if part.strip()]
    scheme = "wss" if request.url.startswith("https:") else "ws"
    return await open_websocket(scheme + request.url[request.url.index(":") :], offered, request.headers)


async def open_websocket(url: str, protocols: list[str], headers: Headers) -> Response:
    """Return the answer to a handshake, which carries the socket if the server granted it."""
    instead = outside()
    if instead is not None:
        await confirmed()
        return await instead.connect(url, protocols, headers)
    return await connect_outside(url, protocols, headers)


async def connect_outside(url: str, protocols: list[str], headers: Headers) -> Response:
    """Connect over the network."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

    await confirmed()
    try:
        connection = await connect(
            url,
            subprotocols=protocols or None,  # type: ignore[arg-type]
            additional_headers=[field for field in headers.items() if field[0] not in _NOT_FORWARDED],
            user_agent_header=None if "user-agent" in headers else "perdure",
            compression=None,
            max_size=limits.WEBSOCKET_MESSAGE_BYTES_MAX,
        )
    except InvalidStatus as refused:
        answer = refused.response
        fields = [(name.lower(), value) for name, value in answer.headers.raw_items()]
        body = Body(bytes(answer.body)) if answer.body else None
        return make_response(answer.status_code, make_headers(fields), body, answer.reason_phrase, url)
    except InvalidURI as error:
        raise ValueError(NO_URL.format(url=url)) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Disconnected(f"Network connection lost: {url}: {error or type(error).__name__}") from error
    ours, theirs = pair()
    ours.url = url
    ours.protocol = connection.subprotocol or ""
    # In the object's own context: the task is what keeps the object, and it ends with it.
    task = asyncio.get_running_loop().create_task(_Outside(connection).live(theirs))
    _running.add(task)
    task.add_done_callback(_running.discard)
    assert connection.response is not None
    fields = [(name.lower(), value) for name, value in connection.response.headers.raw_items()]
    response = make_response(101, make_headers(fields), None, "", url)
    response._websocket = websocket(ours)
    return response


class _Outside(Carrier):
    """The other side of a connection of ours."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self._connection = connection

    async def live(self, end: Any) -> None:
        """Carry messages; whatever ends that, the connection is closed."""
        try:
            await self.run(end)
        finally:
            if current.get() is None:
                await self._connection.close()
            else:  # cancelled with its object, whose code takes no further step
                self._connection.transport.abort()

    async def receive(self) -> str | bytes | tuple[int | None, str] | None:
        from websockets.exceptions import ConnectionClosed

        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            if closed.rcvd is None:
                return None
            return None if closed.rcvd.code == 1006 else (closed.rcvd.code, closed.rcvd.reason)

    async def send(self, data: str | bytes) -> None:
        await self._connection.send(data)

    async def send_close(self, code: int | None, reason: str) -> None:
        await self._connection.close(code or 1000, reason)
