"""Commits become batches in segments, covered by one sync."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.log import Heard, frame, key

from perdure._base.limits import KIB
from perdure._storage.journal.commit import Commit
from perdure._storage.journal.record import FRAME_BYTES, Fields, Header, Record, read_records
from perdure._storage.journal.recovery import _intact_batches
from perdure._storage.journal.segment import Segments
from perdure._storage.journal.worker import Inline
from perdure._storage.journal.writer import Outcome, Writer
from perdure._storage.layout import Layout
from perdure.testing.disk import SimulatedDisk

SEGMENT = 32 * KIB  # room for seven frames; a piece holds at most two


def commit(store: int, number: int, pages: int = 1, *, whole: bool = False) -> Commit:
    frames = [frame(page, number, 0 if page < pages else pages) for page in range(1, pages + 1)]
    return Commit(Heard(store), key(store), number, frames, pages * FRAME_BYTES, None, whole)


class Log:
    def __init__(self, root: str) -> None:
        self.disk = SimulatedDisk(root)
        self.layout = Layout(root)
        self.disk.make_folder(self.layout.journal)
        segments = Segments(self.disk, self.layout, Inline(), first_bytes=SEGMENT, segment_bytes=SEGMENT)
        self.writer = Writer(self.disk, segments, epoch=7, first_bytes=SEGMENT)

    def batches(self) -> list[tuple[Header, list[Record]]]:
        found = []
        for name in self.disk.list(self.layout.journal):
            fd = self.disk.open(f"{self.layout.journal}/{name}")
            for header, *_ in _intact_batches(self.disk, fd, int(name[:8])):
                batch = self.disk.pread(fd, header.size_bytes, header.position)
                found.append((header, list(read_records(header, batch))))
            self.disk.close(fd)
        return found

    def written(self) -> list[tuple[int, int, int, bool]]:
        return [
            (record.key[-1] - 48, record.number, record.piece, record.more)
            for _, records in self.batches()
            for record in records
        ]


@pytest.fixture
def log(tmp_path):
    return Log(str(tmp_path))


def test_commits_of_one_call_are_one_batch_and_one_sync(log):
    log.writer.write([commit(0, 1)])
    before = log.disk.syncs
    outcome = log.writer.write([commit(1, 1), commit(0, 2)])
    assert (outcome.done, outcome.error) == (2, None)
    assert [len(records) for _, records in log.batches()] == [1, 2]
    assert log.disk.syncs - before == 1


def test_a_batch_says_what_was_durable_when_it_was_written(log):
    for number in range(1, 4):
        log.writer.write([commit(0, number)])
    assert [(header.sequence, header.durable, header.first) for header, _ in log.batches()] == [
        (1, 0, 1),
        (2, 1, 1),
        (3, 2, 1),
    ]


def test_a_batch_never_spans_two_segments(log):
    """What does not fit any more goes to the next segment, whole."""
    log.writer.write([commit(0, 1, 2)])
    outcome = log.writer.write([commit(store, 1) for store in range(1, 9)])
    assert outcome.opened == [(2, SEGMENT)]
    assert outcome.spans == [(1, 0, 4), (2, 5, 7)]
    assert [(header.segment, len(records)) for header, records in log.batches()] == [(1, 1), (1, 5), (2, 3)]


def test_batches_under_one_sync_say_the_same_was_durable(log):
    """So that after a power loss one of them may be missing without being damage."""
    log.writer.write([commit(0, 1, 2)])
    log.writer.write([commit(store, 1) for store in range(1, 9)])
    assert [header.durable for header, _ in log.batches()] == [0, 1, 1]


def test_both_segments_of_one_call_are_synced(log):
    log.writer.write([commit(0, 1, 2)])
    before = log.disk.syncs
    log.writer.write([commit(store, 1) for store in range(1, 9)])
    assert log.disk.syncs - before == 3  # the new segment's zeros, then each of the two


def test_a_large_commit_is_written_in_pieces(log):
    """Only the last one carries the commit mark."""
    outcome = log.writer.write([commit(1, 5, 11)])
    assert log.written() == [(1, 5, piece, piece < 5) for piece in range(6)]
    assert outcome.done == 1
    assert outcome.spans == [(1, 0, 0), (2, 0, 0)]  # needed until it is checkpointed: both
    pages = [record.pages for _, records in log.batches() for record in records]
    assert pages == [0, 0, 0, 0, 0, 11]


def test_frames_are_gone_through_once_as_they_are_written(log):
    """So those of a large commit need not be in memory."""
    whole = commit(1, 5, 11)
    log.writer.write([whole._replace(frames=iter(whole.frames))])
    assert log.written() == [(1, 5, piece, piece < 5) for piece in range(6)]


def test_what_a_commit_tells_is_written_with_its_last_piece(log):
    """It counts when the commit does."""
    frames = commit(1, 5, 5).frames
    log.writer.write([Commit(Heard(1), key(1), 5, frames, 5 * FRAME_BYTES, Fields("n", alarm_ms=12), False)])
    fields = [record.fields for _, records in log.batches() for record in records]
    assert fields == [None, None, Fields("n", alarm_ms=12)]


def test_buffers_of_many_frames_are_cut_between_frames(log):
    whole = b"".join(frame(page, page, 5 if page == 5 else 0) for page in range(1, 6))
    log.writer.write([Commit(Heard(1), key(1), 1, [whole], len(whole), None, False)])
    assert b"".join(bytes(record.frames) for _, records in log.batches() for record in records) == whole


def test_a_full_disk_loses_the_batch_and_no_more(log):
    """What the same call wrote before is durable; the next call works when there is space."""
    log.writer.write([commit(0, 1, 2)])
    log.disk.space_bytes = 6 * FRAME_BYTES  # one batch, not the next segment
    outcome = log.writer.write([commit(store, 1) for store in range(1, 9)])
    assert outcome.error is not None
    assert outcome.error.errno == errno.ENOSPC
    assert outcome.done == 5
    log.disk.space_bytes = None
    assert log.writer.write([commit(9, 1)]).done == 1
    assert [line[0] for line in log.written()] == [0, 1, 2, 3, 4, 5, 9]


@pytest.mark.parametrize("written", [0, 1, 68, 500, 4200, 8000])
def test_what_a_failed_write_left_is_never_a_record(log, written):
    """The next batch takes the same place; the remains behind it are nothing."""
    log.writer.write([commit(0, 1)])
    log.disk.space_bytes = written
    assert log.writer.write([commit(1, 1), commit(2, 1)]).error is not None
    assert log.written() == [(0, 1, 0, False)]
    log.disk.space_bytes = None
    log.writer.write([commit(3, 1)])
    assert log.written() == [(0, 1, 0, False), (3, 1, 0, False)]
    assert [header.sequence for header, _ in log.batches()] == [1, 2]


def test_pieces_of_a_commit_that_failed_are_not_continued(log):
    """Its number may come again, and then begins at piece 0."""
    log.writer.write([commit(0, 1)])
    log.disk.space_bytes = 7 * FRAME_BYTES
    assert log.writer.write([commit(1, 5, 11)]).error is not None
    log.disk.space_bytes = None
    log.writer.write([commit(1, 5, 1)])
    pieces = [line[2:] for line in log.written() if line[:2] == (1, 5)]
    assert pieces[0] == (0, True)
    assert pieces[-1] == (0, False)


def test_a_sync_that_fails_is_not_reported_as_anything(log):
    """No outcome: nothing that was written can be trusted."""
    log.writer.write([commit(0, 1)])
    log.disk.sync_error = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        log.writer.write([commit(0, 2)])


def test_a_full_disk_at_a_sync_is_a_failed_sync(log):
    """Bytes that were taken and then not kept are lost, whatever the disk calls it."""
    log.writer.write([commit(0, 1)])
    log.disk.sync_error = errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        log.writer.write([commit(0, 2)])


def test_the_next_segment_is_made_when_half_of_this_one_is_used(log):
    log.writer.write([commit(0, 1, 2)])
    assert log.disk.list(log.layout.journal) == ["00000001.seg"]
    log.writer.write([commit(0, 2, 2)])
    assert log.disk.list(log.layout.journal) == ["00000001.seg", "00000002.seg"]


@given(
    calls=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=6), max_size=6
    )
)
def test_everything_written_is_in_the_log_in_order(tmp_path_factory, calls):
    """Whatever the sizes, no frame is lost, doubled or moved, and every segment with a piece is named."""
    log = Log(str(tmp_path_factory.mktemp("log")))
    numbers = dict.fromkeys(range(4), 0)
    expected: dict[bytes, bytes] = {}
    named: dict[tuple[bytes, int], set[int]] = {}
    for call in calls:
        commits = []
        for store, pages in call:
            numbers[store] += 1
            commits.append(commit(store, numbers[store], pages))
            expected[key(store)] = expected.get(key(store), b"") + b"".join(commits[-1].frames)
        outcome: Outcome = log.writer.write(commits)
        assert outcome.done == len(commits)
        for segment, first, last in outcome.spans:
            for index in range(first, last + 1):
                named.setdefault((commits[index].key, commits[index].number), set()).add(segment)
    found: dict[bytes, bytes] = {}
    segments: dict[tuple[bytes, int], set[int]] = {}
    for header, records in log.batches():
        for record in records:
            found[record.key] = found.get(record.key, b"") + bytes(record.frames)
            segments.setdefault((record.key, record.number), set()).add(header.segment)
    assert found == expected
    assert segments == named
    log.writer.close()
