"""The schedules of one object, and their last runs, in two hidden tables. (edge)

`due_ms` is the time for which a schedule runs next, `at_ms` when that is to be: later than due after a failure.
`version` changes when a schedule is replaced, so that a run which has begun before leaves the new one alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from perdure._base import limits
from perdure._storage.database import Error, is_made_by, own, translate

if TYPE_CHECKING:
    from perdure._storage.store import Store

_CREATE: Final = {
    "_cf_SCHEDULE": own(
        "CREATE TABLE IF NOT EXISTS _cf_SCHEDULE (name TEXT PRIMARY KEY, interval_ms INTEGER, cron TEXT, time_zone TEXT, "
        "method TEXT, args BLOB, missed TEXT, due_ms INTEGER, at_ms INTEGER, tries INTEGER, version INTEGER, "
        "UNIQUE (at_ms, name)) WITHOUT ROWID"
    ),
    "_cf_SCHEDULE_RUN": own(
        "CREATE TABLE IF NOT EXISTS _cf_SCHEDULE_RUN (id INTEGER PRIMARY KEY, name TEXT, due_ms INTEGER, "
        "began_ms INTEGER, ended_ms INTEGER, outcome TEXT, error TEXT, UNIQUE (name, id))"
    ),
}
_EXISTS: Final = own("SELECT 1 FROM sqlite_schema WHERE name = '_cf_SCHEDULE'")
_ALL: Final = own("SELECT * FROM _cf_SCHEDULE ORDER BY at_ms, name")
_ONE: Final = own("SELECT * FROM _cf_SCHEDULE WHERE name = ?")
_FIRST: Final = own("SELECT * FROM _cf_SCHEDULE ORDER BY at_ms, name LIMIT 1")
_PUT: Final = own("INSERT OR REPLACE INTO _cf_SCHEDULE VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
_DROP: Final = own("DELETE FROM _cf_SCHEDULE WHERE name = ?")
_DROP_ALL: Final = own("DELETE FROM _cf_SCHEDULE")
_COUNT: Final = own("SELECT count(*) FROM _cf_SCHEDULE")
_NOTE: Final = own(
    "INSERT INTO _cf_SCHEDULE_RUN (name, due_ms, began_ms, ended_ms, outcome, error) VALUES (?, ?, ?, ?, ?, ?)"
)
_FORGET: Final = own(
    "DELETE FROM _cf_SCHEDULE_RUN WHERE id <= (SELECT max(id) FROM _cf_SCHEDULE_RUN) - ?1 OR id IN "
    "(SELECT id FROM _cf_SCHEDULE_RUN WHERE name = ?2 ORDER BY id DESC LIMIT -1 OFFSET ?3)"
)
_RUNS: Final = own("SELECT * FROM _cf_SCHEDULE_RUN ORDER BY id DESC LIMIT ?")
_RUNS_OF: Final = own("SELECT * FROM _cf_SCHEDULE_RUN WHERE name = ? ORDER BY id DESC LIMIT ?")


class ScheduleRow(NamedTuple):
    """One schedule, as it is stored."""

    name: str
    interval_ms: int | None
    cron: str | None
    time_zone: str | None
    method: str
    args: bytes
    missed: str
    due_ms: int
    at_ms: int
    tries: int
    version: int


class RunRow(NamedTuple):
    """One run that has ended, or a time that was missed."""

    id: int
    name: str
    due_ms: int
    began_ms: int
    ended_ms: int
    outcome: str
    error: str | None


def is_table(name: str, sql: str) -> bool:
    """Tell whether this entry of a schema is one of the hidden tables."""
    return name in _CREATE and is_made_by(_CREATE[name], sql)


def every(store: Store) -> list[ScheduleRow]:
    """Return all schedules, the next one first."""
    return [ScheduleRow(*row) for row in _read(store, _ALL)]


def get(store: Store, name: str) -> ScheduleRow | None:
    """Return the schedule of this name, or None."""
    return next((ScheduleRow(*row) for row in _read(store, _ONE, (name,))), None)


def first(store: Store) -> ScheduleRow | None:
    """Return the schedule that is to run next, or None."""
    return next((ScheduleRow(*row) for row in _read(store, _FIRST)), None)


def put(store: Store, row: ScheduleRow) -> None:
    """Write a schedule, in place of the one of its name."""
    _write(store, (_PUT, row))


def drop(store: Store, name: str) -> bool:
    """Remove a schedule; tell whether it was there."""
    found = get(store, name) is not None
    if found:
        _write(store, (_DROP, (name,)))
    return found


def drop_all(store: Store) -> int:
    """Remove all schedules; tell how many there were."""
    count = next(iter(_read(store, _COUNT)), (0,))[0]
    if count:
        _write(store, (_DROP_ALL, ()))
    return int(count)


def note(
    store: Store, name: str, due_ms: int, began_ms: int, ended_ms: int, outcome: str, error: str | None
) -> None:
    """Note a run; the oldest ones are forgotten."""
    _write(
        store,
        (_NOTE, (name, due_ms, began_ms, ended_ms, outcome, error)),
        (_FORGET, (limits.SCHEDULE_RUNS_MAX, name, limits.SCHEDULE_RUNS_OF_ONE_MAX)),
    )


def runs(store: Store, name: str | None, limit: int) -> list[RunRow]:
    """Return the last runs, the newest first."""
    rows = _read(store, _RUNS, (limit,)) if name is None else _read(store, _RUNS_OF, (name, limit))
    return [RunRow(*row) for row in rows]


def _read(store: Store, sql: str, bindings: Sequence[Any] = ()) -> list[Any]:
    database = store.database or store.open()
    try:
        if database.run(_EXISTS).fetchone() is None:
            return []
        return database.run(sql, bindings).fetchall()
    except Error as error:
        raise translate(error) from None


def _write(store: Store, *statements: tuple[str, Sequence[Any]]) -> None:
    database = store.begin_write()
    try:
        for create in _CREATE.values():
            database.run(create)
        for sql, bindings in statements:
            database.run(sql, bindings)
    except Error as error:
        store.failed_statement(error)
        raise translate(error) from None
