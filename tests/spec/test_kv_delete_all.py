"""`ctx.storage.delete_all`: what goes, what stays, and where it is refused (KVA-16…18)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.inside import Plain, an_object, in_object, inside

from perdure import Runtime
from perdure.errors import StorageError
from perdure.testing import evict_durable_object

TABLES = "SELECT name FROM sqlite_master ORDER BY 1"


def tables(storage: Any) -> list[str]:
    return [row["name"] for row in storage.sql.exec(TABLES)]


@pytest.mark.rows("KVA-16")
async def test_everything_goes() -> None:
    """Keys, tables, indexes, views and triggers are removed (KVA-16)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 1)
        storage.sql.exec("CREATE TABLE t (n); CREATE INDEX i ON t (n); CREATE VIEW v AS SELECT n FROM t")
        storage.sql.exec("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END")
        storage.sql.exec("CREATE VIRTUAL TABLE f USING fts5 (body)")
        await asyncio.sleep(0)
        await storage.delete_all()
        return await storage.list(), tables(storage), storage.sql.database_size

    assert await in_object(work) == ({}, [], 4096)


@pytest.mark.rows("KVA-16")
async def test_what_the_turn_has_written_goes_too() -> None:
    """Writes of the same turn before `delete_all` are discarded, writes after it stay (KVA-16)."""

    async def work(storage: Any) -> Any:
        storage.put("a", 1)
        await asyncio.sleep(0)
        storage.put("b", 2)
        storage.sql.exec("CREATE TABLE t (n)")
        storage.delete_all()
        storage.put("c", 3)
        await asyncio.sleep(0)
        return await storage.list(), tables(storage)

    assert await in_object(work) == ({"c": 3}, ["_cf_KV"])


@pytest.mark.rows("KVA-16")
async def test_it_acts_without_being_awaited() -> None:
    """`delete_all` has happened when it returns (KVA-16)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", 1)
        storage.delete_all()
        return storage.kv.get("k")

    assert await in_object(work) is None


@pytest.mark.rows("KVA-16")
async def test_it_is_always_confirmed() -> None:
    """`allow_unconfirmed` is accepted and has no effect: the output gate closes (KVA-16)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 1)
        await storage.sync()
        storage.delete_all(allow_unconfirmed=True, allow_concurrency=True, no_cache=True)
        return storage._live.used_store.gate.is_open

    assert await in_object(work) is False


@pytest.mark.rows("KVA-16")
async def test_it_is_durable(data: Path) -> None:
    """After a restart nothing comes back (KVA-16)."""

    async def work(instance: Any) -> None:
        await instance.ctx.storage.put("k", 1)
        await instance.ctx.storage.sync()
        await instance.ctx.storage.delete_all()
        await instance.ctx.storage.put("new", 1)

    async with an_object(data=data) as stub:
        await inside(stub, work)
    async with an_object(data=data) as stub:
        assert await inside(stub, lambda instance: instance.ctx.storage.list()) == {"new": 1}


@pytest.mark.rows("KVA-16")
async def test_it_may_be_repeated() -> None:
    """An empty store is emptied without an error, again and again (KVA-16)."""

    async def work(storage: Any) -> Any:
        await storage.delete_all()
        await storage.delete_all()
        await storage.put("k", 1)
        await storage.delete_all()
        return await storage.list()

    assert await in_object(work) == {}


@pytest.mark.rows("KVA-18")
async def test_the_instance_goes_on_with_empty_storage() -> None:
    """The same instance writes keys and makes tables anew, also with statements it has used before (KVA-18)."""

    async def work(storage: Any) -> Any:
        for round_ in range(3):
            storage.sql.exec("CREATE TABLE t (n)")
            storage.sql.exec("INSERT INTO t VALUES (?)", round_)
            await storage.put("k", round_)
            seen = storage.sql.exec("SELECT n FROM t").one().n, await storage.get("k")
            assert seen == (round_, round_)
            await storage.delete_all()
        return tables(storage)

    assert await in_object(work) == []


@pytest.mark.rows("KVA-18")
async def test_another_instance_finds_it_empty() -> None:
    """An object that was emptied and evicted starts anew (KVA-18)."""
    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.put("k", 1))
        await inside(stub, lambda instance: instance.ctx.storage.delete_all())
        await evict_durable_object(stub)
        assert await inside(stub, lambda instance: instance.ctx.storage.list()) == {}


@pytest.mark.rows("KVA-18")
async def test_an_open_cursor_is_canceled() -> None:
    """A cursor with rows left says that the database was deleted, at every further use (KVA-18)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2), (3)")
        cursor = storage.sql.exec("SELECT n FROM t")
        next(cursor)
        await storage.delete_all()
        for use in (lambda: next(cursor), cursor.to_list, cursor.one, lambda: next(cursor.raw())):
            with pytest.raises(
                StorageError, match=r"^SQLite query was canceled because the database was deleted\.$"
            ):
                use()
        return cursor.column_names

    assert await in_object(work) == ["n"]


@pytest.mark.rows("KVA-18")
async def test_a_cursor_that_was_read_to_its_end_stays_so() -> None:
    """A cursor that has given all its rows is at its end after `delete_all`, too (KVA-18)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (1)")
        cursor = storage.sql.exec("SELECT n FROM t")
        next(cursor)
        await storage.delete_all()
        return cursor.to_list(), cursor.column_names

    assert await in_object(work) == ([], ["n"])


@pytest.mark.rows("KVA-18")
async def test_an_open_iterator_of_keys_is_canceled() -> None:
    """So does a `kv.list()` iterator that was not at its end (KVA-18)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "b": 2})
        pairs = storage.kv.list()
        next(pairs)
        await storage.delete_all()
        with pytest.raises(StorageError, match="canceled because the database was deleted"):
            next(pairs)

    await in_object(work)


@pytest.mark.rows("KVA-17")
async def test_it_is_refused_in_an_asynchronous_transaction() -> None:
    """Inside a transaction both `txn.delete_all()` and `ctx.storage.delete_all()` are refused (KVA-17)."""

    async def work(storage: Any) -> Any:
        async def closure(txn: Any) -> None:
            for refused in (txn.delete_all, storage.delete_all):
                with pytest.raises(StorageError, match=r"^Cannot call delete_all\(\) within a transaction$"):
                    refused()

        await storage.put("k", 1)
        await storage.transaction(closure)
        return await storage.list()

    assert await in_object(work) == {"k": 1}


@pytest.mark.rows("KVA-17")
async def test_it_is_refused_in_a_synchronous_transaction() -> None:
    """So it is in `transaction_sync`, where workerd fails with an internal error (KVA-17)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 1)
        with storage.transaction_sync(), pytest.raises(StorageError, match="within a transaction"):
            storage.delete_all()
        return await storage.list()

    assert await in_object(work) == {"k": 1}


async def test_only_its_own_object_is_emptied() -> None:
    """Other objects of the class keep their data."""
    async with Runtime(objects=[Plain]) as runtime:
        one, two = (runtime.namespace(Plain).get_by_name(name) for name in ("one", "two"))
        for stub in (one, two):
            await inside(stub, lambda instance: instance.ctx.storage.put("k", 1))
        await inside(one, lambda instance: instance.ctx.storage.delete_all())
        assert await inside(two, lambda instance: instance.ctx.storage.get("k")) == 1
