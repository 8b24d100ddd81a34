"""SQL of an operator on an object's database."""

from __future__ import annotations

import asyncio

import pytest
from support.stores import a_store

from perdure._base import limits
from perdure._storage import inspection
from perdure._storage.cursor import execute
from perdure._storage.transaction import Transaction
from perdure.errors import SqlError


def on_a_store(work):
    async def run():
        async with a_store() as (store, owner):
            execute(store, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)", ())
            store.end_turn()
            return work(store, owner)

    return asyncio.run(run())


def read(store, text):
    return inspection.read(store, text, time_s=5.0)


def test_reading_opens_no_turn_and_leaves_no_cursor():
    """Nothing keeps a checkpoint from happening afterwards."""

    def work(store, owner):
        turns = owner.turns
        assert read(store, "SELECT a FROM t ORDER BY a") == (["a"], [(1,), (2,)], 0)
        assert owner.turns == turns
        assert not store.has_cursors

    on_a_store(work)


def test_a_statement_that_the_object_prepared_before_is_judged_anew():
    """SQLite asks its authorizer only when it prepares."""

    def work(store, owner):
        for text in ("DELETE FROM t WHERE a = 5", "PRAGMA foreign_keys = OFF"):
            execute(store, text, ())
            execute(store, text, ())
            store.end_turn()
            with pytest.raises(SqlError):
                read(store, text)

    on_a_store(work)


def test_the_object_may_write_again_afterwards():
    """Also when the reading failed."""

    def work(store, owner):
        for text in ("SELECT 1", "SELEC", "DELETE FROM t"):
            try:
                read(store, text)
            except SqlError:
                pass
            execute(store, "INSERT INTO t VALUES (3)", ())
            store.end_turn()
        assert read(store, "SELECT count(*) FROM t").rows == [(5,)]

    on_a_store(work)


def test_a_setting_is_not_changed_by_reading():
    """It would stay for the object."""

    def work(store, owner):
        with pytest.raises(SqlError, match="not authorized"):
            read(store, "PRAGMA foreign_keys = OFF")
        assert read(store, "PRAGMA foreign_keys").rows == [(1,)]

    on_a_store(work)


def test_tables_of_modules_can_be_read():
    """Full text and r-trees prepare writing statements of their own when they are opened."""

    def work(store, owner):
        execute(store, "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('one two')", ())
        execute(store, "CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES (1, 2, 3)", ())
        store.end_turn()
        store.close()
        assert read(store, "SELECT x FROM f WHERE f MATCH 'two'").rows == [("one two",)]
        assert read(store, "SELECT id FROM r").rows == [(1,)]

    on_a_store(work)


def test_an_endless_query_is_ended():
    """With what can be done."""

    def work(store, owner):
        endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x"
        with pytest.raises(SqlError, match="longer than 0.05 s"):
            inspection.read(store, endless, time_s=0.05)

    on_a_store(work)


def test_a_result_has_a_bound(monkeypatch):
    """The runtime's memory is everybody's."""
    monkeypatch.setattr(limits, "SQL_RETURNING_BYTES_MAX", 1000)

    def work(store, owner):
        with pytest.raises(SqlError, match="larger than 1,000 bytes"):
            read(store, "SELECT zeroblob(600) FROM t")
        assert not store.has_cursors

    on_a_store(work)


def test_text_that_is_not_utf_8_is_told():
    """With a way to see it."""

    def work(store, owner):
        with pytest.raises(SqlError, match="hex"):
            read(store, "SELECT CAST(x'ff' AS TEXT)")

    on_a_store(work)


def test_writing_counts_what_changed_and_keeps_the_last_rows():
    """Inside the caller's savepoint."""

    def work(store, owner):
        level = Transaction(store, whole=False)
        result = inspection.write(store, "INSERT INTO t VALUES (3); UPDATE t SET a = a + 1 RETURNING a")
        level.commit()
        assert result.changes == 4
        assert result.rows == [(2,), (3,), (4,)]

    on_a_store(work)
