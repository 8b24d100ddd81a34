"""Import: a database file becomes what an object stores. (edge)

The file is copied beside the object's own and synced; one record in the journal then says that this copy is the
object's file from here on, and only after that is durable it takes the place. So the import is one commit: after a
crash either all of it is there or nothing (recovery finishes what the record says), and a gigabyte takes no room
in the journal.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from perdure._storage import kv, metadata, schedules
from perdure._storage.authorizer import VIRTUAL_TABLES, is_reserved
from perdure._storage.database import PlainFile
from perdure._storage.files import is_inside
from perdure._storage.from_workerd import take_over
from perdure._storage.layout import SYNCED_MODE
from perdure._storage.snapshot import in_thread, to_the_end, unreserved
from perdure.errors import ObjectReset, SqlError, StorageError

if TYPE_CHECKING:
    from perdure._base.disk import Disk
    from perdure._storage.engine import StorageEngine
    from perdure._storage.store import Store

REPLACED: Final = "The object's data was replaced by an import."
_LINES_MAX: Final = 5
_LOOK_S: Final = 0.005
_MAGIC: Final = b"SQLite format 3\0"
_FORMAT_AT: Final = 18
_WAL: Final = b"\2\2"
_LEFT: Final = re.compile(r"[0-9a-f]{64}\.sqlite-[0-9a-f]{16}")


class Imported(NamedTuple):
    """What an import has done."""

    size_bytes: int
    left_out: list[tuple[str, str]]
    """Keys whose values only JavaScript can read, with the reasons."""


async def import_store(
    engine: StorageEngine,
    key: bytes,
    source_path: str,
    *,
    name: str | None = None,
    replace: bool = True,
    leave_out: bool = False,
    is_in_place: bool = False,
) -> Imported:
    """
    Replace all that the object stores by the database in *source_path*, durably.

    An instance in memory is reset. `_cf_KV` in the file are the object's keys and values, `_cf_METADATA` has its alarm;
    a file of workerd's is understood.

    Args:
        name: the object's name, where it is known.
        replace: also where the object stores something already.
        leave_out: import without the values that have no equal in Python, instead of refusing.
        is_in_place: the file is where its program has left it, so that a -wal that is not there is not missing.

    Raises:
        FileExistsError: the object stores something, perhaps since a moment ago, and is not to be replaced.
        StorageError: the file is damaged, may lack commits, or holds what an object cannot.
        OSError: it cannot be read, or the copy cannot be written.
    """
    if not replace:
        _must_be_new(engine, key)
    token = secrets.token_hex(8)
    new = engine.layout.replacement(key, token)
    engine.importing.add(new)
    try:
        imported, alarm_ms = await in_thread(
            lambda: _prepare(engine, key, source_path, new, leave_out=leave_out, is_in_place=is_in_place)
        )
        await to_the_end(_take_place(engine, key, token, name, alarm_ms, replace=replace))
    except BaseException:
        if engine.journal.failed is None:  # else the record may be durable all the same
            engine.disk.unlink(new)
        raise
    finally:
        engine.importing.discard(new)
    return imported


def _must_be_new(engine: StorageEngine, key: bytes) -> None:
    if engine.catalog.get(key) is not None:
        raise FileExistsError("the object stores something already")


async def _take_place(
    engine: StorageEngine, key: bytes, token: str, name: str | None, alarm_ms: int | None, *, replace: bool
) -> None:
    await unreserved(engine, key)  # another import
    store = engine.store(key)
    store.is_reserved = True
    try:
        while True:
            if not replace:
                _must_be_new(engine, key)  # no event may have come while the file was copied
            if store.can_be_replaced:
                break
            if store.owner is not None:
                store.owner.storage_broke(ObjectReset(REPLACED))
                engine.release(store)
            else:
                await asyncio.sleep(_LOOK_S)  # a commit, a checkpoint or a snapshot is on its way
        store.append_replacement(token, name, alarm_ms)
        await store.gate.wait(store.number)
        store.replace_file(engine.layout.replacement(key, token))
        await _sync_names(engine, store)
        engine.journal.checkpointed(store, store.number)
    finally:
        store.is_reserved = False
        engine.release(store)


async def _sync_names(engine: StorageEngine, store: Store) -> None:
    folders = engine.layout.store_folders(store.key)

    def sync() -> None:
        for folder in folders:
            engine.disk.sync_folder(folder)

    try:
        await in_thread(sync)
    except OSError as error:
        engine.journal.fail(error)
        raise


# --- the file -------------------------------------------------------------------------------------------


def _prepare(
    engine: StorageEngine, key: bytes, source: str, new: str, *, leave_out: bool, is_in_place: bool
) -> tuple[Imported, int | None]:
    """Check the file and copy it to *new*, synced; return what became of it and its alarm. For a thread."""
    disk = engine.disk
    if is_inside(source, engine.layout.root):
        raise StorageError(f"{source} belongs to this data folder: export the object, and import that.")
    _check_wal(disk, source, is_in_place)
    for folder in reversed(engine.layout.store_folders(key)):
        disk.make_folder(folder)
    _remove_left(engine, new.rpartition("/")[0])
    try:
        with PlainFile(source) as database:
            _check(database, source)
            alarm_ms = metadata.alarm_in(database)
            database.copy_to(new)
        left_out = take_over(new, source, leave_out=leave_out)
        _check_copy(new, source)
    except SqlError as error:
        raise StorageError(f"{source} cannot be imported: {error}.") from error
    fd = disk.open(new)
    try:
        disk.pwrite(fd, [_WAL], _FORMAT_AT)  # as a store is
        disk.chmod(fd, SYNCED_MODE)
        disk.fsync(fd)
    finally:
        disk.close(fd)
    # Before the record that names it. A store's folders may have been made without a sync, so all of them.
    for folder in engine.layout.store_folders(key):
        disk.sync_folder(folder)
    return Imported(disk.size(new) or 0, left_out), alarm_ms


def _remove_left(engine: StorageEngine, folder: str) -> None:
    """Remove what imports that were cut short have left in *folder*; what a record names recovery has put in place."""
    for name in engine.disk.list(folder):
        path = f"{folder}/{name}"
        if _LEFT.fullmatch(name) and path not in engine.importing:
            engine.disk.unlink(path)


def _check_wal(disk: Disk, source: str, is_in_place: bool) -> None:
    with Path(source).open("rb") as stream:
        head = stream.read(100)
    if not head:
        raise StorageError(f"{source} is empty.")
    # SQLite itself takes anything of less than 512 bytes for an empty database.
    if not head.startswith(_MAGIC):
        raise StorageError(f"{source} is not a database of SQLite.")
    if is_in_place or head[_FORMAT_AT : _FORMAT_AT + 2] != _WAL or disk.size(f"{source}-wal"):
        return
    root = source
    for _ in range(4):  # objects/<namespace>/<2 hex>/<file>
        root = root.rpartition("/")[0]
    if disk.size(f"{root}/BACKUP") is None:
        raise StorageError(
            f"{source} is in WAL mode, and its -wal file is not beside it: its last commits may be missing, as they are when "
            "an object's file is copied by hand. Export the object with `perdure export`, or take the file from a backup that "
            'Perdure made. If it is complete, `sqlite3 FILE "PRAGMA journal_mode=DELETE"` ends the mode.'
        )


def _check_copy(copy: str, source: str) -> None:
    """Look at what the object will have: that is what `verify` sees later."""
    with PlainFile(copy) as database:
        lines = [str(line) for (line,) in database.run(f"PRAGMA integrity_check({_LINES_MAX})")]
    if lines != ["ok"]:
        raise StorageError(f"{source} is damaged, and was not imported: {'; '.join(lines)}.")


def _check(database: PlainFile, source: str) -> None:
    [(encoding,)] = database.run("PRAGMA encoding")
    if encoding != "UTF-8":
        raise StorageError(
            f"{source} stores text as {encoding}; an object's database is UTF-8. Dump it, and load the dump into a new file."
        )
    for kind, name, sql in database.run("SELECT type, name, sql FROM sqlite_schema"):
        if is_reserved(name) and not (
            kind == "table" and any(owner.is_table(name, sql) for owner in (kv, metadata, schedules))
        ):
            raise StorageError(
                f"{source} has a {kind} {name!r}: names that begin with _cf_ belong to the runtime."
            )
        words = (sql or "").split()
        if [word.upper() for word in words[:2]] == ["CREATE", "VIRTUAL"]:
            module = _module(sql)
            if module not in VIRTUAL_TABLES:
                raise StorageError(
                    f"{source} has a virtual table {name!r} of {module}; an object may use {', '.join(sorted(VIRTUAL_TABLES))}."
                )


def _module(sql: str) -> str:
    words = sql.replace("(", " ").split()
    upper = [word.upper() for word in words]
    return words[upper.index("USING") + 1].strip('"`[]').lower() if "USING" in upper[:-1] else "?"
