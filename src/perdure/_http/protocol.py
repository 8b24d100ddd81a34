"""One HTTP/1.1 connection: bytes to requests in order, with bounds on what a client can make it hold. (edge)

Requests on a connection are answered one after the other; those that arrive meanwhile wait, and when there are any nothing
more is read. A request is *refused* in one of two ways. Before its head is complete there is no application to
ask: the refusal is written here. After that the reader of the body gets a `BodyError` with the status, and the
application answers; only the sending side of the connection is left for it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NoReturn

import httptools

from perdure._base.limits import HTTP_BUFFER_BYTES, HTTP_PARSE_BYTES, HTTP_TURNED_AWAY_MAX
from perdure._http import watch
from perdure._http.errors import status_response
from perdure._http.exchange import HttpExchange
from perdure._http.forwarded import FORWARDED_HEADERS, forwarded_host, forwarded_scheme
from perdure._http.head import authority, head_bytes, response_fields, shown_path
from perdure._http.hub import Hub
from perdure._http.responder import RequestLine
from perdure._sockets.end import End
from perdure.web import Address, BodyError, Response

if TYPE_CHECKING:
    from websockets.extensions.permessage_deflate import PerMessageDeflate

_IDLE: Final = "idle"  # between requests
_HEAD: Final = "head"  # a request line or headers have begun
_BODY: Final = "body"  # the head is complete, the message is not
_DEAF: Final = "deaf"  # what the client sends is not read any more

_NOTED: Final = FORWARDED_HEADERS | {"host", "content-length", "transfer-encoding", "expect", "upgrade"}
"""Headers that mean something to the server itself."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class HttpProtocol(asyncio.Protocol):
    """
    A connection with limits.

    It owns the transport, until a WebSocket takes it over (`upgrade`): by then nothing else uses it, because a
    request for that is the last one here.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.transport: asyncio.Transport
        self.is_write_paused = False
        """The client does not take what was written; more has to wait for `drained`."""
        self.is_http_1_0 = False
        """As the last request that was read."""
        self._loop = asyncio.get_running_loop()
        self._limits = hub.limits
        self._parser = httptools.HttpRequestParser(self)
        self._peer: Address | None = None
        self._authority = "localhost"
        self._trusts_peer = False
        self._state: Literal["idle", "head", "body", "deaf"] = _IDLE
        self._exchange: HttpExchange | None = None  # the one being answered
        self._last: HttpExchange | None = None  # the one read last
        self._queue: deque[HttpExchange] = deque()  # those that wait for their turn
        self._rest = b""  # received and not parsed: requests are waiting already
        self._early: bytes | None = None  # what followed a request for a WebSocket
        self._requests = 0
        self._refusal: tuple[int, str] | None = None
        self._is_ending = False  # after those that were read, no further request is answered
        self._is_lingering = False
        self._is_upgraded = False
        self._is_read_paused = False
        # The request that is being read:
        self._target = b""
        self._fields: list[tuple[str, str]] = []
        self._noted: dict[str, str] = {}
        self._head_bytes = 0  # of what the parser has handed over
        self._head_raw_bytes = 0  # received while the head was open: one endless header shows only here
        self.body_bytes = 0
        self._trailer_bytes = 0
        self._silent_bytes = 0  # received inside a body without a byte of content: chunk framing, trailers
        self._watch = watch.Watch(self, hub.limits, self._loop)
        self._made_at_s = self._watch.since_s
        self._drained: asyncio.Future[None] | None = None

    # --- the connection -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first head."""
        self.transport = transport
        transport.set_write_buffer_limits(high=HTTP_BUFFER_BYTES)
        here, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if isinstance(here, tuple):
            self._authority = authority(here[0], here[1])
        if isinstance(peer, tuple):
            self._peer = Address(peer[0], peer[1])
        proxies = self.hub.proxies
        self._trusts_peer = proxies is not None and proxies.trusts(self._peer and self._peer.host)
        connections = self.hub.connections
        connections.add(self)
        too_many = len(connections) + len(self.hub.sockets) - self._limits.connections
        if too_many > HTTP_TURNED_AWAY_MAX:
            self.hub.turn_away()
            transport.abort()
        elif too_many > 0:
            self._write_refusal(self.hub.turn_away())
        else:
            self._watch.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever reads from or writes to the client know that it has gone."""
        self.hub.connections.discard(self)
        self.hub.changed.set()
        self._state = _DEAF
        self._is_lingering = False
        self._queue.clear()
        self._rest = b""
        self._watch.end()
        self._last = None
        if self._exchange is not None:
            self._exchange.gone()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse *data*; what breaks a rule is refused and ends the reading."""
        if self._state is _DEAF:
            if self._early is not None:
                self._early += data
                if len(self._early) > HTTP_BUFFER_BYTES:
                    self.pause_reading()
            return
        if self._rest or len(data) > HTTP_PARSE_BYTES:
            self._rest += data
            self._parse_rest()
        else:
            self._parse(data)

    def eof_received(self) -> None:
        """Take it that a client which sends no more has gone: the transport closes, when all is sent."""
        if self.transport.get_write_buffer_size():
            self._watch.stuck()

    def stop(self) -> None:
        """Close when nothing is under way; a connection this young may be about to send a request."""
        self._is_ending = True
        grace_s = self._made_at_s + self._limits.first_request_grace_s - self._loop.time()
        if self._requests == 0 and grace_s > 0 and self._state in (_IDLE, _HEAD):
            self._loop.call_later(grace_s, self._close_unless_busy)
        else:
            self._close_unless_busy()

    def abort(self) -> None:
        """Break the connection off: what the client has got so far must not look complete."""
        if self.is_http_1_0 and self._exchange is not None and self._peer is not None:
            # The end of the connection is the end of such a body, unless it is a reset.
            sock: socket.socket = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def _close_unless_busy(self) -> None:
        if self._exchange is None and not self.transport.is_closing():
            self._close()

    def _close(self) -> None:
        """Close when the client has taken what was written."""
        self._state = _DEAF
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch.stuck()

    def _linger(self) -> None:
        """
        Close without losing the response to a client that may still be sending.

        A socket closed while data arrives is reset, and the reset can overtake the answer. So the sending side
        ends first, and what arrives is dropped until the client ends too.
        """
        if self.transport.is_closing():
            return
        self._state = _DEAF
        self._is_lingering = True
        self._rest = b""
        self._queue.clear()
        self.go_on_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._watch.now()

    # --- the order of requests ------------------------------------------------------------------------

    @property
    def is_at_last(self) -> bool:
        """Whether no further request is answered after the present one."""
        return self._is_ending and not self._queue

    def finished(self, exchange: HttpExchange) -> None:
        """Hear that a request's task is over, and go on with the next."""
        self.hub.requests.discard(exchange)
        self._exchange = None
        if self._is_upgraded:
            return
        if exchange.is_gone:
            return
        is_last = exchange.closes or self.is_at_last
        if not exchange.is_whole:
            is_last = is_last or exchange.failure is not None  # a refused body
            exchange.fail(BodyError("The response was sent before the whole request body arrived."))
        if not exchange.is_over:
            self._exchange = exchange
            self.abort()
        elif is_last and exchange.is_whole:
            self._close()
        elif is_last:
            self._linger()
        else:
            if self._queue:
                self._start(self._queue.popleft())
            if self._rest:
                self._parse_rest()
            self.go_on_reading()
            if self._state is _IDLE:
                self._watch.now_idle()

    def upgrade(self, head: bytes, end: End, deflate: PerMessageDeflate | None) -> None:
        """Answer with *head* and let a WebSocket, which talks for *end*, have the transport."""
        from perdure._http.websocket import WebSocketProtocol

        transport, early = self.transport, self._early
        self._is_upgraded = True
        self._state = _DEAF
        self._watch.end()
        self.hub.connections.discard(self)
        transport.write(head)
        socket = WebSocketProtocol(self.hub, transport, end, deflate)
        transport.set_protocol(socket)
        if self._is_read_paused:
            transport.resume_reading()
        if early:
            socket.data_received(early)

    def _start(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        given = self.hub.given(exchange.target)
        self.hub.requests.add(exchange)
        if given is None and "upgrade" in exchange.noted:
            given = exchange.upgrade_refusal()
        # Not by `create_task`: its factory is there for the tasks of objects.
        exchange.task = asyncio.Task(exchange.run(given), loop=self._loop)

    def origin(self, noted: dict[str, str]) -> tuple[str, str, Address | None]:
        """Return scheme, host and sender of a request with these headers."""
        host = noted.get("host") or self._authority
        if self._trusts_peer and not FORWARDED_HEADERS.isdisjoint(noted):
            assert self.hub.proxies is not None
            return (
                forwarded_scheme(noted) or "http",
                forwarded_host(noted) or host,
                self.hub.proxies.sender(self._peer, noted.get("x-forwarded-for")),
            )
        return "http", host, self._peer

    # --- reading --------------------------------------------------------------------------------------

    def _parse_rest(self) -> None:
        """Parse what has arrived, piece by piece, as far as requests can be taken."""
        view, at = memoryview(self._rest), 0
        while at < len(view) and not self._queue and self._state is not _DEAF:
            self._parse(view[at : at + HTTP_PARSE_BYTES])
            at += HTTP_PARSE_BYTES
        if self._early is not None:
            self._early += view[at:]
        self._rest = b"" if self._state is _DEAF else bytes(view[at:])

    def _parse(self, data: bytes | memoryview) -> None:
        before, requests = self._state, self._requests
        if before is _BODY:
            self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if self._silent_bytes > self._limits.head_bytes:
                self._break_framing()
            if self._state is _HEAD:
                if requests == self._requests:
                    self._head_raw_bytes += len(data)
                if self._head_raw_bytes > self._limits.head_bytes:
                    self._break_head()
        except httptools.HttpParserUpgrade as upgrade:
            # What follows the head is a WebSocket's if the application grants one, and not HTTP to us in any case.
            if self._last is not None:
                self._last.keeps_alive = False
                if self._last.asks_for_websocket:
                    self._early = bytes(data[upgrade.args[0] :])
            self._state = _DEAF
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, "This is not a valid HTTP/1.1 request.")))
        except _Broken:
            assert self._refusal is not None, "set before the exception is raised"
            self._refuse(*self._refusal)
        if self._state is _BODY or (
            self._state is _HEAD and (before is not _HEAD or requests != self._requests)
        ):
            self._watch.now(begins_body=requests != self._requests)

    def pause_reading(self) -> None:
        """Let the client wait."""
        if not self._is_read_paused and not self.transport.is_closing():
            self._is_read_paused = True
            self.transport.pause_reading()

    def go_on_reading(self) -> None:
        """Let the client go on if nothing speaks against it."""
        if not self._is_read_paused or self._rest or self._queue or self.transport.is_closing():
            return
        if self._state is _BODY and self._last is not None and self._last.is_full:
            return
        self._is_read_paused = False
        self.transport.resume_reading()
        self._watch.now(begins_body=True)

    # --- what the parser finds ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Open a request."""
        self._state = _HEAD
        self._target = b""
        self._fields = []
        self._noted = {}
        self._head_bytes = self._head_raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        self._count_head(len(url))
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers of a body have no meaning here and are dropped."""
        if self._state is not _HEAD:
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > self._limits.head_bytes:
                self._break_framing()
            return
        self._count_head(len(name) + len(value) + 4)
        if len(self._fields) >= self._limits.headers:
            self._break(431, f"The request has more than {self._limits.headers} header fields.")
        # The parser lets nothing through that could not be a name or a value.
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")
        self._fields.append((key, text))
        if key in _NOTED:
            noted = self._noted
            if key not in noted:
                noted[key] = text
            elif key == "host":
                self._break_host()
            else:
                noted[key] = f"{noted[key]}, {text}"

    def on_headers_complete(self) -> None:
        """Hand the request to the application unless its head is wrong already."""
        parser, noted = self._parser, self._noted
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):  # the parser would take 0.9 and 2.0
            self._break(505, "This server speaks HTTP/1.1.")
        self.is_http_1_0 = version == "1.0"
        # llhttp has checked that the value is a number, and that there is one.
        length = noted.get("content-length")
        if length is not None and int(length) > self._limits.body_bytes:
            self._break_body()
        if "host" not in noted and not self.is_http_1_0:
            self._break_host()
        if "expect" in noted and (self.is_http_1_0 or noted["expect"].lower() != "100-continue"):
            del noted["expect"]
        self._last = exchange = HttpExchange(
            self,
            parser.get_method().decode("ascii"),
            self._path(),
            self._fields,
            noted,
            keeps_alive=not self.is_http_1_0 and parser.should_keep_alive(),
        )
        self._state = _BODY
        self.body_bytes = self._silent_bytes = self._trailer_bytes = 0
        self._requests += 1
        if self._exchange is None:
            self._start(exchange)
        else:
            self._queue.append(exchange)
            self.pause_reading()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._silent_bytes = 0
        self.body_bytes += len(body)
        if self.body_bytes > self._limits.body_bytes:
            self._break_body()
        assert self._last is not None, "a body follows a head"
        self._last.take(body)
        if self._last.is_full:
            self.pause_reading()

    def on_message_complete(self) -> None:
        """Close the request: the next byte begins another."""
        self._state = _IDLE
        self._silent_bytes = 0
        if self._last is not None:
            self._last.take_end()

    def _path(self) -> str:
        """Return path and query of the request target."""
        try:
            target = self._target.decode("ascii")
        except UnicodeDecodeError:
            self._break(400, "The request target has characters that must be percent-encoded.")
        if target.startswith("/"):
            return target
        if target == "*":
            return "/*"
        try:
            parsed = httptools.parse_url(self._target)
        except httptools.HttpParserInvalidURLError:
            self._break(400, "The request target is neither a path nor a URL.")
        if not parsed.schema:
            self._break(400, "The request target is neither a path nor a URL.")
        path = (parsed.path or b"/").decode("ascii")
        return path if parsed.query is None else f"{path}?{parsed.query.decode('ascii')}"

    # --- refusing -------------------------------------------------------------------------------------

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self._limits.head_bytes:
            self._break_head()

    def _break_host(self) -> NoReturn:
        self._break(400, "An HTTP/1.1 request has exactly one Host header.")  # RFC 9112, 3.2

    def _break_framing(self) -> NoReturn:
        self._break(431, "The framing or the trailers of the request body are too large.")

    def _break_body(self) -> NoReturn:
        self._break(413, f"The request body is larger than {self._limits.body_bytes} bytes.")

    def _break_head(self) -> NoReturn:
        self._break(431, f"The head of the request is larger than {self._limits.head_bytes} bytes.")

    def _break(self, status: int, text: str) -> NoReturn:
        """Leave the parser with a refusal."""
        self._refusal = (status, text)
        raise _Broken

    def _refuse(self, status: int, text: str) -> None:
        """End the reading and see that the client is told, by the application if one has the request."""
        state, self._state = self._state, _DEAF
        self._is_ending = True
        if state is _BODY:
            exchange = self._last
            assert exchange is not None, "a body follows a head"
            self.pause_reading()
            exchange.keeps_alive = False
            if exchange.is_over:
                self._linger()
            else:
                exchange.fail(BodyError(text, status))
            return
        if self._exchange is not None:
            return  # earlier requests are being answered: their responses are the last on this connection
        self._write_refusal(status_response(status, text))
        method, path = "-", "-"
        if state is _HEAD and self._target:
            method = self._parser.get_method().decode("ascii", "replace")
            path = shown_path(self._target[:200].decode("latin-1"))
        self.hub.responder.report(RequestLine(method, path, status, 0.0, refused=True))

    def _write_refusal(self, response: Response) -> None:
        assert response.body is not None
        head = head_bytes(response.status, response_fields(response, "GET"), self.hub.date, close=True)
        self.transport.write(head + (response.body.use() or b""))
        self._linger()

    # --- writing --------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Hear that the client does not take what was written."""
        self.is_write_paused = True
        self._watch.stuck()

    def resume_writing(self) -> None:
        """Hear that the client has taken most of what was written."""
        self.is_write_paused = False
        self._watch.taken()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Wait until more may be written, or the client is gone."""
        while self.is_write_paused:
            self._drained = self._loop.create_future()
            await self._drained

    # --- what the client is waited for (Watched) ------------------------------------------------------

    @property
    def has_length(self) -> bool:
        return "content-length" in self._noted

    def awaited(self) -> watch.Awaited | None:
        if self._is_lingering:
            return watch.END
        if self._is_read_paused:
            return None  # it is us who do not listen
        if self._state is _HEAD:
            return watch.HEAD
        if self._state is _BODY:
            return watch.BODY
        if self._state is _IDLE and self._exchange is None and not self.is_write_paused:
            return watch.REQUEST if self._requests else watch.HEAD
        return None

    def late(self, awaited: watch.Awaited, text: str) -> None:
        if awaited is watch.BODY:
            self._refuse(408, text)
        elif self._state is _HEAD:
            self._refuse(408, "The head of the request did not arrive in time.")
        else:  # nothing was asked, or all is answered
            self._is_lingering = False
            self._close()


class _Broken(Exception):
    """A rule was broken; `_refusal` tells which."""
