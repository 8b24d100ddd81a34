"""Sessions between processes: frames over Unix sockets and TCP. (edge)

    frame       4 bytes, big-endian: how many follow; then one message in the binary form

Both sides are of the same version of Perdure. Nothing is encrypted: a Unix socket is for one user alone, and TCP is
for machines and networks that are trusted as much.

What a peer has not read yet is bounded. The side that accepted stops to read while its own words do not leave, so a
peer that asks without reading waits; the side that connected always reads, or both could wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from perdure._base import limits
from perdure._base.private_socket import PrivateSocket, address, may_connect
from perdure._base.registry import Registry
from perdure._rpc.capability import Capability
from perdure._rpc.session import Session
from perdure._rpc.wire import TOO_LONG, BinaryForm
from perdure.errors import Disconnected, PerdureError

HEAD_BYTES: Final = 4
PEER_CLOSED: Final = "The peer closed the connection."
CUT_OFF: Final = "The connection ended in the middle of a message."
LOST: Final = "The connection was lost: {error}"
NOT_READ: Final = "The peer does not read: more than {max:,} bytes wait for it."
OTHER_USER: Final = "The socket is for another user."
_BACKLOG: Final = 128


class Connection(asyncio.Protocol):
    """
    One connection, and the session over it.

    Args:
        main: what the peer may call; None if nothing.
        registry: names the classes that arrive as themselves.
        accepted: of which listener; None for the side that connected.
    """

    def __init__(
        self, main: Capability | None, registry: Registry | None, accepted: Listener | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepted = accepted
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_full = False
        self._late: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.session = Session(
            self._say, main, form=BinaryForm, registry=registry, peer="the other process", on_end=self._ended
        )

    async def close(self) -> None:
        """End the session; return when the connection is gone."""
        self.session.close()
        await asyncio.shield(self._over)

    # --- what the loop calls --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=limits.CAPNWEB_WINDOW_BYTES)
        if self._accepted is not None:
            self._accepted.connections.add(self)
            if self._accepted.is_private and not may_connect(transport.get_extra_info("socket")):
                self._transport.abort()
                self.session.lose(PerdureError(OTHER_USER))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while self.session.ended is None and len(buffer) >= start + HEAD_BYTES:
            size = int.from_bytes(buffer[start : start + HEAD_BYTES], "big")
            if size > limits.RPC_MESSAGE_BYTES_MAX:
                self.session.abort(PerdureError(TOO_LONG.format(max=limits.RPC_MESSAGE_BYTES_MAX)))
                break
            end = start + HEAD_BYTES + size
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                frame = bytes(view[start + HEAD_BYTES : end])
            start = end
            self.session.receive(frame)
        if self.session.ended is not None:
            buffer.clear()
        else:
            del buffer[:start]

    def eof_received(self) -> None:
        self.session.lose(Disconnected(CUT_OFF if self._buffer else PEER_CLOSED))

    def connection_lost(self, error: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        if self._accepted is not None:
            self._accepted.connections.discard(self)
        self.session.lose(Disconnected(PEER_CLOSED if error is None else LOST.format(error=error)))
        if not self._over.done():
            self._over.set_result(None)

    def pause_writing(self) -> None:
        if self._accepted is not None and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._accepted is not None and self._transport is not None:
            self._transport.resume_reading()

    # --- what the session calls -----------------------------------------------------------------------

    def _say(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or self._is_full or transport.is_closing():
            return
        transport.writelines((len(frame).to_bytes(HEAD_BYTES, "big"), frame))
        if transport.get_write_buffer_size() > limits.RPC_UNSENT_BYTES_MAX:
            self._is_full = True
            self._loop.call_soon(self._overflow)  # whoever speaks is in the middle of something

    def _overflow(self) -> None:
        assert self._transport is not None, "something was written"
        self._transport.abort()
        self.session.lose(PerdureError(NOT_READ.format(max=limits.RPC_UNSENT_BYTES_MAX)))

    def _ended(self, error: BaseException, is_ours: bool) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.close()  # when the last word has left
            self._late = self._loop.call_later(limits.RPC_CLOSE_S, transport.abort)


class Listener:
    """
    Accepts connections until `close`.

    Args:
        main: returns what the peer of a new connection may call.
        registry: names the classes that arrive as themselves.
        private: the socket, if it is for this user alone.
    """

    def __init__(
        self,
        main: Callable[[], Capability | None],
        registry: Registry | None,
        private: PrivateSocket | None = None,
    ) -> None:
        self._main = main
        self._registry = registry
        self._private = private
        self._server: asyncio.Server | None = None
        self.connections: set[Connection] = set()

    @property
    def is_private(self) -> bool:
        """Whether other users are turned away."""
        return self._private is not None

    @property
    def address(self) -> Any:
        """Where it listens, as the socket tells."""
        assert self._server is not None, "it listens"
        return self._server.sockets[0].getsockname()

    def _accept(self) -> Connection:
        return Connection(self._main(), self._registry, self)

    async def _open(self, open: Callable[..., Any], *args: Any, **kwargs: Any) -> Listener:
        self._server = await open(self._accept, *args, **kwargs)
        return self

    async def close(self) -> None:
        """Accept no more, and end the sessions."""
        if self._server is not None:
            self._server.close()
        if self._private is not None:
            self._private.remove()
        await asyncio.gather(*[connection.close() for connection in list(self.connections)])


async def listen_unix(
    folder: str, name: str, main: Callable[[], Capability | None], registry: Registry | None = None
) -> Listener:
    """Accept connections of this user's processes at the file *name*; whoever calls this owns *folder*."""
    private = PrivateSocket(folder, name, _BACKLOG)
    loop = asyncio.get_running_loop()
    return await Listener(main, registry, private)._open(loop.create_unix_server, sock=private.socket)


async def listen_tcp(
    host: str, port: int, main: Callable[[], Capability | None], registry: Registry | None = None
) -> Listener:
    """Accept connections at *host*, which nobody may reach who is not trusted; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    return await Listener(main, registry)._open(loop.create_server, host, port, backlog=_BACKLOG)


async def connect_unix(
    folder: str, name: str, main: Capability | None = None, registry: Registry | None = None
) -> Connection:
    """Connect to `listen_unix`; an OSError if nobody listens there."""
    loop = asyncio.get_running_loop()
    with address(folder, name) as path:
        _, connection = await loop.create_unix_connection(lambda: Connection(main, registry), path)
    return connection


async def connect_tcp(
    host: str, port: int, main: Capability | None = None, registry: Registry | None = None
) -> Connection:
    """Connect to `listen_tcp`; an OSError if nobody listens there."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(main, registry), host, port)
    return connection
