"""The real disk. (edge)"""

# Paths are plain strings here: each method is one system call or a few.
# ruff: noqa: PTH102, PTH104, PTH108, PTH112, PTH116, PTH120, PTH208

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Final, TypeVar

from perdure._base.disk import Buffer, Work
from perdure._storage.journal.worker import Worker

T = TypeVar("T")

_BUFFERS_MAX: Final = 1024  # IOV_MAX on Linux and macOS
_ZEROS: Final = bytes(1024 * 1024)
_AT_A_TIME: Final = 8  # the file system's own journal groups syncs that run together
_AHEAD_MAX: Final = 64  # items taken whose work has not ended: each may hold a file open

# On macOS fsync only hands the bytes to the drive, which may keep them in its cache; F_FULLFSYNC empties
# that. Some file systems (network ones) do not know it and say so.
_FULL_FSYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)
_DATASYNC: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)
_UNKNOWN: Final = {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}


def _sync(fd: int, sync: Callable[[int], None]) -> None:
    if _FULL_FSYNC is not None:
        try:
            fcntl.fcntl(fd, _FULL_FSYNC)
            return
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
    sync(fd)


def is_inside(path: str, folder: str) -> bool:
    """Tell whether *path* is *folder* or in it, whatever links lead there."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder + "/")


class RealDisk:
    """`Disk` on the operating system's files."""

    def create(self, path: str, size_bytes: int) -> int:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Really written: blocks that are only allocated cost a second write of metadata at each first
            # sync.
            for offset in range(0, size_bytes, len(_ZEROS)):
                self.pwrite(fd, [_ZEROS[: size_bytes - offset]], offset)
            self.fsync(fd)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                os.unlink(path)
            raise
        return fd

    def open(self, path: str, *, create: bool = False, mode: int = 0o600) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), mode)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, size_bytes: int, offset: int) -> bytes:
        data = os.pread(fd, size_bytes, offset)
        if len(data) == size_bytes or not data:
            return data
        parts = [data]
        read = len(data)
        while read < size_bytes and (data := os.pread(fd, size_bytes - read, offset + read)):
            parts.append(data)
            read += len(data)
        return b"".join(parts)

    def pwrite(self, fd: int, buffers: Sequence[Buffer], offset: int) -> None:
        for start in range(0, len(buffers), _BUFFERS_MAX):
            chunk = buffers[start : start + _BUFFERS_MAX]
            size = sum(map(len, chunk))
            written = os.pwritev(fd, chunk, offset)
            if written < size:
                self._write_rest(fd, b"".join(chunk), offset, written)
            offset += size

    def _write_rest(self, fd: int, data: bytes, offset: int, written: int) -> None:
        """A disk that is nearly full takes a part; the next try says why it took no more."""
        view = memoryview(data)
        while written < len(view):
            more = os.pwrite(fd, view[written:], offset + written)
            if not more:
                raise OSError(
                    errno.EIO,
                    f"the disk took {written:,} of {len(view):,} bytes and then none, without an error",
                )
            written += more

    def datasync(self, fd: int) -> None:
        _sync(fd, _DATASYNC)

    def fsync(self, fd: int) -> None:
        _sync(fd, os.fsync)

    def for_each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        failed: list[BaseException] = []
        room = BoundedSemaphore(_AHEAD_MAX)

        def run(item: T) -> None:
            try:
                work(item)
            except BaseException as error:
                failed.append(error)
            finally:
                room.release()

        with ThreadPoolExecutor(_AT_A_TIME, "perdure-disk") as pool:
            for item in items:
                room.acquire()
                pool.submit(run, item)
                if failed:
                    break
        if failed:
            raise failed[0]

    def worker(self, name: str) -> Work:
        return Worker(name)

    def truncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)

    def chmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def size(self, path: str) -> int | None:
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return None

    def mode(self, path: str) -> int | None:
        try:
            return os.stat(path).st_mode & 0o777
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes | None:
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def replace(self, path: str, data: bytes) -> None:
        temporary = f"{path}.new"
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self.pwrite(fd, [data], 0)
            self.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
        self.sync_folder(os.path.dirname(path))

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(path)

    def list(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def make_folder(self, path: str) -> None:
        if os.path.isdir(path):
            return
        parent = os.path.dirname(path)
        if parent and parent != path:
            self.make_folder(parent)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        self.sync_folder(parent or ".")

    def sync_folder(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(fd)
        finally:
            os.close(fd)
