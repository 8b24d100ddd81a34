"""What becomes of an object, its callers and its outputs when writes of it are lost: GATE-09, SQL-26, LIFE-15, STB-11.

"Lost" is tried in both ways there are: the journal cannot take the commits (the disk is full), and a turn
cannot be committed at all (a deferred constraint fails). The one takes back every commit that is not durable,
the other only the turn itself.
"""

from __future__ import annotations

import asyncio

import pytest
from support.faulty_disk import FaultyDisk
from support.inside import attempt, live_of, until

from perdure import DurableObject, ObjectReset, Runtime
from perdure.errors import StorageError, StorageReset


class Account(DurableObject):
    """Keeps a balance, in SQL, and tells a ledger of it."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.kv = ctx.storage.kv
        self.kept = None

    def prepare(self):
        self.sql.exec("CREATE TABLE IF NOT EXISTS entry (n INTEGER PRIMARY KEY, filler TEXT)")
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS child (n INTEGER REFERENCES entry DEFERRABLE INITIALLY DEFERRED)"
        )

    async def add(self, n):
        self.sql.exec("INSERT INTO entry VALUES (?, ?)", n, "x" * 100)
        return n

    async def add_unconfirmed(self, n):
        await self.ctx.storage.put("loose", n, allow_unconfirmed=True)

    async def entries(self):
        return [row.n for row in self.sql.exec("SELECT n FROM entry ORDER BY n")]

    async def violate(self):
        self.sql.exec("INSERT INTO child VALUES (12345)")

    async def add_and_tell(self, n, then=""):
        self.sql.exec("INSERT INTO entry VALUES (?, '')", n)
        call = self.env.LEDGER.get_by_name("all").note(n)
        if then == "abort":
            self.ctx.abort("changed my mind")
        if then == "violate":
            await self.violate()
        if then == "delete_all":
            await self.ctx.storage.delete_all()
        await call

    async def add_then_fail(self, n):
        self.sql.exec("INSERT INTO entry VALUES (?, '')", n)
        raise ValueError(f"added {n}")

    async def get(self, key):
        return self.kv.get(key)

    async def set(self, key, value):
        self.kv[key] = value

    async def wipe(self):
        await self.ctx.storage.delete_all()

    async def keep_cursor(self):
        self.kept = self.sql.exec("SELECT * FROM entry")
        next(self.kept)

    async def sync(self):
        await self.ctx.storage.sync()


class Ledger(DurableObject):
    """Remembers, in memory, what it was told."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.notes = []

    async def note(self, n):
        self.notes.append(n)

    async def all(self):
        return self.notes


@pytest.fixture
def disk():
    return FaultyDisk()


def a_runtime(disk, tmp_path, **options):
    return Runtime([Account, Ledger], data=tmp_path, disk=disk, slow_ms=0, **options)


async def account_of(runtime):
    """An account with entry 1, durable."""
    stub = runtime.env.ACCOUNT.get_by_name("a")
    await stub.prepare()
    await stub.add(1)
    return stub


async def started(stub, method, *arguments):
    """Start a call, and let the object run until the call waits for the disk."""
    call = asyncio.ensure_future(getattr(stub, method)(*arguments))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not call.done()
    return call


async def after_a_crash(disk, tmp_path):
    """What a new runtime finds in a copy of the folder as it is now."""
    import shutil

    copy = tmp_path.with_name(tmp_path.name + "-copy")
    shutil.copytree(tmp_path, copy)
    async with Runtime([Account, Ledger], data=copy, slow_ms=0) as runtime:
        stub = runtime.env.ACCOUNT.get_by_name("a")
        found = await stub.entries()
        assert list(live_of(stub).used_store.database.integrity()) == ["ok"]
    return found


# --- the journal cannot take the commits -----------------------------------------------------------------------


@pytest.mark.rows("GATE-09")
async def test_every_caller_of_a_lost_commit_gets_the_error(disk, tmp_path):
    """All calls in progress fail, also those whose own write was not among the lost ones."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.being_full():
            outcomes = await asyncio.gather(
                *(attempt(stub.add(n)) for n in range(2, 6)), attempt(stub.entries())
            )
    assert {type(outcome) for outcome in outcomes} == {StorageReset}
    assert all("No space left on device" in str(outcome) for outcome in outcomes)


@pytest.mark.rows("GATE-09", "LIFE-15")
async def test_after_a_lost_commit_the_next_instance_sees_the_last_durable_state(disk, tmp_path):
    """Nothing of what was lost is there, and everything that was durable is."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.being_full():
            await attempt(stub.add(2))
        again = runtime.env.ACCOUNT.get_by_name("a")
        assert await again.entries() == [1]
        assert await again.add(3) == 3
        assert await again.entries() == [1, 3]


@pytest.mark.rows("STB-11")
async def test_a_stub_from_before_the_loss_fails_with_the_original_error(disk, tmp_path):
    """Its object has gone; a new stub reaches the new one."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.being_full():
            first = await attempt(stub.add(2))
        later = await attempt(stub.entries())
        assert isinstance(later, StorageReset)
        assert str(later) == str(first)


@pytest.mark.rows("GATE-09", "GATE-07")
async def test_a_call_that_was_sent_after_a_lost_write_is_never_delivered(disk, tmp_path):
    """What leaves an object waits for its writes; if they are lost it never leaves."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.being_full():
            assert isinstance(await attempt(stub.add_and_tell(2)), StorageReset)
        again = runtime.env.ACCOUNT.get_by_name("a")
        await again.add_and_tell(3)  # later than the lost one would have been
        assert await runtime.env.LEDGER.get_by_name("all").all() == [3]


@pytest.mark.rows("GATE-08")
async def test_an_error_that_was_raised_after_a_lost_write_is_not_shown(disk, tmp_path):
    """The handler's own exception would tell of a write that never was."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.being_full():
            assert isinstance(await attempt(stub.add_then_fail(2)), StorageReset)


async def test_other_objects_are_not_reset_by_a_lost_commit_of_one(disk, tmp_path):
    """Only objects with commits in the batch that did not fit are."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        ledger = runtime.env.LEDGER.get_by_name("all")
        await ledger.note(1)
        with disk.being_full():
            await attempt(stub.add(2))
        assert await ledger.all() == [1]


async def test_sync_fails_when_the_writes_before_it_are_lost(disk, tmp_path):
    """`sync()` promises that everything before it is durable, unconfirmed writes included."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.held():
            await stub.add_unconfirmed(2)  # on its way; the next batch gathers behind it
            await stub.add_unconfirmed(3)
            call = await started(stub, "sync")
            disk.full = True
            disk.release()
            assert isinstance(await attempt(call), StorageReset)
        disk.full = False


async def test_a_stop_while_the_disk_is_full_gives_everything_back(disk, tmp_path):
    """The folder is free afterwards, and holds what was durable."""
    runtime = a_runtime(disk, tmp_path)
    await runtime.start()
    stub = await account_of(runtime)
    disk.full = True
    call = asyncio.ensure_future(attempt(stub.add(2)))
    await asyncio.sleep(0)
    await runtime.stop(drain_s=0)
    disk.full = False
    assert isinstance(await call, Exception)
    async with a_runtime(disk, tmp_path) as runtime:
        assert await runtime.env.ACCOUNT.get_by_name("a").entries() == [1]


# --- a turn cannot be committed ------------------------------------------------------------------------------


@pytest.mark.rows("SQL-26")
async def test_a_turn_that_cannot_be_committed_takes_nothing_else_with_it(disk, tmp_path):
    """Commits before it that are on their way stay: the journal is making them durable, the store must agree."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.held():
            first = await started(stub, "add", 2)
            lost = await attempt(stub.violate())
            assert isinstance(lost, StorageReset)
            again = runtime.env.ACCOUNT.get_by_name("a")
            later = await started(again, "add", 3)
        assert isinstance(await attempt(first), StorageReset)
        assert await later == 3
        assert await again.entries() == [1, 2, 3]
        assert await after_a_crash(disk, tmp_path) == [1, 2, 3]


@pytest.mark.rows("GATE-07", "SQL-26")
async def test_outputs_after_a_reset_wait_for_the_commits_from_before_it(disk, tmp_path):
    """The gate belongs to the store: the next instance may show only what is durable."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.held():
            await started(stub, "add", 2)
            await attempt(stub.violate())
            reading = await started(runtime.env.ACCOUNT.get_by_name("a"), "entries")
        assert await reading == [1, 2]


@pytest.mark.rows("GATE-07", "CTX-09")
async def test_outputs_after_an_abort_wait_for_the_commits_from_before_it(disk, tmp_path):
    """The same when the instance was dropped by `abort()`."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.held():
            await started(stub, "add", 2)
            assert isinstance(await attempt(stub.add_and_tell(3, "abort")), ObjectReset)
            reading = await started(runtime.env.ACCOUNT.get_by_name("a"), "entries")
        assert await reading == [1, 2]


@pytest.mark.rows("GATE-09")
@pytest.mark.parametrize("undone", ["abort", "violate"])
async def test_a_call_that_was_sent_after_an_undone_write_is_never_delivered(disk, tmp_path, undone):
    """The turn's write was taken back, so nobody may hear of it."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        assert isinstance(await attempt(stub.add_and_tell(2, undone)), ObjectReset | StorageReset)
        again = runtime.env.ACCOUNT.get_by_name("a")
        await again.add_and_tell(3)
        assert await again.entries() == [1, 3]
        assert await runtime.env.LEDGER.get_by_name("all").all() == [3]


@pytest.mark.rows("GATE-07", "KVA-16")
async def test_a_call_before_delete_all_in_one_turn_waits_for_it(disk, tmp_path):
    """What the turn wrote is gone with the rest; the call leaves when that is durable."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        ledger = runtime.env.LEDGER.get_by_name("all")
        with disk.held():
            call = await started(stub, "add_and_tell", 2, "delete_all")
            assert await ledger.all() == []
        await call
        assert await ledger.all() == [2]


async def test_a_loss_in_the_journal_after_one_in_a_turn_is_heard_too(disk, tmp_path):
    """Between the two nobody uses the object, and the commits that were on their way must go all the same."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        with disk.held():
            before = disk.received
            await started(stub, "add", 2)  # in the batch that the disk is busy with
            await until(lambda: disk.received > before)
            await started(stub, "add", 3)  # in the next one
            await attempt(stub.violate())
            disk.full = True
            disk.release()
            await until(lambda: live_store(runtime, stub).gate.released == live_store(runtime, stub).number)
            disk.full = False
        again = runtime.env.ACCOUNT.get_by_name("a")
        assert await again.entries() == [1, 2]
        assert await again.add(4) == 4
        assert await after_a_crash(disk, tmp_path) == [1, 2, 4]


def live_store(runtime, stub):
    space = stub.id._space
    return runtime._host.storage.store(space.store_key(stub.id._bytes))


# --- losses meet checkpoints -----------------------------------------------------------------------------------


def store_of(runtime, name="a"):
    return live_store(runtime, runtime.env.ACCOUNT.get_by_name(name))


async def test_a_loss_while_a_checkpoint_is_being_synced_keeps_what_it_moved(disk, tmp_path):
    """The file was never synced before: it must not be taken for a fresh one and made empty."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        store = store_of(runtime)
        gone_on = asyncio.Event()
        real = runtime._host.storage.sync_store
        waiting = []

        def later(*arguments):
            waiting.append(arguments)
            gone_on.set()

        runtime._host.storage.sync_store = later
        assert store.try_checkpoint()
        runtime._host.storage.sync_store = real
        await attempt(stub.violate())
        again = runtime.env.ACCOUNT.get_by_name("a")
        assert await again.entries() == [1]
        real(*waiting[0])
        await until(lambda: not store._syncing)
        assert await again.add(2) == 2
        assert await after_a_crash(disk, tmp_path) == [1, 2]


async def test_an_object_that_nobody_uses_after_a_loss_holds_no_part_of_the_journal(disk, tmp_path):
    """Its earlier commits can be moved into its file without anybody's help."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        await attempt(stub.violate())
        store = store_of(runtime)
        assert store.try_checkpoint()
        await until(lambda: store.key not in runtime._host.storage.journal._ledger.stores())


async def test_a_value_that_was_read_does_not_keep_a_store_from_its_checkpoint(disk, tmp_path):
    """A statement that found its row and was not asked for more is at its end."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        await stub.set("k", 1)
        assert await stub.get("k") == 1
        assert store_of(runtime).try_checkpoint()


@pytest.mark.rows("KVA-16")
async def test_delete_all_works_right_after_a_value_was_read(disk, tmp_path):
    """Nor is it in the way of emptying the database."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        await stub.set("k", 1)
        assert await stub.get("k") == 1
        await stub.wipe()
        assert await stub.get("k") is None


async def test_a_write_by_an_object_whose_journal_was_closed_is_an_error_of_the_object(disk, tmp_path):
    """Not an exception out of the middle of the engine, and the next instance would be sound."""
    async with a_runtime(disk, tmp_path) as runtime:
        stub = await account_of(runtime)
        await runtime._host.storage.journal.close()
        assert isinstance(await attempt(stub.add(2)), StorageError)
