"""The application under load, for Perdure; `worker.js` is the same for workerd, line by line."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from perdure import DurableObject, Response, RpcTarget, WebSocketPair, WorkerEntrypoint, rpc

RECORD = {f"field {n}": "x" * 85 for n in range(10)}  # 1 KB, keys included


class Plain(DurableObject):
    async def ping(self):
        return "pong"

    def sync(self):
        return "pong"

    async def take(self, record):
        return len(record)

    async def call(self, function):
        return await function("pong")

    async def add(self, a, b):
        return a + b

    async def fetch(self, request):
        return Response("pong")


class Item(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.calls = 0
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB)"
        )

    async def add(self):
        self.calls += 1
        return self.sql.exec(
            "INSERT INTO item (id, n) VALUES (0, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n"
        ).one()["n"]

    async def total(self):
        return self.sql.exec("SELECT ifnull(max(n), 0) AS n FROM item WHERE id = 0").one()["n"]

    async def read(self, row):
        return self.sql.exec("SELECT n FROM item WHERE id = ?", row).one()["n"]

    async def seed(self, rows):
        for row in range(rows):
            self.sql.exec("INSERT OR REPLACE INTO item (id, n) VALUES (?, ?)", row, row * 7)
        return rows

    async def fill(self, size):
        self.sql.exec("INSERT INTO item (n, body) VALUES (?, randomblob(?))", size, size)
        return size

    async def stored(self):
        return self.sql.exec("SELECT ifnull(sum(length(body)), 0) AS n FROM item").one()["n"]

    async def calls_heard(self):
        return self.calls


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.messages = 0

    async def fetch(self, request):
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        return Response(None, status=101, websocket=client)

    def websocket_message(self, ws, message):
        self.messages += 1
        if message == "count":
            ws.send(str(self.messages))
        elif message.startswith("all"):
            for member in self.ctx.get_websockets():
                member.send(message)
        else:
            ws.send(message)


fired = 0


class Waking(DurableObject):
    async def set(self, at_ms):
        await self.ctx.storage.set_alarm(at_ms / 1000)
        return at_ms

    async def alarm(self):
        global fired
        await self.ctx.storage.put("ran", True)
        fired += 1


class Api(RpcTarget):
    def add(self, a, b):
        return a + b


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        # /<kind>/<name>/<what>[/<number>]
        _, kind, name, what, *number = urlsplit(request.url).path.split("/")
        if kind == "none":
            return Response("none")
        if kind == "rpc":
            return await rpc.serve(request, Api() if name == "-" else self.env.PLAIN.get_by_name(name))
        if kind == "room":
            return await self.env.ROOM.get_by_name(name).fetch(request)
        stub = (self.env.PLAIN if kind == "plain" else self.env.ITEM).get_by_name(name)
        n = int(number[0]) if number else 0
        if kind == "alarm":
            return Response(str(fired if what == "fired" else await self.env.WAKING.get_by_name(name).set(n)))
        match what:
            case "ping":
                return Response(await stub.ping())
            case "fetch":
                return await stub.fetch(request)
            case "add":
                return Response(str(await stub.add()))
            case "read":
                return Response(str(await stub.read(n)))
            case "total":
                return Response(str(await stub.total()))
            case "seed":
                return Response(str(await stub.seed(n)))
            case "fill":
                return Response(str(await stub.fill(n)))
            case "stored":
                return Response(str(await stub.stored()))
            case "calls":
                return Response(str(await stub.calls_heard()))
            case "sum":  # of the objects <name>-0 … <name>-<n - 1>
                found = 0
                for i in range(n):
                    found += await self.env.ITEM.get_by_name(f"{name}-{i}").total()
                return Response(str(found))
            case "loop-ping":
                for _ in range(n):
                    await stub.ping()
                return Response(str(n))
            case "loop-sync":
                for _ in range(n):
                    await stub.sync()
                return Response(str(n))
            case "loop-dict":
                for _ in range(n):
                    await stub.take(RECORD)
                return Response(str(n))
            case "loop-callback":
                for _ in range(n):
                    await stub.call(lambda text: text)
                return Response(str(n))
            case "rounds-ping":
                for _ in range(n // 64):
                    await asyncio.gather(*[stub.ping() for _ in range(64)])
                return Response(str(n))
            case "loop-add":
                for _ in range(n):
                    await stub.add()
                return Response(str(n))
        return Response("unknown", status=404)
