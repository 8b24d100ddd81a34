"""SQL of users: several statements in a text, bindings, rows, counters. (edge)

A text is split into statements the first time it is seen, by SQLite itself; what was learned (`Plan`) depends on
nothing but the text, so it is kept for the store, and for others: new objects say what older ones said. All statements but the last run to their end; the last one has taken its first step
when `execute` returns (SQL-02), and each row that is handed out has been followed by one more step
(SQL-14), so a statement whose rows were all seen holds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from perdure._base import limits
from perdure._storage.database import (
    ANY_BINDINGS,
    COMPLETE,
    STOPPED,
    BaseCursor,
    Database,
    Error,
    own,
    translate,
)
from perdure._storage.metering import meter
from perdure._storage.metering.meter import Watched
from perdure._storage.metering.walk import Counts
from perdure._storage.store import Store
from perdure.errors import SqlError, StorageError

NO_STATEMENT: Final = "SQL code did not contain a statement."
WRONG_BINDINGS: Final = "Wrong number of parameter bindings for SQL query."
BINDINGS_BEFORE_LAST: Final = (
    "When executing multiple SQL statements in a single call, only the last statement can have parameters."
)
NO_TRANSACTION_SQL: Final = (
    (
        "To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() "
        "APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. The JavaScript API is safer because it "
        "will automatically roll back on exceptions, and because it interacts correctly with Durable Objects' "
        "automatic atomic write coalescing."
    )
    .replace("transactionSync", "transaction_sync")
    .replace("The JavaScript API", "The Python API")
)
TOO_LONG: Final = "statement too long: SQLITE_TOOBIG"
RESULT_TOO_LARGE: Final = "SQL query result set is too large to fit in memory."
_PLANS_MAX: Final = 200
_SHARED_CHARS_MAX: Final = 4_000  # of a text that is kept for other stores too
_EMPTY_AT_END: Final = re.compile(
    r";\s*;\s*$"
)  # SQLite's binding takes empty statements in with the one before
_CHANGES_ROWS: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:insert|replace|update|delete|with)\b", re.IGNORECASE | re.DOTALL
)
_SPACE: Final = " \t\r\n\f\v"


class Plan(NamedTuple):
    """What is known of one statement."""

    sql: str
    reads_only: bool
    parameters: int
    has_columns: bool
    """It may give rows."""
    alters: bool
    """It may alter a table, perhaps its name."""
    schema_run: Watched | None
    """If it is no INSERT, REPLACE, UPDATE or DELETE: what SQLite told of the last run of it that was watched."""


class SqlCursor:
    """
    The rows of the last statement of one `execute`, in step with SQLite.

    Only a writing statement has `changes`, `kept` and `watched`: most cursors are of short queries, and what
    is not set costs nothing.
    """

    changes: int
    """Rows that SQLite counted as changed, those of triggers and foreign keys included."""
    kept: int
    """Rows of RETURNING."""
    watched: Watched | None
    """What SQLite told of the run, if somebody listened."""
    _counted: tuple[int, bool, Counts]
    """The last answer of `counts`, and where the cursor was."""

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_bindings",
        "_counted",
        "_cursor",
        "_error",
        "_given",
        "_plan",
        "_store",
        "changes",
        "is_at_end",
        "kept",
        "names",
        "watched",
    )

    def __init__(self, store: Store, plan: Plan, bindings: Sequence[Any]) -> None:
        self._store = store
        self._plan = plan
        self._bindings = bindings
        self._cursor: BaseCursor | None = None
        self._ahead: tuple[Any, ...] | None = None
        self._error = ""
        self._given = 0  # rows that SQLite has given
        self.is_at_end = False  # SQLite has given every row
        self.names: tuple[str, ...] = ()

    def next_row(self) -> tuple[Any, ...] | None:
        """Return the next row, or None at the end."""
        row = self._ahead
        if row is None:
            if self._error:
                raise StorageError(self._error)
            return None
        cursor = self._cursor
        if cursor is not None:
            self._step(cursor)
        else:
            self._ahead = None
        return row

    @property
    def has_more(self) -> bool:
        """Whether a row is left."""
        return self._ahead is not None

    def _step(self, cursor: BaseCursor) -> None:
        try:
            self._ahead = row = cursor.fetchone()
        except (Error, UnicodeDecodeError, SqlError) as error:
            self.finalise()
            self._ahead = None
            self._store.failed_statement(error)
            raise _explain(error) from None
        if row is not None:
            self._given += 1
            return
        self._cursor = None
        self.is_at_end = True
        self._store.cursors.discard(self)

    @property
    def counts(self) -> Counts:
        """Rows read and written so far (SQL-13); the statement has always read one row ahead (SQL-14)."""
        known: tuple[int, bool, Counts] | None = getattr(self, "_counted", None)
        if known is not None and known[:2] == (self._given, self.is_at_end):
            return known[2]
        counts = self._count()
        self._counted = (self._given, self.is_at_end, counts)
        return counts

    def _count(self) -> Counts:
        database, plan = self._store.database, self._plan
        if database is None or self._store.critical is not None:
            return Counts(self._given, 0 if plan.reads_only else self.changes)
        database.is_metered = self._store.engine.is_metered = True
        if plan.reads_only:
            return meter.of_reading(database, plan.sql, self._bindings, self._given, finished=self.is_at_end)
        return meter.of_writing(database, plan.sql, self._bindings, self.kept, self.changes, self.watched)

    def keep_rows(self, rows: list[tuple[Any, ...]], error: SqlError | None) -> None:
        """Take rows that were read to the end already: those of a writing statement (SQL-02)."""
        self.kept = len(rows)
        if self.kept <= 1 and error is None:  # as nearly always: there is nothing to step through
            self._ahead = rows[0] if rows else None
            self._given = self.kept
            self.is_at_end = True
            return
        self._cursor = _Kept(iter(rows), error)  # type: ignore[assignment]
        self._step(self._cursor)  # type: ignore[arg-type]

    def finalise(self, error: str = "") -> None:
        """Release the statement; *error* is what the next read raises."""
        cursor, self._cursor = self._cursor, None
        self._store.cursors.discard(self)
        self._ahead = None
        if cursor is not None:
            self._error = error
            cursor.close(True)


class _Kept:
    """Rows in memory, with the face of a cursor."""

    __slots__ = ("_error", "_rows")

    def __init__(self, rows: Iterator[tuple[Any, ...]], error: SqlError | None) -> None:
        self._rows = rows
        self._error = error

    def fetchone(self) -> tuple[Any, ...] | None:
        row = next(self._rows, None)
        if row is None and self._error is not None:
            raise self._error
        return row

    def close(self, force: bool = False) -> None:
        self._rows = iter(())


def execute(store: Store, text: str, bindings: Sequence[Any]) -> SqlCursor:
    """Run *text*; the values of *bindings* must be what SQLite takes."""
    database = store.database or store.open()
    if store.critical is not None:
        raise store.critical
    known: list[Plan] | None = store.plans.get(text)
    is_new = False
    if known is None:
        engine = store.engine
        known = engine.plans.get(text)
        if known is None:
            return _execute_new(store, database, text, bindings)
        _remember(store.plans, text, known)
        is_new = engine.is_metered
    if len(known) > 1:
        for plan in known[:-1]:
            _run(store, database, plan, ()).finalise()
    plan = known[-1]
    if plan.parameters != len(bindings):
        raise SqlError(WRONG_BINDINGS)
    return _run(store, database, plan, bindings, is_new)


def _execute_new(store: Store, database: Database, text: str, bindings: Sequence[Any]) -> SqlCursor:
    plans: list[Plan] = []
    remaining = text
    while True:
        remaining = remaining.lstrip(_SPACE)
        plan, remaining = _prepare(store, database, remaining)
        is_last = not remaining.strip(_SPACE)
        if is_last:
            if plan.parameters != len(bindings):
                raise SqlError(WRONG_BINDINGS)
        elif plan.parameters:
            raise SqlError(BINDINGS_BEFORE_LAST)
        cursor = _run(store, database, plan, bindings if is_last else (), is_new=is_last)
        plans.append(plan)
        if is_last and _EMPTY_AT_END.search(plan.sql):
            raise SqlError(NO_STATEMENT)
        if is_last:
            _remember(store.plans, text, plans)
            if len(text) <= _SHARED_CHARS_MAX:
                _remember(store.engine.plans, text, plans)
            return cursor
        while cursor.next_row() is not None:
            pass


def _remember(plans: dict[str, Any], text: str, learned: list[Plan]) -> None:
    if len(plans) >= _PLANS_MAX:
        plans.pop(next(iter(plans)))  # the oldest; the hot ones come back at once
    plans[text] = learned


def _prepare(store: Store, database: Database, text: str) -> tuple[Plan, str]:
    """Let SQLite parse the first statement of *text*; return what it is, and the text behind it."""
    if not text:
        raise SqlError(NO_STATEMENT)
    found: Plan | None = None

    def tracer(cursor: BaseCursor, sql: str, _: object) -> bool:
        nonlocal found
        if cursor.has_vdbe:
            writes = not cursor.is_readonly
            found = Plan(
                sql,
                not writes,
                cursor.bindings_count,
                has_columns=bool(cursor.get_description()),
                alters=writes and "alter" in sql.lower(),
                schema_run=Watched() if writes and not _CHANGES_ROWS.match(sql) else None,
            )
        return False  # only parsed, not run

    cursor = database.cursor()
    cursor.exec_trace = tracer
    database.internal = False
    database.refused_transaction = False
    try:
        cursor.execute(text, ANY_BINDINGS)
    except STOPPED:
        pass
    except (Error, ValueError) as error:
        if database.refused_transaction:
            raise SqlError(NO_TRANSACTION_SQL) from None
        if "\0" in text and not isinstance(error, Error):
            raise SqlError(NO_STATEMENT) from None  # for SQLite the text ends there
        if len(text.encode(errors="replace")) > limits.SQL_STATEMENT_BYTES_MAX:
            raise SqlError(TOO_LONG, "SQLITE_TOOBIG") from None
        raise _explain(error) from None
    finally:
        database.internal = True
        cursor.close(True)
    if found is None:
        raise SqlError(NO_STATEMENT)
    return found, text[len(found.sql) :]


def _run(
    store: Store, database: Database, plan: Plan, bindings: Sequence[Any], is_new: bool = False
) -> SqlCursor:
    result = SqlCursor(store, plan, bindings)
    cursor = database.cursor()
    if not plan.reads_only:
        return _run_write(store, plan, bindings, result, cursor, is_new)
    database.internal = False
    try:
        cursor.execute(plan.sql, bindings)
        try:
            result.names = tuple([column[0] for column in cursor.get_description()])
        except COMPLETE:
            if plan.has_columns:
                result.names = _names(database, plan)
            result.is_at_end = True
            return result
    except (Error, UnicodeError, OverflowError) as error:
        store.failed_statement(error)
        raise _explain(error) from None
    finally:
        database.internal = True
    result._cursor = cursor
    store.step_begins(result)
    result._step(cursor)
    return result


def _run_write(
    store: Store, plan: Plan, bindings: Sequence[Any], result: SqlCursor, cursor: BaseCursor, is_new: bool
) -> SqlCursor:
    database = store.begin_write()
    before = database.total_changes()
    # Of a new object's schema nearly always what another one's run has told.
    result.kept, result.watched = 0, plan.schema_run
    if is_new or database.is_metered or (plan.schema_run is not None and store.engine.is_metered):
        result.watched = watched = Watched()
        if plan.schema_run is not None:
            database.finish()
            watched.listing = meter.explain(database, plan.sql, bindings)
        with meter.Watching(database) as watching:
            _write(store, database, plan, bindings, result, cursor)
        result.changes = database.total_changes() - before
        watched.figures = watching.figures(plan.sql, result.changes)
        if plan.schema_run is not None:
            plan.schema_run.figures, plan.schema_run.listing = watched.figures, watched.listing
    else:
        _write(store, database, plan, bindings, result, cursor)
        result.changes = database.total_changes() - before
    return result


def _write(
    store: Store,
    database: Database,
    plan: Plan,
    bindings: Sequence[Any],
    result: SqlCursor,
    cursor: BaseCursor,
) -> None:
    if plan.alters:
        _alter(store, database, plan, bindings, cursor)
        return
    database.internal = False
    try:
        cursor.execute(plan.sql, bindings)
        if plan.has_columns:
            try:
                result.names = tuple([column[0] for column in cursor.get_description()])
            except COMPLETE:
                result.names = _names(database, plan)
            else:
                # Rows of RETURNING that nobody reads would keep the statement, and so the commit, open.
                result.keep_rows(*_bounded(cursor))
    except (Error, UnicodeError, OverflowError) as error:
        store.failed_statement(error)
        store.kv_exists = None
        raise _explain(error) from None
    finally:
        database.internal = True


def _alter(store: Store, database: Database, plan: Plan, bindings: Sequence[Any], cursor: BaseCursor) -> None:
    """Run ALTER TABLE, and undo it if it gave something a reserved name, which can only be seen afterwards."""
    before = database.reserved_names()
    database.run(own("SAVEPOINT _cf_alter"))
    database.internal = False
    try:
        cursor.execute(plan.sql, bindings)
        if database.reserved_names() != before:
            raise SqlError("not authorized: SQLITE_AUTH", "SQLITE_AUTH")
    except BaseException as error:
        if database.in_transaction:
            database.run(own("ROLLBACK TO _cf_alter"))
            database.run(own("RELEASE _cf_alter"))
        else:
            store.failed_statement(error)
        raise (_explain(error) if isinstance(error, Error) else error) from None
    finally:
        database.internal = True
    database.run(own("RELEASE _cf_alter"))


def _bounded(cursor: BaseCursor) -> tuple[list[tuple[Any, ...]], SqlError | None]:
    """Run the statement to its end; return the rows that are kept, and what reading further raises."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        rows.append(row)
        for value in row:
            size += len(value) if value.__class__ is str or value.__class__ is bytes else 8
        if size > limits.SQL_RETURNING_BYTES_MAX:
            for _ in cursor:
                pass  # the statement writes all that it was asked to
            return rows, SqlError(
                f"{RESULT_TOO_LARGE} The rows of a writing statement's RETURNING are kept in memory: at most "
                f"{limits.SQL_RETURNING_BYTES_MAX:,} bytes. Return fewer columns, or write fewer rows at a time."
            )
    return rows, None


def _names(database: Database, plan: Plan) -> tuple[str, ...]:
    """Return the names of the columns; a statement that is at its end has forgotten them."""
    names: tuple[str, ...] = ()

    def tracer(cursor: BaseCursor, sql: str, _: object) -> bool:
        nonlocal names
        names = tuple([column[0] for column in cursor.get_description()])
        return False

    cursor = database.cursor()
    cursor.exec_trace = tracer
    database.internal = False
    try:
        cursor.execute(plan.sql, ANY_BINDINGS)
    except STOPPED:
        pass
    finally:
        database.internal = True
        cursor.close(True)
    return names


def _explain(error: BaseException) -> Exception:
    if isinstance(error, SqlError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return ValueError(
            f"exec(): {error.object[:60]!r} holds half a character (surrogates not allowed), which UTF-8 cannot say."
        )
    if isinstance(error, UnicodeDecodeError):
        return SqlError(
            "a TEXT value of the result is not valid UTF-8; select it as CAST(column AS BLOB): SQLITE_MISMATCH",
            "SQLITE_MISMATCH",
        )
    return translate(error)
