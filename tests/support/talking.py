"""Objects with WebSockets, and clients in the test's own process, without any network."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure import DurableObject, Response, WebSocket, WebSocketPair
from perdure.websockets import CloseEvent, ErrorEvent

UPGRADE = {"upgrade": "websocket"}


class Room(DurableObject):
    """Takes every socket, with the tags that the test wants next, and notes what its handlers are told."""

    tags: Any = ()

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.seen: list[Any] = []

    async def fetch(self, request: Any) -> Response:
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server, self.tags)
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, ws: WebSocket, message: str | bytes) -> None:
        self.seen.append(message)

    async def websocket_close(self, ws: WebSocket, code: int, reason: str, was_clean: bool) -> None:
        self.seen.append((code, reason, was_clean))

    async def websocket_error(self, ws: WebSocket, error: Exception) -> None:
        self.seen.append(error)


class Client:
    """The other end of a socket of an object."""

    def __init__(self, ws: WebSocket, **options: Any) -> None:
        self.ws = ws
        self.got: list[Any] = []
        ws.add_event_listener("message", lambda event: self.got.append(event.data))
        ws.add_event_listener("close", self.ended)
        ws.add_event_listener("error", self.ended)
        self.end: CloseEvent | ErrorEvent | None = None
        ws.accept(**options)

    def ended(self, event: Any) -> None:
        self.end = event

    async def gets(self, *messages: Any) -> None:
        """Wait until exactly these messages have come."""
        async with asyncio.timeout(30):
            while len(self.got) < len(messages):
                await asyncio.sleep(0)
        assert self.got == list(messages)
        self.got.clear()

    async def closes(self) -> CloseEvent | ErrorEvent:
        """Wait for the end of the connection."""
        async with asyncio.timeout(30):
            while self.end is None:
                await asyncio.sleep(0)
        return self.end


async def connect(stub: Any, **options: Any) -> Client:
    """Return a client that has connected to *stub*."""
    response = await stub.fetch("http://do/", headers=UPGRADE)
    assert response.status == 101
    return Client(response.websocket, **options)


async def settle() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
