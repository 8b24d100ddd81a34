"""What stories have found, each as a small test of its own."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress

import pytest
from simulation.story import open_files

from perdure import DurableObject
from perdure._base import limits
from perdure.errors import DataFolderError, Disconnected, StorageError, StorageFailed, StorageReset
from perdure.testing import list_durable_object_ids, run_simulation


class Counter(DurableObject):
    async def hit(self):
        self.ctx.storage.kv["n"] = n = self.ctx.storage.kv.get("n", 0) + 1
        return n

    async def fill(self, size):
        self.ctx.storage.kv["filler"] = bytes(size)


def fail():
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_start_whose_disk_fails_is_no_start_and_leaves_nothing_open():
    """
    Neither a segment of the new journal nor the catalog: the next start in this process finds both free.

    A sync that failed while the catalog took up what the log told ended nothing: the runtime ran, and stored nothing.
    """

    async def test(sim):
        counter = sim.env.COUNTER.get_by_name("a")
        await counter.hit()
        sim.faults.crash("before_journal_append")
        with suppress(Disconnected):
            await counter.hit()
        sim.faults.at("before_fsync", fail, nth=nth)
        try:
            await sim.restart()
        except (DataFolderError, StorageFailed) as error:
            failed.append(type(error))
            assert not open_files(str(sim.folder))
            await sim.start()
        else:
            assert not sim.runtime._running().storage.journal.failed

    failed: list[type] = []
    for nth in range(1, 12):
        run_simulation(test, Counter)
    assert set(failed) == {DataFolderError, StorageFailed}


def test_a_sync_that_fails_behind_several_segments_leaves_none_open():
    """A commit that is larger than a segment is synced in all of them."""

    async def test(sim):
        sim.faults.at("before_fsync", fail, nth=nth)
        try:
            await sim.env.COUNTER.get_by_name("a").fill(150_000)
        except StorageFailed:
            failed.append(nth)
        folder = str(sim.folder)
        await sim.stop()
        assert not open_files(folder)

    failed: list[int] = []
    for nth in range(1, 9):
        run_simulation(test, Counter, journal_bytes=256 * 1024)
    assert len(failed) > 1


def test_a_start_on_a_full_disk_comes_to_an_end():
    """The catalog takes up what the log told when there is space; it tried again and again until then."""

    async def test(sim):
        await sim.env.COUNTER.get_by_name("a").hit()
        sim.disk.space_bytes = space
        async with asyncio.timeout(60):
            try:
                await sim.crash(power=False)
                started.append(space)
            except (DataFolderError, StorageError):
                sim.disk.space_bytes = None
                await sim.restart()
        sim.disk.space_bytes = None
        await sim.advance(minutes=1)
        assert [id.name for id in list_durable_object_ids(sim.env.COUNTER)] == ["a"]

    started: list[int] = []
    for space in range(0, 200_000, 4_000):
        run_simulation(test, Counter, journal_bytes=256 * 1024)
    assert started


def test_a_stop_opens_no_store_again(monkeypatch):
    """A commit that became durable behind one that was given up wanted a checkpoint, of a store that was closed."""

    async def test(sim):
        stub = sim.env.COUNTER.get_by_name("a")
        await stub.hit()
        sim.disk.slow_s = 1.0
        call = asyncio.ensure_future(stub.hit())
        await asyncio.sleep(0.001)
        storage, folder = sim.runtime._running().storage, str(sim.folder)
        for store in storage._stores.values():
            store.wants_checkpoint = True

        async def gives_up():
            raise StorageReset("no space for the commit of another object")

        monkeypatch.setattr(storage.journal, "flush", gives_up)
        await sim.stop()
        assert not open_files(folder)
        await asyncio.gather(call, return_exceptions=True)

    run_simulation(test, Counter)


def test_a_start_that_has_no_space_for_the_catalog_takes_up_later_what_the_log_told():
    """It failed, and left work for the thread of its journal, which met the next start."""

    async def test(sim):
        await sim.env.COUNTER.get_by_name("a").hit()
        sim.disk.space_bytes = space
        try:
            await sim.crash(power=False)
            started.append(space)
        except DataFolderError:  # recovery itself had no space
            await sim.until_idle()
            assert not open_files(str(sim.folder))
            return
        sim.disk.space_bytes = None
        await sim.advance(minutes=1)
        assert [id.name for id in list_durable_object_ids(sim.env.COUNTER)] == ["a"]

    started: list[int] = []
    for space in range(0, 40_000, 2_000):
        run_simulation(test, Counter)
    assert 0 < len(started) < 20


@pytest.mark.parametrize("is_full", [True, False])
def test_the_error_of_a_disk_keeps_nothing_open_of_what_could_not_be_written(is_full):
    """Whoever keeps the error kept, by its traceback, the batch and the WAL that the commit was read from."""

    async def test(sim):
        stub = sim.env.COUNTER.get_by_name("a")
        await stub.hit()
        if is_full:
            sim.disk.space_bytes = 0
        else:
            sim.disk.sync_error = errno.EIO
        with suppress(StorageReset, StorageFailed):
            await stub.fill(2 * limits.WAL_READ_BYTES)
        assert [entry.error for entry in sim.logs if isinstance(entry.error, StorageError)]
        folder = str(sim.folder)
        await sim.stop()
        assert not open_files(folder)

    run_simulation(test, Counter)
