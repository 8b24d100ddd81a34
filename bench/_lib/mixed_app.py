"""The application of `mixed_load.py`: everything that a request can do to an object."""

from __future__ import annotations

import asyncio
import json
import threading
from urllib.parse import urlsplit

from perdure import DurableObject, Response, WorkerEntrypoint

ROWS_MAX = 200  # of one object, so that the data stays bounded
BLOBS_MAX = 4


class Item(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, note TEXT NOT NULL)")
        self.sql.exec("CREATE TABLE IF NOT EXISTS blob (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    async def add(self):
        total = self.ctx.storage.kv.get("total", 0) + 1
        self.ctx.storage.kv.put("total", total)
        self.sql.exec("INSERT INTO entry (note) VALUES (?)", f"entry {total}")
        self.sql.exec("DELETE FROM entry WHERE id <= (SELECT max(id) FROM entry) - ?", ROWS_MAX)
        return total

    async def total(self):
        return self.ctx.storage.kv.get("total", 0)

    async def recent(self):
        return [row["note"] for row in self.sql.exec("SELECT note FROM entry ORDER BY id DESC LIMIT 20")]

    async def first(self):
        return next(self.sql.exec("SELECT note FROM entry"), None)  # and the cursor is dropped

    async def add_blob(self, body):
        self.sql.exec("INSERT INTO blob (body) VALUES (?)", body)
        self.sql.exec("DELETE FROM blob WHERE id <= (SELECT max(id) FROM blob) - ?", BLOBS_MAX)
        return len(body)

    async def blob(self):
        rows = self.sql.exec("SELECT body FROM blob ORDER BY id DESC LIMIT 1").to_list()
        return rows[0]["body"] if rows else b""

    async def fail(self):
        self.sql.exec("INSERT INTO entry (note) VALUES ('of a call that fails')")
        raise ValueError("as asked")

    async def reset(self):
        self.sql.exec("INSERT INTO entry (note) VALUES ('never seen')")
        self.ctx.abort("as asked")

    async def section(self):
        async def inside():
            await asyncio.sleep(0.001)
            return await self.add()

        return await self.ctx.block_concurrency_while(inside)

    async def slow(self):
        await asyncio.sleep(0.2)
        return await self.add()

    async def wipe(self):
        await self.ctx.storage.delete_all()
        self.ctx.abort("made anew by the next call")

    async def background(self):
        self.ctx.wait_until(self.slow())
        return 1


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        # /<name>/<what>
        _, name, what = urlsplit(request.url).path.split("/")
        if name == "-":
            return Response(json.dumps(self.look()))
        stub = self.env.ITEM.get_by_name(name)
        match what:
            case "add-blob":
                return Response(str(await stub.add_blob(await request.bytes())))
            case "blob":
                return Response(await stub.blob())
            case "relay":  # from one object's worker call to five others
                totals = await asyncio.gather(
                    *[self.env.ITEM.get_by_name(f"{name}-{n}").add() for n in range(5)]
                )
                return Response(json.dumps(totals))
        return Response(json.dumps(await getattr(stub, what)()))

    def look(self):
        """What is in the process now; there is no public way, and a benchmark may look inside."""
        host = self.env.ITEM._space.host
        return {
            "tasks": len(asyncio.all_tasks()),
            "python threads": threading.active_count(),
            "live objects": sum(len(space.lives) for space in host.spaces.values()),
            "open stores": host.storage.open_count,
            "known stores": len(host.storage._stores),
            "journal bytes": host.storage.journal.used_bytes,
        }
