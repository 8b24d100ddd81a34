"""snapshot: one durable commit, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from support.inside import until
from support.stores import an_engine, owned, write

from perdure._storage import kv
from perdure._storage.database import own
from perdure._storage.snapshot import hold, in_thread
from perdure._storage.store import Store
from perdure.errors import StorageError


def pairs(path: Path) -> dict[str, bytes]:
    """What a copied file holds; it must be sound."""
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT * FROM _cf_KV"))
    finally:
        connection.close()


def grow(store: Store, number: int) -> None:
    """A commit of several pages."""
    kv.put(store, "n", b"%d" % number)
    kv.put(store, f"k{number % 7}", os.urandom(9000))
    store.end_turn()


async def test_it_is_the_last_durable_commit(tmp_path: Path) -> None:
    """Neither a commit that is on its way nor an open turn is in it."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, n=b"1")
        kv.put(store, "n", b"2")
        store.end_turn()
        kv.put(store, "n", b"3")
        async with hold(engine, store.key) as snapshot:
            snapshot.copy(str(tmp_path / "copy"), plain=True)
        assert pairs(tmp_path / "copy") == {"n": b"1"}
        store.end_turn()
        await until(lambda: store.is_durable)
        async with hold(engine, store.key) as snapshot:
            snapshot.copy(str(tmp_path / "copy"), plain=True)
        assert pairs(tmp_path / "copy") == {"n": b"3"}


async def test_it_stays_while_the_object_goes_on(tmp_path: Path) -> None:
    """Commits, checkpoints, an eviction, a reset, an erasure: they come after it, or wait for its end."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        for number in range(20):
            grow(store, number)
        await until(lambda: store.is_durable)
        assert store.try_checkpoint()
        await until(lambda: not store._syncing)
        for number in range(20, 30):
            grow(store, number)
        await until(lambda: store.is_durable)
        async with hold(engine, store.key) as snapshot:
            for number in range(30, 60):
                grow(store, number)
            store.make_way()
            await until(lambda: store.is_durable)
            assert not store.try_checkpoint()
            kv.put(store, "n", b"lost")
            store.lose_turn(StorageError("lost"))
            store.close()
            store, _ = owned(engine)
            store.erase()
            engine.release(store)
            await until(lambda: store.is_durable)
            await in_thread(lambda: snapshot.copy(str(tmp_path / "copy"), plain=True))
        found = pairs(tmp_path / "copy")
        assert found["n"] == b"29"
        assert len(found) == 8
        await until(lambda: not os.path.exists(store.path))  # what waited has happened


async def test_a_store_that_nobody_has_opened_is_copied_from_its_file(tmp_path: Path) -> None:
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, n=b"1")
        store.try_checkpoint()
        await until(lambda: not store._syncing)
        engine.release(store)
        store.close()
        engine._forget(store)
        async with hold(engine, store.key) as snapshot:
            assert engine.open_count == 1  # the catalog's
            used, _ = owned(engine)
            await write(used, n=b"2")
            snapshot.copy(str(tmp_path / "copy"), plain=False)
        assert (tmp_path / "copy").read_bytes()[18:20] == b"\x02\x02"
        assert pairs(tmp_path / "copy") == {"n": b"1"}


async def test_what_is_not_there_cannot_be_held() -> None:
    async with an_engine() as engine:
        store, _ = owned(engine)
        kv.put(store, "n", b"1")
        store.end_turn()
        with pytest.raises(StorageError, match="There is no object"):
            async with hold(engine, store.key):
                pass
        await until(lambda: store.is_durable)


async def test_the_lock_of_the_database_stays(tmp_path: Path) -> None:
    """Closing another descriptor of the file would drop it, and let a shell in."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, n=b"1")
        async with hold(engine, store.key) as snapshot:
            snapshot.copy(str(tmp_path / "copy"), plain=True)
        process = await asyncio.create_subprocess_exec(
            "python3",
            "-c",
            f"import sqlite3; sqlite3.connect({store.path!r}, timeout=0).execute('SELECT * FROM sqlite_schema')",
            stderr=asyncio.subprocess.PIPE,
        )
        _, error = await process.communicate()
        assert b"database is locked" in error


async def test_work_that_uses_a_snapshot_is_waited_for() -> None:
    """Also when its caller is cancelled: what it reads must stay until it is done."""
    done: list[str] = []
    loop = asyncio.get_running_loop()
    began, may_end = asyncio.Event(), asyncio.Event()

    def work() -> None:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result()
        done.append("work")

    task = asyncio.create_task(in_thread(work))
    await began.wait()
    task.cancel()
    loop.call_soon(may_end.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["work"]


async def test_a_large_store_under_load_is_copied_whole(tmp_path: Path) -> None:
    """Pages from the file and from the WAL, in many pieces."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
        for _ in range(3):
            await write(
                store,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) "
                "INSERT OR REPLACE INTO t SELECT i, randomblob(3000) FROM n",
            )
            store.try_checkpoint()
            await until(lambda: not store._syncing)
        await write(store, "UPDATE t SET body = randomblob(3000) WHERE id % 3 = 0")
        assert store.database is not None
        wanted = store.database.run(own("SELECT * FROM t")).fetchall()
        async with hold(engine, store.key) as snapshot:
            size_bytes = snapshot.copy(str(tmp_path / "copy"), plain=True)
        assert size_bytes == (tmp_path / "copy").stat().st_size
        connection = sqlite3.connect(tmp_path / "copy")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT * FROM t").fetchall() == wanted
        connection.close()
