"""`ctx.storage.transaction_sync`: savepoints of the turn (TXN-10…12, 14)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from support.inside import an_object, attempt, in_object, inside

from perdure.errors import SqlError, StorageError


class Oops(Exception):
    pass


def fail(*steps: Any) -> None:
    raise Oops


@pytest.mark.rows("TXN-10")
async def test_the_callbacks_value_is_returned() -> None:
    """`transaction_sync(callback)` returns what the callback returns (TXN-10)."""
    assert await in_object(lambda storage: storage.transaction_sync(lambda: [1, 2])) == [1, 2]


@pytest.mark.rows("TXN-10")
async def test_what_was_written_stays() -> None:
    """A callback that returns has written into the turn (TXN-10)."""

    async def work(storage: Any) -> Any:
        storage.transaction_sync(lambda: storage.kv.put("k", 1))
        seen = storage.kv.get("k")
        await storage.sync()
        return seen, storage.kv.get("k")

    assert await in_object(work) == (1, 1)


@pytest.mark.rows("TXN-10")
async def test_an_exception_undoes_what_was_written_and_goes_on() -> None:
    """A callback that raises leaves nothing, and the very exception reaches the caller (TXN-10)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n)")
        storage.kv.put("k", 1)
        error = Oops()

        def callback() -> None:
            storage.kv.put("k", 2)
            storage.kv.delete("k")
            storage.put({"l": 3})
            storage.sql.exec("INSERT INTO t VALUES (1); CREATE TABLE u (n)")
            raise error

        with pytest.raises(Oops) as caught:
            storage.transaction_sync(callback)
        tables = [
            row.name for row in storage.sql.exec("SELECT name FROM sqlite_master WHERE name <> '_cf_KV'")
        ]
        count = storage.sql.exec("SELECT count(*) AS n FROM t").one().n
        return caught.value is error, list(storage.kv.list()), tables, count

    assert await in_object(work) == (True, [("k", 1)], ["t"], 0)


@pytest.mark.rows("TXN-10")
async def test_the_turn_around_it_lives_on() -> None:
    """What the turn wrote before and after a failed callback is committed together (TXN-10)."""

    async def work(storage: Any) -> Any:
        number = storage._live.store().number
        storage.kv.put("before", 1)
        with suppress(Oops):
            storage.transaction_sync(lambda: fail(storage.kv.put("inside", 1)))
        storage.kv.put("after", 1)
        await storage.sync()
        return list(storage.kv), storage._live.store().number - number

    assert await in_object(work) == (["after", "before"], 1)


@pytest.mark.rows("TXN-10")
async def test_it_nests() -> None:
    """An inner failure undoes the inner writes alone, an outer one those of both (TXN-10)."""

    def work(storage: Any) -> Any:
        def outer(fails: bool) -> None:
            storage.kv.put("outer", 1)
            with suppress(Oops):
                storage.transaction_sync(lambda: fail(storage.kv.put("inner failed", 1)))
            storage.transaction_sync(lambda: storage.kv.put("inner", 1))
            if fails:
                raise Oops

        with suppress(Oops):
            storage.transaction_sync(lambda: outer(True))
        after_failure = list(storage.kv)
        storage.transaction_sync(lambda: outer(False))
        return after_failure, list(storage.kv)

    assert await in_object(work) == ([], ["inner", "outer"])


@pytest.mark.rows("TXN-10")
async def test_it_nests_to_any_depth() -> None:
    """There is no bound on the depth; a failure half-way out undoes all that is inside it (TXN-10)."""

    def work(storage: Any) -> Any:
        def level(depth: int) -> None:
            storage.kv.put(f"{depth:03}", depth)
            if depth < 100:
                with suppress(Oops):
                    storage.transaction_sync(lambda: level(depth + 1))
            if depth == 51:
                raise Oops

        storage.transaction_sync(lambda: level(1))
        return len(storage.kv), max(storage.kv)

    assert await in_object(work) == (50, "050")


@pytest.mark.rows("TXN-10")
async def test_it_is_a_with_block_too() -> None:
    """`with storage.transaction_sync():` keeps what the block wrote, or undoes it with its exception."""

    def work(storage: Any) -> Any:
        with storage.transaction_sync():
            storage.kv.put("a", 1)
        with suppress(Oops), storage.transaction_sync():
            storage.kv.put("b", 1)
            raise Oops
        return list(storage.kv)

    assert await in_object(work) == ["a"]


@pytest.mark.rows("TXN-10")
async def test_leaving_a_block_early_keeps_its_writes() -> None:
    """`return` and `break` out of the block are no failures."""

    def work(storage: Any) -> Any:
        for key in "ab":
            with storage.transaction_sync():
                storage.kv.put(key, 1)
                if key == "a":
                    continue
                break
        return list(storage.kv)

    assert await in_object(work) == ["a", "b"]


@pytest.mark.rows("TXN-10")
async def test_a_block_can_be_used_once_at_a_time() -> None:
    """Blocks may be nested in each other like callbacks."""

    def work(storage: Any) -> Any:
        with suppress(Oops), storage.transaction_sync():
            storage.kv.put("a", 1)
            with storage.transaction_sync():
                storage.kv.put("b", 1)
            raise Oops
        return list(storage.kv)

    assert await in_object(work) == []


@pytest.mark.rows("TXN-10")
async def test_a_failed_statement_inside_undoes_only_itself() -> None:
    """A callback that catches an SQL error goes on and commits (TXN-10, SQL-28)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n UNIQUE)")

        def callback() -> None:
            storage.sql.exec("INSERT INTO t VALUES (1)")
            with pytest.raises(SqlError):
                storage.sql.exec("INSERT INTO t VALUES (2), (1)")
            storage.sql.exec("INSERT INTO t VALUES (3)")

        storage.transaction_sync(callback)
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(1,), (3,)]


@pytest.mark.rows("TXN-10")
async def test_reads_inside_see_what_was_written_inside() -> None:
    """A transaction sees its own writes, by SQL and by key (TXN-10)."""

    def work(storage: Any) -> Any:
        def callback() -> Any:
            storage.kv.put("k", 1)
            return (
                storage.kv.get("k"),
                list(storage.kv.list()),
                storage.sql.exec("SELECT count(*) FROM sqlite_master").raw().to_list(),
            )

        return storage.transaction_sync(callback)

    assert await in_object(work) == (1, [("k", 1)], [(1,)])


@pytest.mark.rows("TXN-10")
@pytest.mark.parametrize("callback", [5, None, "text"])
async def test_what_cannot_be_called_is_a_type_error(callback: Any) -> None:
    """The error is Cloudflare's, with our name (TXN-10)."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match="Failed to execute 'transaction_sync' on 'DurableObjectStorage'"):
            storage.transaction_sync(callback)

    await in_object(work)


@pytest.mark.rows("TXN-10")
async def test_base_exceptions_undo_too() -> None:
    """Also KeyboardInterrupt, CancelledError and the like roll back (TXN-10)."""

    def work(storage: Any) -> Any:
        for error in (asyncio.CancelledError, GeneratorExit):
            with suppress(error), storage.transaction_sync():
                storage.kv.put("k", 1)
                raise error
        return list(storage.kv)

    assert await in_object(work) == []


# --- asynchronous code inside ------------------------------------------------------------------------


@pytest.mark.rows("TXN-11")
async def test_an_async_callback_is_refused() -> None:
    """An async function would run outside the transaction; Python says so, and nothing of it runs (TXN-11)."""

    def work(storage: Any) -> Any:
        async def callback() -> None:
            storage.kv.put("k", 1)

        with pytest.raises(
            TypeError, match=r"^transaction_sync\(\) takes a plain function; this one is async"
        ):
            storage.transaction_sync(callback)
        return list(storage.kv)

    assert await in_object(work) == []


@pytest.mark.rows("TXN-11")
async def test_a_callback_that_returns_an_awaitable_that_is_done_is_fine() -> None:
    """What storage's own calls return has happened already (TXN-11)."""

    async def work(storage: Any) -> Any:
        await storage.transaction_sync(lambda: storage.put("k", 1))
        return list(storage.kv)

    assert await in_object(work) == ["k"]


@pytest.mark.rows("TXN-11")
async def test_a_block_that_suspends_is_undone_and_says_so() -> None:
    """An `await` inside the block that really waits ends the turn: what the block wrote is undone (TXN-11)."""

    async def work(storage: Any) -> Any:
        storage.kv.put("before", 1)
        with pytest.raises(
            StorageError, match=r"transaction_sync\(\) was still open when its code was suspended"
        ):
            await suspends(storage)
        storage.kv.put("after", 1)
        await storage.sync()
        return list(storage.kv)

    async def suspends(storage: Any) -> None:
        with storage.transaction_sync():
            storage.kv.put("inside", 1)
            with storage.transaction_sync():
                storage.kv.put("deeper", 1)
                await asyncio.sleep(0)

    assert await in_object(work) == ["after", "before"]


@pytest.mark.rows("TXN-11")
async def test_a_suspended_block_leaves_other_events_alone() -> None:
    """Events that run while such a block is suspended write turns of their own, durably (TXN-11)."""
    async with an_object() as stub:

        async def suspends(instance: Any) -> None:
            with instance.ctx.storage.transaction_sync():
                instance.ctx.storage.kv.put("inside", 1)
                instance.reached.set()
                await instance.go_on.wait()

        def prepare(instance: Any) -> None:
            instance.reached, instance.go_on = asyncio.Event(), asyncio.Event()

        async def other(instance: Any) -> Any:
            await instance.reached.wait()
            store = instance.ctx.storage._live.store()
            before = store.number
            instance.ctx.storage.kv.put("other", 1)
            await instance.ctx.storage.sync()
            instance.go_on.set()
            return store.number - before

        await inside(stub, prepare)
        suspended = asyncio.ensure_future(attempt(inside(stub, suspends)))
        assert await inside(stub, other) == 1
        assert isinstance(await suspended, StorageError)
        assert await inside(stub, lambda instance: list(instance.ctx.storage.kv)) == ["other"]


@pytest.mark.rows("TXN-10", "TXN-11")
async def test_an_await_that_does_not_suspend_is_no_matter() -> None:
    """Awaiting what is already done inside the block does not end the turn (TXN-10)."""

    async def work(storage: Any) -> Any:
        with suppress(Oops), storage.transaction_sync():
            await storage.put("k", 1)
            assert await storage.get("k") == 1
            raise Oops
        with storage.transaction_sync():
            await storage.put("l", 1)
        return list(storage.kv)

    assert await in_object(work) == ["l"]


# --- inside and outside ------------------------------------------------------------------------------


@pytest.mark.rows("TXN-10", "TXN-07")
async def test_inside_an_asynchronous_transaction_it_is_a_savepoint() -> None:
    """It undoes its own writes only, and goes with the transaction around it (TXN-10)."""

    async def work(storage: Any) -> Any:
        async with storage.transaction():
            storage.kv.put("a", 1)
            with suppress(Oops):
                storage.transaction_sync(lambda: fail(storage.kv.put("b", 1)))
            storage.transaction_sync(lambda: storage.kv.put("c", 1))
        with suppress(Oops):
            async with storage.transaction():
                storage.transaction_sync(lambda: storage.kv.put("d", 1))
                raise Oops
        return list(storage.kv)

    assert await in_object(work) == ["a", "c"]


@pytest.mark.rows("TXN-10")
async def test_an_asynchronous_transaction_asked_for_inside_runs_afterwards() -> None:
    """`transaction()` called in a callback starts when the turn is over, and is no part of it (TXN-10)."""

    async def work(storage: Any) -> Any:
        started = []

        async def closure() -> str:
            storage.kv.put("inner", storage.kv.get("outer"))
            return "inner done"

        def callback() -> None:
            started.append(storage.transaction(closure))
            storage.kv.put("outer", 1)

        storage.transaction_sync(callback)
        return await started[0], list(storage.kv.list())

    assert await in_object(work) == ("inner done", [("inner", 1), ("outer", 1)])


@pytest.mark.rows("TXN-14", "KVA-22")
async def test_hidden_tables_are_rolled_back_too() -> None:
    """A table of keys that was made inside is gone, and is made again when it is needed (TXN-14)."""

    def work(storage: Any) -> Any:
        counts = []
        for _ in range(2):
            with suppress(Oops):
                storage.transaction_sync(lambda: fail(storage.kv.put("k", 1)))
            counts.append(storage.sql.exec("SELECT count(*) AS n FROM sqlite_master").one().n)
        storage.kv.put("k", 2)
        return counts, list(storage.kv.list())

    assert await in_object(work) == ([0, 0], [("k", 2)])


@pytest.mark.rows("TXN-10", "GATE-06")
async def test_its_writes_close_the_output_gate() -> None:
    """What a callback wrote is confirmed like any write (TXN-10)."""

    def work(storage: Any) -> Any:
        storage.transaction_sync(lambda: storage.kv.put("k", 1))
        return storage._live.used_store.gate.is_open

    assert await in_object(work) is False


@pytest.mark.rows("TXN-10")
async def test_a_transaction_that_only_reads_writes_nothing_durable() -> None:
    """Reads inside a transaction make no commit that others would wait for long (TXN-10)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 1)
        await storage.sync()
        value = storage.transaction_sync(lambda: storage.kv.get("k"))
        await storage.sync()
        return value, storage._live.used_store.is_durable

    assert await in_object(work) == (1, True)
