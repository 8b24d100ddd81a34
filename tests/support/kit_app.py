"""The application that the tests of the testing kit test."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from perdure import DurableObject, Response, WebSocketPair, WorkerEntrypoint, connect_websocket, fetch


class Counter(DurableObject):
    """Counts in storage, and in memory too."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.in_memory = 0

    async def hit(self) -> int:
        self.in_memory += 1
        n = await self.ctx.storage.get("n", 0) + 1
        await self.ctx.storage.put("n", n)
        return n

    async def hits_in_memory(self) -> int:
        return self.in_memory

    async def write_and_wait(self) -> None:
        self.ctx.storage.kv.put("n", 100)
        await asyncio.sleep(3600)

    async def set_alarm(self, seconds: float = 3600) -> None:
        self.ctx.storage.set_alarm(timedelta(seconds=seconds))

    async def alarm(self) -> None:
        self.ctx.storage.kv.put("alarmed", True)

    async def background(self, seconds: float) -> None:
        self.ctx.wait_until(asyncio.sleep(seconds))

    async def fail_later(self) -> None:
        async def fail() -> None:
            raise ValueError("nobody hears this")

        self.ctx.wait_until(fail())

    async def price(self, url: str = "https://api.example.com/price", **init: Any) -> Any:
        response = await fetch(url, **init)
        return response.status, await response.text()

    async def listen(self, url: str) -> list[Any]:
        ws = await connect_websocket(url, protocols=["ticks"])
        ws.send("hello")
        return [ws.protocol, *[message async for message in ws]]


class Room(DurableObject):
    """Repeats to everybody what one says."""

    async def fetch(self, request: Any) -> Response:
        if request.headers.get("upgrade") != "websocket":
            return Response("a WebSocket is wanted", status=426)
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        headers = {"sec-websocket-protocol": "chat"} if "sec-websocket-protocol" in request.headers else None
        return Response(None, status=101, websocket=client, headers=headers)

    async def websocket_message(self, ws: Any, message: Any) -> None:
        if message == "close":
            ws.close(4000, "as you wish")
        elif message == "fail":
            self.ctx.abort("enough")
        else:
            for other in self.ctx.get_websockets():
                other.send(message)

    async def websocket_close(self, ws: Any, code: int, reason: str, was_clean: bool) -> None:
        self.ctx.storage.kv.put("closed", [code, reason, was_clean])
        ws.close(code, reason)


class Default(WorkerEntrypoint):
    """Answers for the objects."""

    async def fetch(self, request: Any) -> Response:
        if request.path.startswith("/room/"):
            return await self.env.ROOM.get_by_name(request.path[6:]).fetch(request)
        if request.path == "/hit":
            return Response.json({"n": await self.env.COUNTER.get_by_name("web").hit()})
        if request.path == "/wait":
            await asyncio.sleep(3600)
        if request.path == "/fail":
            raise LookupError("no such page")
        if request.path == "/away":
            return Response.redirect("http://localhost/hit")
        if request.path == "/stream":
            return Response(piece async for piece in pieces(3))
        return Response.json(
            {
                "method": request.method,
                "url": request.url,
                "type": request.headers.get("content-type"),
                "body": await request.text(),
            }
        )

    async def scheduled(self, controller: Any) -> None:
        await self.env.COUNTER.get_by_name(controller.cron or "none").hit()


async def pieces(count: int) -> Any:
    """Give some bytes, one after the other."""
    for number in range(count):
        yield str(number)
