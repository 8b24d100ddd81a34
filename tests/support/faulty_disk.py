"""A disk that is full, or whose syncs fail or wait, when the test says so; all else is real."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.held_disk import HeldDisk

from perdure._base.disk import Buffer


class FaultyDisk(HeldDisk):
    """
    A `HeldDisk` that also fails in other ways.

    Attributes:
        full: while true, no byte fits into the journal any more, not even over zeros that were there.
        store_sync_error: what syncing a store's own file raises, as an errno; None: nothing.
        received: bytes that were written into the journal so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.store_sync_error: int | None = None
        self.received = 0
        self._paths: dict[int, str] = {}

    @contextmanager
    def being_full(self) -> Iterator[None]:
        self.full = True
        try:
            yield
        finally:
            self.full = False

    def create(self, path: str, size_bytes: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        fd = super().create(path, size_bytes)
        self._paths[fd] = path
        return fd

    def open(self, path: str, *, create: bool = False, mode: int = 0o600) -> int:
        fd = super().open(path, create=create, mode=mode)
        self._paths[fd] = path
        return fd

    def close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        super().close(fd)

    def pwrite(self, fd: int, buffers: Sequence[Buffer], offset: int) -> None:
        if fd in self._paths and "/journal/" in self._paths[fd]:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.received += sum(map(len, buffers))
        super().pwrite(fd, buffers, offset)

    def datasync(self, fd: int) -> None:
        self._may_sync(fd)
        super().datasync(fd)

    def fsync(self, fd: int) -> None:
        self._may_sync(fd)
        super().fsync(fd)

    def _may_sync(self, fd: int) -> None:
        if self.store_sync_error is not None and self._paths.get(fd, "").endswith(".sqlite"):
            raise OSError(self.store_sync_error, os.strerror(self.store_sync_error))
