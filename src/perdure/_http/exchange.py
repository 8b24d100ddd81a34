"""One request on a connection of ours, and its response. (cooperative)

The head of a response and a body at hand leave in one write. A body of the request waits here for its reader, up to
`HTTP_BUFFER_BYTES`; then the client has to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from perdure._base.limits import HTTP_BUFFER_BYTES
from perdure._http.errors import status_response
from perdure._http.handshake import VERSION, negotiate, refusal, upgrade_fields
from perdure._http.head import announces_body, head_bytes, response_fields, shown_path
from perdure._http.responder import ClientGone, client_left
from perdure._web.headers import make_headers
from perdure._web.request import make_request
from perdure._web.url import from_request
from perdure.web import Body, BodyError, Request, Response
from perdure.websockets import take_end

if TYPE_CHECKING:
    from perdure._http.protocol import HttpProtocol

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpExchange:
    """
    One request and its response.

    It is also the request's body: an async iterator over what the client sends.
    """

    __slots__ = (
        "_arrived",
        "_fields",
        "_is_chunked",
        "_is_continue_owed",
        "_left_bytes",
        "_on_gone",
        "_waiting",
        "closes",
        "connection",
        "failure",
        "is_gone",
        "is_over",
        "is_whole",
        "keeps_alive",
        "method",
        "noted",
        "target",
        "task",
    )

    def __init__(
        self,
        connection: HttpProtocol,
        method: str,
        target: str,
        fields: list[tuple[str, str]],
        noted: dict[str, str],
        *,
        keeps_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self._fields = fields
        self.noted = noted  # the values of those headers that mean something to the server
        self.keeps_alive = keeps_alive
        """The client is ready for a further request on this connection, and may be."""
        self.closes = False
        """The response said that it is the connection's last."""
        self.task: asyncio.Task[None] | None = None
        self.is_whole = False
        """All of the request has arrived."""
        self.is_gone = False
        """Nobody is there to receive the response."""
        self.is_over = False
        """The response was sent to its end."""
        self.failure: BodyError | None = None
        self._waiting = bytearray()  # pieces may be single bytes: no list of them
        self._arrived: asyncio.Event | None = None
        self._is_continue_owed = "expect" in noted
        self._is_chunked = False  # the response; else its length is known, or its end is the connection's
        self._left_bytes: int | None = None  # of a response whose length was announced
        self._on_gone: Callable[[], None] | None = None

    # --- the request ----------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        return shown_path(self.target)

    def request(self) -> Request:
        connection, noted, method = self.connection, self.noted, self.method
        scheme, host, client = connection.origin(noted)
        has_body = announces_body(method, noted.get("content-length"), chunked="transfer-encoding" in noted)
        return make_request(
            from_request(scheme, host, self.target),
            method,
            make_headers(self._fields),
            Body(source=self) if has_body else None,
            client=client,
        )

    def __aiter__(self) -> HttpExchange:
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self.is_whole:
                raise StopAsyncIteration
            if self.failure is not None:
                raise self.failure
            if self._is_continue_owed and not self.is_over:
                self._is_continue_owed = False
                self.connection.transport.write(_CONTINUE)
            if self._arrived is None:
                self._arrived = asyncio.Event()
            self._arrived.clear()
            await self._arrived.wait()
        piece = bytes(self._waiting)
        self._waiting.clear()
        self.connection.go_on_reading()
        return piece

    @property
    def is_full(self) -> bool:
        """Whether the client has to wait until somebody reads."""
        return len(self._waiting) > HTTP_BUFFER_BYTES

    def take(self, piece: bytes) -> None:
        """Take a piece of the body; nobody wants it when the response is out."""
        self._is_continue_owed = False
        if not self.is_over:
            self._waiting += piece
            self._wake()

    def take_end(self) -> None:
        """Hear that the body is whole."""
        self.is_whole = True
        self._is_continue_owed = False
        self._wake()

    def fail(self, error: BodyError) -> None:
        """Let the reader of the body know that there is no more, and why."""
        if not self.is_whole and self.failure is None:
            self.failure = error
            self._wake()

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    # --- the response ---------------------------------------------------------------------------------

    async def run(self, given: Response | None) -> None:
        """Be the task of this request; *given* answers it in the application's place."""
        connection = self.connection
        try:
            await connection.hub.responder.serve(self, given)
        except asyncio.CancelledError:
            pass  # the server is stopped by force
        finally:
            connection.finished(self)

    async def send_whole(self, response: Response, data: bytes) -> None:
        connection = self.connection
        if connection.is_write_paused:
            await connection.drained()
        if self.is_gone:
            raise ClientGone
        head = self._head(response, response_fields(response, self.method))
        if len(data) > HTTP_BUFFER_BYTES:
            connection.transport.writelines([head, data])
        else:
            connection.transport.write(head + data)
        self.is_over = True

    async def send_upgrade(self, response: Response) -> None:
        connection, key = self.connection, ""
        if connection.is_write_paused:
            await connection.drained()
        if self.is_gone:
            raise ClientGone
        offered = []
        for name, value in self._fields:
            if name == "sec-websocket-key":
                key = value
            elif name == "sec-websocket-extensions":
                offered.append(value)
        deflate, extensions = (None, "")
        if connection.hub.limits.websocket.deflate:
            deflate, extensions = negotiate(", ".join(offered))
        end = take_end(response)
        assert end is not None, "the response carries a WebSocket"
        fields = upgrade_fields(key, list(response.headers.items()), extensions)
        self.is_over = True
        connection.upgrade(head_bytes(101, fields, connection.hub.date, close=False), end, deflate)

    @property
    def asks_for_websocket(self) -> bool:
        """Whether the client wants the connection to become a WebSocket."""
        return self.noted.get("upgrade", "").lower() == "websocket"

    def upgrade_refusal(self) -> Response | None:
        """Return what answers a request for a WebSocket that cannot be granted, whatever the application says."""
        if not self.asks_for_websocket:
            return None
        found = refusal(self.method, make_headers(self._fields), is_http_1_1=not self.connection.is_http_1_0)
        if found is None:
            return None
        response = status_response(*found)
        if response.status == 426:
            response.headers.set("sec-websocket-version", VERSION)
        return response

    async def send_head(self, response: Response) -> None:
        connection = self.connection
        if connection.is_write_paused:
            await connection.drained()
        if self.is_gone:
            raise ClientGone
        fields = response_fields(response, self.method)
        length = response.headers.get("content-length")
        if length is not None:
            self._left_bytes = int(length)
        elif connection.is_http_1_0:
            self.keeps_alive = False
        else:
            self._is_chunked = True
            fields.append(("transfer-encoding", "chunked"))
        connection.transport.write(self._head(response, fields))

    async def send_piece(self, piece: bytes) -> None:
        connection = self.connection
        if connection.is_write_paused:
            await connection.drained()
        if self.is_gone:
            raise ClientGone
        if self._left_bytes is not None:
            self._left_bytes -= len(piece)
            if self._left_bytes < 0:
                raise RuntimeError("The body of the Response is longer than its content-length header says.")
        if not self._is_chunked:
            connection.transport.write(piece)
        elif len(piece) > HTTP_BUFFER_BYTES:
            connection.transport.writelines([b"%x\r\n" % len(piece), piece, b"\r\n"])
        else:
            connection.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def send_end(self) -> None:
        if self.is_gone:
            raise ClientGone
        if self._left_bytes:
            raise RuntimeError("The body of the Response is shorter than its content-length header says.")
        if self._is_chunked:
            self.connection.transport.write(b"0\r\n\r\n")
        self.is_over = True

    def _head(self, response: Response, fields: list[tuple[str, str]]) -> bytes:
        # Who waits for `100 Continue` may send the body, or not: what comes next on the connection is unclear.
        connection = self.connection
        self.closes = not self.keeps_alive or self._is_continue_owed or connection.is_at_last
        return head_bytes(response.status, fields, connection.hub.date, close=self.closes)

    # --- the client -----------------------------------------------------------------------------------

    def when_gone(self, call: Callable[[], None]) -> Callable[[], None]:
        self._on_gone = call
        if self.is_gone:
            call()

        def forget() -> None:
            self._on_gone = None

        return forget

    def gone(self) -> None:
        """Hear that the client has gone. The handler goes on; only a stream to nobody is stopped."""
        self.is_gone = True
        self.fail(client_left())
        if self._on_gone is not None:
            self._on_gone()
