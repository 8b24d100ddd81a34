"""One WebSocket connection of a client, in the place that its HTTP connection had. (edge)

The server's side of a connection that may be idle for days: no task, no queue, no timer. It is the *peer* of the end
that the application took: what the client sends is told to that end, what the end says is written.

How it ends. Both sides have sent a Close: the transport is closed when the last bytes are out. The client broke a
rule, or is too slow: it is sent a Close with the reason, and cut off soon. The application's end is gone: it is cut
off without a Close, as nobody is there to say one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from perdure._base.limits import (
    HTTP_LINGER_S,
    WEBSOCKET_BUFFER_S,
    WEBSOCKET_BURST,
    WEBSOCKET_CLOSE_TIMEOUT_S,
    WEBSOCKET_LINGER_BYTES,
)
from perdure._http.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    VIOLATION,
    Closing,
    Reader,
    Violation,
    close_frame,
    control,
    head,
)
from perdure._sockets.end import End, Peer
from perdure._sockets.rules import DISCONNECTED, TOO_SLOW, TRY_AGAIN_LATER
from perdure.errors import WebSocketError

if TYPE_CHECKING:
    from perdure._http.hub import Hub

log = logging.getLogger("perdure.http")

_COMPRESSED_FROM_BYTES: Final = 64
_JOINED_BYTES_MAX: Final = 64 * 1024  # a larger message is not copied to be sent with its head

_OPEN: Final = 0
_CLOSING: Final = 1  # the last frame is written
_DEAF: Final = 2  # and what the client sends means nothing any more


class WebSocketProtocol(asyncio.Protocol):
    """See the module."""

    __slots__ = (
        "_deflate",
        "_dropped_bytes",
        "_full_since_s",
        "_heard_close",
        "_hub",
        "_is_alive",
        "_is_held",
        "_reader",
        "_state",
        "_timer",
        "peer",
        "transport",
    )

    def __init__(
        self, hub: Hub, transport: asyncio.Transport, end: End, deflate: PerMessageDeflate | None
    ) -> None:
        self.peer: Peer | None = None
        self.transport = transport
        self._hub = hub
        self._deflate = deflate
        self._reader = Reader(hub.limits.websocket.message_bytes, deflate)
        self._state = _OPEN
        self._heard_close = False
        self._is_alive = True  # heard of since the last ping
        self._is_held = False
        self._dropped_bytes = 0
        self._full_since_s: float | None = None
        transport.set_write_buffer_limits(high=hub.limits.websocket.buffer_bytes)
        self._timer: asyncio.TimerHandle | None = None
        hub.sockets.add(self)
        end.couple(self)
        if self.peer is None and self._state is _OPEN:
            self.take_loss()

    # --- the client -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Tell the application's end what the client says."""
        if self._state is _DEAF:
            self._drop(data)
            return
        self._is_alive = True
        reader = self._reader
        if self._is_held:
            reader.keep(data)
            return
        while True:
            for opcode, said in reader.feed(data):
                if 0 < opcode <= BINARY:
                    if self.peer is not None:
                        self.peer.take(said)
                elif opcode == PING:
                    if self._state is _OPEN and self._has_room():
                        self.transport.write(control(PONG, said))
                elif opcode == CLOSE:
                    self._hear_close(said)
                elif opcode == VIOLATION:
                    self._hear_violation(said)
            if not reader.has_more or self._is_held:
                return
            data = b""

    def pause_writing(self) -> None:
        """Hear that more waits for the client than may wait for long."""
        self._full_since_s = asyncio.get_running_loop().time()
        if self.peer is not None:
            self.peer.hold()

    def resume_writing(self) -> None:
        """Hear that it has taken most of it."""
        self._full_since_s = None
        if self.peer is not None:
            self.peer.go_on()

    def eof_received(self) -> None:
        """Take it that a client which sends no more has gone: the transport closes, when what waits is sent."""
        if self.transport.get_write_buffer_size():
            self._end_in(WEBSOCKET_CLOSE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application's end, unless it knows."""
        self._hub.sockets.discard(self)
        self._hub.changed.set()
        self._state = _DEAF
        if self._timer is not None:
            self._timer.cancel()
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.take_loss(DISCONNECTED)

    def _hear_close(self, closing: Closing) -> None:
        self._heard_close = True
        if self.peer is not None:
            self.peer.take_close(closing.code, closing.reason)
        if self._state is _CLOSING:
            self._end()

    def _hear_violation(self, violation: Violation) -> None:
        """Tell the client which rule it broke, and read on a little: a reset could overtake the answer."""
        peer, self.peer = self.peer, None
        if self._state is _OPEN:
            self.transport.write(close_frame(*violation))
        self._state = _DEAF
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._end_in(HTTP_LINGER_S)
        if peer is not None:
            peer.take_error(WebSocketError(*violation))

    def _drop(self, data: bytes) -> None:
        self._dropped_bytes += len(data)
        if self._dropped_bytes > WEBSOCKET_LINGER_BYTES:
            self.transport.abort()

    # --- the application's end (Peer) -----------------------------------------------------------------

    def take(self, data: str | bytes) -> None:
        if self._state is not _OPEN or (self._full_since_s is not None and not self._has_room()):
            return
        transport = self.transport
        if self._deflate is not None and len(data) >= _COMPRESSED_FROM_BYTES:
            transport.write(_compressed(data, self._deflate))
            return
        payload = data.encode() if data.__class__ is str else data
        start = head(TEXT if data.__class__ is str else BINARY, len(payload))
        if len(payload) > _JOINED_BYTES_MAX:
            transport.writelines([start, payload])  # type: ignore[list-item]
        else:
            transport.write(start + payload)  # type: ignore[operator]

    def take_close(self, code: int | None, reason: str) -> None:
        if self._state is not _OPEN:
            return
        self._state = _CLOSING
        self.transport.write(close_frame(code, reason))
        if self._heard_close:
            self._end()
        else:
            self._end_in(WEBSOCKET_CLOSE_TIMEOUT_S)

    def take_loss(self, reason: str = DISCONNECTED, code: int = 1006) -> None:
        self.peer = None
        self._state = _DEAF
        self._end()

    def take_error(self, error: Exception) -> None:
        self.take_loss()

    def hold(self) -> None:
        self._is_held = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def go_on(self) -> None:
        self._is_held = False
        self._is_alive = True
        if not self.transport.is_closing():
            self.transport.resume_reading()
            # What was received already; not now, as a message of this connection may just be on its way.
            asyncio.get_running_loop().call_soon(self.data_received, b"")

    # --- the server -----------------------------------------------------------------------------------

    def ping(self) -> None:
        """See whether the client is there; one that has not been heard of since the last time is not."""
        # Who is not listened to cannot be heard; who has closed says nothing more, and may still be told something.
        if self._state is not _OPEN or self._is_held or self._heard_close:
            return
        if not self._is_alive:
            self.transport.abort()
            return
        self._is_alive = False
        if self._has_room():
            self.transport.write(control(PING))

    def go_away(self, code: int, reason: str) -> None:
        """Close for the server's own reasons."""
        peer = self.peer
        if isinstance(peer, End):
            peer.go_away(code, reason)
        else:
            if peer is not None:  # another connection, which was passed on to this client
                peer.take_loss(reason)
            self.take_close(code, reason)
        self.peer = None

    def abort(self) -> None:
        """Cut the client off."""
        self.transport.abort()

    # --- ends -----------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        """Tell whether something may be written; a client that takes too little is closed."""
        since_s = self._full_since_s
        if since_s is None:
            return True
        most = self._hub.limits.websocket.buffer_bytes
        waited_s = asyncio.get_running_loop().time() - since_s
        if waited_s < WEBSOCKET_BUFFER_S and self.transport.get_write_buffer_size() < most * WEBSOCKET_BURST:
            return True
        reason = TOO_SLOW.format(max=most)
        log.warning("a WebSocket was closed with 1013: %s", reason)
        peer, self.peer = self.peer, None
        self.take_close(TRY_AGAIN_LATER, reason)
        self._state = _DEAF
        if peer is not None:
            peer.take_loss(reason, TRY_AGAIN_LATER)
        return False

    def _end(self) -> None:
        """Close the transport when all is written; a client that does not take it is cut off."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._end_in(WEBSOCKET_CLOSE_TIMEOUT_S)

    def _end_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.transport.abort)


def _compressed(data: str | bytes, deflate: PerMessageDeflate) -> bytes:
    opcode = Opcode.TEXT if data.__class__ is str else Opcode.BINARY
    payload = data.encode() if isinstance(data, str) else data
    squeezed = bytes(deflate.encode(Frame(opcode, payload)).data)
    return head(int(opcode), len(squeezed), compressed=True) + squeezed
