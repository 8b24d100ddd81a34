"""UnsyncedDisk: the real disk, but nothing waits for the device, and nothing runs in threads. (edge)"""

from __future__ import annotations

import shutil
from typing import Self

from perdure._storage.files import RealDisk
from perdure._storage.journal.worker import Inline


class UnsyncedDisk(RealDisk):
    """
    For tests of behaviour: the order of things is the same, and a busy machine does not slow them down.

    A process that is killed loses nothing here either, as the system has every byte that was written. What a power cut
    leaves is another disk's to show.
    """

    def fsync(self, fd: int) -> None:
        pass

    def datasync(self, fd: int) -> None:
        pass

    def sync_folder(self, path: str) -> None:
        pass

    def worker(self, name: str) -> Inline:
        return Inline()

    def after_kill(self, root: str, target: str) -> Self:
        """Copy what the system has of the folder *root* when its process is killed, to *target*; return a disk for it."""
        shutil.copytree(root, target)
        return self
