"""What is killed under load: every way of writing, each with something that would show if it were torn apart."""

import asyncio
import os

from perdure import DurableObject, Response, WorkerEntrypoint
from perdure._storage.journal.journal import Journal

if budget := os.environ.get("BUDGET_BYTES"):
    real = Journal.__init__

    def with_budget(self, *arguments, **options):
        real(self, *arguments, **{**options, "budget_bytes": int(budget)})

    Journal.__init__ = with_budget


class Account(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.kv = ctx.storage.kv
        self.sql.exec("CREATE TABLE IF NOT EXISTS hit (client INTEGER, number INTEGER, filler BLOB)")

    async def hit(self, client, number):
        self.sql.exec("INSERT INTO hit VALUES (?, ?, zeroblob(?))", client, number, number % 7 * 500)
        self.kv["hits"] = self.kv.get("hits", 0) + 1
        return self.kv["hits"]

    async def pair(self, value):
        self.kv["left"] = value
        self.kv["right"] = value

    async def pair_in_transaction(self, value):
        async with self.ctx.storage.transaction() as txn:
            await txn.put("left", value)
            await asyncio.sleep(0.001)
            await txn.put("right", value)

    async def send(self, to, number):
        self.sql.exec("CREATE TABLE IF NOT EXISTS sent (number INTEGER PRIMARY KEY)")
        self.sql.exec("INSERT INTO sent VALUES (?)", number)
        await self.env.ACCOUNT.get_by_name(to).receive(self.ctx.id.name, number)

    async def receive(self, sender, number):
        self.sql.exec("CREATE TABLE IF NOT EXISTS received (sender TEXT, number INTEGER)")
        self.sql.exec("INSERT INTO received VALUES (?, ?)", sender, number)

    async def be_born(self):
        self.kv["id"] = str(self.ctx.id)
        return str(self.ctx.id)

    async def clear(self, value):
        await self.ctx.storage.delete_all()
        self.kv["left"] = self.kv["right"] = value

    async def show(self):
        tables = {row.name for row in self.sql.exec("SELECT name FROM sqlite_schema")}
        rows = {
            name: [list(row) for row in self.sql.exec(f"SELECT {columns} FROM {name}").raw()]
            for name, columns in {
                "hit": "client, number",
                "sent": "number",
                "received": "sender, number",
            }.items()
            if name in tables
        }
        return {**rows, **dict(self.kv.list())}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        method, name, *arguments = request.url.split("/", 3)[3].split("/")
        accounts = self.env.ACCOUNT
        if method == "born":
            return Response.json(await accounts.get(accounts.new_unique_id()).be_born())
        of = accounts.get(accounts.id_from_string(name)) if len(name) == 64 else accounts.get_by_name(name)
        values = [int(value) if value.isdigit() else value for value in arguments]
        return Response.json(await getattr(of, method)(*values))
