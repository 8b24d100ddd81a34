"""Segments are made ahead of need, used again, and go oldest first."""

from __future__ import annotations

import errno
import os

import pytest

from perdure._base.limits import KIB
from perdure._storage.journal.segment import Segments
from perdure._storage.journal.worker import Inline
from perdure._storage.layout import Layout
from perdure.testing.disk import SimulatedDisk


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "journal").mkdir()
    return SimulatedDisk(str(tmp_path))


@pytest.fixture
def segments(disk, tmp_path):
    return Segments(disk, Layout(str(tmp_path)), Inline(), first_bytes=16 * KIB, segment_bytes=32 * KIB)


def names(disk: SimulatedDisk) -> list[str]:
    return disk.list(f"{disk.root}/journal")


def durable_names(disk: SimulatedDisk) -> list[str]:
    return sorted(os.path.basename(name) for name in disk._names if name.endswith(".seg"))


def test_a_segment_is_a_file_of_zeros(segments, disk):
    segment = segments.take()
    assert disk.pread(segment.fd, 64 * KIB, 0) == bytes(16 * KIB)


def test_a_segment_is_durable_before_it_is_used(segments, disk):
    """Its zeros and its name: a log is found by listing the folder."""
    segment = segments.take()
    assert durable_names(disk) == ["00000001.seg"]
    assert len(disk._fds[segment.fd].synced) == 16 * KIB


def test_each_segment_is_twice_as_large_up_to_the_full_size(segments):
    """A program that writes little starts at once and takes little room."""
    assert [segments.take().size_bytes for _ in range(3)] == [16 * KIB, 32 * KIB, 32 * KIB]


def test_the_next_segment_is_made_once(segments, disk):
    segments.ahead()
    segments.ahead()
    assert names(disk) == ["00000001.seg"]
    assert segments.take().number == 1


def test_a_segment_nobody_needs_is_used_again_under_a_new_number(segments, disk):
    first, second = segments.take(), segments.take()
    disk.pwrite(second.fd, [b"old"], 0)
    segments.release([(first.number, first.size_bytes), (second.number, second.size_bytes)])
    third = segments.take()
    assert names(disk) == durable_names(disk) == ["00000003.seg"]  # the small one went, the other was renamed
    assert (third.number, third.size_bytes, disk.pread(third.fd, 3, 0)) == (3, 32 * KIB, b"old")


def test_at_most_two_unneeded_segments_are_kept(segments, disk):
    taken = [segments.take() for _ in range(5)]
    segments.release([(segment.number, segment.size_bytes) for segment in taken[:4]])
    assert names(disk) == ["00000003.seg", "00000004.seg", "00000005.seg"]


def test_segments_go_one_by_one_oldest_first(segments, disk):
    """Each is durably gone before the next one goes, so that what is left is always the end of the log."""
    taken = [segments.take() for _ in range(4)]
    seen = []
    unlink = disk.unlink

    def watch(path: str) -> None:
        seen.append((os.path.basename(path), durable_names(disk)))
        unlink(path)

    disk.unlink = watch
    segments.clear([(segment.number, segment.size_bytes) for segment in taken])
    every = [f"0000000{number}.seg" for number in range(1, 5)]
    assert seen == [(name, every[index:]) for index, name in enumerate(every)]
    assert names(disk) == []


def test_a_full_disk_leaves_no_half_made_segment(segments, disk):
    disk.space_bytes = 100
    with pytest.raises(OSError, match="No space") as caught:
        segments.take()
    assert caught.value.errno == errno.ENOSPC
    assert names(disk) == []


def test_a_segment_is_tried_anew_after_a_full_disk(segments, disk):
    disk.space_bytes = 100
    with pytest.raises(OSError, match="No space"):
        segments.take()
    disk.space_bytes = None
    assert segments.take().number == 1


def test_clear_removes_the_segment_made_ahead_too(segments, disk):
    first = segments.take()
    segments.ahead()
    segments.clear([(first.number, first.size_bytes)])
    segments.close()
    assert names(disk) == []


def test_a_segment_that_could_not_be_made_ahead_is_tried_again_when_needed(segments, disk):
    """There may be space again since."""
    disk.space_bytes = 100
    segments.ahead()
    disk.space_bytes = None
    assert segments.take().number == 1
