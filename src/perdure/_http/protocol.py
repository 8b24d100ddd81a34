"""One HTTP/1.1 connection: uvicorn's protocol, with bounds on what a client can make it hold. (edge)

Added to `HttpToolsProtocol`: limits for head, headers and body, a time limit for the head and for silence
inside a body, answers to malformed requests that never break into a response under way, and a connection
that is cut, not closed in good order, when its response fails half-way.

A request is *refused* in one of two ways. Before its head is complete there is no application to ask: the
refusal is written here. After that the reader of the body gets a `BodyError` with the status, and the
application answers; only the sending side of the connection is left for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from perdure._http.convert import Message, Receive, RequestLine, Scope, Send
from perdure._http.incoming import REFUSED
from perdure._http.limits import HttpLimits
from perdure._web.response import reason

_IDLE: Final = "idle"  # between requests
_HEAD: Final = "head"  # a request line or headers have begun
_BODY: Final = "body"  # the head is complete, the message is not
_DEAF: Final = "deaf"  # what the client sends is not read any more


class HttpProtocol(HttpToolsProtocol):
    """A connection with limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: HttpLimits,
        on_request: Callable[[RequestLine], None] | None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._on_request = on_request
        self._state: Literal["idle", "head", "body", "deaf"] = _IDLE
        self._head_bytes = 0  # of what the parser has handed over
        self._head_raw_bytes = 0  # received while the head was open: one endless header shows only here
        self._body_bytes = 0
        self._trailer_bytes = 0
        self._silent_bytes = 0  # received inside a body without a byte of content: chunk framing, trailers
        self._heard_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._exchange: _Exchange | None = None
        self._refusal: tuple[int, str] | None = None
        self._requests = 0
        self._stopping = False

    # --- the connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._heard_at_s = self.loop.time()
        self._timer = self.loop.call_later(self._limits.head_timeout_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers; readers and writers learn of it through uvicorn's cycle."""
        self._cancel_timer()
        self._state = _DEAF
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._exchange is not None:  # with pipelining the running one is not the last that was read
            running = self._exchange.cycle
            running.disconnected = running.disconnected or not running.response_complete
            running.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse *data*; what breaks a rule is refused and ends the reading."""
        if self._state == _DEAF:
            return
        self._unset_keepalive_if_required()
        before, requests = self._state, self._requests
        if before == _BODY:
            self._silent_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._silent_bytes > self._limits.head_bytes:
                self._break_framing()
            if self._state == _HEAD:
                if requests == self._requests:
                    self._head_raw_bytes += len(data)
                if self._head_raw_bytes > self._limits.head_bytes:
                    self._break_head()
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._cancel_timer()
                self.handle_websocket_upgrade()
                return
            # The application answers with a plain response; what follows the head is not HTTP to us.
            if self.cycle is not None:
                self.cycle.keep_alive = False
            self._state = _DEAF
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, "This is not a valid HTTP/1.1 request.")))
        except _Broken:
            assert self._refusal is not None, "set before the exception is raised"
            self._refuse(*self._refusal)
        self._watch_the_clock()

    def shutdown(self) -> None:
        """Close when nothing is under way; a connection this young may be about to send a request."""
        self._stopping = True
        grace_s = self._heard_at_s + self._limits.first_request_grace_s - self.loop.time()
        if self._requests == 0 and grace_s > 0 and self._state in (_IDLE, _HEAD):
            self.loop.call_later(grace_s, super().shutdown)
        else:
            super().shutdown()

    def abort(self) -> None:
        """Break the connection off: what the client has got so far must not look complete."""
        if self.transport is not None:
            self.transport.abort()

    def linger(self) -> None:
        """
        Close after a refusal without losing it.

        A socket closed while the client still sends is reset, and the reset can overtake the answer. So the
        sending side ends first, and what arrives is dropped until the client ends too.
        """
        if self.transport.is_closing():
            return
        self._state = _DEAF
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._cancel_timer()
        self._timer = self.loop.call_later(self._limits.linger_s, self.transport.close)

    # --- what the parser finds ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Open a request."""
        super().on_message_begin()
        self._state = _HEAD
        self._head_bytes = self._head_raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers of a body have no meaning here and are dropped."""
        if self._state != _HEAD:
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > self._limits.head_bytes:
                self._break_framing()
            return
        self._count_head(len(name) + len(value) + 4)
        if len(self.headers) >= self._limits.headers:
            self._break(431, f"The request has more than {self._limits.headers} header fields.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application unless its head is wrong already."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):  # the parser would take 0.9 and 2.0
            self._break(505, "This server speaks HTTP/1.1.")
        hosts = 0
        for name, value in self.headers:
            # llhttp has checked that the value is a number, and that there is one.
            if name == b"content-length" and int(value) > self._limits.body_bytes:
                self._break(413, f"The request body is larger than {self._limits.body_bytes} bytes.")
            hosts += name == b"host"
        if hosts > 1 or (hosts == 0 and version == "1.1"):  # RFC 9112, 3.2
            self._break(400, "An HTTP/1.1 request has exactly one Host header.")
        super().on_headers_complete()
        self._cancel_timer()
        self._state = _BODY
        self._body_bytes = self._silent_bytes = self._trailer_bytes = 0
        self._requests += 1
        if self._stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._silent_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._break(413, f"The request body is larger than {self._limits.body_bytes} bytes.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Close the request: the next byte begins another."""
        self._state = _IDLE
        self._silent_bytes = 0
        self._cancel_timer()
        super().on_message_complete()

    # --- refusing ----------------------------------------------------------------------------------

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self._limits.head_bytes:
            self._break_head()

    def _break_framing(self) -> None:
        self._break(431, "The framing or the trailers of the request body are too large.")

    def _break_head(self) -> None:
        self._break(431, f"The head of the request is larger than {self._limits.head_bytes} bytes.")

    def _break(self, status: int, text: str) -> None:
        """Leave the parser with a refusal."""
        self._refusal = (status, text)
        raise _Broken

    def _refuse(self, status: int, text: str) -> None:
        """End the reading and see that the client is told, by the application if one has the request."""
        state, self._state = self._state, _DEAF
        self._cancel_timer()
        if state == _BODY:
            self.flow.pause_reading()
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()
            else:
                cast(Scope, self.cycle.scope)[REFUSED] = (status, text)
                self.cycle.message_event.set()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # Earlier requests are being answered: their responses are the last on this connection.
            self.cycle.keep_alive = False
            return
        self._write_refusal(status, text)
        if self._on_request is not None:
            method, path = "-", "-"
            if state == _HEAD and self.url:
                method = self.parser.get_method().decode("ascii", "replace")
                path = ascii(self.url.partition(b"?")[0][:200])[2:-1]
            self._on_request(RequestLine(method, path, status, 0.0))

    def _write_refusal(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        fields = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.server_state.default_headers,
        ]
        head = [f"HTTP/1.1 {status} {reason(status)}\r\n".encode()]
        head += [b"%b: %b\r\n" % field for field in fields]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        self.linger()

    # --- time --------------------------------------------------------------------------------------

    def _watch_the_clock(self) -> None:
        """After each piece of input: a message that is still open has a deadline."""
        if self._state in (_IDLE, _HEAD):
            waiting = self.cycle is None or self.cycle.response_complete
            if self._timer is None and (self._state == _HEAD or waiting):
                self._timer = self.loop.call_later(self._limits.head_timeout_s, self._head_is_late)
        elif self._state == _BODY:
            self._heard_at_s = self.loop.time()
            if self._timer is None:
                self._timer = self.loop.call_later(self._limits.body_idle_s, self._check_body)

    def _head_is_late(self) -> None:
        self._timer = None
        if self.transport.is_closing() or self._state not in (_IDLE, _HEAD):
            return
        if self.flow.read_paused:  # it is us who do not listen: earlier requests come first
            self._watch_the_clock()
        elif self._state == _IDLE:
            self.transport.close()  # not a single byte of a request
        else:
            self._refuse(408, "The head of the request did not arrive in time.")

    def _check_body(self) -> None:
        """Refuse a body whose sender is silent while the server is ready to read."""
        self._timer = None
        if self.transport.is_closing() or self._state != _BODY:
            return
        now_s = self.loop.time()
        if self.flow.read_paused:
            self._heard_at_s = now_s  # it is the application that makes the client wait
        left_s = self._heard_at_s + self._limits.body_idle_s - now_s
        if left_s <= 0:
            self._refuse(408, "The request body stopped arriving.")
        else:
            self._timer = self.loop.call_later(left_s, self._check_body)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- uvicorn's seam to the application -----------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._exchange = _Exchange(self, cycle, app)
        super()._start_asgi_task(cycle, cast(Any, self._exchange))

    def _unsupported_upgrade_warning(self) -> None:
        """Stay silent: the application says what it thinks of upgrades."""


class _Broken(Exception):
    """A rule was broken; `_refusal` tells which."""


class _Exchange:
    """One request and its response: the application as uvicorn calls it, with our endings."""

    __slots__ = ("_app", "_protocol", "cycle")

    def __init__(self, protocol: HttpProtocol, cycle: RequestResponseCycle, app: Any) -> None:
        self._protocol = protocol
        self._app = app
        self.cycle = cycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = self.cycle

        async def receive_or_refuse() -> Message:
            if REFUSED not in scope or cycle.body:
                message = await receive()
                if REFUSED not in scope or message.get("body"):
                    return message
            return {"type": "http.disconnect", REFUSED: scope[REFUSED]}

        async def send_or_fail(message: Message) -> None:
            if cycle.disconnected:
                raise ConnectionResetError("The client has gone.")
            if message["type"] == "http.response.start":
                if any(name == b"date" for name, _ in message["headers"]):
                    cycle.default_headers = [field for field in cycle.default_headers if field[0] != b"date"]
            elif REFUSED in scope and not message.get("more_body", False):
                cycle.keep_alive = True  # closing is up to us here, see `linger`
                await send(message)
                self._protocol.linger()
                return
            await send(message)

        try:
            await self._app(scope, receive_or_refuse, send_or_fail)
        except asyncio.CancelledError:
            cycle.disconnected = True  # the server is stopped by force
            self._protocol.abort()
        except BaseException:
            # The application has told whoever wants to know. What its exception says here: break this off.
            if not cycle.response_started:
                raise
        if cycle.response_started and not cycle.response_complete and not cycle.disconnected:
            cycle.disconnected = True
            self._protocol.abort()
