"""Writes commits as batches into segments and syncs them: the work of the committer's thread. (cooperative)

A batch never spans two segments and takes a bounded part of memory; a commit too large for one batch is
written in pieces, and only its last piece carries the commit mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from perdure._base.disk import Buffer, Disk
from perdure._base.limits import JOURNAL_BATCH_BYTES_MAX
from perdure._storage.journal.commit import Commit
from perdure._storage.journal.record import (
    FRAME_BYTES,
    HEADER_BYTES,
    RECORD_HEAD_BYTES_MAX,
    BatchWriter,
    Header,
    record_size,
)
from perdure._storage.journal.segment import Segment, Segments, is_full


@dataclass(slots=True)
class Outcome:
    """What became of the commits of one call."""

    done: int = 0
    """So many of them, from the first, are durable."""
    error: OSError | None = None
    """The disk was full: the others are not in the log and never will be."""
    spans: list[tuple[int, int, int]] = field(default_factory=list)
    """Segment number, index of the first and of the last commit of which it holds at least a piece."""
    opened: list[tuple[int, int]] = field(default_factory=list)
    """Number and size in bytes of the segments that were begun, in order."""
    position: int = 0
    """How far the newest segment is filled."""


class Writer:
    """
    The end of the log. Each call covers its commits by one sync of each segment it touched: one, nearly
    always.
    """

    def __init__(self, disk: Disk, segments: Segments, *, epoch: int, first_bytes: int) -> None:
        self._disk = disk
        self._segments = segments
        self._epoch = epoch
        # Any record fits into the smallest segment, and two into most, so that little room is lost at its
        # end.
        room = min(JOURNAL_BATCH_BYTES_MAX, first_bytes) - HEADER_BYTES - 2 * RECORD_HEAD_BYTES_MAX
        self._piece_bytes = room // 2 // FRAME_BYTES * FRAME_BYTES
        assert self._piece_bytes, f"a segment of {first_bytes:,} bytes is too small for two frames"
        self._segment: Segment | None = None
        self._sequence = 0
        self._durable = 0

    def write(self, commits: Sequence[Commit]) -> Outcome:
        """
        Make *commits* durable. What it raises, but for a full disk, means that nothing can be trusted any
        more.
        """
        outcome = Outcome()
        unsynced: list[Segment] = []
        try:
            try:
                self._put_all(commits, outcome, unsynced)
            except OSError as error:
                if not is_full(error):
                    raise
                # Of the batch that failed any part may be written. The next one goes to the same place with the
                # same sequence, and what shows behind it has no right checksum.
                # Its traceback would keep that batch, and the WALs that it was read from, with whoever keeps the error.
                outcome.error = error.with_traceback(None)
            for segment in unsynced:
                self._disk.datasync(segment.fd)
        finally:
            for segment in unsynced:
                if segment is not self._segment:
                    self._disk.close(segment.fd)
        self._durable = self._sequence
        outcome.position = self._segment.position if self._segment is not None else 0
        return outcome

    def close(self) -> None:
        """Close the newest segment."""
        if self._segment is not None:
            self._disk.close(self._segment.fd)
            self._segment = None

    def _put_all(self, commits: Sequence[Commit], outcome: Outcome, unsynced: list[Segment]) -> None:
        batch = BatchWriter()
        room = self._room()
        begun = 0
        for index, commit in enumerate(commits):
            _, key, number, frames, frames_bytes, fields, whole = commit
            is_here = False  # a piece of this commit is in the batch at hand
            for piece, (part, size, last) in enumerate(
                (([*frames], frames_bytes, True),) if frames_bytes <= self._piece_bytes else self._cut(commit)
            ):
                needed = record_size(key, fields, size)
                if batch.size_bytes + needed > room:
                    if batch.count:
                        self._put(batch, outcome, unsynced, begun, index if is_here else index - 1)
                        batch = BatchWriter()
                        is_here = False
                    begun = index
                    outcome.done = index
                    if HEADER_BYTES + needed > self._room():
                        self._next_segment(outcome, unsynced)
                    room = self._room()
                    assert HEADER_BYTES + needed <= room, f"a record of {needed:,} bytes fits into no segment"
                batch.add(
                    key,
                    number,
                    part,
                    piece=piece,
                    more=not last,
                    whole=whole,
                    fields=fields if last else None,
                )
                is_here = True
        self._put(batch, outcome, unsynced, begun, len(commits) - 1)
        outcome.done = len(commits)

    def _room(self) -> int:
        """How large a batch may be here."""
        return min(JOURNAL_BATCH_BYTES_MAX, self._segment.room_bytes) if self._segment is not None else 0

    def _cut(self, commit: Commit) -> Iterator[tuple[Sequence[Buffer], int, bool]]:
        """Cut a large commit: frames of a piece, their size in bytes, is it the last."""
        left = commit.frames_bytes
        piece: list[Buffer] = []
        size = 0
        for buffer in commit.frames:
            view = memoryview(buffer)
            while len(view):
                taken = view[: self._piece_bytes - size]
                view = view[len(taken) :]
                piece.append(taken)
                size += len(taken)
                if size in (self._piece_bytes, left):
                    left -= size
                    yield piece, size, left == 0
                    piece, size = [], 0

    def _put(
        self, batch: BatchWriter, outcome: Outcome, unsynced: list[Segment], begun: int, last: int
    ) -> None:
        segment = self._segment
        assert segment is not None
        sequence = self._sequence + 1
        buffers = batch.seal(
            Header(
                self._epoch,
                segment.number,
                segment.position,
                sequence,
                segment.first or sequence,
                self._durable,
            )
        )
        self._disk.pwrite(segment.fd, buffers, segment.position)
        self._sequence = sequence
        segment.first = segment.first or sequence
        segment.position += sum(map(len, buffers))
        if segment not in unsynced:
            unsynced.append(segment)
        outcome.spans.append((segment.number, begun, last))
        if segment.room_bytes < segment.size_bytes // 2:
            self._segments.ahead()

    def _next_segment(self, outcome: Outcome, unsynced: list[Segment]) -> None:
        segment = self._segments.take()
        if self._segment is not None and self._segment not in unsynced:
            self._disk.close(self._segment.fd)
        self._segment = segment
        outcome.opened.append((segment.number, segment.size_bytes))
