"""Frames of a WAL, read when the journal writes them: a large commit is never in memory. (cooperative)

What is committed stays where it is in the WAL until it is durable: only then comes a checkpoint, and a turn that is
lost cuts the WAL behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from perdure._base.disk import Disk
from perdure._base.limits import FRAME_HEADER_BYTES, PAGE_BYTES, WAL_HEADER_BYTES, WAL_READ_BYTES

FRAME_BYTES: Final = FRAME_HEADER_BYTES + PAGE_BYTES
_FRAMES_AT_A_TIME: Final = WAL_READ_BYTES // FRAME_BYTES


class WalFrames:
    """
    Frames *start* to *end* (numbers, end excluded) of the WAL at *path*, in bounded pieces; any thread may read them.

    The file is opened here, where a failure is the turn's own, and closed with the last reference: SQLite holds
    no lock on it that this could drop.
    """

    __slots__ = ("_disk", "_end", "_fd", "_start")

    def __init__(self, disk: Disk, path: str, start: int, end: int) -> None:
        self._disk = disk
        self._start = start
        self._end = end
        self._fd: int | None = None
        self._fd = disk.open(path)

    def __iter__(self) -> Iterator[bytes]:
        assert self._fd is not None
        for at in range(self._start, self._end, _FRAMES_AT_A_TIME):
            size_bytes = min(_FRAMES_AT_A_TIME, self._end - at) * FRAME_BYTES
            piece = self._disk.pread(self._fd, size_bytes, WAL_HEADER_BYTES + at * FRAME_BYTES)
            assert len(piece) == size_bytes, f"the WAL ends before frame {self._end}"
            yield piece

    def __del__(self) -> None:
        if self._fd is not None:
            self._disk.close(self._fd)
