"""The journal keeps to its budget whatever the objects do, and nobody waits for ever when it is reached."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.faulty_disk import FaultyDisk
from support.inside import attempt, live_of, until

from perdure import DurableObject, Runtime
from perdure._base.limits import JOURNAL_SEGMENTS_FREE_MAX, KIB, MIB
from perdure.errors import StorageError

BUDGET_BYTES = 256 * KIB
SEGMENT_BYTES = BUDGET_BYTES // 4


class Busy(DurableObject):
    """Writes in every manner that could fill a journal."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.kv = ctx.storage.kv
        self.sql = ctx.storage.sql
        self.kept = None
        self.heard = []
        self.go_on = asyncio.Event()

    async def add(self, by=1):
        self.kv["n"] = n = self.kv.get("n", 0) + by
        return n

    async def add_again_and_again(self, times):
        """Commit after commit, without ever waiting for one."""
        for _ in range(times):
            self.kv["n"] = self.kv.get("n", 0) + 1
            await asyncio.sleep(0)
        return self.kv["n"]

    async def fill(self, size_bytes):
        self.kv["filler"] = bytes(size_bytes)

    async def keep_cursor(self):
        self.sql.exec("CREATE TABLE IF NOT EXISTS row (n INTEGER)")
        self.sql.exec("INSERT INTO row VALUES (1), (2), (3)")
        self.kept = self.sql.exec("SELECT n FROM row")
        return next(self.kept).n

    async def read_on(self):
        return next(self.kept).n

    async def glance(self):
        """Look at the first row and never at the others."""
        self.sql.exec("CREATE TABLE IF NOT EXISTS row (n INTEGER)")
        self.sql.exec("INSERT INTO row VALUES (1), (2), (3)")
        for row in self.sql.exec("SELECT n FROM row"):
            return row.n

    async def transact(self, *others):
        """Keep a transaction open while *others* write."""
        async with self.ctx.storage.transaction():
            self.kv["n"] = self.kv.get("n", 0) + 1
            for other in others:
                await self.env.BUSY.get_by_name(other).add()

    async def wait_in_transaction(self):
        async with self.ctx.storage.transaction():
            self.kv["waited"] = True
            await self.go_on.wait()

    async def number(self, n):
        self.heard.append(n)
        self.kv["heard"] = n

    async def numbers(self):
        return self.heard

    async def integrity(self):
        return self.kv.get("n", 0)


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # removed meanwhile, in the journal's own thread


class Watched:
    """A runtime with a small journal; notes how large that ever was."""

    def __init__(self, folder, *, journal_bytes=BUDGET_BYTES, **options):
        self.folder = folder
        self.runtime = Runtime([Busy], data=folder, journal_bytes=journal_bytes, slow_ms=0, **options)
        self.used_peak = self.disk_peak = 0

    async def __aenter__(self):
        await self.runtime.start()
        self.storage = self.runtime._host.storage
        self.journal = self.storage.journal
        settle = self.journal._committer._settle

        def settled(*arguments):
            failure = settle(*arguments)
            self.used_peak = max(self.used_peak, self.journal.used_bytes)
            self.disk_peak = max(self.disk_peak, sum(map(size_of, Path(self.folder, "journal").iterdir())))
            return failure

        self.journal._committer._settle = settled
        return self

    async def __aexit__(self, *exception):
        await self.runtime.stop()

    def object(self, name):
        return self.runtime.env.BUSY.get_by_name(name)

    def store(self, name):
        stub = self.object(name)
        return self.storage.store(stub.id._space.store_key(stub.id._bytes))

    def check(self, over_bytes=2 * SEGMENT_BYTES):
        """The budget was kept; what was on its way when it was reached may come on top of it."""
        assert self.used_peak <= self.journal.budget_bytes + over_bytes
        extra = (1 + JOURNAL_SEGMENTS_FREE_MAX) * SEGMENT_BYTES
        assert self.disk_peak <= self.journal.budget_bytes + over_bytes + SEGMENT_BYTES + extra


async def test_one_hot_object_keeps_the_budget(tmp_path):
    """Its own checkpoints make the room for its next writes."""
    async with Watched(tmp_path) as watched:
        await asyncio.gather(*(watched.object("a").add() for _ in range(700)))
        assert await watched.object("a").add() == 701
        watched.check()


async def test_many_objects_keep_the_budget(tmp_path):
    """2,000 stores, of which few are ever open, through a journal that holds the commits of a few dozen."""
    async with Watched(tmp_path, open_stores=20) as watched:
        limit = asyncio.Semaphore(50)

        async def add(name):
            async with limit:
                await watched.object(name).add()

        await asyncio.gather(*(add(f"{n}") for n in range(2000)))
        # New objects are on pages all over the catalog: one commit of it may write nearly all of them.
        watched.check(2 * SEGMENT_BYTES + size_of(tmp_path / "catalog.sqlite"))
        assert watched.storage.open_count <= 20
        for n in range(0, 2000, 100):
            assert await watched.object(f"{n}").add() == 2
    async with Watched(tmp_path) as watched:
        assert await watched.object("1999").add() == 2


async def test_an_object_that_commits_without_waiting_keeps_the_budget(tmp_path):
    """Its code is held between two steps while its commits are ahead of the disk."""
    async with Watched(tmp_path) as watched:
        assert await watched.object("a").add_again_and_again(3000) == 3000
        watched.check()
        assert watched.store("a").journaled <= watched.storage.wal_frames_max


async def test_many_objects_that_commit_without_waiting_keep_the_budget(tmp_path):
    """All at once."""
    async with Watched(tmp_path) as watched:
        outcomes = await asyncio.gather(*(watched.object(f"{n}").add_again_and_again(100) for n in range(30)))
        assert outcomes == [100] * 30
        watched.check(30 * 12 * KIB + SEGMENT_BYTES)  # each had one commit on its way


async def test_a_cursor_that_is_kept_open_keeps_the_budget(tmp_path):
    """Its store cannot be checkpointed: the pages changed since are written again, to the newest segment."""
    async with Watched(tmp_path) as watched:
        assert await watched.object("kept").keep_cursor() == 1
        for _ in range(40):
            await asyncio.gather(*(watched.object(f"{n % 5}").add() for n in range(50)))
        watched.check()
        assert await watched.object("kept").read_on() == 2


async def test_a_cursor_that_is_kept_open_under_many_writes_ends_with_an_error(tmp_path):
    """Its store's log would grow without end: the checkpoint comes first, and the reader hears why."""
    async with Watched(tmp_path) as watched:
        await watched.object("kept").keep_cursor()
        for _ in range(300):
            await watched.object("kept").add()
        watched.check()
        assert watched.store("kept").journaled <= watched.storage.wal_frames_max + 1
        outcome = await attempt(watched.object("kept").read_on())
        assert isinstance(outcome, StorageError)
        assert "Read a cursor to its end" in str(outcome)
        assert await watched.object("kept").integrity() == 300


async def test_a_cursor_that_was_dropped_before_its_end_is_in_nobodys_way(tmp_path):
    """Nobody can read it any more, so it does not keep its store from a checkpoint."""
    async with Watched(tmp_path) as watched:
        assert await watched.object("a").glance() == 1
        assert watched.store("a").try_checkpoint()


async def test_a_transaction_that_is_kept_open_keeps_the_budget(tmp_path):
    """What its object committed before is written again; others go on."""
    async with Watched(tmp_path) as watched:
        waiting = watched.object("waiting")
        await waiting.add()
        call = asyncio.ensure_future(waiting.wait_in_transaction())
        await until(lambda: watched.store("waiting").depth)
        for _ in range(40):
            await asyncio.gather(*(watched.object(f"{n % 5}").add() for n in range(50)))
        watched.check()
        live_of(waiting).instance.go_on.set()
        await call
        assert await waiting.add() == 2


async def test_a_transaction_that_waits_for_writers_at_the_budget_is_no_deadlock(tmp_path):
    """The writers it waits for wait for room, and that must not wait for the transaction."""
    async with Watched(tmp_path) as watched:
        await asyncio.gather(
            *(watched.object(f"outer {n}").transact(*(f"inner {m}" for m in range(40))) for n in range(20))
        )
        watched.check(4 * SEGMENT_BYTES)
        assert await watched.object("inner 0").add() == 21


async def test_a_turn_larger_than_the_budget_is_stored(tmp_path):
    """A turn that has begun may end; the room is made afterwards."""
    async with Watched(tmp_path) as watched:
        await watched.object("a").fill(3 * BUDGET_BYTES)
        await watched.object("a").add()
        await until(lambda: watched.journal.used_bytes <= BUDGET_BYTES)
        assert await watched.object("b").add() == 1
    async with Watched(tmp_path) as watched:
        assert await watched.object("a").add() == 2


async def test_new_objects_wait_at_the_budget(tmp_path):
    """A flood of new objects is held as well as one of calls to old ones."""
    disk = FaultyDisk()
    async with Watched(tmp_path, disk=disk) as watched:
        with disk.held():
            full = asyncio.ensure_future(watched.object("large").fill(2 * BUDGET_BYTES))
            await until(lambda: watched.journal.is_full)
            calls = [asyncio.ensure_future(watched.object(f"new {n}").add()) for n in range(50)]
            for _ in range(20):
                await asyncio.sleep(0)
            lives = watched.runtime._host._lives()
            assert [live.name for live in lives if live.instance is not None] == ["large"]
        await full
        assert await asyncio.gather(*calls) == [1] * 50


@pytest.mark.rows("STB-10")
async def test_calls_keep_their_order_while_they_wait_for_room(tmp_path):
    """Being held back is no reason to overtake."""
    async with Watched(tmp_path, journal_bytes=128 * KIB) as watched:
        stub = watched.object("a")
        noise = [asyncio.ensure_future(watched.object(f"{n}").add_again_and_again(30)) for n in range(10)]
        calls = []
        for n in range(500):
            calls.append(stub.number(n))
            if n % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*calls, *noise)
        assert await stub.numbers() == list(range(500))


async def test_the_least_recently_used_stores_are_closed(tmp_path):
    """One that is in use all the time stays open; a closed one comes back as it was."""
    async with Watched(tmp_path, journal_bytes=64 * MIB, open_stores=10) as watched:
        await watched.object("hot").add()
        database = watched.store("hot").database
        for n in range(100):
            await watched.object(f"{n}").add()
            await watched.object("hot").add()
        assert watched.storage.open_count <= 10
        assert watched.store("hot").database is database
        assert await watched.object("0").add() == 2


async def test_a_store_with_an_open_cursor_is_not_closed(tmp_path):
    """Somebody reads on from where they were."""
    async with Watched(tmp_path, open_stores=2) as watched:
        await watched.object("kept").keep_cursor()
        for n in range(20):
            await watched.object(f"{n}").add()
        assert await watched.object("kept").read_on() == 2
