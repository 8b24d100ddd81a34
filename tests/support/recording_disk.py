"""A disk that remembers which bytes and names were synced, and can lose the rest, be full or break.

It works on a real folder, so SQLite may use files in it too: what SQLite writes counts as unsynced until
somebody syncs the file through this disk. `after_power_loss` builds what the folder could look like after the
power went: every synced byte and name, and of the others any part, sector by sector.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from perdure._base.disk import Buffer
from perdure._storage.files import RealDisk

SECTOR_BYTES = 512
T = TypeVar("T")


class PowerCut(BaseException):
    """The power went in the middle of an operation; whoever catches it is dead in real life."""


@dataclass(eq=False)
class _File:
    """What is durable of a file, whatever it is called."""

    synced: bytearray = field(default_factory=bytearray)
    mode: int = 0o600
    ours: bool = False
    """Written through this disk alone, so that only `dirty` ranges differ from `synced`."""
    dirty: list[tuple[int, int]] = field(default_factory=list)


class RecordingDisk(RealDisk):
    """
    `RealDisk` with a memory and with faults.

    Attributes:
        space_bytes: so many more bytes can be written, then the disk is full; None: endless.
        sync_error: what every sync of a file raises, as an errno.
        steps_left: after so many more changes or syncs the power goes; None: never.
        steps: changes and syncs so far.
        syncs: syncs of files so far.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.space_bytes: int | None = None
        self.sync_error: int | None = None
        self.steps_left: int | None = None
        self.steps = 0
        self.syncs = 0
        self._lock = threading.RLock()
        self._files: dict[int, _File] = {}
        self._fds: dict[int, _File] = {}
        self._names: dict[str, _File | None] = {}
        """Durable names below the root; None stands for a folder."""

    # --- what the caller does -------------------------------------------------------------------------

    def create(self, path: str, size_bytes: int) -> int:
        with self._lock:
            self._step()
            if self.space_bytes is not None and self.space_bytes < size_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._fds[fd] = file = self._file(os.fstat(fd).st_ino)
            file.ours = True
            self.pwrite(fd, [bytes(size_bytes)], 0)
            try:
                self.fsync(fd)
            except OSError:
                self.close(fd)
                self.unlink(path)
                raise
            return fd

    def open(self, path: str, *, create: bool = False, mode: int = 0o600) -> int:
        with self._lock:
            if create and not os.path.exists(path):
                self._step()
            fd = super().open(path, create=create, mode=mode)
            self._fds[fd] = self._file(os.fstat(fd).st_ino)
            return fd

    def close(self, fd: int) -> None:
        with self._lock:
            if self._fds.pop(fd, None) is not None:
                super().close(fd)

    def pwrite(self, fd: int, buffers: Sequence[Buffer], offset: int) -> None:
        with self._lock:
            self._step()
            data = b"".join(buffers)
            kept = data if self.space_bytes is None else data[: self.space_bytes]
            os.pwrite(fd, kept, offset)
            self._fds[fd].dirty.append((offset, len(kept)))
            if self.space_bytes is not None:
                self.space_bytes -= len(kept)
            if len(kept) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def datasync(self, fd: int) -> None:
        with self._lock:
            self._sync(fd)

    def fsync(self, fd: int) -> None:
        with self._lock:
            self._sync(fd)
            self._fds[fd].mode = os.fstat(fd).st_mode & 0o777

    def for_each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        for item in items:  # one after the other: a step is the same in every run
            work(item)

    def truncate(self, fd: int, size_bytes: int) -> None:
        with self._lock:
            self._step()
            self._fds[fd].ours = False
            super().truncate(fd, size_bytes)

    def chmod(self, fd: int, mode: int) -> None:
        with self._lock:
            self._step()
            super().chmod(fd, mode)

    def replace(self, path: str, data: bytes) -> None:
        with self._lock:
            fd = self.open(f"{path}.new", create=True)
            try:
                self.truncate(fd, 0)
                self.pwrite(fd, [data], 0)
                self.fsync(fd)
            finally:
                self.close(fd)
            self.rename(f"{path}.new", path)
            self.sync_folder(os.path.dirname(path))

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            self._step()
            super().rename(old, new)

    def unlink(self, path: str) -> None:
        with self._lock:
            if os.path.exists(path):
                self._step()
                # The number of the inode may be given to the next file that is made.
                self._files.pop(os.stat(path).st_ino, None)
                super().unlink(path)

    def sync_folder(self, path: str) -> None:
        with self._lock:
            self._step()
            if path != self.root and not path.startswith(self.root + "/"):
                return
            for name in [name for name in self._names if os.path.dirname(name) == path]:
                del self._names[name]
            for entry in os.scandir(path):
                self._names[entry.path] = None if entry.is_dir() else self._file(entry.inode())

    # --- what the power loss does ---------------------------------------------------------------------

    def after_power_loss(self, target: str, chance: random.Random) -> RecordingDisk:
        """Build in the new folder *target* what may be left of this disk, and give a disk on it, all of it synced."""
        with self._lock:
            live: dict[str, _File | None] = {}
            for folder, folders, files in os.walk(self.root):
                for name in folders:
                    live[os.path.join(folder, name)] = None
                for name in files:
                    path = os.path.join(folder, name)
                    live[path] = self._file(os.stat(path).st_ino)
            for fd in list(self._fds):
                self.close(fd)  # whoever held it is dead
            os.makedirs(target)
            disk = RecordingDisk(target)
            for path in sorted(live.keys() | self._names.keys()):
                candidates = []
                if path in self._names:
                    candidates.append(self._names[path])
                if path in live and live[path] not in candidates:
                    candidates.append(live[path])
                if not (path in live and path in self._names):
                    candidates.append("absent")
                found = chance.choice(candidates)
                copy = disk.root + path[len(self.root) :]
                if found == "absent" or not os.path.isdir(os.path.dirname(copy)):
                    continue
                if found is None:
                    os.mkdir(copy)
                else:
                    self._rebuild(found, path if live.get(path) is found else None, copy, chance)
            for folder, _, files in os.walk(target):
                for name in files:
                    path = os.path.join(folder, name)
                    file = disk._file(os.stat(path).st_ino)
                    with open(path, "rb") as stream:
                        file.synced[:] = stream.read()
                    file.mode = os.stat(path).st_mode & 0o777
                disk.sync_folder(folder)
            disk.steps = 0
            return disk

    def _rebuild(self, file: _File, path: str | None, copy: str, chance: random.Random) -> None:
        synced = bytes(file.synced)
        if path is None:
            written, mode = synced, file.mode
        else:
            with open(path, "rb") as stream:
                written = stream.read()
            mode = chance.choice([file.mode, os.stat(path).st_mode & 0o777])
        size = chance.choice(
            [len(synced), len(written), chance.randint(*sorted((len(synced), len(written))))]
        )
        data = bytearray(synced[:size].ljust(size, b"\0"))
        written = written[:size].ljust(size, b"\0")
        reached = chance.choice([0.0, 0.2, 0.5, 0.9, 1.0])
        for offset in range(0, size, SECTOR_BYTES):
            if chance.random() < reached:
                data[offset : offset + SECTOR_BYTES] = written[offset : offset + SECTOR_BYTES]
        with open(copy, "wb") as stream:
            stream.write(data)
        os.chmod(copy, mode)

    # --- helpers ----------------------------------------------------------------------------------------

    def _file(self, inode: int) -> _File:
        return self._files.setdefault(inode, _File())

    def _sync(self, fd: int) -> None:
        self._step()
        self.syncs += 1
        if self.sync_error is not None:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        file = self._fds[fd]
        if file.ours:
            for offset, size in file.dirty:
                file.synced[offset : offset + size] = os.pread(fd, size, offset)
        else:
            file.synced[:] = os.pread(fd, os.fstat(fd).st_size, 0)
        file.dirty.clear()

    def _step(self) -> None:
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise PowerCut
            self.steps_left -= 1
        self.steps += 1
