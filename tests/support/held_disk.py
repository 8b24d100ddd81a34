"""A disk whose syncs wait until the test lets them go on, so that a commit can be seen on its way."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from perdure._storage.files import RealDisk


class HeldDisk(RealDisk):
    """
    `RealDisk`; inside `with disk.held():` nothing becomes durable.

    Attributes:
        broken: when set, every sync fails.
    """

    def __init__(self) -> None:
        self.broken = False
        self._open = threading.Event()
        self._open.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold every sync until the end of the block, or `release`."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def release(self) -> None:
        """Let the syncs go on."""
        self._open.set()

    def datasync(self, fd: int) -> None:
        self._open.wait()
        if self.broken:
            raise OSError(errno.EIO, "the disk broke")
        super().datasync(fd)
