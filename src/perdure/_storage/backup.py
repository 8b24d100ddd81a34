"""Backup: a whole data folder into another one, while it is in use, copying what changed. (cooperative)

The target is itself a data folder, with everything in the objects' own files and no journal; `FORMAT`, without
which no runtime opens it, goes first and comes back last. So a backup that was cut short never looks like one.
Each object is at one of its durable commits (`snapshot`), none of which is older than the call.

What changed is known without looking at any file. The catalog counts *generations*, one for each backup, and
notes with an object in which it last changed. From the begin of a backup on, each object's next commit tells
again that it is there, and so raises its generation (`StorageEngine.announce_again`). An object whose
generation is older than that of the last complete backup in the target has not changed since that one began.

Which backup the target holds is said by a random token in its file `BACKUP`, and only the catalog that gave it
knows it: a folder that was copied, or restored from something else, does not, and everything is copied. A
runtime that opens a backup removes `BACKUP`: what it holds from then on is its own.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from perdure._base.disk import Disk
from perdure._storage.catalog import CANNOT_WRITE
from perdure._storage.database import PlainFile
from perdure._storage.files import is_inside
from perdure._storage.layout import CATALOG_KEY, Layout
from perdure._storage.snapshot import NotStored, Snapshot, hold, in_thread
from perdure.errors import DataFolderError, StorageError

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine

_OBJECTS_AT_A_TIME: Final = 32
"""Held together: so many descriptors, and a few milliseconds of the loop."""
_ROWS: Final = "SELECT namespace, id, changed_in FROM object WHERE (namespace, id) > (?, ?) ORDER BY namespace, id LIMIT 1000"
_DROP: Final = "DELETE FROM object WHERE namespace = ? AND id = ?"
_CLEAR_ALARM: Final = "DELETE FROM alarm WHERE key = ?"
_SET_ALARM: Final = "INSERT OR REPLACE INTO alarm VALUES (?, ?, ?)"
_FORMAT_AT: Final = 18
_WAL: Final = b"\2\2"
_START: Final = re.compile("[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a backup did."""

    objects: int
    """So many are in it."""
    copied: int
    """Of these so many were copied; the others had not changed."""
    removed: int
    """So many that are gone were removed from it."""
    copied_bytes: int
    seconds: float


async def backup(
    engine: StorageEngine,
    target_folder: str,
    *,
    incremental: bool = True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> BackupResult:
    """
    Bring *target_folder* to what the data folder holds now; it is made if it is not there.

    Args:
        incremental: leave what has not changed since the backup that is there; else copy everything.
        on_progress: told how many objects are done, and how many there are.

    Raises:
        DataFolderError: the folder holds something else than a backup, or cannot be written.
        StorageError: another backup is running.
    """
    if engine.is_backing_up:
        raise StorageError("A backup is running already: wait for its end, and start this one again.")
    engine.is_backing_up = True
    run = _Backup(engine, target_folder, on_progress)
    try:
        return await run.run(incremental)
    except OSError as error:
        raise DataFolderError(
            f"The backup into {run.target.root} stopped: {error.filename or 'writing'}: {error.strerror}. What is there is "
            "not complete; when that is put right, start it again."
        ) from error
    finally:
        engine.is_backing_up = False


class _Backup:
    """One run; what begins with `_do` runs in a thread."""

    def __init__(self, engine: StorageEngine, target: str, on_progress: Callable[[int, int], None]) -> None:
        self.engine = engine
        self.disk: Disk = engine.disk
        self.source = engine.layout
        self.target = Layout(os.path.abspath(target))  # noqa: PTH100 - paths are strings in this layer
        self.on_progress = on_progress
        self.base = 0
        self.copied = self.copied_bytes = self.removed = self.done = self.gone = 0
        self.news: list[tuple[str, tuple[object, ...]]] = []
        """Statements for the catalog's copy: what it cannot know of objects that were copied, or went, after it."""
        self.folders: set[str] = set()

    async def run(self, incremental: bool) -> BackupResult:
        began = time.monotonic()
        engine = self.engine
        token = await in_thread(self._do_begin)
        if incremental and token is not None:
            self.base = engine.catalog.generation_of(token) or 0
        token = secrets.token_hex(16)
        engine.catalog.begin_backup(token)
        engine.announce_again()
        await engine.journal.flush()  # what was committed before that told nothing
        if not engine.catalog.flush(whole=True):
            raise StorageError(CANNOT_WRITE)
        await engine.journal.flush()
        copy = f"{self.target.catalog}.new"
        async with hold(engine, CATALOG_KEY) as snapshot:
            await in_thread(lambda: snapshot.copy(copy, plain=True, synced=False))
        total = await in_thread(lambda: self._do_count(copy))
        after = ("", b"")
        while True:
            rows = await in_thread(partial(self._do_read, copy, after))
            if not rows:
                break
            changed = await in_thread(partial(self._do_choose, rows))
            self._advance(len(rows) - len(changed), total)
            for start in range(0, len(changed), _OBJECTS_AT_A_TIME):
                some = changed[start : start + _OBJECTS_AT_A_TIME]
                await self._copy(some)
                self._advance(len(some), total)
            await in_thread(partial(self._do_note, copy))
            after = rows[-1][:2]
        await in_thread(lambda: self._do_end(copy, token))
        return BackupResult(
            total - self.gone, self.copied, self.removed, self.copied_bytes, time.monotonic() - began
        )

    def _advance(self, count: int, total: int) -> None:
        if count:
            self.done += count
            self.on_progress(self.done, total)

    async def _copy(self, objects: Sequence[tuple[str, bytes]]) -> None:
        async with AsyncExitStack() as held:
            snapshots: list[tuple[str, Snapshot]] = []
            for namespace, object_id in objects:
                key = f"{namespace}/{object_id.hex()}".encode()
                try:
                    snapshot = await held.enter_async_context(hold(self.engine, key))
                except NotStored:  # deleted since
                    self.gone += 1
                    self.news += [(_DROP, (namespace, object_id)), (_CLEAR_ALARM, (key,))]
                else:
                    alarm = self.engine.catalog.alarm(key)
                    self.news.append((_CLEAR_ALARM, (key,)) if alarm is None else (_SET_ALARM, (key, *alarm)))
                    snapshots.append((self.target.store(key), snapshot))
            await in_thread(lambda: self._do_copy(snapshots))

    # --- in threads -----------------------------------------------------------------------------------

    def _do_begin(self) -> str | None:
        """Make the target no backup any more; return the token of the one that it was, if it was one."""
        disk, target = self.disk, self.target
        if is_inside(target.root, self.source.root) or is_inside(self.source.root, target.root):
            raise DataFolderError(
                f"A backup cannot stand in its own data folder ({self.source.root}), nor around it: choose another folder."
            )
        marker = disk.read(target.backup)
        if marker is None and [name for name in disk.list(target.root) if not name.startswith(".")]:
            raise DataFolderError(
                f"{target.root} is not empty, and no backup that Perdure made: a backup that was opened as a data folder "
                "is one no more. Choose an empty or a new folder."
            )
        disk.make_folder(target.objects)
        if marker is None:
            disk.replace(target.backup, b"{}\n")
        disk.unlink(target.format)
        disk.sync_folder(target.root)
        try:
            token = json.loads(marker or b"{}").get("token")
        except (ValueError, AttributeError):
            return None
        return token if isinstance(token, str) else None

    def _do_count(self, copy: str) -> int:
        with PlainFile(copy) as catalog:
            [(count,)] = catalog.run("SELECT count(*) FROM object")
        return int(count)

    def _do_read(self, copy: str, after: tuple[str, bytes]) -> list[tuple[str, bytes, int]]:
        with PlainFile(copy) as catalog:
            return [
                (namespace, found, changed_in) for namespace, found, changed_in in catalog.run(_ROWS, after)
            ]

    def _do_choose(self, rows: Sequence[tuple[str, bytes, int]]) -> list[tuple[str, bytes]]:
        """Return those that have to be copied."""
        return [
            (namespace, object_id)
            for namespace, object_id, changed_in in rows
            if changed_in >= self.base
            or self.disk.size(self.target.store(f"{namespace}/{object_id.hex()}".encode())) is None
        ]

    def _do_copy(self, snapshots: Sequence[tuple[str, Snapshot]]) -> None:
        disk = self.disk

        def settle(path: str) -> None:
            fd = disk.open(f"{path}.new")
            try:
                disk.fsync(fd)
            finally:
                disk.close(fd)
            disk.rename(f"{path}.new", path)

        def written() -> Iterator[str]:
            for path, snapshot in snapshots:
                folder = path.rpartition("/")[0]
                if folder not in self.folders:
                    disk.make_folder(folder)
                    self.folders.add(folder)
                self.copied_bytes += snapshot.copy(f"{path}.new", plain=False, synced=False)
                self.copied += 1
                yield path

        disk.for_each(settle, written())

    def _do_note(self, copy: str) -> None:
        news, self.news = self.news, []
        if news:
            with PlainFile(copy, writable=True) as catalog:
                catalog.run("PRAGMA synchronous = OFF")  # `_do_end` syncs it
                catalog.run("BEGIN")
                for statement, bindings in news:
                    catalog.run(statement, bindings)
                catalog.run("COMMIT")

    def _do_end(self, copy: str, token: str) -> None:
        disk, source, target = self.disk, self.source, self.target
        with PlainFile(copy) as catalog:
            self._remove_others(catalog)
        fd = disk.open(copy)
        try:
            disk.pwrite(fd, [_WAL], _FORMAT_AT)  # as a store is
            disk.fsync(fd)
        finally:
            disk.close(fd)
        disk.rename(copy, target.catalog)
        disk.for_each(disk.sync_folder, sorted(self.folders))
        for namespace in disk.list(target.objects):
            disk.sync_folder(f"{target.objects}/{namespace}")
        disk.sync_folder(target.objects)
        for path, new in ((source.classes, target.classes), (source.format, target.format)):
            if new == target.format:
                marker = {
                    "token": token,
                    "objects": self.done - self.gone,
                    "finished_s": int(time.time()),
                }
                disk.replace(target.backup, json.dumps(marker).encode() + b"\n")
            data = disk.read(path)
            if data is not None:
                disk.replace(new, data)

    def _remove_others(self, catalog: PlainFile) -> None:
        """Remove files of objects that are gone, and what an earlier run left half done."""
        disk, objects = self.disk, self.target.objects
        for namespace in disk.list(objects):
            for start in disk.list(f"{objects}/{namespace}"):
                if not _START.fullmatch(start):
                    continue  # not ours
                folder = f"{objects}/{namespace}/{start}"
                first = bytes.fromhex(start)
                known = {
                    f"{object_id.hex()}.sqlite"
                    for (object_id,) in catalog.run(
                        "SELECT id FROM object WHERE namespace = ? AND id >= ? AND id < ?",
                        (namespace, first, first + b"\xff" * 32),
                    )
                }
                for name in disk.list(folder):
                    if name not in known:
                        disk.unlink(f"{folder}/{name}")
                        self.folders.add(folder)
                        self.removed += name.endswith(".sqlite")
