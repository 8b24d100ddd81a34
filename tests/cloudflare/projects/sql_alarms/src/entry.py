import json
import time

from workers import DurableObject, Response, WorkerEntrypoint


class Reminders(DurableObject):
    def __init__(self, state, env):
        super().__init__(state, env)
        self.sql = state.storage.sql
        self.sql.exec("""
            CREATE TABLE IF NOT EXISTS reminders (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                text TEXT NOT NULL,
                due INTEGER NOT NULL,
                weight REAL,
                payload BLOB,
                done INTEGER NOT NULL DEFAULT 0
            );
            CREATE INDEX IF NOT EXISTS by_due ON reminders (done, due);
        """)

    async def fetch(self, request):
        if request.method == "POST":
            data = await request.json()
            due = int(time.time() * 1000) + int(data.get("in_ms", 0))
            row = self.sql.exec(
                "INSERT INTO reminders (text, due, weight, payload) VALUES (?, ?, ?, ?) RETURNING id, text, due",
                data["text"],
                due,
                data.get("weight"),
                data["text"].encode(),
            ).one()
            await self.schedule()
            return Response.json({"id": row.id, "text": row["text"], "due": row.due}, status=201)
        rows = self.sql.exec("SELECT id, text, weight, payload, done FROM reminders ORDER BY id").toArray()
        return Response(
            json.dumps([
                {
                    "id": row["id"],
                    "text": row.text,
                    "weight": row.weight,
                    "payload": bytes(row.payload).decode(),
                    "done": bool(row.done),
                }
                for row in rows
            ]),
            headers={"content-type": "application/json"},
        )

    async def schedule(self):
        next_due = None
        for row in self.sql.exec("SELECT MIN(due) AS due FROM reminders WHERE done = 0"):
            next_due = row.due
        if next_due is None:
            await self.ctx.storage.deleteAlarm()
        else:
            self.ctx.storage.setAlarm(next_due)

    async def alarm(self):
        cursor = self.sql.exec(
            "UPDATE reminders SET done = 1 WHERE done = 0 AND due <= ?", int(time.time() * 1000)
        )
        print(f"reminded: {cursor.rowsWritten > 0}")
        await self.schedule()

    def stats(self):
        columns = self.sql.exec("SELECT * FROM reminders LIMIT 1").columnNames
        by_type = [list(row) for row in self.sql.exec("SELECT typeof(?), ? / 2, typeof(due) FROM reminders LIMIT 1", 1, 3).raw()]
        return {"columns": columns, "types": by_type, "bytes": self.sql.databaseSize}

    async def alarm_at(self):
        return await self.ctx.storage.getAlarm()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        stub = self.env.REMINDERS.getByName("everybody")
        if request.url.endswith("/stats"):
            return Response.json(await stub.stats())
        if request.url.endswith("/alarm"):
            return Response.json({"at": await stub.alarm_at()})
        return await stub.fetch(request)
