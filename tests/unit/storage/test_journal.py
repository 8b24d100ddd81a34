"""The journal's front: who hears what, when there is room, and what a failing disk does."""

from __future__ import annotations

import asyncio
import errno

import pytest
from support.log import BUDGET_BYTES, Heard, frame, open_journal, settle, until

from perdure import errors
from perdure._base.limits import KIB
from perdure._storage.journal.journal import Fields, Journal
from perdure._storage.journal.worker import Worker
from perdure._storage.layout import Layout
from perdure.testing.disk import SimulatedDisk


class Log:
    """A journal on a recording disk, and stores that append one page each time."""

    def __init__(self, root: str, disk: type[SimulatedDisk] = SimulatedDisk, **options) -> None:
        self.disk = disk(root)
        self.layout = Layout(root)
        self.journal = open_journal(self.disk, self.layout, **options)
        self.asked: list[list[Heard]] = []
        self.journal.on_pressure = self.asked.append

    def append(self, *stores: Heard, pages: int = 1, **options) -> None:
        for store in stores:
            store.number += 1
            frames = [
                frame(page, store.number, pages if page == pages else 0) for page in range(1, pages + 1)
            ]
            self.journal.append(store, store.number, frames, **options)

    def segments(self) -> list[int]:
        return [int(name[:8]) for name in self.disk.list(self.layout.journal)]

    async def fill(self, store: Heard, count: int) -> None:
        """Append, each as a batch of its own, without anything else in between."""
        for _ in range(count):
            self.append(store)
            await self.journal.flush()


@pytest.fixture
def log(tmp_path):
    return Log(str(tmp_path))


async def test_a_store_hears_when_its_commits_are_durable(log):
    await log.journal.start()
    one, other = Heard(1), Heard(2)
    log.append(one, one, other)
    assert one.heard == []
    await log.journal.flush()
    log.append(one)
    await log.journal.flush()
    assert (one.heard, other.heard) == ([2, 3], [1])


async def test_a_commit_is_durable_only_after_a_sync(log):
    """What the store hears is true on the disk: GATE-06."""
    await log.journal.start()
    store = Heard()
    at = {}

    def durable(number: int) -> None:
        at["synced"] = any(bytes([number]) * 4096 in file.synced for file in log.disk._fds.values())

    store.durable = durable
    log.append(store)
    await log.journal.flush()
    assert at == {"synced": True}


async def test_a_commit_may_be_an_alarm_alone(log):
    await log.journal.start()
    store = Heard()
    log.journal.append(store, 1, [], fields=Fields(alarm_ms=None))
    await log.journal.flush()
    assert store.durable_number == 1


async def test_a_mistake_of_one_store_does_not_keep_others_from_hearing(log):
    await log.journal.start()
    one, other = Heard(1), Heard(2)
    one.durable = lambda number: 1 / 0
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context["exception"]))
    log.append(one, other)
    await log.journal.flush()
    assert other.durable_number == 1
    assert isinstance(heard[0], ZeroDivisionError)


async def test_start_refuses_a_log_that_was_not_recovered(log):
    await log.journal.start()
    log.append(Heard())
    await log.journal.flush()
    await log.journal.close()
    with pytest.raises(AssertionError, match="recover"):
        await Log(log.disk.root).journal.start()


def test_a_budget_too_small_for_four_segments_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 131,072"):
        Journal(SimulatedDisk(str(tmp_path)), Layout(str(tmp_path)), epoch=1, budget_bytes=100 * KIB)


# --- the budget ------------------------------------------------------------------------------------------


async def test_segments_go_when_their_stores_are_checkpointed(log):
    await log.journal.start()
    store = Heard()
    await log.fill(store, 12)
    assert log.segments() == [1, 2, 3]
    log.journal.checkpointed(store, store.number)
    log.append(store, pages=20)
    await log.journal.flush()
    assert 1 not in log.segments()


async def test_a_store_that_is_not_checkpointed_keeps_every_segment(log):
    await log.journal.start()
    one, other = Heard(1), Heard(2)
    await log.fill(one, 1)
    await log.fill(other, 12)
    log.journal.checkpointed(other, other.number)
    await log.fill(other, 12)
    assert log.segments()[0] == 1


async def test_from_half_of_the_budget_on_the_oldest_stores_are_asked(log):
    """A few at a time, those that hold the oldest segments first."""
    await log.journal.start()
    stores = [Heard(number) for number in range(20)]
    for store in stores[:12]:
        await log.fill(store, 1)
    assert log.asked == []
    for store in stores[12:]:
        await log.fill(store, 1)
    assert log.asked[0] == stores[:8]


async def test_stores_are_asked_again_as_long_as_the_pressure_lasts(log):
    await log.journal.start()
    store = Heard()
    await log.fill(store, 15)
    await until(lambda: len(log.asked) >= 3)
    assert log.asked[-1] == [store]
    log.journal.checkpointed(store, store.number)
    count = len(log.asked)
    await until(lambda: log.journal._asking is None)
    assert len(log.asked) == count


async def test_others_are_asked_when_the_first_are_checkpointed(log):
    await log.journal.start()
    stores = [Heard(number) for number in range(30)]
    for store in stores:
        await log.fill(store, 1)
    for store in stores[:8]:
        log.journal.checkpointed(store, 1)
    await until(lambda: stores[8] in log.asked[-1])
    assert stores[0] not in log.asked[-1]


async def test_at_the_budget_new_writers_wait(log):
    await log.journal.start()
    store = Heard()
    while log.journal.used_bytes < BUDGET_BYTES:
        assert log.journal.room() is None
        await log.fill(store, 1)
    assert log.journal.is_full
    first, second = log.journal.room(), log.journal.room()
    first.cancel()
    log.journal.checkpointed(store, store.number)
    await second
    assert log.journal.room() is None


async def test_a_store_that_cannot_be_checkpointed_writes_its_pages_once_more(log):
    """That record stands for all before it, so the old segments go (an open cursor, an explicit transaction)."""
    await log.journal.start()
    store = Heard()
    await log.fill(store, 15)
    assert log.journal.used_bytes > BUDGET_BYTES // 2
    log.append(store, whole=True)
    await log.journal.flush()
    assert log.journal.used_bytes < 32 * KIB


async def test_writers_wait_while_too_much_waits_for_the_disk(log, monkeypatch):
    monkeypatch.setattr("perdure._base.limits.JOURNAL_PENDING_BYTES_MAX", 8000)
    await log.journal.start()
    store = Heard()
    log.append(store)
    assert not log.journal.is_full
    log.append(store)
    room = log.journal.room()
    await room
    assert store.durable_number == 2


async def test_segments_are_bounded_by_the_budget_under_steady_load(log):
    """With checkpoints when asked, the log never grows past its budget and a little reserve."""
    await log.journal.start()
    log.journal.on_pressure = lambda stores: [
        log.journal.checkpointed(store, store.durable_number) for store in stores
    ]
    stores = [Heard(number) for number in range(5)]
    for round_ in range(200):
        log.append(stores[round_ % 5])
        await log.journal.flush()
        assert len(log.segments()) <= 6
        if log.journal.is_full:
            await log.journal.room()


# --- the disk fails --------------------------------------------------------------------------------------


async def test_a_full_disk_breaks_the_stores_of_that_batch_only(log):
    """Storage GATE-09: those objects are reset; after space returns they work again."""
    await log.journal.start()
    one, other = Heard(1), Heard(2)
    log.append(one, other)
    await log.journal.flush()
    log.disk.space_bytes = 100
    log.append(one)
    with pytest.raises(errors.StorageReset, match="No space left"):
        await log.journal.flush()
    assert [len(store.errors) for store in (one, other)] == [1, 0]
    assert log.journal.failed is None
    log.disk.space_bytes = None
    log.append(one, other)
    await log.journal.flush()
    assert (one.durable_number, other.durable_number) == (2, 2)


async def test_what_a_store_built_on_a_lost_commit_is_lost_too(log):
    """Commits appended while the batch was failing are dropped; those of other stores are written."""
    await log.journal.start()
    one, other = Heard(1), Heard(2)
    log.append(one, other)
    await log.journal.flush()
    log.disk.space_bytes = 100

    def failed(error: Exception) -> None:
        log.disk.space_bytes = None
        Heard.failed(one, error)

    one.failed = failed
    write = log.journal._writer.write

    def slow(commits):
        log.journal._loop.call_soon(log.append, one, other)  # lands while this batch is in flight
        log.journal._writer.write = log.journal._committer._write = write
        return write(commits)

    log.journal._committer._write = slow
    log.append(one)
    with pytest.raises(errors.StorageReset):
        await log.journal.flush()
    await settle()
    await log.journal.flush()
    assert (one.durable_number, other.durable_number) == (1, 2)
    assert len(one.errors) == 1
    log.append(one)
    await log.journal.flush()
    assert one.durable_number == 2


async def test_a_sync_that_fails_is_final_for_all(log):
    """Never retried and called good: what the kernel dropped reads as if it were there."""
    await log.journal.start()
    one, other = Heard(1), Heard(2)
    log.append(one, other)
    await log.journal.flush()
    heard = []
    log.journal.on_failed = heard.append
    log.disk.sync_error = errno.EIO
    log.append(one)
    with pytest.raises(errors.StorageFailed, match="Input/output error"):
        await log.journal.flush()
    log.disk.sync_error = None
    assert isinstance(log.journal.failed, errors.StorageFailed)
    assert heard == [log.journal.failed] == one.errors == other.errors
    syncs = log.disk.syncs
    with pytest.raises(errors.StorageFailed):
        log.append(other)
    with pytest.raises(errors.StorageFailed):
        await log.journal.flush()
    await log.journal.close()
    assert log.disk.syncs == syncs


async def test_a_write_that_fails_otherwise_than_by_a_full_disk_is_final(log, monkeypatch):
    await log.journal.start()

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(log.disk, "pwrite", broken)
    store = Heard()
    log.append(store)
    with pytest.raises(errors.StorageFailed):
        await log.journal.flush()
    assert store.errors == [log.journal.failed]


async def test_waiting_writers_go_on_when_the_disk_failed(log):
    """They then hear the failure from what they do."""
    await log.journal.start()
    store = Heard()
    while log.journal.room() is None:
        await log.fill(store, 1)
    room = log.journal.room()
    log.disk.sync_error = errno.EIO
    log.append(store)
    with pytest.raises(errors.StorageFailed):
        await log.journal.flush()
    await room


async def test_a_store_file_that_could_not_be_synced_fails_the_journal(log):
    """Its owner says so: the records in the journal that cover it may be gone."""
    await log.journal.start()
    store = Heard()
    log.append(store)
    await log.journal.flush()
    log.journal.fail(OSError(errno.EIO, "Input/output error"))
    assert store.errors == [log.journal.failed]


# --- the end ---------------------------------------------------------------------------------------------


async def test_close_confirms_what_was_appended(log):
    await log.journal.start()
    store = Heard()
    log.append(store)
    await log.journal.close()
    assert store.durable_number == 1
    assert log.segments() == [1]
    with pytest.raises(errors.StorageError, match="closed"):
        log.append(store)


async def test_close_removes_a_log_that_nobody_needs(log):
    """The next start has nothing to recover."""
    await log.journal.start()
    store = Heard()
    await log.fill(store, 12)
    log.journal.checkpointed(store, store.number)
    await log.journal.close()
    assert log.segments() == []
    assert log.disk._fds == {}


async def test_close_twice_is_fine(log):
    await log.journal.start()
    await log.journal.close()
    await log.journal.close()


class Threaded(SimulatedDisk):
    def worker(self, name):
        return Worker(name)


async def test_a_journal_on_the_real_threads_does_the_same(tmp_path):
    log = Log(str(tmp_path), Threaded, budget_bytes=1024 * KIB)
    log.journal.on_pressure = lambda stores: [
        log.journal.checkpointed(store, store.durable_number) for store in stores
    ]
    await log.journal.start()
    stores = [Heard(number) for number in range(10)]
    for _ in range(100):
        log.append(*stores)
        await asyncio.sleep(0)
    await log.journal.flush()
    assert [store.durable_number for store in stores] == [100] * 10
    await log.journal.close()


async def test_a_journal_that_was_never_started_can_be_closed(log):
    await log.journal.close()


async def test_a_store_without_records_is_forgotten(log):
    """Millions of stores may come and go: only those that need a segment are remembered."""
    await log.journal.start()
    store, other = Heard(1), Heard(2)
    await log.fill(store, 1)
    log.append(other)
    log.journal.checkpointed(store, 1)
    await log.journal.flush()
    assert log.journal._sources == {other.key: other}
