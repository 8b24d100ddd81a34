"""What the simulated disk keeps and loses, and that its work takes virtual time."""

from __future__ import annotations

import asyncio
import errno
import os
import random

import pytest

from perdure.testing.disk import SECTOR_BYTES, SimulatedDisk
from perdure.testing.loop import simulate


@pytest.fixture
def disk(tmp_path):
    os.mkdir(tmp_path / "data")
    return SimulatedDisk(str(tmp_path / "data"))


def written(disk, name="x", data=b"a" * 4 * SECTOR_BYTES):
    """A file with its bytes and its name synced."""
    fd = disk.open(f"{disk.root}/{name}", create=True)
    disk.pwrite(fd, [data], 0)
    disk.fsync(fd)
    disk.sync_folder(disk.root)
    return fd


def left(disk, tmp_path, seed):
    """Path of the file `x` in what a power loss leaves."""
    return (
        f"{disk.after_power_loss(str(tmp_path / f'left{seed}'), random.Random(seed), lives_on=True).root}/x"
    )


def test_what_was_synced_survives_a_power_loss(disk, tmp_path):
    written(disk, data=b"kept")
    for seed in range(20):
        with open(left(disk, tmp_path, seed), "rb") as file:
            assert file.read() == b"kept"


def test_of_what_was_not_synced_any_part_may_be_left(disk, tmp_path):
    """All of it, none of it, or some of its sectors: a torn write."""
    fd = written(disk)
    new = b"b" * 4 * SECTOR_BYTES
    disk.pwrite(fd, [new], 0)
    found = set()
    for seed in range(60):
        with open(left(disk, tmp_path, seed), "rb") as file:
            found.add(file.read())
    assert {b"a" * 4 * SECTOR_BYTES, new} <= found
    assert any(b"a" in data and b"b" in data for data in found)


def test_a_name_that_was_not_synced_may_be_gone(disk, tmp_path):
    fd = disk.open(f"{disk.root}/x", create=True)
    disk.fsync(fd)
    assert {os.path.exists(left(disk, tmp_path, seed)) for seed in range(20)} == {True, False}


def test_a_kill_loses_nothing_that_was_written(disk, tmp_path):
    fd = written(disk)
    disk.pwrite(fd, [b"unsynced"], 0)
    killed = disk.after_kill(str(tmp_path / "killed"))
    assert killed.read(f"{killed.root}/x").startswith(b"unsynced")


def test_after_a_kill_the_power_may_still_go(disk, tmp_path):
    """What had not been synced then still is not."""
    fd = written(disk)
    disk.pwrite(fd, [b"unsynced"], 0)
    killed = disk.after_kill(str(tmp_path / "killed"))
    found = set()
    for seed in range(30):
        after = killed.after_power_loss(str(tmp_path / f"after{seed}"), random.Random(seed))
        found.add(after.read(f"{after.root}/x")[:8])
    assert {b"a" * 8, b"unsynced"} <= found


def test_a_full_disk_takes_what_fits(disk):
    fd = written(disk)
    disk.space_bytes = 3
    with pytest.raises(OSError) as told:
        disk.pwrite(fd, [b"bbbbb"], 0)
    assert told.value.errno == errno.ENOSPC
    assert disk.pread(fd, 5, 0) == b"bbbaa"


def test_a_failing_sync_makes_nothing_durable(disk, tmp_path):
    fd = written(disk)
    disk.pwrite(fd, [b"b"], 0)
    disk.sync_error = errno.EIO
    with pytest.raises(OSError):
        disk.datasync(fd)
    found = set()
    for seed in range(20):
        with open(left(disk, tmp_path, seed), "rb") as file:
            found.add(file.read(1))
    assert found == {b"a", b"b"}


def test_points_are_told_before_and_after(disk):
    points = []
    disk.on_point = points.append
    fd = disk.open(f"{disk.root}/x", create=True)
    disk.pwrite(fd, [b"x"], 0)
    disk.fsync(fd)
    assert points == ["before_create", "before_write", "after_write", "before_fsync", "after_fsync"]


def test_work_takes_virtual_time_and_goes_in_order(disk):
    async def run():
        loop = asyncio.get_running_loop()
        disk.slow_s = 10.0
        worker = disk.worker("test")
        done = []
        jobs = [worker.submit(lambda number=number: done.append(number)) for number in range(5)]
        assert done == []
        await asyncio.gather(*map(asyncio.wrap_future, jobs))
        return done, loop.time()

    done, took_s = simulate(run())
    assert done == [0, 1, 2, 3, 4]
    assert 10 < took_s < 50


def test_who_blocks_on_work_has_it_done_at_once(disk):
    """As a thread would wait for another: on one thread, that is the moment."""

    async def run():
        disk.slow_s = 10.0
        worker = disk.worker("test")
        done = []
        worker.submit(lambda: done.append(1))
        assert worker.submit(lambda: done.append(2) or "second").result() == "second"
        await asyncio.get_running_loop().until_idle()
        return done

    assert simulate(run()) == [1, 2]


def test_outside_of_a_simulated_loop_work_is_done_at_once(disk):
    done = []
    disk.worker("test").submit(lambda: done.append(1))
    assert done == [1]
