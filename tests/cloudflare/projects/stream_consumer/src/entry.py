"""Consumes a feed over an outgoing WebSocket in a Durable Object, and tells what came."""

import json
import logging
from urllib.parse import urlparse

import js
from js import JSON, URL, WebSocket, console, setInterval, clearInterval
from pyodide.ffi import JsException, create_proxy, to_js
from workers import DurableObject, Response, WorkerEntrypoint

logger = logging.getLogger(__name__)

RECONNECT_AFTER_MS = 200


class FeedConsumer(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage
        self.websocket = None
        self.connected = False
        self.received = 0
        self.events = []
        self.heartbeat = None
        self.ctx.blockConcurrencyWhile(self.resume)

    async def resume(self):
        self.seen = await self.storage.get("seen") or 0
        if await self.storage.getAlarm() is None:
            await self.storage.setAlarm(js.Date.now() + RECONNECT_AFTER_MS)

    async def fetch(self, request):
        path = urlparse(request.url).path
        if path == "/status":
            return Response.json(
                {
                    "connected": self.connected,
                    "received": self.received,
                    "seen": await self.storage.get("seen") or 0,
                    "last": await self.storage.get("last"),
                    "events": self.events,
                    "state": None if self.websocket is None else self.websocket.readyState,
                }
            )
        if path == "/connect":
            await self.connect()
            return Response("connecting")
        if path == "/say":
            try:
                self.websocket.send(await request.text())
            except JsException as e:
                return Response(f"not sent: {e}", status=503)
            return Response("sent")
        if path == "/binary":
            self.websocket.send(to_js(b"\x01\x02\x03"))
            return Response("sent")
        if path == "/disconnect":
            if self.websocket:
                self.websocket.close(1000, "enough")
            return Response("closing")
        return Response("Not found", status=404)

    async def alarm(self):
        if not self.connected:
            await self.connect()
        await self.storage.setAlarm(js.Date.now() + RECONNECT_AFTER_MS)

    async def connect(self):
        if self.websocket and self.websocket.readyState in (WebSocket.CONNECTING, WebSocket.OPEN):
            return
        url = URL.new(self.env.FEED_URL)
        url.searchParams.set("cursor", self.seen)
        console.log("connecting to", url.href)
        ws = WebSocket.new(url.href)
        ws.addEventListener("open", create_proxy(self.on_open))
        ws.addEventListener("message", create_proxy(self.on_message))
        ws.addEventListener("close", create_proxy(self.on_close))
        ws.onerror = create_proxy(lambda event: self.events.append(["error", bool(event.message)]))
        self.websocket = ws

    def on_open(self, event):
        self.connected = True
        self.events.append(["open", event.type])
        self.websocket.send(
            JSON.stringify(to_js({"type": "subscribe", "topics": ["a", "b"]}, dict_converter=js.Object.fromEntries))
        )
        self.heartbeat = setInterval(create_proxy(self.beat), 10)

    def beat(self):
        if self.connected:
            self.websocket.send("ping")
            clearInterval(self.heartbeat)

    async def on_message(self, event):
        self.received += 1
        data = event.data
        if not isinstance(data, str):
            await self.storage.put("last", {"bytes": list(data.to_bytes())})
            return
        message = json.loads(data)
        if message["type"] == "pong":
            self.events.append(["pong", True])
            return
        self.seen += 1
        await self.storage.put("seen", self.seen)
        await self.storage.put("last", message)

    def on_close(self, event):
        self.connected = False
        self.events.append(["close", event.code, event.reason, event.wasClean])


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        consumer = self.env.CONSUMER.get(self.env.CONSUMER.idFromName("feed"))
        return await consumer.fetch(request)
