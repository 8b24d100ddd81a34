"""SimulatedDisk: remembers which bytes and names were synced, and can lose the rest, be full, slow or broken. (edge)

It works on a real folder, so SQLite may use files in it too: what SQLite writes counts as unsynced until somebody
syncs the file through this disk. `after_power_loss` builds what the folder could look like after the power went:
every synced byte and name, and of the others any part, sector by sector.
"""

# Plain strings for paths, as in `files.py`; chance is for tests.
# ruff: noqa: PTH100, PTH101, PTH102, PTH103, PTH110, PTH112, PTH116, PTH119, PTH120, S311

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from perdure._base.disk import Buffer, Work
from perdure._storage.files import RealDisk
from perdure._storage.journal.worker import Inline, settle
from perdure.testing.loop import SimulatedLoop

SECTOR_BYTES: Final = 512
_RUBBISH_CHANCE: Final = 0.3  # of files that were being written to when the power went
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


class SimulatedDisk(RealDisk):
    """
    `RealDisk` with a memory and with faults; what it finds in the folder *root* counts as durable.

    Nothing waits for the device. Where the engine would have threads, work is done at once, or, on a `SimulatedLoop`,
    as much later as *chance* decides.

    Attributes:
        space_bytes: so many more bytes can be written, then the disk is full; None: endless. (What SQLite writes by
            itself does not count.)
        sync_error: what every sync of a file raises, as an errno.
        slow_s: up to so long, by *chance*, a batch takes that the journal writes and syncs.
        on_point: called with the name of what comes next (`before_fsync` …) or has just been done (`after_fsync` …).
        steps_left: after so many more changes or syncs the power goes; None: never.
        steps: changes and syncs so far.
        syncs: syncs of files so far.
    """

    def __init__(self, root: str, chance: random.Random | None = None) -> None:
        self.root = os.path.abspath(root)
        self.space_bytes: int | None = None
        self.sync_error: int | None = None
        self.slow_s = 0.004
        self.on_point: Callable[[str], None] | None = None
        self.steps_left: int | None = None
        self.steps = 0
        self.syncs = 0
        self._chance = chance or random.Random(0)
        self._lock = threading.RLock()
        self._files: dict[int, _File] = {}
        self._fds: dict[int, _File] = {}
        self._journal: set[int] = set()
        """Descriptors of the journal's segments."""
        self._names: dict[str, _File | None] = {}
        """Durable names below the root; None stands for a folder."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                file = self._file(os.stat(path).st_ino)
                with open(path, "rb") as stream:
                    file.synced[:] = stream.read()
                file.mode = os.stat(path).st_mode & 0o777
            self._learn_names(folder)

    # --- what the caller does -------------------------------------------------------------------------

    def create(self, path: str, size_bytes: int) -> int:
        with self._lock:
            self._step("create")
            if self.space_bytes is not None and self.space_bytes < size_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            file = self._opened(fd, path)
            file.ours = True
            self._write(fd, bytes(size_bytes), 0)
            try:
                self.fsync(fd)
            except OSError:
                self.close(fd)
                self.unlink(path)
                raise
            return fd

    def open(self, path: str, *, create: bool = False, mode: int = 0o600) -> int:
        with self._lock:
            is_new = create and not os.path.exists(path)
            if is_new:
                self._step("create")
            fd = super().open(path, create=create, mode=mode)
            file = self._opened(fd, path)
            if is_new:
                file.mode = mode  # a file comes with its mode, or not at all
            return fd

    def close(self, fd: int) -> None:
        with self._lock:
            if self._fds.pop(fd, None) is not None:
                self._journal.discard(fd)
                super().close(fd)

    def pwrite(self, fd: int, buffers: Sequence[Buffer], offset: int) -> None:
        with self._lock:
            what = "journal_append" if fd in self._journal else "write"
            self._step(what)
            self._write(fd, b"".join(buffers), offset)
            self._after(what)

    def datasync(self, fd: int) -> None:
        with self._lock:
            self._sync(fd)
            self._after("fsync")

    def fsync(self, fd: int) -> None:
        with self._lock:
            self._sync(fd)
            self._fds[fd].mode = os.fstat(fd).st_mode & 0o777
            self._after("fsync")

    def lateness_s(self) -> float:
        """Choose how long the next batch takes."""
        return self._chance.uniform(0, self.slow_s)

    def for_each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        for item in items:  # one after the other: a step is the same in every run
            work(item)

    def worker(self, name: str) -> Work:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return Inline()
        return _LaterWork(self, loop) if isinstance(loop, SimulatedLoop) else Inline()

    def truncate(self, fd: int, size_bytes: int) -> None:
        with self._lock:
            self._step("truncate")
            self._fds[fd].ours = False
            super().truncate(fd, size_bytes)

    def chmod(self, fd: int, mode: int) -> None:
        with self._lock:
            self._step("chmod")
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
            self._step("rename")
            super().rename(old, new)

    def unlink(self, path: str) -> None:
        with self._lock:
            if os.path.exists(path):
                self._step("unlink")
                # The number of the inode may be given to the next file that is made.
                self._files.pop(os.stat(path).st_ino, None)
                super().unlink(path)

    def sync_folder(self, path: str) -> None:
        with self._lock:
            self._step("folder_sync")
            if path != self.root and not path.startswith(self.root + "/"):
                return
            for name in [name for name in self._names if os.path.dirname(name) == path]:
                del self._names[name]
            self._learn_names(path)

    # --- crashes --------------------------------------------------------------------------------------

    def after_power_loss(
        self, target: str, chance: random.Random, *, lives_on: bool = False
    ) -> SimulatedDisk:
        """
        Build in the new folder *target* what may be left if the power goes now; return a disk on it, all of it synced.

        Args:
            lives_on: whoever has files open here goes on, in the world in which the power stayed.
        """
        with self._lock:
            live: dict[str, _File | None] = {}
            for folder, folders, files in os.walk(self.root):
                for name in folders:
                    live[os.path.join(folder, name)] = None
                for name in files:
                    path = os.path.join(folder, name)
                    live[path] = self._file(os.stat(path).st_ino)
            if not lives_on:
                self.close_all()
            os.makedirs(target)
            for path in sorted(live.keys() | self._names.keys()):
                candidates: list[_File | str | None] = []
                if path in self._names:
                    candidates.append(self._names[path])
                if path in live and live[path] not in candidates:
                    candidates.append(live[path])
                if not (path in live and path in self._names):
                    candidates.append("absent")
                found = chance.choice(candidates)
                copy = os.path.abspath(target) + path[len(self.root) :]
                if isinstance(found, str) or not os.path.isdir(os.path.dirname(copy)):
                    continue
                if found is None:
                    os.mkdir(copy)
                else:
                    self._rebuild(found, path if live.get(path) is found else None, copy, chance)
            return self._next(target)

    def after_kill(self, target: str) -> SimulatedDisk:
        """Build in the new folder *target* what the system still has when the process is killed: every byte written."""
        with self._lock:
            shutil.copytree(self.root, target)
            disk = self._next(target)
            copies = {path: disk.root + path[len(self.root) :] for path in self._names}
            disk._names = {copies[path]: None for path, file in self._names.items() if file is None}
            for folder, _, names in os.walk(self.root):
                for name in names:
                    path = os.path.join(folder, name)
                    copy = disk.root + path[len(self.root) :]
                    file, copied = self._file(os.stat(path).st_ino), disk._file(os.stat(copy).st_ino)
                    copied.synced[:] = file.synced
                    copied.mode = file.mode
            for path, named in self._names.items():
                if named is not None:
                    copy = copies[path]
                    is_there = os.path.exists(path) and self._file(os.stat(path).st_ino) is named
                    disk._names[copy] = disk._file(os.stat(copy).st_ino) if is_there else named
            return disk

    def close_all(self) -> None:
        """Close every file that is open through this disk: whoever held it is dead."""
        for fd in list(self._fds):
            self.close(fd)

    def _next(self, root: str) -> SimulatedDisk:
        return type(self)(root, self._chance)

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
        if written != synced:
            self._lose_sectors(data, synced, written, chance)
        with open(copy, "wb") as stream:
            stream.write(data)
        os.chmod(copy, mode)

    def _lose_sectors(self, data: bytearray, synced: bytes, written: bytes, chance: random.Random) -> None:
        size = len(data)
        written = written[:size].ljust(size, b"\0")
        reached = chance.choice([0.0, 0.2, 0.5, 0.9, 1.0])
        # Some disks leave rubbish where they were writing when the power went.
        rubbish = 0.2 if chance.random() < _RUBBISH_CHANCE else 0.0
        for offset in range(0, size, SECTOR_BYTES):
            sector = slice(offset, offset + SECTOR_BYTES)
            if synced[sector] == written[sector]:
                continue
            if chance.random() < reached:
                data[sector] = written[sector]
            if chance.random() < rubbish:
                data[sector] = chance.randbytes(min(SECTOR_BYTES, size - offset))

    # --- helpers --------------------------------------------------------------------------------------

    def _file(self, inode: int) -> _File:
        return self._files.setdefault(inode, _File())

    def _opened(self, fd: int, path: str) -> _File:
        self._fds[fd] = file = self._file(os.fstat(fd).st_ino)
        if os.path.basename(os.path.dirname(path)) == "journal":
            self._journal.add(fd)
        return file

    def _learn_names(self, folder: str) -> None:
        for entry in os.scandir(folder):
            self._names[entry.path] = None if entry.is_dir() else self._file(entry.inode())

    def _write(self, fd: int, data: bytes, offset: int) -> None:
        kept = data if self.space_bytes is None else data[: self.space_bytes]
        os.pwrite(fd, kept, offset)
        self._fds[fd].dirty.append((offset, len(kept)))
        if self.space_bytes is not None:
            self.space_bytes -= len(kept)
        if len(kept) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _sync(self, fd: int) -> None:
        self._step("fsync")
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

    def _step(self, what: str) -> None:
        if self.on_point is not None:
            self.on_point(f"before_{what}")
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise PowerCut
            self.steps_left -= 1
        self.steps += 1

    def _after(self, what: str) -> None:
        if self.on_point is not None:
            self.on_point(f"after_{what}")


class _LaterWork:
    """Does on a simulated loop what a thread would do: one after the other, each some virtual time later."""

    def __init__(self, disk: SimulatedDisk, loop: SimulatedLoop) -> None:
        self._disk = disk
        self._loop = loop
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._due_s = 0.0

    def submit(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = _Later(self)
        self._waiting.append((function, future))
        now_s = self._loop.time()
        self._due_s = max(now_s, self._due_s) + self._disk.lateness_s()
        self._loop.work(self._due_s - now_s, lambda: self.run_until(future))
        return future

    def run_until(self, future: Future[Any]) -> None:
        """Do what is waiting, up to what *future* stands for, unless that is done."""
        while not future.done():
            function, following = self._waiting.popleft()
            settle(function, following)

    def stop(self) -> None:
        """Nothing is left running: the loop outlives it."""


class _Later(Future[T]):
    """Whoever blocks on it would wait for the thread: here that is the moment in which it is done."""

    def __init__(self, work: _LaterWork) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> T:
        self._work.run_until(self)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._work.run_until(self)
        return super().exception(timeout)
