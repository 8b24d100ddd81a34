"""verify: what is damaged is named, and what is sound is not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from support.inside import Unsynced, until
from support.stores import an_engine, owned, write

from perdure._storage.engine import StorageEngine
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout
from perdure._storage.store import Store
from perdure._storage.verify import verify
from perdure.errors import StorageError


async def at_rest(engine: StorageEngine, number: int) -> Store:
    """A store with several pages, all of it in its file."""
    store, _ = owned(engine, number)
    await write(store, "CREATE TABLE t (a)", "CREATE INDEX i ON t (a)", "INSERT INTO t VALUES ('content')")
    store.try_checkpoint()
    await until(lambda: not store._syncing)
    engine.release(store)
    store.close()
    return store


async def test_all_is_well() -> None:
    """Of stores in use, at rest, and of the catalog; progress is told."""
    told: list[tuple[int, int]] = []
    async with an_engine() as engine:
        await at_rest(engine, 1)
        await write(owned(engine, 2)[0], key=b"value")
        assert await verify(engine, lambda done, total: told.append((done, total))) == []
        assert told == [(1, 3), (2, 3), (3, 3)]
        assert not os.path.exists(engine.layout.scratch)


async def test_damaged_and_missing_stores_are_named() -> None:
    """All of them, each with what is wrong."""
    async with an_engine() as engine:
        stores = [await at_rest(engine, number) for number in range(4)]
        with open(stores[0].path, "r+b") as file:
            file.seek(4096)
            file.write(bytes(4096))
        os.unlink(stores[1].path)
        with open(stores[2].path, "r+b") as file:
            file.write(b"no database")
        findings = await verify(engine)
        assert [finding.path for finding in findings] == [store.path for store in stores[:3]]
        assert (
            "wrong" in findings[0].problem
            or "invalid" in findings[0].problem
            or "malformed" in findings[0].problem
        )
        assert findings[1].problem == "The file is missing."
        assert "not a database" in findings[2].problem


async def test_damage_in_the_journal_is_named() -> None:
    async with an_engine() as engine:
        store, _ = owned(engine)
        for value in (b"1", b"2", b"3"):
            await write(store, key=value)
        with open(engine.layout.segment(1), "r+b") as file:
            file.seek(700)
            file.write(b"rotten")
        [finding] = await verify(engine)
        assert finding.path == engine.layout.journal
        assert "is damaged at byte 0: batch 1 was durable and cannot be read" in finding.problem


async def test_it_looks_at_stores_as_recovery_left_them(tmp_path: Path) -> None:
    async with an_engine(tmp_path) as engine:
        await write(owned(engine)[0], key=b"value")
    recover(Unsynced(), Layout(str(tmp_path)))
    async with an_engine(tmp_path) as engine:
        assert await verify(engine) == []


async def test_one_at_a_time() -> None:
    """They would use the same file for their copies."""
    async with an_engine() as engine:
        await at_rest(engine, 1)
        first = asyncio.create_task(verify(engine))
        await asyncio.sleep(0)
        with pytest.raises(StorageError, match="running already"):
            await verify(engine)
        assert await first == []
