"""What is soaked: ledgers that count what clients add, over HTTP and WebSockets, and jobs that alarms run."""

import os
import time
from datetime import UTC, datetime

from perdure import DurableObject, Response, WebSocketPair, WorkerEntrypoint

# A bug on purpose: so many of a hundred entries are confirmed and not written.
FORGETS = int(os.environ.get("FORGETS", "0"))


class Ledger(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql, self.kv = ctx.storage.sql, ctx.storage.kv
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS entry (place INTEGER PRIMARY KEY, client TEXT, number INTEGER)"
        )
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS job (client TEXT, number INTEGER, due_ms INTEGER, ran_ms INTEGER)"
        )

    def add(self, client, number):
        if number % 100 >= FORGETS:
            self.sql.exec("INSERT INTO entry (client, number) VALUES (?, ?)", client, number)
            self.kv["count"] = self.kv.get("count", 0) + 1
        return self.kv.get("count", 0)

    async def plan(self, client, number, delay_ms):
        due_ms = int(time.time() * 1000) + delay_ms
        self.sql.exec("INSERT INTO job VALUES (?, ?, ?, NULL)", client, number, due_ms)
        self._set_next()
        return due_ms

    def _set_next(self):
        [(next_ms,)] = self.sql.exec("SELECT min(due_ms) FROM job WHERE ran_ms IS NULL").raw()
        if next_ms is not None:
            self.ctx.storage.set_alarm(datetime.fromtimestamp(next_ms / 1000, UTC))

    async def alarm(self, info):
        now_ms = int(time.time() * 1000)
        scheduled_ms = round(info.scheduled_time.timestamp() * 1000)
        self.sql.exec("UPDATE job SET ran_ms = ? WHERE ran_ms IS NULL AND due_ms <= ?", now_ms, scheduled_ms)
        self._set_next()

    async def show(self):
        return {
            "count": self.kv.get("count", 0),
            "entries": [
                list(row) for row in self.sql.exec("SELECT client, number FROM entry ORDER BY place").raw()
            ],
            "jobs": [
                list(row) for row in self.sql.exec("SELECT client, number, due_ms, ran_ms FROM job").raw()
            ],
        }

    async def fetch(self, request):
        ours, theirs = WebSocketPair()
        self.ctx.accept_websocket(theirs)
        return Response(None, status=101, websocket=ours)

    async def websocket_message(self, ws, message):
        client, number = message.split()
        ws.send(f"{number} {self.add(client, int(number))}")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        method, name, *words = request.path.strip("/").split("/")
        ledger = self.env.LEDGER.get_by_name(name)
        if method == "socket":
            return await ledger.fetch(request)
        return Response.json(
            await getattr(ledger, method)(*(int(word) if word.isdigit() else word for word in words))
        )
