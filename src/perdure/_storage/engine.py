"""StorageEngine: every store of a data folder, the journal they share, and who is checkpointed when. (edge)

Few connections are open at a time, chosen by least use: a connection costs tens of kilobytes and a few
descriptors, a closed store a few hundred bytes. A store whose WAL holds frames is remembered when closed,
since the WAL is scratch of this process: the first open of a file in a process removes what it finds.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from perdure._base import limits
from perdure._base.disk import Disk
from perdure._storage.catalog import Catalog
from perdure._storage.database import empty_image
from perdure._storage.export import remove_left
from perdure._storage.journal.journal import Journal, Source
from perdure._storage.layout import (
    CATALOG_KEY,
    PROVISIONAL_MODE,
    SYNCED_MODE,
    Layout,
    is_provisional,
    scratch_of,
)
from perdure._storage.store import Store
from perdure._storage.wal_frames import FRAME_BYTES, WalFrames
from perdure.errors import DataFolderError, StorageError, StorageFailed

log = logging.getLogger("perdure")


class StorageEngine:
    """Makes stores and keeps them; started with a running loop, after recovery."""

    def __init__(
        self,
        disk: Disk,
        layout: Layout,
        journal: Journal,
        *,
        open_stores_max: int = limits.OPEN_STORES_MAX,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.disk = self._disk = disk
        self.layout = self._layout = layout
        self.journal = journal
        self.now_s = now_s
        self._stores: dict[bytes, Store] = {}
        self._open: dict[bytes, Store] = {}
        self.uses = 0
        """Counts uses of stores: a clock for which was used last."""
        self._open_stores_max = min(open_stores_max, _stores_that_fit())
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="perdure-sync")
        self._failing: set[bytes] = set()
        self._folders: set[str] = set()
        self._durable_folders: set[str] = set()
        """Folders whose own names were synced by this process."""
        self._syncing = 0
        self._idle: asyncio.Event | None = None
        self.is_closed = False
        """No store opens its files any more."""
        # Also with a small journal a store's own share stays small.
        budget_frames = journal.budget_bytes // FRAME_BYTES
        self.checkpoint_frames = min(limits.FRAMES_PER_CHECKPOINT, max(1, budget_frames // 16))
        """A WAL with so many frames is to be checkpointed."""
        self.wal_frames_max = min(limits.WAL_FRAMES_MAX, budget_frames // 4)
        """One with more is, even if that ends a cursor which somebody keeps open."""
        self._number = 0  # no forgotten store had a higher commit: numbers of a key only grow
        self.is_backing_up = False
        self.is_verifying = False
        self.importing: set[str] = set()
        """Files that imports are making."""
        self.plans: dict[str, Any] = {}
        """What `cursor` learned of users' SQL, in any store."""
        self.is_metered = False  # somebody has asked for counters of rows, of any store
        self.on_failure: Callable[[BaseException], None] | None = None
        """Told once when nothing can be made durable any more."""
        journal.on_pressure = self._relieve
        journal.on_failed = self._failed
        self.catalog = Catalog(self, disk, layout)
        journal.listener = self.catalog

    async def start(self) -> None:
        """
        Take up what the last log told of objects.

        Raises:
            StorageFailed: the disk did not confirm that.
        """
        remove_left(self)
        await self.catalog.start()
        if self.journal.failed is not None:
            raise self.journal.failed

    # --- stores ---------------------------------------------------------------------------------------

    def store(self, key: bytes) -> Store:
        """Return the store named *key* (`layout.store_key`), the same for as long as anything of it is not at rest."""
        store = self._stores.get(key)
        if store is None:
            store = self._stores[key] = Store(self, key, self._layout.store(key), self._number)
        return store

    def announce_again(self) -> None:
        """Let each object's next commit tell the catalog again: stores that are not here do so anyway."""
        for store in self._stores.values():
            store.announce_again()

    def release(self, store: Store) -> None:
        """Hear that no instance uses *store*; it is forgotten when nothing of it is on its way."""
        store.owner = None
        if store.is_blank:
            store.vanish()
        else:
            self.catalog.used(store.key)
        self._forget(store)

    def _forget(self, store: Store) -> None:
        if store.is_at_rest:
            self._stores.pop(store.key, None)
            self._number = max(self._number, store.number)

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def make_room(self) -> None:
        """Close least recently used connections, so that one more may open."""
        if len(self._open) < self._open_stores_max:
            return
        wanted = max(1, self._open_stores_max // 20)  # several at a time: sorting costs as much as a few
        for store in sorted(self._open.values(), key=_last_use):
            if store.can_close:
                store.close()
                self._forget(store)
                wanted -= 1
                if not wanted:
                    break

    def opened(self, store: Store) -> None:
        self._open[store.key] = store

    def closed(self, store: Store) -> None:
        self._open.pop(store.key, None)

    # --- files ----------------------------------------------------------------------------------------

    def prepare_file(self, store: Store) -> bool:
        """
        Make sure that the file of *store* is there and sound, before its first open in this process.

        Tells whether the file was never synced.
        """
        try:
            return self._prepare_file(store.path)
        except OSError as error:
            raise StorageError(
                f"{store.path}: the object's database cannot be made: {error.strerror}."
            ) from error

    def _prepare_file(self, path: str) -> bool:
        disk = self._disk
        for scratch in scratch_of(path):
            disk.unlink(scratch)
        mode, size = disk.mode(path), disk.size(path)
        if not is_provisional(mode, size):
            if (size or 0) < limits.PAGE_BYTES:
                raise DataFolderError(
                    f"{path} is cut short: it was durable once and now holds {size} bytes. Restore it from a "
                    "backup, or move it away to start this object empty."
                )
            return False
        # Never synced and nothing of it in the journal: whatever is there was never confirmed to anybody.
        if mode is None:
            self._make_folder(path.rpartition("/")[0])
        fd = disk.open(path, create=True, mode=PROVISIONAL_MODE)
        try:
            image = empty_image()
            disk.pwrite(fd, [image], 0)
            disk.truncate(fd, len(image))
        finally:
            disk.close(fd)
        return True

    def _make_folder(self, folder: str) -> None:
        # Without a sync: the names on the way are synced when the store is (`sync_store`), and until then
        # the journal can make them again.
        if folder not in self._folders:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folders.add(folder)

    def remove_file(self, store: Store) -> None:
        """Remove the file of a closed store; that it is gone is not durable yet."""
        with suppress(OSError):  # then an empty file stays
            for path in (*scratch_of(store.path), store.path):
                self._disk.unlink(path)

    def replace_file(self, store: Store, new: str) -> None:
        """Let the file *new* take the place of a closed store's; the names are not durable yet."""
        try:
            for path in scratch_of(store.path):
                self._disk.unlink(path)
            self._disk.rename(new, store.path)
        except OSError as error:
            self.journal.fail(error)  # the journal says that it is there
            raise

    def wal_frames(self, store: Store, start: int, end: int) -> WalFrames:
        """Return committed frames of the WAL of *store*, to be read when they are written."""
        return WalFrames(self._disk, store.path + "-wal", start, end)

    def cut_wal(self, store: Store, frames: int) -> None:
        """Cut the WAL of a closed store to its first *frames* frames."""
        wal = store.path + "-wal"
        try:
            if not frames:
                self._disk.unlink(wal)
                return
            fd = self._disk.open(wal)
            try:
                self._disk.truncate(fd, limits.WAL_HEADER_BYTES + frames * FRAME_BYTES)
            finally:
                self._disk.close(fd)
        except OSError as error:
            # What was lost would come back when the store is opened again: nothing may be opened any more.
            self.journal.fail(error)

    def open_fd(self, path: str) -> int:
        return self._disk.open(path)

    def close_fd(self, fd: int) -> None:
        self._disk.close(fd)

    # --- checkpoints ----------------------------------------------------------------------------------

    def sync_store(self, store: Store, fd: int, done: Callable[[BaseException | None], None]) -> None:
        """Sync a checkpointed file in a thread, and its folder if it is new; *done* runs on the loop."""
        disk = self._disk
        is_new = store.provisional
        own_folder, *above = self._layout.store_folders(store.key)
        known = self._durable_folders

        def work() -> None:
            if is_new:
                disk.chmod(fd, SYNCED_MODE)  # before the sync, so that one sync covers both
                disk.fsync(fd)
                disk.sync_folder(own_folder)
                if own_folder not in known:
                    for folder in above:
                        disk.sync_folder(folder)
                    known.add(own_folder)
            else:
                disk.datasync(fd)

        self._in_thread(work, done)

    def _in_thread(self, work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Run *work*, which syncs, in a thread, and *done* on the loop."""
        self._syncing += 1
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._threads, work)
        except RuntimeError:
            # The interpreter is ending, and pools take no work any more (`RuntimeThread._stop_at_exit`): nobody
            # is left whom a wait here could hold up.
            future = loop.create_future()
            try:
                work()
                future.set_result(None)
            except Exception as error:
                future.set_exception(error)

        def finished(future: asyncio.Future[None]) -> None:
            self._syncing -= 1
            if self._idle is not None and not self._syncing:
                self._idle.set()
            error = None if future.cancelled() else future.exception()
            if error is not None:
                # Pages that the system failed to write may read as if they were: nothing is sure any more.
                self.journal.fail(error)
            done(error)

        future.add_done_callback(finished)

    def checkpointed(self, store: Store, number: int) -> None:
        """Hear that a store's file has all commits up to *number*; an empty one that nobody uses goes."""
        if not store.vanish():
            self.journal.checkpointed(store, number)
            return
        # The journal's record says that nothing is left of the object: it stays until the file is gone for good.
        folder = store.path.rpartition("/")[0]
        self._in_thread(
            lambda: self._disk.sync_folder(folder),
            lambda error: None if error is not None else self.journal.checkpointed(store, number),
        )

    def settled(self, store: Store) -> None:
        """Hear that a checkpoint of *store* ended."""
        self._forget(store)

    def _relieve(self, sources: list[Source]) -> None:
        for source in sources:
            store = self._stores.get(source.key)
            if store is not None:
                store.make_way()
            elif source.key == self.catalog.key:
                self.catalog.flush()

    def checkpoint_failed(self, store: Store, error: BaseException) -> None:
        """Hear that a store's WAL could not be moved into its file; it is tried again, and said once."""
        if store.key not in self._failing:
            self._failing.add(store.key)
            log.warning(
                "%s: checkpoint failed: %s. It is tried again; until it works the journal keeps what it has of "
                "this object, and when the journal is full writers wait.",
                store.path,
                error,
            )

    def checkpoint_worked(self, store: Store) -> None:
        """Hear that it could."""
        self._failing.discard(store.key)

    def _failed(self, error: StorageFailed) -> None:
        if self.on_failure is not None:
            self.on_failure(error)

    # --- the end --------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Confirm every commit, close every connection; the journal's records stay for the next start."""
        try:
            for store in list(self._open.values()):
                store.end_turn()
            self.catalog.close()
            with suppress(StorageError):  # whom it concerns was told when it happened
                await self.journal.flush()
            catalog = self._stores.get(CATALOG_KEY)
            if catalog is not None and catalog.journaled:
                catalog.try_checkpoint()  # so that a process that has only started leaves no journal
            while self._syncing:
                self._idle = asyncio.Event()
                await self._idle.wait()
            # A commit behind one that found no space may become durable with the journal's end: too late for a checkpoint.
            self.is_closed = True
            for store in list(self._open.values()):
                store.close()
            self._stores.clear()
        finally:
            with suppress(StorageError):
                await self.journal.close()
            self._threads.shutdown()


def _stores_that_fit() -> int:
    """Tell how many stores may be open at once; a quarter of the process's descriptors is left to others."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(1, soft * 3 // 4 // limits.DESCRIPTORS_PER_STORE)


def _last_use(store: Store) -> int:
    return store.used
