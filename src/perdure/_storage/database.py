"""One SQLite connection, opened the one way that keeps our promises. The only importer of apsw. (edge)

The sequence of `_open`, and the reason for each step, is in DESIGN.md, "Stores". What must stay true:
nothing but `checkpoint` moves pages from the WAL into the database file, and nothing here ever syncs.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from perdure._base import limits
from perdure._storage import authorizer
from perdure._storage.wal_frames import FRAME_BYTES
from perdure.errors import DataFolderError, SqlError

_TOKEN: Final = secrets.token_hex(8)
"""In every statement of ours, so that no text of a user can be the same statement in SQLite's cache, which
was prepared without asking the authorizer."""

_LIMITS: Final = (
    (apsw.SQLITE_LIMIT_LENGTH, limits.SQL_VALUE_BYTES_MAX),
    (apsw.SQLITE_LIMIT_SQL_LENGTH, limits.SQL_STATEMENT_BYTES_MAX),
    (apsw.SQLITE_LIMIT_COLUMN, limits.SQL_COLUMNS_MAX),
    (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, limits.SQL_PARAMETERS_MAX),
    (apsw.SQLITE_LIMIT_EXPR_DEPTH, limits.SQL_EXPRESSION_DEPTH_MAX),
    (apsw.SQLITE_LIMIT_COMPOUND_SELECT, limits.SQL_COMPOUND_TERMS_MAX),
    (apsw.SQLITE_LIMIT_VDBE_OP, limits.SQL_VDBE_OPS_MAX),
    (apsw.SQLITE_LIMIT_FUNCTION_ARG, limits.SQL_FUNCTION_ARGUMENTS_MAX),
    (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits.SQL_PATTERN_BYTES_MAX),
    (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, limits.SQL_TRIGGER_DEPTH_MAX),
    (apsw.SQLITE_LIMIT_ATTACHED, 0),
    (apsw.SQLITE_LIMIT_WORKER_THREADS, 0),
)
_STATEMENTS_CACHED: Final = 16
_SETTINGS: Final = """
PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
PRAGMA cache_size=1; PRAGMA shrink_memory; SELECT 1 FROM sqlite_schema; PRAGMA cache_size=64
"""
"""For each connection. The second line frees the block that SQLite preallocates for its page cache, and keeps a small one."""
_CRITICAL: Final = frozenset(
    {apsw.SQLITE_FULL, apsw.SQLITE_IOERR, apsw.SQLITE_NOMEM, apsw.SQLITE_INTERRUPT, apsw.SQLITE_CORRUPT}
)

BaseCursor = apsw.Cursor
Error = apsw.Error
COMPLETE: Final = apsw.ExecutionCompleteError
STOPPED: Final = apsw.ExecTraceAbort
ANY_BINDINGS: Final[Any] = apsw._null_bindings  # type: ignore[attr-defined]
"""Stands for as many NULL parameters as a statement has."""


def own(sql: str) -> str:
    """Mark *sql* as a statement of the runtime."""
    return f"/*{_TOKEN}*/ {sql}"


def is_made_by(create: str, sql: str | None) -> bool:
    """Tell whether a schema's entry *sql* is what our statement *create* makes, in whatever spacing."""
    ours = create.partition("*/")[2].replace("IF NOT EXISTS ", "")
    return sql is not None and "".join(sql.split()).lower() == "".join(ours.split()).lower()


_BEGIN: Final = own("BEGIN")
_COMMIT: Final = own("COMMIT")
_ROLLBACK: Final = own("ROLLBACK")
_QUERY_ONLY_ON: Final = own("PRAGMA query_only=ON")
_QUERY_ONLY_OFF: Final = own("PRAGMA query_only=OFF")
_OPS_BETWEEN_LOOKS: Final = 10_000
"""So many steps of SQLite's machine, some tenths of a millisecond, between two looks at the clock."""
_NO_ROWS: Final = own("SELECT 1 WHERE 0")
_SIZE: Final = own("SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count")


def tune_process() -> None:
    """
    Make each connection smaller: no look-aside memory. For the command line alone, before any connection.

    Never called when embedded: the host may use apsw itself.
    """
    apsw.shutdown()
    apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, 0, 0)
    apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, 0)
    apsw.initialize()


def sqlite_version() -> str:
    """Name the SQLite that runs here, and the binding to it."""
    return f"{apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()})"


class PlainFile:
    """
    A database file that no store has open: a copy, or one that is brought here. For a thread, or before any loop.

    Usable in a `with` block. What SQLite says of it is raised as `SqlError`.
    """

    def __init__(self, path: str, *, writable: bool = False) -> None:
        self.path = path
        flags = apsw.SQLITE_OPEN_READWRITE if writable else apsw.SQLITE_OPEN_READONLY
        try:
            self._connection = apsw.Connection(path, flags=flags)
            self._connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            self._connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        except apsw.Error as error:
            raise translate(error) from None

    def __enter__(self) -> PlainFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close(True)

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement; its rows are read one by one."""
        try:
            yield from self._connection.execute(sql, bindings)
        except apsw.Error as error:
            raise translate(error) from None
        except UnicodeDecodeError as error:
            raise SqlError(f"a text in it is not UTF-8 ({error.object[:60]!r})") from None

    def copy_to(self, path: str) -> None:
        """Write the database to the new file *path*, in pages as a store has them; nothing is synced."""
        source = self._connection
        try:
            if source.pragma("page_size") != limits.PAGE_BYTES or source.pragma("auto_vacuum"):
                source.execute(f"PRAGMA page_size={limits.PAGE_BYTES}")
                source.execute("PRAGMA auto_vacuum=NONE")
                source.execute("VACUUM INTO ?", (path,))
                return
            # Page by page: a VACUUM may number rows anew.
            target = apsw.Connection(path)
            try:
                target.execute("PRAGMA synchronous=OFF")
                with target.backup("main", source, "main") as copying:
                    while not copying.done:
                        copying.step(1000)
            finally:
                target.close()
        except apsw.Error as error:
            raise translate(error) from None

    def run(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; return all of its rows."""
        return list(self.rows(sql, bindings))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make a block all of whose writes happen, or none."""
        try:
            with self._connection:
                yield
        except apsw.Error as error:  # of the commit
            raise translate(error) from None


def literal(value: Any) -> str:
    """Return *value*, as it came from SQLite, as SQL says it."""
    return apsw.format_sql_value(value)


def is_complete(text: str) -> bool:
    """Tell whether *text* ends where a statement of SQL may end, by its semicolons alone."""
    return apsw.complete(text)


@functools.cache
def empty_image() -> bytes:
    """Return the bytes of an empty database in WAL mode, made once by SQLite itself."""
    with tempfile.TemporaryDirectory(prefix="perdure-") as folder:
        path = Path(folder) / "empty"
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA page_size={limits.PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        image = path.read_bytes()
    assert len(image) == limits.PAGE_BYTES, "an empty WAL database is one page"
    return image


def translate(error: BaseException) -> SqlError:
    """Return what SQLite said in Cloudflare's form (SQL-27)."""
    if not isinstance(error, apsw.Error):
        return SqlError(f"{error}: SQLITE_MISUSE", "SQLITE_MISUSE")
    code = error.result if hasattr(error, "result") else apsw.SQLITE_MISUSE
    extended = getattr(error, "extendedresult", code)
    name = str(apsw.mapping_result_codes.get(code & 0xFF, "SQLITE_ERROR"))
    extended_name = str(apsw.mapping_extended_result_codes.get(extended, name)) if extended != code else name
    offset = getattr(error, "error_offset", -1)
    text = str(error) + (f" at offset {offset}" if offset >= 0 else "") + f": {name}"
    if extended_name != name:
        text += f" (extended: {extended_name})"
    return SqlError(text, name, extended_name, offset)


def is_critical(error: BaseException) -> bool:
    """Tell whether *error* is of the kind after which SQLite may have rolled back by itself (SQL-29)."""
    return isinstance(error, apsw.Error) and getattr(error, "result", 0) & 0xFF in _CRITICAL


class Watch:
    """
    What SQLite tells of the statements that run until `stop`.

    Attributes:
        inserted, updated, deleted: rows of tables with a rowid.
    """

    __slots__ = ("_connection", "_ended", "deleted", "inserted", "updated")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._ended: list[dict[str, Any]] = []
        self.inserted = self.updated = self.deleted = 0
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._ended.append)
        connection.set_update_hook(self._changed)

    def _changed(self, kind: int, database: str, table: str, row: int) -> None:
        if kind == apsw.SQLITE_INSERT:
            self.inserted += 1
        elif kind == apsw.SQLITE_UPDATE:
            self.updated += 1
        else:
            self.deleted += 1

    def stop(self) -> None:
        self._connection.trace_v2(0, None)
        self._connection.set_update_hook(None)

    def status_of(self, sql: str) -> dict[str, int] | None:
        """Return the status counters of the statement *sql* when it ended."""
        found = [event["stmt_status"] for event in self._ended if event["sql"] == sql]
        return found[-1] if found else None


class Database:
    """
    An open store file: transactions, WAL frames, checkpoints.

    Attributes:
        execute: runs a statement on the shared cursor; `run` does so for one of the runtime.
        cursor: makes a fresh cursor for a statement of a user; set `internal` to False before it prepares.
        total_changes: tells how many rows were changed since it was opened.
        frames: how many frames SQLite reported in the WAL at the last commit.
        is_metered: counters of rows read or written have been asked for.
        internal: while true, statements are the runtime's own and the authorizer lets them pass.
        refused_transaction: a statement was refused because it would begin or end a transaction (SQL-19).
    """

    __slots__ = (
        "_changed_settings",
        "_connection",
        "_cursor",
        "_is_reading",
        "_path",
        "cursor",
        "execute",
        "frames",
        "internal",
        "is_metered",
        "refused_transaction",
        "total_changes",
    )

    def __init__(self, path: str, frames: int = 0) -> None:
        self._path = path
        self.frames = frames
        self.internal = True
        self.refused_transaction = False
        self.is_metered = False
        self._changed_settings: set[str] = set()
        self._is_reading = False
        self._open()

    def _open(self) -> None:
        connection: apsw.Connection | None = None
        try:
            connection = apsw.Connection(
                self._path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=_STATEMENTS_CACHED
            )
            self._connection = connection
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
            # Not into the cache of statements: there each would take two kilobytes for as long as the connection is open.
            answers = connection.execute(_SETTINGS, can_cache=False).fetchall()
        except apsw.Error as error:
            if connection is not None:
                connection.close(True)  # else it holds its lock as long as somebody holds the error
            raise DataFolderError(
                f"{self._path} cannot be opened as a database: {error}. It is damaged, or something else holds "
                "it; restore it from a backup, or move it away to start this object empty."
            ) from error
        if answers[:2] != [("exclusive",), ("wal",)]:
            connection.close(True)
            raise DataFolderError(f"{self._path}: SQLite answered {answers[:2]}, not 'exclusive' and 'wal'")
        # Tables of modules that are not on the list could be read without ever being created.
        connection.drop_modules(authorizer.VIRTUAL_TABLES)
        connection.set_wal_hook(self._remember)
        for kind, value in _LIMITS:
            connection.limit(kind, value)
        connection.set_authorizer(self._authorize)
        self._cursor = connection.cursor()
        self.execute: Callable[..., apsw.Cursor] = self._cursor.execute
        self.cursor: Callable[[], apsw.Cursor] = connection.cursor
        self.total_changes: Callable[[], int] = connection.total_changes

    def _remember(self, connection: apsw.Connection, name: str, frames: int) -> int:
        # An exception here would come out of a COMMIT that has happened: nothing but an assignment.
        self.frames = frames
        return 0

    def _authorize(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        if self.internal:
            return authorizer.OK
        if action in (authorizer.TRANSACTION, authorizer.SAVEPOINT):
            self.refused_transaction = True
            return authorizer.DENY
        if action == authorizer.PRAGMA and first is not None and second is not None:
            if self._is_reading and first.lower() in authorizer.PRAGMAS_BOOLEAN:
                return authorizer.DENY  # it would stay set for the object's own statements
            self._changed_settings.add(first.lower())
        return authorizer.may(action, first, second, database)

    def restore_settings(self) -> None:
        """Undo what PRAGMAs of a user have set for this connection; no transaction may be open."""
        for name in self._changed_settings & authorizer.PRAGMAS_BOOLEAN:
            self.run(own(f"PRAGMA {name} = {'ON' if name == 'foreign_keys' else 'OFF'}"))
        self._changed_settings.clear()

    # --- transactions ---------------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def begin(self) -> None:
        self.internal = True
        self.execute(_BEGIN)

    def commit(self) -> None:
        """Commit; a deferred constraint that fails leaves the transaction open (SQL-26)."""
        self.internal = True
        self.execute(_COMMIT)

    def rollback(self) -> None:
        self.internal = True
        if self._connection.in_transaction:
            self.execute(_ROLLBACK)

    def run(self, sql: str, bindings: Sequence[Any] = ()) -> apsw.Cursor:
        """Run a statement of the runtime (made by `own`) on the shared cursor; read its rows at once."""
        self.internal = True
        return self.execute(sql, bindings)

    def one(self, sql: str) -> tuple[Any, ...]:
        """Run a statement of the runtime that has exactly one row; return it."""
        row: tuple[Any, ...] | None = self.run(sql).fetchone()
        assert row is not None, sql
        return row

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> apsw.Cursor:
        """Run a statement of the runtime on a cursor of its own, to be read while others run."""
        self.internal = True
        return self._connection.execute(sql, bindings)

    @contextlib.contextmanager
    def reading(self, time_s: float) -> Iterator[apsw.Cursor]:
        """
        Give a cursor for statements of a user that can change nothing, and that end after *time_s*.

        SQLite itself sees to both. Use `can_cache=False`: a statement that was prepared for the object before
        would not be asked for again.
        """
        end_s = time.monotonic() + time_s
        self.run(_QUERY_ONLY_ON)
        self._is_reading = True
        self._connection.set_progress_handler(lambda: time.monotonic() > end_s, _OPS_BETWEEN_LOOKS)
        cursor = self._connection.cursor()
        self.internal = False
        try:
            yield cursor
        finally:
            self.internal = True
            cursor.close(True)
            self._connection.set_progress_handler(None)
            self._is_reading = False
            self.run(_QUERY_ONLY_OFF)

    def watch(self) -> Watch:
        """Listen to what SQLite tells of statements, until the watch is stopped."""
        return Watch(self._connection)

    def count_rows(self, root: int) -> int:
        """Return how many rows the table or index at page *root* has."""
        for (table,) in self.run(
            own("SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?"), (root,)
        ).fetchall():
            quoted = str(table).replace('"', '""')
            return int(self.one(own(f'SELECT count(*) FROM "{quoted}"'))[0])  # noqa: S608 - a name cannot be bound
        return 0

    def size_bytes(self) -> int:
        """Return (pages - free pages) x page size (SQL-17)."""
        self.internal = True
        pages, free = self.one(_SIZE)
        return int(pages - free) * limits.PAGE_BYTES

    # --- the write-ahead log --------------------------------------------------------------------------

    def read_frames(self, start: int, end: int) -> bytes:
        """
        Return the bytes of WAL frames *start* to *end* (frame numbers, end excluded).

        Only right after a COMMIT: before it the WAL may hold spilled frames of the open transaction.
        """
        at = limits.WAL_HEADER_BYTES + start * FRAME_BYTES
        return self._connection.read("main", 1, at, (end - start) * FRAME_BYTES)[1]

    def read_wal_salts(self) -> bytes:
        """Return the eight bytes that tell frames of this WAL from left-over ones."""
        return self._connection.read("main", 1, 16, 8)[1]

    def checkpoint(self) -> bool:
        """Move every frame into the database file and empty the WAL; False if a cursor or writer is in the way."""
        self.finish()
        with contextlib.suppress(apsw.LockedError, apsw.BusyError):
            if self._connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0):
                self.frames = 0
                return True
        return False

    def finish(self) -> None:
        """End the statement that the shared cursor has run last: one that still has rows is in SQLite's way."""
        self.run(_NO_ROWS)

    def erase(self) -> None:
        """Make the database empty, as an ordinary commit of its own (KVA-16); no transaction may be open."""
        connection = self._connection
        self.finish()
        # VACUUM attaches a database, which the limits of users forbid.
        connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 1)
        try:
            connection.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 1)
            connection.execute(own("VACUUM"))
        finally:
            connection.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 0)
            connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)

    def close(self) -> None:
        """Close without a checkpoint; every cursor is finalised."""
        self._connection.close(True)

    def reserved_names(self) -> frozenset[str]:
        """Names in the schema that belong to the runtime, in any case of letters."""
        self.internal = True
        return frozenset(
            name
            for (name,) in self._connection.execute(own("SELECT lower(name) FROM sqlite_schema"))
            if authorizer.is_reserved(name)
        )

    def integrity(self) -> Iterator[str]:
        """Yield what `PRAGMA integrity_check` finds; "ok" alone where all is well."""
        self.internal = True
        for (line,) in self._connection.execute(own("PRAGMA integrity_check")):
            yield str(line)
