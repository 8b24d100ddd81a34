"""What the runtime keeps in an object's own database: its alarm, in the hidden table `_cf_METADATA`. (edge)

The alarm is a row like any other, so it is part of the turn or transaction that changed it, and of its
commit. What the row says then goes along with the commit's record to the index of all alarms
(`Store.tells_alarm`). The table is made by the first alarm; its keys are Cloudflare's (SQL-32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from perdure._base import limits
from perdure._storage.database import Database, Error, PlainFile, is_made_by, own, translate
from perdure.errors import StorageError

if TYPE_CHECKING:
    from perdure._storage.store import Store

NO_TIME: Final = (
    "{path}: the alarm in _cf_METADATA is {found!r}, which is no time in milliseconds since the epoch."
)
_NS_A_MS: Final = 1_000_000
_ALARM: Final = 1  # the key of the row
_EXISTS: Final = own("SELECT 1 FROM sqlite_schema WHERE name = '_cf_METADATA'")
_CREATE: Final = own("CREATE TABLE IF NOT EXISTS _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)")
_GET: Final = own("SELECT value FROM _cf_METADATA WHERE key = ?")
_PUT: Final = own("INSERT INTO _cf_METADATA VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
_DELETE: Final = own("DELETE FROM _cf_METADATA WHERE key = ?")


def is_table(name: str, sql: str) -> bool:
    """Tell whether this entry of a schema is the hidden table."""
    return name == "_cf_METADATA" and is_made_by(_CREATE, sql)


def alarm_in(file: PlainFile) -> int | None:
    """Return the alarm of a database file that no store has open."""
    if next(file.rows(_EXISTS), None) is None:
        return None
    row = next(file.rows(_GET, (_ALARM,)), None)
    if row is None:
        return None
    if not isinstance(row[0], int) or row[0] <= 0:
        raise StorageError(NO_TIME.format(path=file.path, found=row[0]))
    # workerd counts nanoseconds; what a year after 270,000 would be in milliseconds is April 1970 or later in those.
    return row[0] if row[0] <= limits.ALARM_MS_MAX else -(-row[0] // _NS_A_MS)


def rewrite_alarm(file: PlainFile) -> None:
    """Bring the alarm of a file that no store has open, should workerd have written it, to milliseconds."""
    due_ms = alarm_in(file)
    if due_ms is not None:
        file.run(_PUT, (_ALARM, due_ms))


def read_alarm(database: Database) -> int | None:
    """Return the time of the alarm in epoch milliseconds, or None."""
    try:
        row = database.run(_GET, (_ALARM,)).fetchone()
    except Error:
        # To ask first whether there is a table would be one more statement each time there is one.
        if database.run(_EXISTS).fetchone() is None:
            return None
        raise
    return None if row is None else cast(int, row[0])


def alarm(store: Store) -> int | None:
    """Return the time of the object's alarm in epoch milliseconds, or None."""
    try:
        return read_alarm(store.database or store.open())
    except Error as error:
        raise translate(error) from None


def set_alarm(store: Store, due_ms: int, *, confirmed: bool = True) -> None:
    """Set the alarm, as part of the turn or the open transaction; the time it has already writes nothing (ALM-27)."""
    if alarm(store) != due_ms:
        _write(store, confirmed, (_CREATE, ()), (_PUT, (_ALARM, due_ms)))


def clear_alarm(store: Store, *, confirmed: bool = True, only_ms: int | None = None) -> None:
    """Clear the alarm, if there is one, and if it has the time *only_ms*."""
    due_ms = alarm(store)
    if due_ms is not None and only_ms in (None, due_ms):
        _write(store, confirmed, (_DELETE, (_ALARM,)))


def _write(store: Store, confirmed: bool, *statements: tuple[str, tuple[int, ...]]) -> None:
    database = store.begin_write(confirmed)
    store.tells_alarm = True
    try:
        for sql, bindings in statements:
            database.run(sql, bindings)
    except Error as error:
        store.failed_statement(error)
        raise translate(error) from None
