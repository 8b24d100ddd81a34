"""Segments: files of zeros that batches are written into, made ahead of need and used again. (cooperative)

Invariant: the journal's folder holds an unbroken end of the log, and perhaps segments with nothing of it. So
segments go one by one, oldest first, and the next goes only when the name of the one before is durably gone:
recovery replays what it finds in order, and an older page without the newer one behind it would undo a
commit.

A segment of zeros that were really written syncs in two thirds of the time of one that grows. The first one
after a start is small, each next one twice as large, up to the full size: a program that writes little starts
at once and takes little room.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from perdure._base.disk import Disk, Work
from perdure._base.limits import JOURNAL_SEGMENTS_FREE_MAX
from perdure._storage.layout import Layout


def is_full(error: BaseException) -> bool:
    """Tell whether the disk is full, not broken: things work again when there is space."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Segment:
    """One file of the log, open."""

    number: int
    fd: int
    size_bytes: int
    position: int = 0
    """Where the next batch goes."""
    first: int = 0
    """Sequence of its first batch; 0: it has none."""

    @property
    def room_bytes(self) -> int:
        return self.size_bytes - self.position


class Segments:
    """
    The supply of segments.

    The chores (making, renaming, removing) run in *work*, in order; `ahead` and `take` are called by the one
    thread that writes batches, `release` by the event loop.
    """

    def __init__(
        self, disk: Disk, layout: Layout, work: Work, *, first_bytes: int, segment_bytes: int
    ) -> None:
        self._disk = disk
        self._layout = layout
        self._work = work
        self._size = min(first_bytes, segment_bytes)
        self._size_max = segment_bytes
        self._next: Future[Segment] | None = None
        # Only the chores touch these.
        self._number = 1
        self._free: deque[tuple[int, int]] = deque()

    def ahead(self) -> None:
        """Begin to make the next segment, if that has not begun."""
        if self._next is None:
            self._next = self._work.submit(self._make)

    def take(self) -> Segment:
        """
        Give the next segment, waiting for it if need be; raises what making it raised, and then a later call
        tries anew.
        """
        self.ahead()
        assert self._next is not None
        making, self._next = self._next, None
        error = making.exception()
        if error is not None and is_full(error):
            making = self._work.submit(self._make)  # there may be space again since
        return making.result()

    def release(self, segments: Sequence[tuple[int, int]]) -> Future[None]:
        """
        Let go of segments (number and size in bytes) that nobody needs, oldest first: some are kept for
        reuse.
        """
        return self._work.submit(lambda: self._release(segments, JOURNAL_SEGMENTS_FREE_MAX))

    def clear(self, segments: Sequence[tuple[int, int]]) -> Future[None]:
        """Remove segments for good, and the one made ahead."""
        return self._work.submit(lambda: self._clear(segments))

    def close(self) -> None:
        """Close the segment made ahead, if there is one."""
        making, self._next = self._next, None
        if making is not None and making.exception() is None:
            self._disk.close(making.result().fd)

    def _make(self) -> Segment:
        size = self._size
        path = self._layout.segment(self._number)
        fd = self._reuse(path, size)
        if fd is None:
            fd = self._disk.create(path, size)
        # The name is durable before the first batch is: a log is found by listing the folder.
        self._disk.sync_folder(self._layout.journal)
        segment = Segment(self._number, fd, size)
        self._number += 1
        self._size = min(size * 2, self._size_max)
        return segment

    def _reuse(self, path: str, size: int) -> int | None:
        while self._free:
            number, free_size = self._free[0]
            if free_size == size:
                # The old batches in it name another segment, so under the new number they are nothing.
                self._disk.rename(self._layout.segment(number), path)
                self._free.popleft()
                return self._disk.open(path)
            self._remove_oldest()
        return None

    def _release(self, segments: Sequence[tuple[int, int]], kept_max: int) -> None:
        self._free.extend(segments)
        while len(self._free) > kept_max:
            self._remove_oldest()

    def _clear(self, segments: Sequence[tuple[int, int]]) -> None:
        self._release(segments, 0)
        if self._next is not None and self._next.exception() is None:
            self._disk.unlink(self._layout.segment(self._next.result().number))
            self._disk.sync_folder(self._layout.journal)

    def _remove_oldest(self) -> None:
        number, _ = self._free[0]
        self._disk.unlink(self._layout.segment(number))
        self._disk.sync_folder(self._layout.journal)
        self._free.popleft()
