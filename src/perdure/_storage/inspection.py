"""SQL of an operator on an object's database: reading that can change nothing, and writing as one change. (edge)

Users' own authorizer holds here too: hidden tables stay hidden, transactions are the runtime's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from perdure._base import limits
from perdure._storage import cursor as statements
from perdure._storage.database import Error, translate
from perdure._storage.store import Store
from perdure.errors import SqlError

READ_ONLY: Final = "SQLITE_READONLY"
INTERRUPTED: Final = "SQLITE_INTERRUPT"
NOT_TEXT: Final = "a text in the result is not UTF-8 ({error}): ask for hex(column), or cast it to a BLOB"
TOO_LARGE: Final = (
    "the result is larger than {limit:,} bytes: ask for fewer rows with LIMIT, or take the whole database with "
    "`perdure export`"
)
TOO_LONG: Final = (
    "the query took longer than {time_s:g} s, in which no other object's code ran: use an index or LIMIT, ask a copy "
    "(`perdure export`), or allow more"
)


class Result(NamedTuple):
    """What one text of SQL gave: the rows of its last statement."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    changes: int
    """Rows that were inserted, updated or deleted."""


def read(store: Store, text: str, *, time_s: float) -> Result:
    """
    Run statements that only read; SQLite refuses any other.

    Raises:
        SqlError: what SQLite said; with code SQLITE_READONLY when a statement would write.
    """
    database = store.database or store.open()
    if store.critical is not None:
        raise store.critical
    columns: list[str] = []
    rows: list[tuple[Any, ...]] = []
    begun = 0

    def begins(cursor: Any, sql: str, bindings: Any) -> bool:
        nonlocal begun
        if cursor.has_vdbe:  # else it is a comment
            begun += 1
            columns[:] = [column[0] for column in cursor.get_description()]
            rows.clear()
        return True

    try:
        with database.reading(time_s) as cursor:
            cursor.exec_trace = begins
            _keep(cursor.execute(text, can_cache=False), rows)
    except Error as error:
        found = translate(error)
        if found.code == INTERRUPTED:
            raise SqlError(TOO_LONG.format(time_s=time_s), INTERRUPTED) from None
        raise found from None
    except UnicodeDecodeError as error:
        raise SqlError(NOT_TEXT.format(error=error)) from None
    if not begun:
        raise SqlError(statements.NO_STATEMENT)
    return Result(columns, rows, 0)


def write(store: Store, text: str) -> Result:
    """Run any statements, inside a savepoint of the caller's; the rows are those of the last one."""
    database = store.begin_write()
    before = database.total_changes()
    cursor = statements.execute(store, text, ())
    rows: list[tuple[Any, ...]] = []
    _keep(iter(cursor.next_row, None), rows)
    return Result(list(cursor.names), rows, database.total_changes() - before)


def _keep(found: Iterable[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> None:
    size = 0
    for row in found:
        size += sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in row)
        if size > limits.SQL_RETURNING_BYTES_MAX:
            raise SqlError(TOO_LARGE.format(limit=limits.SQL_RETURNING_BYTES_MAX))
        rows.append(row)
