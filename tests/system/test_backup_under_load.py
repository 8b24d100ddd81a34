"""A backup that is taken while everything writes: each object is at one of its commits, none before the call."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

from perdure import DurableObject, Runtime
from perdure._base.ids import id_from_name, namespace_key
from perdure._storage.backup import backup
from perdure._storage.layout import Layout, store_key

SEED = random.randrange(10**6)
ACCOUNTS = 60


class Account(DurableObject):
    """Two rows that one turn changes: their sum is 0 at every commit, whatever the turn's place in the WAL."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS side (id INTEGER PRIMARY KEY, amount INTEGER, padding BLOB)"
        )
        self.sql.exec("INSERT OR IGNORE INTO side VALUES (1, 0, ''), (2, 0, '')")

    async def move(self, size):
        self.sql.exec("UPDATE side SET amount = amount + 1, padding = zeroblob(?) WHERE id = 1", size)
        self.sql.exec("UPDATE side SET amount = amount - 1, padding = zeroblob(?) WHERE id = 2", size)
        return self.sql.exec("SELECT amount FROM side WHERE id = 1").one().amount

    async def move_slowly(self):
        async with self.ctx.storage.transaction():
            self.sql.exec("UPDATE side SET amount = amount + 1 WHERE id = 1")
            await asyncio.sleep(0.001)
            self.sql.exec("UPDATE side SET amount = amount - 1 WHERE id = 2")

    async def amount(self):
        return self.sql.exec("SELECT amount FROM side WHERE id = 1").one().amount


async def test_a_backup_under_load_restores_to_a_state_between_two_commits_for_no_object(tmp_path: Path):
    """Of several, one after the other into the same folder; and a runtime starts on the last."""
    print("seed", SEED)
    chance = random.Random(SEED)
    confirmed: dict[str, int] = {}
    target = tmp_path / "backup"
    async with Runtime([Account], data=tmp_path / "data", slow_ms=0, idle_s=0.2, open_stores=20) as runtime:
        stopped = False

        async def load():
            while not stopped:
                name = str(min(ACCOUNTS - 1, int(chance.expovariate(0.05))))
                account = runtime.env.ACCOUNT.get_by_name(name)
                if chance.random() < 0.1:
                    await account.move_slowly()
                else:
                    amount = await account.move(chance.choice((0, 100, 10_000)))
                    confirmed[name] = max(confirmed.get(name, 0), amount)

        tasks = [asyncio.create_task(load()) for _ in range(20)]
        while len(confirmed) < ACCOUNTS // 2:
            await asyncio.sleep(0.01)
        engine = runtime._host.storage
        for number in range(4):
            before = dict(confirmed)
            result = await backup(engine, str(target))
            copy = tmp_path / str(number)
            shutil.copytree(target, copy)
            assert result.objects >= len(before)
            look_at(copy, before)
        stopped = True
        await asyncio.gather(*tasks)
    async with Runtime([Account], data=target) as restored:
        assert {info.name for info in restored.env.ACCOUNT.list()} >= set(before)
        for name, amount in before.items():
            assert await restored.env.ACCOUNT.get_by_name(name).amount() >= amount


def look_at(folder: Path, confirmed: dict[str, int]) -> None:
    layout = Layout(str(folder))
    for name, amount in confirmed.items():
        object_id = id_from_name(namespace_key("app-Account"), name)
        path = layout.store(store_key("app-Account", object_id.hex()))
        connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [(one,), (other,)] = connection.execute("SELECT amount FROM side ORDER BY id").fetchall()
        connection.close()
        assert one + other == 0
        assert one >= amount
