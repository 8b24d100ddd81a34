"""A disk whose power can be cut at any of its steps; what is left stands in a new folder each time."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from support.recording_disk import SECTOR_BYTES, RecordingDisk, _File


class PowerDisk(RecordingDisk):
    """
    A `RecordingDisk` on a folder that is there already, all of it durable, and that tells of each step.

    Attributes:
        on_step: called before each change and each sync, with how many there were.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.on_step: Callable[[int], None] | None = None
        os.makedirs(root, exist_ok=True)
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                file = self._file(os.stat(path).st_ino)
                with open(path, "rb") as stream:
                    file.synced[:] = stream.read()
                file.mode = os.stat(path).st_mode & 0o777
            super().sync_folder(folder)
        self.steps = 0

    def open(self, path: str, *, create: bool = False, mode: int = 0o600) -> int:
        is_new = create and not os.path.exists(path)
        fd = super().open(path, create=create, mode=mode)
        if is_new:
            self._fds[fd].mode = mode  # a file comes with its mode, or not at all
        return fd

    def _step(self) -> None:
        if self.on_step is not None:
            self.on_step(self.steps)
        super()._step()

    def cut(self, target: str, chance: random.Random) -> str:
        """Build in the new folder *target* what may be left if the power goes now; return it."""
        on_step, self.on_step = self.on_step, None
        fds, self._fds = self._fds, {}  # whoever holds them lives on, in the world where the power stayed
        try:
            return self.after_power_loss(target, chance).root
        finally:
            self.on_step = on_step
            self._fds = fds

    def _rebuild(self, file: _File, path: str | None, copy: str, chance: random.Random) -> None:
        super()._rebuild(file, path, copy, chance)
        if path is None or chance.random() < 0.7:
            return
        # Some disks leave rubbish where they were writing when the power went.
        with open(path, "rb") as stream:
            written = stream.read()
        with open(copy, "r+b") as stream:
            left = stream.read()
            for offset in range(0, len(left), SECTOR_BYTES):
                end = offset + SECTOR_BYTES
                if bytes(file.synced[offset:end]) != written[offset:end] and chance.random() < 0.2:
                    stream.seek(offset)
                    stream.write(chance.randbytes(min(SECTOR_BYTES, len(left) - offset)))
