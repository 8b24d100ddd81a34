"""The real disk keeps the promises of `Disk`, and so does the recording one that stands in for it."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from perdure._storage.files import _AHEAD_MAX, RealDisk
from perdure.testing.disk import SimulatedDisk


@pytest.fixture(params=["real", "recording"])
def disk(request, tmp_path):
    return RealDisk() if request.param == "real" else SimulatedDisk(str(tmp_path))


def test_a_new_file_is_of_zeros_and_of_its_full_size(disk, tmp_path):
    fd = disk.create(f"{tmp_path}/x", 1024 * 1024 + 512)
    assert os.fstat(fd).st_size == 1024 * 1024 + 512
    assert not any(disk.pread(fd, 2**21, 0))
    assert disk.mode(f"{tmp_path}/x") == 0o600
    disk.close(fd)


def test_a_file_that_is_there_is_not_created(disk, tmp_path):
    disk.close(disk.create(f"{tmp_path}/x", 512))
    with pytest.raises(FileExistsError):
        disk.create(f"{tmp_path}/x", 512)


def test_many_buffers_are_written_one_after_the_other(disk, tmp_path):
    """More than one system call takes."""
    fd = disk.open(f"{tmp_path}/x", create=True)
    buffers = [bytes([number % 256]) * (number % 7) for number in range(3000)]
    disk.pwrite(fd, buffers, 100)
    assert disk.pread(fd, 10**6, 100) == b"".join(buffers)
    disk.close(fd)


def test_reading_past_the_end_gives_what_there_is(disk, tmp_path):
    fd = disk.open(f"{tmp_path}/x", create=True)
    disk.pwrite(fd, [b"abc"], 0)
    assert (disk.pread(fd, 10, 1), disk.pread(fd, 10, 3), disk.pread(fd, 10, 99)) == (b"bc", b"", b"")
    disk.close(fd)


def test_a_write_that_takes_a_part_goes_on(tmp_path, monkeypatch):
    """A signal, or a disk that is nearly full, may shorten a write."""
    disk = RealDisk()
    fd = disk.open(f"{tmp_path}/x", create=True)
    pwritev, pwrite = os.pwritev, os.pwrite
    monkeypatch.setattr(
        os, "pwritev", lambda fd, buffers, offset: pwritev(fd, [b"".join(buffers)[:5]], offset)
    )
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    disk.pwrite(fd, [b"abcd", b"efgh", b"ijklmn"], 2)
    assert disk.pread(fd, 100, 0) == b"\0\0abcdefghijklmn"
    disk.close(fd)


def test_a_write_that_takes_nothing_is_an_error(tmp_path, monkeypatch):
    disk = RealDisk()
    fd = disk.open(f"{tmp_path}/x", create=True)
    monkeypatch.setattr(os, "pwritev", lambda *_: 0)
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="without an error"):
        disk.pwrite(fd, [b"abc"], 0)
    disk.close(fd)


def test_a_file_that_could_not_be_filled_is_removed(tmp_path, monkeypatch):
    disk = RealDisk()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(OSError, match="No space"):
        disk.create(f"{tmp_path}/x", 512)
    assert disk.list(str(tmp_path)) == []


def test_a_file_is_made_with_its_mode_once(disk, tmp_path):
    path = f"{tmp_path}/x"
    disk.close(disk.open(path, create=True, mode=0o700))
    disk.close(disk.open(path, create=True, mode=0o600))
    assert disk.mode(path) == 0o700


def test_mode_and_size_are_changed_by_descriptor(disk, tmp_path):
    path = f"{tmp_path}/x"
    fd = disk.open(path, create=True, mode=0o700)
    disk.truncate(fd, 77)
    disk.chmod(fd, 0o600)
    disk.datasync(fd)
    disk.fsync(fd)
    disk.close(fd)
    assert (disk.size(path), disk.mode(path)) == (77, 0o600)


def test_what_is_not_there_is_none(disk, tmp_path):
    path = f"{tmp_path}/none"
    assert (disk.size(path), disk.mode(path), disk.read(path), disk.list(path)) == (None, None, None, [])
    disk.unlink(path)


def test_a_small_file_is_replaced_whole(disk, tmp_path):
    for text in (b"a long first text", b"short"):
        disk.replace(f"{tmp_path}/x", text)
        assert disk.read(f"{tmp_path}/x") == text
    assert disk.list(str(tmp_path)) == ["x"]


def test_a_file_that_could_not_be_replaced_is_the_old_one(disk, tmp_path, monkeypatch):
    disk.replace(f"{tmp_path}/x", b"old")

    def broken(fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        disk.replace(f"{tmp_path}/x", b"new")
    assert disk.read(f"{tmp_path}/x") == b"old"


def test_a_folder_is_made_with_its_parents(disk, tmp_path):
    disk.make_folder(f"{tmp_path}/a/b/c")
    disk.make_folder(f"{tmp_path}/a/b/c")
    assert os.path.isdir(f"{tmp_path}/a/b/c")


def test_a_file_is_renamed_and_removed(disk, tmp_path):
    disk.replace(f"{tmp_path}/x", b"1")
    disk.rename(f"{tmp_path}/x", f"{tmp_path}/y")
    assert disk.list(str(tmp_path)) == ["y"]
    disk.unlink(f"{tmp_path}/y")
    assert disk.list(str(tmp_path)) == []


def test_work_for_many_items_is_done_for_each(disk):
    done = []
    disk.for_each(done.append, range(1000))
    assert sorted(done) == list(range(1000))


def test_items_are_made_in_the_callers_thread_and_worked_on_in_others():
    caller = threading.get_ident()
    makers, workers = set(), set()

    def items():
        for item in range(100):
            makers.add(threading.get_ident())
            yield item

    RealDisk().for_each(lambda item: workers.add(threading.get_ident()), items())
    assert makers == {caller}
    assert caller not in workers


def test_items_are_made_a_bounded_number_ahead():
    """Each may hold a file open while its work waits for the disk."""
    bound_reached, let_go = threading.Event(), threading.Event()
    too_early = []

    def items():
        for item in range(1000):
            if item == _AHEAD_MAX:
                bound_reached.set()
            if item > _AHEAD_MAX and not let_go.is_set():
                too_early.append(item)
            yield item

    def work(item):
        assert bound_reached.wait(10)
        let_go.set()

    RealDisk().for_each(work, items())
    assert not too_early


def test_an_error_in_work_for_many_items_is_told_when_all_work_has_ended(disk):
    taken, done = [], []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    def work(item):
        if item == 13:
            raise OSError(errno.EIO, "Input/output error")
        done.append(item)

    with pytest.raises(OSError, match="Input/output"):
        disk.for_each(work, items())
    assert sorted(done) == [item for item in taken if item != 13]
    assert len(taken) < 1000


def test_macos_syncs_to_the_medium(tmp_path, monkeypatch):
    """There fsync hands the bytes to the drive only: F_FULLFSYNC is asked for, and fsync where it is not known."""
    asked = []

    def control(fd, command):
        asked.append(command)
        if len(asked) > 1:
            raise OSError(errno.ENOTSUP, "Operation not supported")

    synced = []
    monkeypatch.setattr("perdure._storage.files._FULL_FSYNC", 51)
    monkeypatch.setattr("fcntl.fcntl", control)
    monkeypatch.setattr(os, "fsync", synced.append)
    disk = RealDisk()
    disk.fsync(3)
    assert (asked, synced) == ([51], [])
    disk.fsync(3)
    assert (asked, synced) == ([51, 51], [3])
