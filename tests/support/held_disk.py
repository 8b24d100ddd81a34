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
        self._change = threading.Condition()
        self._held = False
        self._let = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold every sync until the end of the block, or `release`."""
        self._held = True
        try:
            yield
        finally:
            self.release()

    def let_one(self) -> None:
        """Let one sync go on."""
        with self._change:
            self._let += 1
            self._change.notify_all()

    def release(self) -> None:
        """Let all syncs go on."""
        with self._change:
            self._held = False
            self._let = 0
            self._change.notify_all()

    def datasync(self, fd: int) -> None:
        with self._change:
            self._change.wait_for(lambda: not self._held or self._let > 0)
            if self._held:
                self._let -= 1
        if self.broken:
            raise OSError(errno.EIO, "the disk broke")
        super().datasync(fd)
