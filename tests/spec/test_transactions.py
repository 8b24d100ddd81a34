"""`ctx.storage.transaction`: explicit transactions (TXN-01…09, 15)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.inside import an_object, attempt, begin, in_object, inside, live_of, until

from perdure import DurableObject, Runtime
from perdure.errors import SqlError, StorageError
from perdure.testing import evict_durable_object

OUTER_WHILE_NESTED = r"^Cannot roll back an outer transaction while a nested transaction is still running\.$"


class Oops(Exception):
    pass


def gate_is_open(storage: Any) -> bool:
    return storage._live.used_store.gate.is_open


# --- the closure -------------------------------------------------------------------------------------


@pytest.mark.rows("TXN-01")
async def test_the_closures_value_is_returned() -> None:
    """`await transaction(closure)` gives what the closure returns, and keeps what it wrote (TXN-01)."""

    async def work(storage: Any) -> Any:
        async def closure(txn: Any) -> str:
            await txn.put("k", 1)
            return "value"

        return await storage.transaction(closure), await storage.get("k")

    assert await in_object(work) == ("value", 1)


@pytest.mark.rows("TXN-01")
async def test_a_closure_may_leave_out_the_txn() -> None:
    """A closure without parameters, a bound method and a partial are closures, too (TXN-01)."""

    async def work(storage: Any) -> Any:
        async def closure() -> int:
            storage.kv.put("k", 1)
            return 5

        return await storage.transaction(closure), await storage.transaction(lambda txn: txn.get("k"))

    assert await in_object(work) == (5, 1)


@pytest.mark.rows("TXN-01")
async def test_a_closure_may_be_a_plain_function() -> None:
    """A closure that is not async is run all the same (TXN-01)."""

    async def work(storage: Any) -> Any:
        def closure() -> int:
            storage.kv.put("k", 1)
            return 5

        return await storage.transaction(closure), storage.kv.get("k")

    assert await in_object(work) == (5, 1)


@pytest.mark.rows("TXN-01")
@pytest.mark.parametrize("closure", [5, None, "text"])
async def test_what_cannot_be_called_is_a_type_error(closure: Any) -> None:
    """The error is Cloudflare's, at the call (TXN-01)."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match="Failed to execute 'transaction' on 'DurableObjectStorage'"):
            storage.transaction(closure)

    await in_object(work)


@pytest.mark.rows("TXN-01")
async def test_it_runs_though_nobody_awaits_it() -> None:
    """`transaction(closure)` starts by being called (TXN-01)."""
    async with an_object() as stub:

        def work(instance: Any) -> None:
            async def closure() -> None:
                instance.ctx.storage.kv.put("k", 1)

            instance.ctx.storage.transaction(closure)

        await inside(stub, work)
        assert await inside(stub, lambda instance: instance.ctx.storage.kv.get("k")) == 1


@pytest.mark.rows("TXN-01")
async def test_it_is_an_async_with_block_too() -> None:
    """`async with transaction() as txn` keeps what the block wrote, or undoes it with its exception (TXN-01)."""

    async def work(storage: Any) -> Any:
        async with storage.transaction() as txn:
            await txn.put("a", 1)
            storage.kv.put("b", 1)
        with suppress(Oops):
            async with storage.transaction() as txn:
                await txn.put("c", 1)
                await asyncio.sleep(0)
                raise Oops
        return list(storage.kv)

    assert await in_object(work) == ["a", "b"]


@pytest.mark.rows("TXN-01", "TXN-08")
async def test_no_other_event_is_delivered_meanwhile() -> None:
    """The object is blocked from start to end, also while the closure waits for something else (TXN-01, TXN-08)."""
    async with an_object() as stub:
        order: list[str] = []
        waiting, go_on = asyncio.Event(), asyncio.Event()

        async def transacts(instance: Any) -> None:
            async with instance.ctx.storage.transaction():
                order.append("begun")
                waiting.set()
                await go_on.wait()
                order.append("ended")

        first = begin(stub, transacts)
        await waiting.wait()
        second = begin(stub, lambda _: order.append("other"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert order == ["begun"]
        go_on.set()
        await asyncio.gather(first, second)
        assert order == ["begun", "ended", "other"]


@pytest.mark.rows("TXN-01", "TXN-08")
async def test_a_closure_may_call_other_objects() -> None:
    """Other I/O inside the closure is allowed, and its writes stay one transaction (TXN-08)."""

    class Asks(DurableObject):
        async def work(self, other: str) -> Any:
            async def closure(txn: Any) -> Any:
                await txn.put("before", 1)
                answer = await self.env.ASKS.get_by_name(other).answer()
                await txn.put("after", answer)
                return answer

            return await self.ctx.storage.transaction(closure), await self.ctx.storage.list()

        async def answer(self) -> int:
            return 42

    async with Runtime(objects=[Asks]) as runtime:
        stub = runtime.namespace(Asks).get_by_name("one")
        assert await stub.work("two") == (42, {"before": 1, "after": 42})


@pytest.mark.rows("TXN-02")
async def test_an_exception_undoes_everything_and_reaches_the_caller() -> None:
    """The closure's error propagates as it is, and the object is not reset (TXN-02)."""
    async with an_object() as stub:

        async def work(instance: Any) -> Any:
            storage = instance.ctx.storage
            await storage.put("k", 1)
            error = Oops("mine")

            async def closure(txn: Any) -> None:
                await txn.put("k", 2)
                storage.sql.exec("CREATE TABLE t (n)")
                storage.kv.put("l", 1)
                await asyncio.sleep(0)
                raise error

            caught = await attempt(storage.transaction(closure))
            return (
                caught is error,
                list(storage.kv.list()),
                storage.sql.exec("SELECT name FROM sqlite_master").raw().to_list(),
            )

        before = live_of(stub)
        assert await inside(stub, work) == (True, [("k", 1)], [("_cf_KV",)])
        assert live_of(stub) is before


@pytest.mark.rows("TXN-02")
async def test_an_exception_that_leaves_the_handler_resets_nothing() -> None:
    """The error of a closure that nobody catches fails the event only (TXN-02)."""
    async with an_object() as stub:

        async def work(instance: Any) -> None:
            await instance.ctx.storage.put("kept", 1)
            async with instance.ctx.storage.transaction():
                await instance.ctx.storage.put("lost", 1)
                raise ValueError("out")

        before = live_of(stub)
        error = await attempt(inside(stub, work))
        assert (type(error), str(error)) == (ValueError, "out")
        assert live_of(stub) is before
        assert await inside(stub, lambda instance: list(instance.ctx.storage.kv)) == ["kept"]


@pytest.mark.rows("TXN-02")
async def test_an_exception_before_the_first_suspension_is_the_same() -> None:
    """A closure that raises at once, or is no coroutine, rolls back as well (TXN-02)."""

    async def work(storage: Any) -> Any:
        def closure() -> None:
            storage.kv.put("k", 1)
            raise TypeError("now")

        error = await attempt(storage.transaction(closure))
        return str(error), list(storage.kv)

    assert await in_object(work) == ("now", [])


# --- txn ---------------------------------------------------------------------------------------------


@pytest.mark.rows("TXN-03")
async def test_txn_has_the_calls_of_storage() -> None:
    """`txn` reads, writes, lists and deletes as `ctx.storage` does (TXN-03)."""

    async def work(storage: Any) -> Any:
        async with storage.transaction() as txn:
            await txn.put({"a": 1, "b": 2}, allow_unconfirmed=True)
            await txn.put("c", 3)
            return (
                await txn.get("a"),
                await txn.get("no", 5),
                await txn.get(["b", "no"]),
                await txn.list(start_after="a"),
                await txn.delete("a"),
                await txn.delete(["a", "b"]),
                await txn.list(),
            )

    assert await in_object(work) == (1, 5, {"b": 2}, {"b": 2, "c": 3}, True, 1, {"c": 3})


@pytest.mark.rows("TXN-03")
async def test_txn_is_a_formality() -> None:
    """Everything the object writes meanwhile belongs to the transaction, through `txn` or not (TXN-03)."""

    async def work(storage: Any) -> Any:
        with suppress(Oops):
            async with storage.transaction() as txn:
                await txn.put("a", 1)
                await storage.put("b", 1)
                storage.kv.put("c", 1)
                storage.sql.exec("CREATE TABLE t (n)")
                raise Oops
        return await storage.list(), storage.sql.exec("SELECT * FROM sqlite_master").to_list()

    assert await in_object(work) == ({}, [])


@pytest.mark.rows("TXN-04")
async def test_rollback_undoes_everything_and_the_closure_goes_on() -> None:
    """After `txn.rollback()` the writes are gone, and the closure's value is still returned (TXN-04)."""

    async def work(storage: Any) -> Any:
        async def closure(txn: Any) -> str:
            await txn.put("b", 2)
            assert txn.rollback() is None
            assert txn.rollback() is None
            return "went on"

        await storage.put("a", 1)
        return await storage.transaction(closure), await storage.list()

    assert await in_object(work) == ("went on", {"a": 1})


@pytest.mark.rows("TXN-04")
@pytest.mark.parametrize("call", ["get", "put", "delete", "list"])
async def test_txn_cannot_be_used_after_its_rollback(call: str) -> None:
    """A later call through `txn` names what it was (TXN-04)."""
    arguments: Any = {"get": ("k",), "put": ("k", 1), "delete": ("k",), "list": ()}[call]

    async def work(storage: Any) -> Any:
        async with storage.transaction() as txn:
            txn.rollback()
            with pytest.raises(StorageError, match=rf"^Cannot {call}\(\) on rolled back transaction$"):
                getattr(txn, call)(*arguments)

    await in_object(work)


@pytest.mark.rows("TXN-04")
async def test_writes_after_a_rollback_are_writes_of_the_turn() -> None:
    """`ctx.storage` goes on after `txn.rollback()`: what it writes then is kept, also if the closure fails (TXN-04)."""

    async def work(storage: Any) -> Any:
        async def closure(txn: Any) -> None:
            await txn.put("b", 2)
            txn.rollback()
            await storage.put("d", 4)
            storage.transaction_sync(lambda: storage.kv.put("e", 5))
            raise Oops

        assert isinstance(await attempt(storage.transaction(closure)), Oops)
        await storage.sync()
        return await storage.list()

    assert await in_object(work) == {"d": 4, "e": 5}


@pytest.mark.rows("TXN-05")
@pytest.mark.parametrize("call", ["get", "put", "delete", "list", "rollback"])
async def test_txn_cannot_be_used_after_the_closure(call: str) -> None:
    """`txn` that was moved out of the closure says so (TXN-05)."""
    arguments: Any = {"get": ("k",), "put": ("k", 1), "delete": ("k",), "list": (), "rollback": ()}[call]
    text = (
        rf"^Cannot call {call}\(\) on transaction that has already committed: did you move `txn` outside of the "
        r"closure\?$"
    )

    async def work(storage: Any) -> Any:
        kept = []

        async def closure(txn: Any) -> None:
            kept.append(txn)

        await storage.transaction(closure)
        async with storage.transaction() as txn:
            kept.append(txn)
        for txn in kept:
            with pytest.raises(StorageError, match=text):
                getattr(txn, call)(*arguments)

    await in_object(work)


# --- commits -----------------------------------------------------------------------------------------


@pytest.mark.rows("TXN-06")
async def test_writes_of_the_turn_before_it_are_a_commit_of_their_own() -> None:
    """What the turn wrote before `transaction()` is durable separately, and no failure undoes it (TXN-06)."""

    async def work(storage: Any) -> Any:
        number = storage._live.store().number
        await storage.put("before", 1)

        async def closure(txn: Any) -> None:
            await txn.put("inside", 1)

        await storage.transaction(closure)
        await storage.put("after", 1)
        await storage.sync()
        return storage._live.store().number - number

    assert await in_object(work) == 3


@pytest.mark.rows("TXN-01", "TXN-06")
async def test_it_is_one_commit_however_long_it_takes() -> None:
    """Suspensions inside do not split a transaction (TXN-01)."""

    async def work(storage: Any) -> Any:
        number = storage._live.store().number
        async with storage.transaction():
            for step in range(5):
                await storage.put(f"{step}", step)
                await asyncio.sleep(0)
        return storage._live.store().number - number

    assert await in_object(work) == 1


@pytest.mark.rows("TXN-01")
async def test_it_is_durable(data: Path) -> None:
    """A transaction that was answered for is there after a restart, one that failed is not (TXN-01)."""

    async def work(instance: Any) -> None:
        async with instance.ctx.storage.transaction() as txn:
            await txn.put("kept", 1)
        with suppress(Oops):
            async with instance.ctx.storage.transaction() as txn:
                await txn.put("lost", 1)
                raise Oops

    async with an_object(data=data) as stub:
        await inside(stub, work)
    async with an_object(data=data) as stub:
        assert await inside(stub, lambda instance: instance.ctx.storage.list()) == {"kept": 1}


@pytest.mark.rows("TXN-09")
async def test_the_output_gate_closes_at_the_commit() -> None:
    """Uncommitted writes hold nothing back; from the commit on the gate is closed (TXN-09)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 0)
        await storage.sync()
        async with storage.transaction():
            await storage.put("k", 1)
            during = gate_is_open(storage)
        return during, gate_is_open(storage)

    assert await in_object(work) == (True, False)


@pytest.mark.rows("TXN-09", "GATE-10")
async def test_only_a_confirmed_write_closes_the_gate_at_the_commit() -> None:
    """A transaction whose writes are all unconfirmed, or that only reads, holds nothing back (TXN-09)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 0)
        await storage.sync()
        async with storage.transaction() as txn:
            await txn.put("k", 1, allow_unconfirmed=True)
        unconfirmed = gate_is_open(storage)
        await storage.sync()
        async with storage.transaction() as txn:
            await txn.get("k")
        return unconfirmed, gate_is_open(storage), storage.kv.get("k")

    assert await in_object(work) == (True, True, 1)


@pytest.mark.rows("TXN-09")
async def test_a_transaction_that_was_undone_holds_nothing_back() -> None:
    """After a rollback there is nothing to wait for (TXN-09)."""

    async def work(storage: Any) -> Any:
        with suppress(Oops):
            async with storage.transaction():
                await storage.put("k", 1)
                raise Oops
        return storage._live.used_store.is_durable

    assert await in_object(work) is True


# --- nesting -----------------------------------------------------------------------------------------


@pytest.mark.rows("TXN-07")
async def test_an_inner_failure_undoes_only_the_inner_writes() -> None:
    """A nested transaction is a savepoint (TXN-07)."""

    async def work(storage: Any) -> Any:
        async with storage.transaction() as outer:
            await outer.put("outer", 1)
            with suppress(Oops):
                async with storage.transaction() as inner:
                    await inner.put("inner", 1)
                    await asyncio.sleep(0)
                    raise Oops
            await outer.put("after", 1)
        return await storage.list()

    assert await in_object(work) == {"outer": 1, "after": 1}


@pytest.mark.rows("TXN-07")
async def test_an_outer_failure_undoes_inner_commits() -> None:
    """What an inner transaction has committed goes with the outer one (TXN-07)."""

    async def work(storage: Any) -> Any:
        async def inner(txn: Any) -> None:
            await txn.put("inner", 1)

        async def outer(txn: Any) -> None:
            await txn.put("outer", 1)
            await storage.transaction(inner)
            assert await txn.list() == {"inner": 1, "outer": 1}
            raise Oops

        with suppress(Oops):
            await storage.transaction(outer)
        return await storage.list()

    assert await in_object(work) == {}


@pytest.mark.rows("TXN-07", "TXN-04")
async def test_an_inner_rollback_undoes_only_the_inner_writes() -> None:
    """`rollback()` of a nested `txn` leaves the outer one open (TXN-07)."""

    async def work(storage: Any) -> Any:
        async with storage.transaction() as outer:
            await outer.put("outer", 1)
            async with storage.transaction() as inner:
                await inner.put("inner", 1)
                inner.rollback()
                await storage.put("after", 1)
            await outer.put("last", 1)
        return await storage.list()

    assert await in_object(work) == {"after": 1, "last": 1, "outer": 1}


@pytest.mark.rows("TXN-07")
async def test_an_outer_transaction_is_not_rolled_back_under_an_inner_one() -> None:
    """`outer.rollback()` while a nested transaction runs is refused, and harms neither (TXN-07)."""

    async def work(storage: Any) -> Any:
        async with storage.transaction() as outer:
            await outer.put("outer", 1)
            async with storage.transaction() as inner:
                await inner.put("inner", 1)
                with pytest.raises(StorageError, match=OUTER_WHILE_NESTED):
                    outer.rollback()
        return await storage.list()

    assert await in_object(work) == {"inner": 1, "outer": 1}


@pytest.mark.rows("TXN-07")
async def test_nested_transactions_of_several_tasks_run_one_after_another() -> None:
    """Transactions that are started together inside a transaction do not mix (TXN-07, GATE-16)."""

    async def work(storage: Any) -> Any:
        seen = []

        async def inner(number: int) -> None:
            async with storage.transaction() as txn:
                seen.append(f"{number} begins")
                await txn.put(f"{number}", 1)
                await asyncio.sleep(0)
                seen.append(f"{number} ends")
                if number == 1:
                    raise Oops

        async with storage.transaction():
            await asyncio.gather(*(inner(number) for number in range(3)), return_exceptions=True)
        return seen, list(storage.kv)

    seen, keys = await in_object(work)
    assert seen == [f"{number} {word}" for number in range(3) for word in ("begins", "ends")]
    assert keys == ["0", "2"]


@pytest.mark.rows("TXN-07")
async def test_transactions_of_several_events_run_one_after_another() -> None:
    """Two events' transactions never overlap (TXN-01, TXN-07)."""
    async with an_object() as stub:

        async def add(instance: Any) -> None:
            async with instance.ctx.storage.transaction() as txn:
                value = await txn.get("n", 0)
                await asyncio.sleep(0)
                await txn.put("n", value + 1)

        await asyncio.gather(*(inside(stub, add) for _ in range(20)))
        assert await inside(stub, lambda instance: instance.ctx.storage.get("n")) == 20


@pytest.mark.rows("TXN-07", "TXN-11")
async def test_a_savepoint_left_open_by_another_task_fails_the_commit() -> None:
    """A transaction that ends while a `transaction_sync` block inside it still waits is undone as a whole (TXN-07)."""

    async def work(storage: Any) -> Any:
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def never_do_this() -> None:
            with storage.transaction_sync():
                storage.kv.put("inner", 1)
                reached.set()
                await go_on.wait()

        async def outer() -> None:
            async with storage.transaction():
                storage.kv.put("outer", 1)
                tasks.append(asyncio.create_task(never_do_this()))
                await reached.wait()

        tasks: list[asyncio.Task[None]] = []
        error = await attempt(outer())
        go_on.set()
        other = await attempt(tasks[0])
        storage.kv.put("after", 1)
        await storage.sync()
        return str(error), str(other), list(storage.kv)

    text = "Cannot commit an outer transaction while a nested transaction is still running."
    assert await in_object(work) == (text, text, ["after"])


@pytest.mark.rows("TXN-02", "TXN-11")
async def test_a_savepoint_left_open_by_another_task_does_not_keep_a_failed_transaction_open() -> None:
    """A failing transaction is undone whatever its tasks hold, and its own error is the one that is seen (TXN-02)."""

    async def work(storage: Any) -> Any:
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def never_do_this() -> None:
            with storage.transaction_sync():
                reached.set()
                await go_on.wait()

        async def outer() -> None:
            async with storage.transaction():
                storage.kv.put("outer", 1)
                tasks.append(asyncio.create_task(never_do_this()))
                await reached.wait()
                raise Oops

        tasks: list[asyncio.Task[None]] = []
        error = await attempt(outer())
        go_on.set()
        other = await attempt(tasks[0])
        storage.kv.put("after", 1)
        await storage.sync()
        return type(error), str(other), list(storage.kv)

    assert await in_object(work) == (
        Oops,
        "The transaction around this one failed and was rolled back.",
        ["after"],
    )


# --- failures ----------------------------------------------------------------------------------------


@pytest.mark.rows("TXN-02", "SQL-28")
async def test_a_failed_statement_inside_does_not_end_the_transaction() -> None:
    """A closure that catches an SQL error goes on and commits (TXN-02)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n UNIQUE)")
        async with storage.transaction():
            storage.sql.exec("INSERT INTO t VALUES (1)")
            with pytest.raises(SqlError):
                storage.sql.exec("INSERT INTO t VALUES (1)")
            storage.sql.exec("INSERT INTO t VALUES (2)")
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(1,), (2,)]


@pytest.mark.rows("TXN-02", "CTX-09")
async def test_an_abort_inside_undoes_it() -> None:
    """`ctx.abort()` in a closure leaves nothing of the transaction, and the next instance can begin another (TXN-02)."""
    async with an_object() as stub:

        async def work(instance: Any) -> None:
            async with instance.ctx.storage.transaction() as txn:
                await txn.put("lost", 1)
                await asyncio.sleep(0)
                instance.ctx.abort("enough")

        await attempt(inside(stub, work))

        async def after(instance: Any) -> Any:
            async with instance.ctx.storage.transaction() as txn:
                await txn.put("kept", 1)
            return await instance.ctx.storage.list()

        assert await inside(stub, after) == {"kept": 1}


@pytest.mark.rows("TXN-02")
async def test_a_cancelled_task_undoes_its_transaction() -> None:
    """Cancelling the task that holds the block rolls back and lets others in (TXN-02)."""

    async with an_object() as stub:

        def work(instance: Any) -> None:
            async def holds() -> None:
                async with instance.ctx.storage.transaction() as txn:
                    await txn.put("lost", 1)
                    await asyncio.Event().wait()

            instance.task = asyncio.create_task(holds())

        await inside(stub, work)
        live = live_of(stub)
        await until(lambda: live.used_store is not None and live.used_store.depth == 1)
        live.instance.task.cancel()
        assert await inside(stub, lambda instance: instance.ctx.storage.list()) == {}


@pytest.mark.rows("SQL-15", "TXN-02")
async def test_cursors_go_on_after_a_rollback_that_left_their_table() -> None:
    """A cursor opened before or inside a transaction reads on after its rollback (SQL-15)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2), (3), (4)")
        cursor: Any = None
        with suppress(Oops):
            async with storage.transaction():
                cursor = storage.sql.exec("SELECT n FROM t")
                next(cursor)
                storage.sql.exec("INSERT INTO t VALUES (9)")
                raise Oops
        return [row.n for row in cursor]

    assert await in_object(work) == [2, 3, 4]


@pytest.mark.rows("TXN-08")
async def test_an_object_may_be_evicted_after_a_transaction() -> None:
    """A transaction leaves nothing behind that keeps the object in memory (TXN-08)."""
    async with an_object() as stub:

        async def work(instance: Any) -> None:
            async with instance.ctx.storage.transaction() as txn:
                await txn.put("k", 1)

        await inside(stub, work)
        await evict_durable_object(stub)
        assert await inside(stub, lambda instance: instance.ctx.storage.get("k")) == 1
