"""D1Keeper: the durable object that keeps one D1 database. (cooperative)

Its own database is the user's, without anything of ours in it. Each call is one event: a statement is durable when it is
answered, and what a batch writes is one transaction. The front, `perdure.D1Database`, checks what it is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from perdure._storage.script import SPACE, is_blank, statements_of
from perdure.durable_object import DurableObject
from perdure.errors import SqlError

SERVED_BY: Final = "perdure"
NO_STATEMENTS: Final = "No SQL statements detected."

_TRANSACTION: Final = re.compile(
    rf"{SPACE}*+(?:begin(?:\s+(?:deferred|immediate|exclusive))?|commit|end)(?:\s+transaction)?\s*;?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class D1Meta:
    """
    What is told of a statement that ran.

    Attributes:
        served_by: who ran it: "perdure".
        duration: how long it took, in milliseconds.
        changes: rows that were inserted, updated or deleted, by triggers too.
        last_row_id: the rowid of the last insert into the database.
        changed_db: the database was changed.
        size_after: size of the database in bytes, afterwards.
        rows_read: rows that were looked at, as Cloudflare counts them (see `SqlCursor.rows_read`).
        rows_written: rows and entries of indexes that were written, as Cloudflare counts them.
    """

    served_by: str
    duration: float
    changes: int
    last_row_id: int
    changed_db: bool
    size_after: int
    rows_read: int
    rows_written: int


class Answer(NamedTuple):
    """What one statement gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    bookmark: str
    meta: D1Meta | None
    """None where nobody asked for it: it costs about another run of the query."""


class D1Keeper(DurableObject[Any]):
    """
    A database of SQLite, a statement or a batch at a time.

    What SQLite says of a statement is returned and not raised: it is an answer, and no failure of this object.
    """

    # What is not annotated is neither looked at nor converted on its way.
    def query(self, text: str, bindings: Any, with_meta: bool) -> Any:
        """
        Run one statement; return an `Answer`, or what SQLite said.

        Args:
            text: of the statement. If there are several, the last one has the bindings and gives the answer.
            bindings: values that SQLite takes.
            with_meta: tell of the run.
        """
        try:
            return self._query(text, bindings, with_meta)
        except SqlError as error:
            return error

    def batch(self, statements: Any) -> Any:
        """Run pairs of a statement and its bindings as one transaction; return a list of `Answer`s, or what SQLite said."""
        try:
            with self.ctx.storage.transaction_sync():
                return [self._query(text, bindings, True) for text, bindings in statements]
        except SqlError as error:
            return error

    def lines(self, lines: Sequence[str]) -> tuple[list[float], tuple[int, SqlError] | None]:
        """
        Run the statement of each line, all of them as one transaction.

        Returns:
            the milliseconds that each took; if one failed the index of its line, with the error: then nothing has happened.
        """
        took_ms: list[float] = []
        index = 0
        try:
            with self.ctx.storage.transaction_sync():
                for index, line in enumerate(lines):  # noqa: B007  (it is the error's)
                    if not is_blank(line):
                        begun_s = self._now_s()
                        self._query(line, (), False)
                        took_ms.append((self._now_s() - begun_s) * 1000)
        except SqlError as error:
            return [], (index, error)
        return (took_ms, None) if took_ms else ([], (0, SqlError(NO_STATEMENTS)))

    def script(self, *texts: str) -> tuple[list[Answer], tuple[str, SqlError] | None]:
        """
        Run all statements of *texts* as one transaction; BEGIN and COMMIT in them, as of a dump, are passed over.

        Returns:
            what each gave, and if one failed its text, with the error; then nothing has happened.
        """
        answers: list[Answer] = []
        statement = ""
        try:
            with self.ctx.storage.transaction_sync():
                for statement in (one for text in texts for one in statements_of(text)):
                    if not _TRANSACTION.fullmatch(statement):
                        answers.append(self._run((), statement, (), True))
        except SqlError as error:
            return [], (statement, error)
        return (answers, None) if statement else ([], ("", SqlError(NO_STATEMENTS)))

    def _query(self, text: str, bindings: Sequence[Any], with_meta: bool) -> Answer:
        *others, last = _statements(text)
        if not others:
            return self._run((), last, bindings, with_meta)
        with self.ctx.storage.transaction_sync():
            return self._run(others, last, bindings, with_meta)

    def _run(self, others: Sequence[str], statement: str, bindings: Sequence[Any], with_meta: bool) -> Answer:
        sql, store = self.ctx.storage.sql, self.ctx._live.store()
        database = store.database or store.open()
        if with_meta:
            begun_s, size, changes = self._now_s(), database.size_bytes(), database.total_changes()
        for other in others:
            sql.exec(other).to_list()
        cursor = sql.exec(statement, *bindings)
        rows = cursor.raw().to_list()
        meta = None
        if with_meta:
            took_ms = (self._now_s() - begun_s) * 1000
            changes = database.total_changes() - changes
            size_after = database.size_bytes()
            meta = D1Meta(
                served_by=SERVED_BY,
                duration=took_ms,
                changes=changes,
                last_row_id=sql.exec("SELECT last_insert_rowid() AS id").one()["id"],
                changed_db=changes != 0 or size_after != size,
                size_after=size_after,
                rows_read=cursor.rows_read,
                rows_written=cursor.rows_written,
            )
        return Answer(cursor.column_names, rows, f"{store.number + store.in_turn:016x}", meta)

    def _now_s(self) -> float:
        return self.ctx._live.host.clock.monotonic_s()


def _statements(text: str) -> list[str]:
    if text.find(";", 0, len(text.rstrip().rstrip(";"))) < 0 and not is_blank(text):
        return [text]
    found = list(statements_of(text))
    if not found:
        raise SqlError(NO_STATEMENTS)
    return found
