"""Keys and values in the hidden table `_cf_KV`. (edge)

The table is made by the first write (KVA-22), so a store that only uses SQL has none. Values are bytes
here: the public API turns objects into them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import Final, cast
from weakref import ref

from perdure._base import limits
from perdure._storage.database import BaseCursor, Database, Error, PlainFile, is_made_by, own, translate
from perdure._storage.keyrange import KeyRange
from perdure._storage.store import Store
from perdure.errors import StorageError

INVALIDATED: Final = (
    "kv.list() iterator was invalidated because a new call to kv.list() was started. Only one kv.list() "
    "iterator can exist at a time."
)

_EXISTS = own("SELECT 1 FROM sqlite_schema WHERE name = '_cf_KV'")
_CREATE = own("CREATE TABLE _cf_KV (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
_GET = own("SELECT value FROM _cf_KV WHERE key = ?")
_HAS = own("SELECT 1 FROM _cf_KV WHERE key = ?")
_PUT = own("INSERT INTO _cf_KV VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
_DELETE = own("DELETE FROM _cf_KV WHERE key = ?")
_COUNT = own("SELECT count(*) FROM _cf_KV")
_FOREIGN = own("SELECT 1 FROM _cf_KV WHERE substr(value, 1, 1) = x'ff' LIMIT 1")  # ours begin with 1 or 2
_FOREIGN_KEYS = own("SELECT key FROM _cf_KV WHERE substr(value, 1, 1) = x'ff' ORDER BY key")
_SAVEPOINT = own("SAVEPOINT _cf_put")
_RELEASE = own("RELEASE _cf_put")
_UNDO = own("ROLLBACK TO _cf_put")
# The list statements: lower bound inclusive or not, with or without an upper bound, ascending or not.
_LIST = {
    (after, bounded, reverse): own(
        "SELECT key, value FROM _cf_KV WHERE key "
        + (">" if after else ">=")
        + (" ? AND key < ?" if bounded else " ?")
        + (" ORDER BY key DESC LIMIT ?" if reverse else " ORDER BY key ASC LIMIT ?")
    )
    for after in (False, True)
    for bounded in (False, True)
    for reverse in (False, True)
}


def is_table(name: str, sql: str) -> bool:
    """Tell whether this entry of a schema is the hidden table."""
    return name == "_cf_KV" and is_made_by(_CREATE, sql)


def has_foreign(file: PlainFile) -> bool:
    """Tell whether a database file that no store has open holds values in V8's form, as those of workerd do."""
    return next(file.rows(_EXISTS), None) is not None and next(file.rows(_FOREIGN), None) is not None


def foreign_keys(file: PlainFile) -> list[str]:
    """Return the keys of such values; the table is there."""
    return [key for (key,) in file.rows(_FOREIGN_KEYS)]


def value_in(file: PlainFile, key: str) -> bytes:
    """Return the bytes of *key*, which is there."""
    [(value,)] = file.rows(_GET, (key,))
    return cast(bytes, value)


def replace(file: PlainFile, key: str, value: bytes) -> None:
    """Write a pair into such a file."""
    file.run(_PUT, (key, value))


def remove(file: PlainFile, key: str) -> None:
    """Remove a pair of such a file."""
    file.run(_DELETE, (key,))


def exists(store: Store, database: Database) -> bool:
    """Whether the hidden table is there."""
    if store.kv_exists is None:
        store.kv_exists = database.run(_EXISTS).fetchone() is not None
    return store.kv_exists


def get(store: Store, key: str) -> bytes | None:
    """Return the stored bytes of *key*, or None."""
    database = store.database or store.open()
    if not (store.kv_exists or exists(store, database)):
        return None
    row = database.run(_GET, (key,)).fetchone()
    return None if row is None else row[0]


def put(store: Store, key: str, value: bytes, *, confirmed: bool = True) -> None:
    """Write one pair, as part of the turn or the open transaction."""
    database = store.begin_write(confirmed)
    try:
        if not (store.kv_exists or exists(store, database)):
            _create(store, database)
        database.run(_PUT, (key, value))
    except Error as error:
        store.failed_statement(error)
        raise translate(error) from None


def put_many(store: Store, entries: Iterable[tuple[str, bytes]], *, confirmed: bool = True) -> None:
    """Write all pairs or, if one fails, none."""
    database = store.begin_write(confirmed)
    try:
        database.run(_SAVEPOINT)
        try:
            if not (store.kv_exists or exists(store, database)):
                _create(store, database)
            for pair in entries:
                database.run(_PUT, pair)
        except BaseException:
            store.kv_exists = None
            if database.in_transaction:
                database.run(_UNDO)
            raise
        finally:
            if database.in_transaction:
                database.run(_RELEASE)
    except Error as error:
        store.failed_statement(error)
        raise translate(error) from None


def delete(store: Store, keys: Iterable[str], *, confirmed: bool = True) -> int:
    """Remove the keys; return how many of them were there."""
    database = store.database or store.open()
    if not (store.kv_exists or exists(store, database)):
        return 0
    present = [key for key in dict.fromkeys(keys) if database.run(_HAS, (key,)).fetchone() is not None]
    if present:
        store.begin_write(confirmed)
        try:
            for key in present:
                database.run(_DELETE, (key,))
        except Error as error:
            store.failed_statement(error)
            raise translate(error) from None
    return len(present)


def count(store: Store) -> int:
    """Return how many keys there are."""
    database = store.database or store.open()
    if not (store.kv_exists or exists(store, database)):
        return 0
    return int(database.one(_COUNT)[0])


def rows(store: Store, span: KeyRange, *, reverse: bool, limit: int | None) -> list[tuple[str, bytes]]:
    """Return the pairs of *span*, read at once; a lazy iterator from before stops working, as for `iterate`."""
    cursor = _select(store, span, reverse, limit)
    return [] if cursor is None else cast(list[tuple[str, bytes]], cursor.fetchall())


def iterate(store: Store, span: KeyRange, *, reverse: bool, limit: int | None) -> Iterator[tuple[str, bytes]]:
    """Return a lazy iterator; the one before it stops working (KVS-06)."""
    cursor = _select(store, span, reverse, limit)
    if cursor is None:
        return iter(())
    return KvIterator(store, cursor)


class KvIterator:
    """Pairs as they are read. Writes meanwhile are seen, as SQLite sees them."""

    def __init__(self, store: Store, cursor: BaseCursor) -> None:
        self._store = store
        self._cursor: BaseCursor | None = cursor
        store.iterator = ref(self)
        store.step_begins(self)
        self._error = ""

    def __iter__(self) -> KvIterator:
        return self

    def __next__(self) -> tuple[str, bytes]:
        if self._cursor is None:
            if self._error:
                raise StorageError(self._error)
            raise StopIteration
        try:
            row = self._cursor.fetchone()
        except Error as error:  # for instance: a transaction around it was rolled back
            self.finalise()
            raise translate(error) from None
        if row is None:
            self.finalise()
            raise StopIteration
        return cast(tuple[str, bytes], row)

    def finalise(self, error: str = "") -> None:
        """Release the statement; *error* is what a later step raises."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._error = error
            with suppress(Error):  # what ended its statement is told again here
                cursor.close(True)
        self._store.cursors.discard(self)
        iterator = self._store.iterator
        if iterator is not None and iterator() is self:
            self._store.iterator = None


def peek(
    store: Store, span: KeyRange, *, reverse: bool, limit: int | None
) -> Generator[tuple[str, bytes], None, None]:
    """Iterate as a tool does: the object's own iterator goes on. Close it before anything else runs."""
    cursor = _query(store, span, reverse, limit)
    if cursor is not None:
        try:
            yield from cast(Iterator[tuple[str, bytes]], cursor)
        finally:
            cursor.close(True)


def _select(store: Store, span: KeyRange, reverse: bool, limit: int | None) -> BaseCursor | None:
    earlier = None if store.iterator is None else store.iterator()
    if earlier is not None:
        earlier.finalise(INVALIDATED)
    return _query(store, span, reverse, limit)


def _query(store: Store, span: KeyRange, reverse: bool, limit: int | None) -> BaseCursor | None:
    database = store.database or store.open()
    if not (store.kv_exists or exists(store, database)):
        return None
    bounds = (span.start,) if span.end is None else (span.start, span.end)
    count = limits.LIST_LIMIT_MAX if limit is None else min(limit, limits.LIST_LIMIT_MAX)
    return database.rows(_LIST[span.after, span.end is not None, reverse], (*bounds, count))


def _create(store: Store, database: Database) -> None:
    database.run(_CREATE)
    store.kv_exists = True
