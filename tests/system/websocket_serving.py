"""Objects with WebSockets behind a server on a real socket, and a client that sends exactly what it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import struct
from typing import Any

from http_serving import serving
from support.frames import close, frame
from support.inside import Unsynced
from support.talking import Room
from websockets.utils import accept_key

from perdure import Runtime, WorkerEntrypoint
from perdure._http.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

KEY = base64.b64encode(b"0123456789abcdef").decode()


class Front(WorkerEntrypoint):
    """Gives each request to the object that its path names."""

    async def fetch(self, request):
        return await self.env.ROOM.get_by_name(request.path.strip("/") or "room").fetch(request)


class Echo(Room):
    async def websocket_message(self, ws, message):
        self.seen.append(message)
        ws.send(message)


@dataclasses.dataclass
class Playing:
    runtime: Runtime
    port: int
    server: Any
    lines: list

    def stub(self, name="room"):
        return self.runtime.env.ROOM.get_by_name(name)


@contextlib.asynccontextmanager
async def playing(cls=Echo, *, worker=Front, limits=None, **options):
    """Serve objects of *cls* for the time of the block."""
    async with (
        Runtime(worker=worker, bindings={"ROOM": cls}, **{"disk": Unsynced(), **options}) as runtime,
        serving(runtime.handle, limits=limits) as served,
    ):
        yield Playing(runtime, served.port, served.server, served.lines)


def handshake(path="/", *, without=(), **fields):
    """The head of a request for a WebSocket; *fields* replace or add to the usual ones."""
    usual = {
        "host": "h",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_version": "13",
        "sec_websocket_key": KEY,
    }
    lines = [
        f"{name.replace('_', '-')}: {value}"
        for name, value in {**usual, **fields}.items()
        if name not in without
    ]
    return ("\r\n".join([f"GET {path} HTTP/1.1", *lines]) + "\r\n\r\n").encode()


class Raw:
    """A connection that became a WebSocket, and every frame on it."""

    def __init__(self, reader, writer, fields):
        self.reader = reader
        self.writer = writer
        self.fields = fields
        """Of the 101 response."""

    def send(self, *data):
        for piece in data:
            self.writer.write(piece)

    def say(self, message):
        """Send a message, masked and in one frame."""
        if isinstance(message, str):
            self.send(frame(TEXT, message.encode()))
        else:
            self.send(frame(BINARY, message))

    async def frame(self, timeout_s=5.0):
        """Return (opcode, payload) of the next frame; None at the end of the connection."""
        async with asyncio.timeout(timeout_s):
            try:
                first, second = await self.reader.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 0x0F, await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    async def hears(self, message):
        """Take the next frame; it must be this message."""
        opcode = TEXT if isinstance(message, str) else BINARY
        payload = message.encode() if isinstance(message, str) else message
        found = await self.frame()
        assert found == (opcode, payload), found

    async def closed_with(self):
        """Take the next frame, which must be a Close; return (code, reason)."""
        found = await self.frame()
        assert found is not None, "the connection ended without a Close"
        opcode, payload = found
        assert opcode == CLOSE, found
        return (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (None, "")

    async def ends(self):
        """Wait for the end of the connection, which comes without a further frame."""
        assert await self.frame() is None

    def vanish(self):
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def raw(port, path="/", early=b"", **fields):
    """Open a WebSocket by hand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(handshake(path, **fields) + early)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")[:-2]
        assert status == "HTTP/1.1 101 Switching Protocols", head
        found = dict(line.lower().split(": ", 1) for line in lines)
        yield Raw(reader, writer, found)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "KEY",
    "PING",
    "PONG",
    "TEXT",
    "Echo",
    "Front",
    "Playing",
    "Raw",
    "Room",
    "accept_key",
    "close",
    "frame",
    "handshake",
    "playing",
    "raw",
]
