"""`ctx.storage.sql`: SQL on the object's own database. (cooperative)

Source: SQL-01…SQL-35. Statements run on the event loop's thread, at once: that is the model (a query costs
microseconds, a thread hop costs more). Rows are dicts with attribute access.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from perdure._storage import cursor as statements
from perdure.errors import SqlError, StorageError

if TYPE_CHECKING:
    from perdure._engine.live import Live

NO_RESULT: Final = "Expected exactly one result from SQL query, but got no results."
MANY_RESULTS: Final = "Expected exactly one result from SQL query, but got multiple results."

_BINDABLE: Final = frozenset({str, int, float, bytes, type(None), bool})
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class Row(dict[str, Any]):
    """
    One row: a dict by column name, in column order.

    Columns are attributes too, except for names that `dict` has itself: `row["items"]`. Of two columns
    with one name the last wins (SQL-08).
    """

    __slots__ = ()
    __perdure_as__ = dict
    """It travels as a plain dict."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"the row has no column {name!r}; its columns are {', '.join(self)}"
            ) from None


class NoSql:
    """Stands for `sql` and `kv` of a class that is declared with `new_classes`: there is none (SQL-01, KVS-01)."""

    __slots__ = ("_message",)

    def __init__(self, message: str) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)
        raise StorageError(self._message)


class SqlCursor:
    """
    The rows of one `exec`: an iterator, read as SQLite produces them.

    A cursor kept over an `await` has no snapshot: read it before (SQL-15).
    """

    __slots__ = ("_cursor",)

    def __init__(self, cursor: statements.SqlCursor) -> None:
        self._cursor = cursor

    def __iter__(self) -> SqlCursor:
        return self

    def __next__(self) -> Row:
        row = self._cursor.next_row()
        if row is None:
            raise StopIteration
        return Row(zip(self._cursor.names, row, strict=True))

    def one(self) -> Row:
        """
        Return the only remaining row.

        Raises:
            SqlError: there is none, or more than one; then the cursor is closed (SQL-11).
        """
        cursor = self._cursor
        row = cursor.next_row()
        if row is None:
            raise SqlError(NO_RESULT, "")
        if cursor.has_more:
            cursor.finalise()
            raise SqlError(MANY_RESULTS, "")
        return Row(zip(cursor.names, row, strict=True))

    def to_list(self) -> list[Row]:
        """Return the remaining rows (SQL-10)."""
        return list(self)

    def raw(self) -> RawRows:
        """Return an iterator of tuples in column order, duplicates kept; it shares this cursor's position (SQL-09)."""
        return RawRows(self._cursor)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns in order, with duplicates; empty for a statement without rows (SQL-12)."""
        return list(self._cursor.names)

    @property
    def rows_read(self) -> int:
        """
        Rows that the statement has read so far, as Cloudflare counts them (SQL-13).

        Each row of a table or index that was looked at counts, also one that did not match. The statement is
        always one row ahead (SQL-14). The number is worked out when it is asked for, by running a query once
        more: ask before changing what it read. It is exact for what most applications do; with GROUP BY,
        UNION, window functions and changes of the schema it may be a little off.
        """
        return self._cursor.counts.read

    @property
    def rows_written(self) -> int:
        """
        Rows that the statement wrote, as Cloudflare counts them: one for each row and each entry in an index.

        Exact except for partial indexes, triggers on tables with AUTOINCREMENT, and changes of the schema.
        """
        return self._cursor.counts.written


class RawRows:
    """Rows as tuples; see `SqlCursor.raw`."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: statements.SqlCursor) -> None:
        self._cursor = cursor

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self

    def __next__(self) -> tuple[Any, ...]:
        row = self._cursor.next_row()
        if row is None:
            raise StopIteration
        return row

    def to_list(self) -> list[tuple[Any, ...]]:
        """Return the remaining rows."""
        return list(self)


class SqlStorage:
    """SQL of one object; reached as `ctx.storage.sql`."""

    __slots__ = ("_live",)

    def __init__(self, live: Live) -> None:
        self._live = live

    def exec(self, query: str, *bindings: Any) -> SqlCursor:
        """
        Run *query* and return the cursor of its last statement.

        Several statements may stand in one text; only the last may have parameters. A write has happened
        when this returns, whether or not the cursor is read (SQL-02, SQL-03).

        Args:
            query: SQL as SQLite understands it.
            bindings: one value for each parameter: str, int (64 bits), float, bytes, bool (0 or 1), None.

        Raises:
            SqlError: what SQLite answered; the object and its turn live on (SQL-27, SQL-28).
            TypeError: a binding of another type.
            ValueError: an int that does not fit in 64 bits.
        """
        if query.__class__ is not str:
            raise TypeError(f"exec(): the query must be a str, not {type(query).__name__}.")
        store = self._live.store()
        if bindings:
            for value in bindings:
                if value.__class__ not in _BINDABLE or (
                    value.__class__ is int and not _INT_MIN <= value <= _INT_MAX
                ):
                    bindings = _converted(bindings)
                    break
        return SqlCursor(statements.execute(store, query, bindings))

    @property
    def database_size(self) -> int:
        """Size of the database in bytes, free pages not counted (SQL-17)."""
        store = self._live.store()
        return (store.database or store.open()).size_bytes()


def _converted(bindings: tuple[Any, ...]) -> tuple[Any, ...]:
    converted: list[Any] = []
    for index, value in enumerate(bindings):
        if isinstance(value, int):
            if not _INT_MIN <= value <= _INT_MAX:
                raise ValueError(
                    f"exec(): parameter {index + 1} is {value}, which does not fit in SQLite's 64-bit INTEGER. "
                    "Bind it as str(value)."
                )
            converted.append(int(value))
        elif isinstance(value, str):
            converted.append(str.__str__(value))  # of an Enum with text, too, the text
        elif isinstance(value, float):
            converted.append(float(value))
        elif isinstance(value, (bytes, bytearray, memoryview)):
            converted.append(bytes(value))
        elif value is None:
            converted.append(None)
        else:
            raise TypeError(
                f"exec(): parameter {index + 1} is of type {type(value).__name__}, which SQLite cannot store. "
                "Bind str, int, float, bytes, bool or None."
            )
    return tuple(converted)
