"""Catalog: which objects there are, what they are called, when they were used, when their alarms are. (cooperative)

    object (namespace, id)   name, first_used_s, last_used_s, changed_in
    backup (generation)      token, known to the folder that holds the backup
    alarm (key)              due_at_ms, name: of each object that has one; `key` is that of its store

It is a store like an object's, so it is as safe as they are: what it commits goes through the journal. What it
is told stands in the journal's records (`Fields`), in the same batch as the commit that tells it: a store's
first commit in a process names the object, one that empties it says so, and one that changed its alarm says what
the alarm is now. The journal lets the catalog hear
it when it is durable, and keeps the segment until the catalog has committed it, durably. Recovery leaves what
it found in `catalog.notes` (`notes`). So an object that confirmed anything is in it, after any crash.

Hearing the same again changes nothing, as long as all that came later is heard again too; the end of a log
always is. What was heard is committed a few hundred at a time, and before each reading, so that reading needs
to look nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from perdure._base import limits
from perdure._base.disk import Disk
from perdure._storage.database import Database, Error, own, translate
from perdure._storage.journal.record import UNCHANGED, Fields
from perdure._storage.layout import CATALOG_KEY, Layout, split_key
from perdure._storage.notes import read_notes
from perdure.errors import DataFolderError, StorageError

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine
    from perdure._storage.store import Store

log = logging.getLogger("perdure")


CANNOT_WRITE: Final = "The catalog of objects cannot be written now, so it cannot tell which there are."


class _Heard(NamedTuple):
    """What a durable commit told."""

    told: int
    """`Journal.told` then; 0: it comes from the notes."""
    key: bytes
    fields: Fields


class CatalogRow(NamedTuple):
    """One object."""

    id: bytes
    name: str | None
    """None: it was never reached by name, or by one that is not shown (NS-16)."""
    first_used_s: float
    """When it began to store something, in seconds since the epoch."""
    last_used_s: float
    """When it was used last, to within ten minutes; of one in memory, when it was before."""


Rows: TypeAlias = list[CatalogRow]
Keys: TypeAlias = list[bytes]

_MAKE: Final = (
    own(
        "CREATE TABLE IF NOT EXISTS object (namespace TEXT, id BLOB, name BLOB, first_used_s REAL NOT NULL, "
        "last_used_s REAL NOT NULL, changed_in INTEGER NOT NULL, PRIMARY KEY (namespace, id)) WITHOUT ROWID"
    ),
    own("CREATE INDEX IF NOT EXISTS object_by_name ON object (namespace, name, id)"),
    own("CREATE TABLE IF NOT EXISTS backup (generation INTEGER PRIMARY KEY, token TEXT NOT NULL)"),
    own(
        "CREATE TABLE IF NOT EXISTS alarm (key BLOB PRIMARY KEY, due_at_ms INTEGER NOT NULL, name BLOB) WITHOUT ROWID"
    ),
    own("CREATE INDEX IF NOT EXISTS alarm_by_time ON alarm (due_at_ms, key)"),
)
_IS_MADE: Final = own("SELECT 1 FROM sqlite_schema WHERE name = 'object'")
_HAS_ALARMS: Final = own("SELECT 1 FROM sqlite_schema WHERE name = 'alarm'")
# A row that says the same already is left alone: its page would be written again for nothing.
_LATER: Final = f"last_used_s + {limits.LAST_USE_PRECISION_S}"
_PUT: Final = own(
    "INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT DO UPDATE SET "  # noqa: S608 - constants
    "name = coalesce(?3, name), last_used_s = max(last_used_s, ?4), changed_in = ?5 "
    f"WHERE {_LATER} < ?4 OR changed_in <> ?5 OR (name IS NULL AND ?3 IS NOT NULL)"
)
_NAME: Final = own("UPDATE object SET name = ?3 WHERE namespace = ?1 AND id = ?2 AND name IS NULL")
_USE: Final = own(
    f"UPDATE object SET last_used_s = ?3 WHERE namespace = ?1 AND id = ?2 AND {_LATER} < ?3"  # noqa: S608 - constants
)
_DROP: Final = own("DELETE FROM object WHERE namespace = ? AND id = ?")
_DROP_ALL: Final = own("DELETE FROM object WHERE namespace = ?")
_COLUMNS: Final = "SELECT id, name, first_used_s, last_used_s FROM object WHERE namespace = ?"
_NAMED: Final = own(f"{_COLUMNS} AND name >= ? AND name < ? ORDER BY name LIMIT ?")
_NAMELESS: Final = own(f"{_COLUMNS} AND name IS NULL AND id > ? ORDER BY id LIMIT ?")
_ONE: Final = own(f"{_COLUMNS} AND id = ?")
_KEYS: Final = own(
    "SELECT namespace, id FROM object WHERE (namespace, id) > (?, ?) ORDER BY namespace, id LIMIT ?"
)
_COUNT: Final = own("SELECT count(*) FROM object")
_GENERATION: Final = own("SELECT coalesce(max(generation), 0) FROM backup")
_BEGIN_BACKUP: Final = own("INSERT INTO backup (token) VALUES (?)")
_FORGET_BACKUPS: Final = own(
    f"DELETE FROM backup WHERE generation <= (SELECT max(generation) FROM backup) - {limits.BACKUPS_KNOWN_MAX}"  # noqa: S608
)
_KNOWN_BACKUP: Final = own("SELECT generation FROM backup WHERE token = ?")
_SET: Final = own(
    "INSERT INTO alarm VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET due_at_ms = ?2, name = coalesce(?3, name)"
)
_CLEAR: Final = own("DELETE FROM alarm WHERE key = ?")
_CLEAR_ALL: Final = own("DELETE FROM alarm WHERE key > ? AND key < ?")
_DUE: Final = own(
    "SELECT key, due_at_ms, name FROM alarm WHERE (due_at_ms, key) > (?, ?) ORDER BY due_at_ms, key LIMIT ?"
)
_ALARM_OF: Final = own("SELECT due_at_ms, name FROM alarm WHERE key = ?")
_BEHIND_SLASH: Final = b"0"
_BEHIND_ALL_NAMES: Final = b"\xff"  # no byte of UTF-8


def place_of(row: CatalogRow) -> bytes:
    """Say where a row stands in the order of `Catalog.list`, to go on behind it."""
    return b"i" + row.id if row.name is None else b"n" + _text(row.name)


class Catalog:
    """
    Hears of objects, and lists them; made by `StorageEngine`.

    Attributes:
        key: names it as the journal's listener; its store has a key of its own.
    """

    def __init__(self, engine: StorageEngine, disk: Disk, layout: Layout) -> None:
        self.key = b"catalog: heard"
        self._engine = engine
        self._disk = disk
        self._layout = layout
        self._heard: list[_Heard] = []
        """Durable in the journal, and not committed here yet."""
        self._lost: list[_Heard] = []
        self._used: dict[bytes, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._has_notes = False  # the file is there
        self._is_closed = False
        self._generation: int | None = None  # of the backup that began last; None: not looked up
        self._is_called = False  # `flush` is about to run
        self.open_turn = False
        self.on_alarm: Callable[[bytes, int | None, str | None], None] | None = None
        """Told at once of each alarm that was set, due then in epoch milliseconds, or cleared, and of the name."""

    async def start(self) -> None:
        """Take up what recovery has left."""
        self._heard = [_Heard(0, key, fields) for key, fields in read_notes(self._disk, self._layout)]
        self._has_notes = bool(self._heard)
        while self._heard and self.flush():
            try:
                await self._engine.journal.flush()
            except StorageError:  # a full disk: they are kept, and tried again later
                break

    def close(self) -> None:
        """Commit what was heard; nothing more is."""
        self.flush(whole=True)
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    # --- what it hears --------------------------------------------------------------------------------

    def hear(self, key: bytes, fields: Fields) -> None:
        """Hear from the journal what a durable commit of store *key* told."""
        self._heard.append(_Heard(self._engine.journal.told, key, fields))
        self._soon(len(self._heard))
        if self.on_alarm is not None:
            if fields.alarm_ms is not UNCHANGED:
                self.on_alarm(key, fields.alarm_ms, fields.name)
            elif fields.erased:
                self.on_alarm(key, None, None)

    def used(self, key: bytes) -> None:
        """Hear that an object has just been in use; it is noted if it is in the catalog."""
        self._used[key] = self._engine.now_s()
        self._soon(len(self._used))

    def _soon(self, waiting: int) -> None:
        if self._is_closed:
            return
        loop = asyncio.get_running_loop()
        if waiting >= limits.CATALOG_NOTES_PER_COMMIT and not self._is_called:
            self._is_called = True
            loop.call_soon(self.flush)
        if self._timer is None:
            self._timer = loop.call_later(limits.CATALOG_FLUSH_S, self.flush)

    def durable(self, number: int) -> None:
        """Nothing is appended under this key."""

    def failed(self, error: Exception) -> None:
        """Nothing is appended under this key."""

    def turn_opened(self) -> None:
        """Hear from the store that a turn is open: `flush` ends it."""

    def storage_broke(self, error: BaseException) -> None:
        """Hear from the store that commits were lost; what they held is still here."""
        lost, self._lost = self._lost, []
        self._heard[:0] = lost
        self._generation = None
        self._soon(0)

    # --- writing --------------------------------------------------------------------------------------

    def flush(self, *, whole: bool = False) -> bool:
        """
        Commit what was heard, if it is much a part now and the rest when that is durable; *whole*: all of it now.

        Tells whether that worked. What cannot be written is tried again later.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_called = False
        if not self._heard and not self._used:
            return True
        if self._is_closed or self._engine.journal.failed is not None:
            return False
        try:
            store = self._store()
        except StorageError:  # there is no space to make its file
            self._soon(0)
            return False
        if not whole and not store.is_durable:
            self._soon(0)
            return True  # it goes on when that is so, and a checkpoint has its moment between
        count = len(self._heard) if whole else limits.CATALOG_NOTES_PER_COMMIT
        heard, self._heard = self._heard[:count], self._heard[count:]
        used, self._used = self._used, {}
        if not self._commit(store, lambda database: self._write(database, heard, used)):
            self._heard[:0] = heard
            self._soon(0)
            return False
        self._when_durable(store, heard)
        return True

    def begin_backup(self, token: str) -> None:
        """Begin a new generation: what changes from now on has changed since the backup that *token* names."""

        def write(database: Database) -> None:
            database.run(_BEGIN_BACKUP, (token,))
            database.run(_FORGET_BACKUPS)

        if not self.flush(whole=True) or not self._commit(self._store(), write):
            raise StorageError(CANNOT_WRITE)
        self._generation = None

    def generation_of(self, token: str) -> int | None:
        """Tell with which generation that backup began; None: it is not of this folder's history."""
        database = self._reading()
        row = None if database is None else database.run(_KNOWN_BACKUP, (token,)).fetchone()
        return None if row is None else int(row[0])

    def _commit(self, store: Store, write: Callable[[Database], None]) -> bool:
        try:
            database = store.begin_write(confirmed=False)
            if self._generation is None:
                for statement in _MAKE:
                    database.run(statement)
                self._generation = int(database.one(_GENERATION)[0])
            write(database)
        except (Error, DataFolderError, StorageError) as error:
            log.warning("%s cannot be written: %s. It is tried again.", store.path, error)
            store.failed_statement(error)
            if store.critical is None:
                store.rollback()
            return False
        store.end_turn()
        return store.critical is None

    def _when_durable(self, store: Store, heard: list[_Heard]) -> None:
        left = len(self._heard)
        kept = self._heard[0].told - 1 if left else self._engine.journal.told

        def settled(error: BaseException | None) -> None:
            if error is not None:
                self._lost += heard
                return
            if self._has_notes and kept >= 0:
                self._drop_notes()
            self._engine.journal.checkpointed(self, kept)
            if self._heard or self._used:
                # Not at once: the store is durable now, and may be checkpointed.
                self._soon(limits.CATALOG_NOTES_PER_COMMIT if left else len(self._heard))

        store.gate.when(store.number, settled)

    def _drop_notes(self) -> None:
        """Remove the file of notes, before the log may lose its oldest part, which stands behind them."""
        try:
            self._disk.unlink(self._layout.notes)
            self._disk.sync_folder(self._layout.root)
        except OSError as error:
            self._engine.journal.fail(error)
        self._has_notes = False

    def _store(self) -> Store:
        """Return the catalog's store, ready to be written."""
        store = self._engine.store(CATALOG_KEY)
        if store.owner is not self or store.critical is not None:
            store.attach(self)
        if store.database is None:
            # More than an object has: the rows of a batch are all over the table.
            store.open().run(own(f"PRAGMA cache_size = -{limits.CATALOG_CACHE_BYTES // limits.KIB}"))
        return store

    def _write(self, database: Database, heard: list[_Heard], used: dict[bytes, float]) -> None:
        run = database.run
        for _, key, fields in heard:
            namespace, object_id = _split(key)
            if fields.erased and object_id:
                run(_DROP, (namespace, object_id))
                run(_CLEAR, (key,))
            elif fields.erased:
                run(_DROP_ALL, (namespace,))
                run(_CLEAR_ALL, (key, key[:-1] + _BEHIND_SLASH))
            name = None if fields.name is None else _text(fields.name)
            if fields.used_s is not None:
                run(_PUT, (namespace, object_id, name, fields.used_s, self._generation))
            elif name is not None:
                run(_NAME, (namespace, object_id, name))
            if fields.alarm_ms is None:
                run(_CLEAR, (key,))
            elif fields.alarm_ms is not UNCHANGED:
                run(_SET, (key, fields.alarm_ms, name))
        for key, used_s in used.items():
            if key != CATALOG_KEY:
                run(_USE, (*_split(key), used_s))

    # --- reading --------------------------------------------------------------------------------------

    def list(
        self, namespace: str, *, prefix: str | None = None, after: bytes | None = None, limit: int
    ) -> Rows:
        """
        List objects of the namespace whose folder is *namespace*: by name, in the order of UTF-8 bytes, then
        those without a name, by id.

        Args:
            prefix: only names that begin so.
            after: where to go on (`place_of` the last row seen).
            limit: at most so many.
        """
        database = self._reading()
        if database is None:
            return []
        first = b"" if prefix is None else _text(prefix)
        end = first + _BEHIND_ALL_NAMES
        kind, place = (b"n", b"") if after is None else (after[:1], after[1:])
        rows: Rows = []
        if kind == b"n":
            start = first if after is None else max(first, place + b"\0")
            rows = _rows(database, _NAMED, (namespace, start, end, limit))
            place = b""
        if prefix is None and len(rows) < limit:
            rows += _rows(database, _NAMELESS, (namespace, place, limit - len(rows)))
        return rows

    def keys(self, after: bytes | None = None, *, limit: int) -> Keys:
        """List the stores of all objects in the order of their keys, behind *after*."""
        database = self._reading()
        if database is None:
            return []
        namespace, object_id = ("", b"") if after is None else _split(after)
        found: list[Any] = database.run(_KEYS, (namespace, object_id, limit)).fetchall()
        return [f"{folder}/{object_id.hex()}".encode() for folder, object_id in found]

    def count(self) -> int:
        """Count the objects."""
        database = self._reading()
        return 0 if database is None else int(database.one(_COUNT)[0])

    def get(self, key: bytes) -> CatalogRow | None:
        """Return the row of the object whose store is *key*; None: there is no such object."""
        database = self._reading()
        if database is None:
            return None
        namespace, object_id = _split(key)
        return next(iter(_rows(database, _ONE, (namespace, object_id))), None)

    def alarms(self, after: tuple[int, bytes], limit: int) -> Sequence[tuple[bytes, int, str | None]]:
        """List alarms, key of the store, time and name of the object, by time and key, behind *after*."""
        database = self._reading()
        if database is None or database.run(_HAS_ALARMS).fetchone() is None:
            return []
        return [(key, due_ms, _name(name)) for key, due_ms, name in _fetch(database, _DUE, (*after, limit))]

    def alarm(self, key: bytes) -> tuple[int, bytes | None] | None:
        """Return the alarm of the object whose store is *key*, as of its last durable commit: time and stored name."""
        database = self._reading()
        if database is None or database.run(_HAS_ALARMS).fetchone() is None:
            return None
        return next(iter(_fetch(database, _ALARM_OF, (key,))), None)

    def _reading(self) -> Database | None:
        """Return the database with everything heard in it; None while it has no table."""
        if not self.flush(whole=True):
            raise StorageError(CANNOT_WRITE)
        store = self._store()
        database = store.open()
        store.touch()
        return database if database.run(_IS_MADE).fetchone() is not None else None


def _fetch(database: Database, sql: str, bindings: tuple[object, ...]) -> list[Any]:
    try:
        return database.run(sql, bindings).fetchall()
    except Error as error:
        raise translate(error) from None


def _rows(database: Database, sql: str, bindings: tuple[object, ...]) -> Rows:
    return [
        CatalogRow(object_id, _name(name), first_s, last_s)
        for object_id, name, first_s, last_s in _fetch(database, sql, bindings)
    ]


def _name(stored: bytes | None) -> str | None:
    return None if stored is None else str(stored, "utf-8", "surrogatepass")


def _text(name: str) -> bytes:
    # As bytes: SQLite's text cannot hold half a character, which a name of Python may have.
    return name.encode("utf-8", "surrogatepass")


def _split(key: bytes) -> tuple[str, bytes]:
    """Namespace folder and id of a store's key; the id is empty for the key of a namespace."""
    if key.endswith(b"/"):
        return key[:-1].decode(), b""
    namespace, id_hex = split_key(key)
    return namespace, bytes.fromhex(id_hex)
