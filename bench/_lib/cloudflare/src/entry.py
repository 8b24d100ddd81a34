"""Parts of `app.py`, as a project for Cloudflare's Python Workers has them."""

from urllib.parse import urlsplit

from workers import DurableObject, Response, WorkerEntrypoint

RECORD = {f"field {n}": "x" * 85 for n in range(10)}  # 1 KB, keys included


class Plain(DurableObject):
    async def ping(self):
        return "pong"

    def sync(self):
        return "pong"

    async def take(self, record):
        return len(record)

    async def fetch(self, request):
        return Response("pong")


class Item(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB)"
        )

    async def read(self, row):
        return self.sql.exec("SELECT n FROM item WHERE id = ?", row).one()["n"]

    async def seed(self, rows):
        for row in range(rows):
            self.sql.exec("INSERT OR REPLACE INTO item (id, n) VALUES (?, ?)", row, row * 7)
        return rows


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        # /<kind>/<name>/<what>[/<number>]
        _, kind, name, what, *number = urlsplit(request.url).path.split("/")
        if kind == "none":
            return Response("none")
        stub = (self.env.PLAIN if kind == "plain" else self.env.ITEM).getByName(name)
        n = int(number[0]) if number else 0
        match what:
            case "ping":
                return Response(await stub.ping())
            case "fetch":
                return await stub.fetch(request)
            case "read":
                return Response(str(await stub.read(n)))
            case "seed":
                return Response(str(await stub.seed(n)))
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
        return Response("unknown", status=404)
