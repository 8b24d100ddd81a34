"""cursor: users' statements, split, bound, stepped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.stores import a_store, an_engine, owned

from perdure._storage import cursor as statements
from perdure._storage.cursor import SqlCursor, execute
from perdure._storage.store import Store
from perdure.errors import SqlError, StorageError


def rows(store: Store, text: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    return left(execute(store, text, bindings))


def left(cursor: SqlCursor) -> list[tuple[Any, ...]]:
    found = []
    while (row := cursor.next_row()) is not None:
        found.append(row)
    return found


@pytest.mark.rows("SQL-02")
async def test_a_cursor_is_one_row_ahead() -> None:
    """After `execute` the first row is read; after each row the next one (SQL-14)."""
    async with a_store() as (store, _):
        cursor = execute(store, "SELECT value FROM json_each('[1,2]')", ())
        assert cursor.has_more
        assert cursor.next_row() == (1,)
        assert cursor.has_more
        assert cursor.next_row() == (2,)
        assert not cursor.has_more
        assert cursor.next_row() is None


async def test_a_cursor_at_its_end_holds_no_statement() -> None:
    """The store knows only cursors that still step."""
    async with a_store() as (store, _):
        cursor = execute(store, "SELECT value FROM json_each('[1,2]')", ())
        assert set(store.cursors) == {cursor}
        left(cursor)
        assert not store.cursors
        execute(store, "SELECT 1 WHERE 0", ())
        execute(store, "CREATE TABLE t (n)", ())
        assert not store.cursors


async def test_reads_open_no_turn_and_writes_do() -> None:
    """Whether a statement writes is SQLite's word, also for a PRAGMA or a CTE."""
    async with a_store() as (store, _):
        for text in ("SELECT 1", "PRAGMA foreign_keys", "WITH x AS (SELECT 1) SELECT * FROM x"):
            execute(store, text, ())
            assert not store.in_turn
        execute(store, "CREATE TABLE t (n)", ())
        assert store.in_turn
        store.end_turn()
        execute(store, "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", ())
        assert store.in_turn


@pytest.mark.rows("SQL-16")
async def test_a_text_is_parsed_once() -> None:
    """What was learned of a text is kept; a text that failed is not."""
    async with a_store() as (store, _):
        rows(store, "SELECT 1; SELECT 2")
        [plans] = store.plans.values()
        assert [plan.sql.strip(" ;") for plan in plans] == ["SELECT 1", "SELECT 2"]
        with pytest.raises(SqlError):
            rows(store, "SELECT nope")
        assert list(store.plans) == ["SELECT 1; SELECT 2"]


@pytest.mark.rows("LIM-08")
async def test_the_texts_kept_are_bounded() -> None:
    """The oldest goes."""
    async with a_store() as (store, _):
        for number in range(statements._PLANS_MAX + 5):
            rows(store, f"SELECT {number}")
        assert len(store.plans) == statements._PLANS_MAX
        assert "SELECT 0" not in store.plans


@pytest.mark.rows("SQL-16")
async def test_plans_are_forgotten_when_the_store_closes() -> None:
    """They belong to a connection."""
    async with a_store() as (store, _):
        rows(store, "SELECT 1")
        store.close()
        assert store.plans == {}
        assert rows(store, "SELECT 1") == [(1,)]


async def test_what_one_store_learned_of_a_text_others_know() -> None:
    """New objects say what older ones said: it is not parsed only to see what it is."""
    async with an_engine() as engine:
        stores = [owned(engine, number)[0] for number in (1, 2)]
        for store in stores:
            assert rows(store, "CREATE TABLE t (n); INSERT INTO t VALUES (1) RETURNING n") == [(1,)]
        first, second = (list(store.plans.values()) for store in stores)
        assert first[0] is second[0]


async def test_a_text_that_others_know_fails_by_itself() -> None:
    """Only what the text says is shared: whether it can run is asked of each database."""
    async with an_engine() as engine:
        (first, _), (second, _) = owned(engine, 1), owned(engine, 2)
        rows(first, "CREATE TABLE t (n)")
        for text in ("INSERT INTO t VALUES (1)", "SELECT * FROM t"):
            rows(first, text)
            with pytest.raises(SqlError, match=r"^no such table: t: SQLITE_ERROR$"):
                rows(second, text)
        rows(second, "CREATE VIEW t AS SELECT name FROM sqlite_schema")
        assert rows(second, "SELECT * FROM t") == [("t",)]


async def test_long_texts_are_not_kept_for_others() -> None:
    """What is kept for all stores together is bounded in bytes too."""
    async with a_store() as (store, _):
        long = f"SELECT '{'x' * statements._SHARED_CHARS_MAX}'"
        rows(store, long)
        for number in range(statements._PLANS_MAX + 5):
            rows(store, f"SELECT {number}")
        assert long not in store.engine.plans
        assert len(store.engine.plans) == statements._PLANS_MAX


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT 1;SELECT 2;SELECT 3", 3),
        ("SELECT ';'; SELECT '--'; SELECT 3", 3),
        ("SELECT 1 /* ; */; SELECT 3", 2),
        ("SELECT 1 -- ;\n; SELECT 3", 2),
        ("; ;; SELECT 3", 1),
        ("CREATE TABLE t (n); CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; SELECT 3", 3),
    ],
)
async def test_sqlite_itself_splits_the_text(text: str, count: int) -> None:
    """Semicolons in text, comments and triggers end no statement."""
    async with a_store() as (store, _):
        assert rows(store, text) == [(3,)]
        assert len(store.plans[text]) == count


@pytest.mark.rows("SQL-03")
async def test_statements_see_what_those_before_them_did() -> None:
    """A later statement of a text is parsed when the earlier ones have run."""
    async with a_store() as (store, _):
        text = "CREATE TABLE t (n); INSERT INTO t VALUES (1); ALTER TABLE t ADD COLUMN m DEFAULT 2; SELECT * FROM t"
        assert rows(store, text) == [(1, 2)]


async def test_a_row_of_returning_is_kept_not_stepped() -> None:
    """A writing statement has ended when `execute` returns, so it is in nobody's way."""
    async with a_store() as (store, _):
        rows(store, "CREATE TABLE t (n)")
        cursor = execute(store, "INSERT INTO t VALUES (1), (2) RETURNING n", ())
        assert not store.cursors
        store.end_turn()
        assert left(cursor) == [(1,), (2,)]


async def test_a_finalised_cursor_raises_its_reason() -> None:
    """With a reason the next read raises, without one the cursor is at its end."""
    async with a_store() as (store, _):
        query = "SELECT value FROM json_each('[1,2]')"
        loud, quiet = execute(store, query, ()), execute(store, query, ())
        loud.finalise("because")
        quiet.finalise()
        with pytest.raises(StorageError, match="because"):
            loud.next_row()
        assert quiet.next_row() is None
        assert not store.cursors


async def test_a_cursor_that_was_dropped_is_forgotten() -> None:
    """Nobody can read it any more, so the store may close."""
    async with a_store() as (store, _):
        execute(store, "SELECT value FROM json_each('[1,2]')", ())
        assert not store.has_cursors


@pytest.mark.rows("SQL-20")
async def test_alter_is_checked_each_time() -> None:
    """A rename onto a reserved name is undone, the first time and when SQLite has the statement cached."""
    async with a_store() as (store, _):
        rows(store, "CREATE TABLE t (n)")
        for _ in range(3):
            with pytest.raises(SqlError, match="not authorized"):
                rows(store, "ALTER TABLE t RENAME TO _cf_t")
            assert rows(store, "SELECT name FROM sqlite_schema") == [("t",)]
        rows(store, "ALTER TABLE t RENAME TO u")
        assert rows(store, "SELECT name FROM sqlite_schema") == [("u",)]


async def test_errors_leave_the_runtime_in_charge() -> None:
    """After any failed statement of a user, statements of ours are not asked about."""
    async with a_store() as (store, _):
        for text, bindings in [
            ("SELECT nope", ()),
            ("SELECT ?", ()),
            ("BEGIN", ()),
            ("SELECT '\ud800'", ()),
            ("SELECT json('{')", ()),
        ]:
            with pytest.raises((SqlError, ValueError)):
                execute(store, text, bindings)
            assert store.database is not None
            assert store.database.internal
