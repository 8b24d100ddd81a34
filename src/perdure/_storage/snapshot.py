"""Snapshot: a store's last durable commit, read page by page while the store goes on. (cooperative)

A commit is the file with the newest frames of the WAL's durable part over it. As long as the store is pinned
nothing of either changes, whatever its object does: there is no checkpoint, and commits only append to the WAL.
So a snapshot begins at once, holds nobody up, and is read in a thread. Nothing of it goes through SQLite, and
no descriptor of the database is opened and closed, which would drop this process's locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from perdure._base.disk import Buffer, Disk
from perdure._base.limits import FRAME_HEADER_BYTES, PAGE_BYTES, WAL_HEADER_BYTES
from perdure._storage.journal.record import FRAME_BYTES
from perdure._storage.layout import CATALOG_KEY
from perdure.errors import StorageError

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine

T = TypeVar("T")

_PAGES_AT_A_TIME: Final = 256
_LOOK_S: Final = 0.005
_FORMAT_AT: Final = 18
_NO_WAL: Final = b"\1\1"
"""For readers and writers: a database with a rollback journal, as a file on its own should be."""


class NotStored(StorageError):
    """The object does not exist: nothing is stored for it."""


class Snapshot:
    """The pages of one commit; valid until `hold` ends."""

    def __init__(self, disk: Disk, fd: int, path: str, frames: int) -> None:
        self._disk = disk
        self._fd = fd
        self._path = path
        self._frames = frames

    def copy(self, target: str, *, plain: bool, synced: bool = True) -> int:
        """
        Write the commit into the file *target*; its name is not synced. For a thread. Returns its size in bytes.

        Args:
            plain: as a database that any SQLite program opens, without a WAL; else as an object's file is.
            synced: make the bytes durable.
        """
        fd = self._disk.open(target, create=True)
        try:
            self._disk.truncate(fd, 0)
            size_bytes = self._write(fd, plain)
            if synced:
                self._disk.fsync(fd)
        finally:
            self._disk.close(fd)
        return size_bytes

    def _write(self, fd: int, plain: bool) -> int:
        newest, pages = self._in_wal()
        pages = pages or (self._disk.size(self._path) or 0) // PAGE_BYTES
        wal = self._disk.open(f"{self._path}-wal") if newest else None
        try:
            for first in range(1, pages + 1, _PAGES_AT_A_TIME):
                numbers = range(first, min(first + _PAGES_AT_A_TIME, pages + 1))
                stored = self._disk.pread(self._fd, len(numbers) * PAGE_BYTES, (first - 1) * PAGE_BYTES)
                data = bytearray(stored.ljust(len(numbers) * PAGE_BYTES, b"\0"))
                for number in numbers if wal is not None else ():
                    if number in newest:
                        assert wal is not None
                        at = WAL_HEADER_BYTES + newest[number] * FRAME_BYTES + FRAME_HEADER_BYTES
                        begin = (number - first) * PAGE_BYTES
                        data[begin : begin + PAGE_BYTES] = self._disk.pread(wal, PAGE_BYTES, at)
                if plain and first == 1:
                    data[_FORMAT_AT : _FORMAT_AT + 2] = _NO_WAL
                self._disk.pwrite(fd, [data], (first - 1) * PAGE_BYTES)
        finally:
            if wal is not None:
                self._disk.close(wal)
        return pages * PAGE_BYTES

    def _in_wal(self) -> tuple[dict[int, int], int]:
        """Return page number to the index of its newest frame, and the size in pages; 0: that of the file."""
        newest: dict[int, int] = {}
        pages = 0
        if not self._frames:
            return newest, pages
        fd = self._disk.open(f"{self._path}-wal")
        try:
            for start in range(0, self._frames, _PAGES_AT_A_TIME):
                count = min(_PAGES_AT_A_TIME, self._frames - start)
                data: Buffer = self._disk.pread(
                    fd, count * FRAME_BYTES, WAL_HEADER_BYTES + start * FRAME_BYTES
                )
                assert len(data) == count * FRAME_BYTES, f"{self._path}-wal ends before frame {self._frames}"
                for index in range(count):
                    head = data[index * FRAME_BYTES : index * FRAME_BYTES + 8]
                    newest[int.from_bytes(head[:4], "big")] = start + index
                    pages = int.from_bytes(head[4:], "big") or pages
        finally:
            self._disk.close(fd)
        return newest, pages


@asynccontextmanager
async def hold(engine: StorageEngine, key: bytes) -> AsyncIterator[Snapshot]:
    """
    Hold the last durable commit of the store *key*.

    Raises:
        NotStored: there is no such object, or nothing of it is durable yet.
        StorageError: that cannot be told now.
    """
    await unreserved(engine, key)
    if key != CATALOG_KEY and engine.catalog.get(key) is None:
        raise NotStored(f"There is no object {key.decode()}: nothing is stored for it.")
    store = engine.store(key)
    fd = store.pin()
    try:
        yield Snapshot(engine.disk, fd, store.path, store.durable_frames)
    finally:
        store.unpin()


async def unreserved(engine: StorageEngine, key: bytes) -> None:
    """Wait while the file of the store *key* is being replaced: what is there is then no commit of it."""
    while engine.store(key).is_reserved:  # noqa: ASYNC110 - rare and short; a store has no room for an event
        await asyncio.sleep(_LOOK_S)


async def in_thread(work: Callable[[], T]) -> T:
    """Run *work* in a thread; it is waited for also when the caller gives up, since it uses what is held."""
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, work))


async def to_the_end(work: Awaitable[T]) -> T:
    """Wait for *work* to its end, also when the caller gives up; then raise that it did."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(Exception):
            await future
        raise
