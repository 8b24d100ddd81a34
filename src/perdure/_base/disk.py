"""The disk as the storage engine sees it. (cooperative)

Everything that must survive a power loss goes through this interface, so that a test can put a disk there
that remembers which bytes were synced, or one that is full or broken. All calls block; all raise `OSError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeAlias, TypeVar

Buffer: TypeAlias = bytes | bytearray | memoryview
T = TypeVar("T")


class Work(Protocol):
    """Runs functions one after the other, in the order given."""

    def submit(self, function: Callable[[], T]) -> Future[T]: ...

    def stop(self) -> None:
        """Finish what was submitted, then end."""


class Disk(Protocol):
    """
    Files by path and by descriptor.

    Two rules of POSIX shape it. A file's bytes are safe after `datasync` or `fsync` of the file; its *name*
    is safe only after `sync_folder` of the folder it stands in. A sync that failed must never be tried again
    and believed: the kernel may have dropped the bytes meanwhile.
    """

    def create(self, path: str, size_bytes: int) -> int:
        """Make a new file of zeros, written and synced (its name is not); when it fails, none."""

    def open(self, path: str, *, create: bool = False, mode: int = 0o600) -> int:
        """Open for reading and writing. `create`: make it with *mode* when it is not there."""

    def close(self, fd: int) -> None: ...

    def pread(self, fd: int, size_bytes: int, offset: int) -> bytes:
        """Read up to *size_bytes*: fewer only at the end of the file."""

    def pwrite(self, fd: int, buffers: Sequence[Buffer], offset: int) -> None:
        """Write all *buffers*, one after the other; when it raises, any part of them may be written."""

    def datasync(self, fd: int) -> None:
        """Make the file's bytes and its size durable."""

    def fsync(self, fd: int) -> None:
        """Make the file's bytes, size and mode durable."""

    def for_each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """
        Call *work*, which uses this disk, with each of *items*, several at a time in threads.

        *items* is gone through in the caller's thread, a bounded number ahead: what computes belongs there, what waits
        for the disk into *work*. After an error no further item is taken; it is raised when all work has ended.
        """

    def worker(self, name: str) -> Work:
        """Give what runs functions that use this disk, and wait for it: a thread *name*, unless a test has another."""

    def truncate(self, fd: int, size_bytes: int) -> None: ...

    def chmod(self, fd: int, mode: int) -> None: ...

    def size(self, path: str) -> int | None:
        """Tell a file's size in bytes; None when there is no such file."""

    def mode(self, path: str) -> int | None:
        """Tell a file's permission bits; None when there is no such file."""

    def read(self, path: str) -> bytes | None:
        """Read a whole small file; None when there is no such file."""

    def replace(self, path: str, data: bytes) -> None:
        """Write a whole small file durably: after any crash it is the old or the new one."""

    def rename(self, old: str, new: str) -> None: ...

    def unlink(self, path: str) -> None:
        """Remove a file; none there is fine."""

    def list(self, path: str) -> list[str]:
        """List the names in a folder, sorted; none when there is no such folder."""

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents where missing; the names of new ones are durable afterwards."""

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable: files that came, went or were renamed."""
