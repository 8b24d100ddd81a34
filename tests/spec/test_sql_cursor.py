"""Cursors of `sql.exec`: rows, position, what happens to them meanwhile (SQL-08…15)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.inside import an_object, in_object, inside

from perdure.errors import SqlError
from perdure.sql import Row
from perdure.testing import evict_durable_object

THREE = "CREATE TABLE t (n INTEGER, s TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')"
ALL = "SELECT n, s FROM t ORDER BY n"
NO_RESULT = r"^Expected exactly one result from SQL query, but got no results\.$"
MANY_RESULTS = r"^Expected exactly one result from SQL query, but got multiple results\.$"


async def with_three(work: Any) -> Any:
    """Run `work(sql)` in an object with a table of three rows."""

    def run(storage: Any) -> Any:
        storage.sql.exec(THREE)
        return work(storage.sql)

    return await in_object(run)


# --- rows --------------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-08")
async def test_a_cursor_is_an_iterator_of_rows() -> None:
    """Each row is a dict by column name, in column order (SQL-08)."""
    rows = await with_three(lambda sql: list(sql.exec(ALL)))
    assert rows == [{"n": 1, "s": "one"}, {"n": 2, "s": "two"}, {"n": 3, "s": "three"}]
    assert list(rows[0]) == ["n", "s"]


@pytest.mark.rows("SQL-08")
async def test_the_rows_can_be_read_once() -> None:
    """A cursor at its end stays there, however it is asked (SQL-08)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec(ALL)
        return len(list(cursor)), list(cursor), cursor.to_list(), cursor.raw().to_list(), next(cursor, "end")

    assert await with_three(work) == (3, [], [], [], "end")


@pytest.mark.rows("SQL-08")
async def test_of_two_columns_with_one_name_the_last_wins() -> None:
    """Duplicate column names collapse in the dict (SQL-08)."""
    assert await with_three(lambda sql: sql.exec("SELECT 1 AS a, 2 AS b, 3 AS a").one()) == {"a": 3, "b": 2}


@pytest.mark.rows("SQL-08")
async def test_a_row_has_its_columns_as_attributes() -> None:
    """`row.name` is `row["name"]`, but for names that a dict has itself."""

    def work(sql: Any) -> Any:
        row = sql.exec("SELECT 5 AS n, 'x' AS items, 1 AS \"two words\"").one()
        with pytest.raises(
            AttributeError, match=r"the row has no column 'missing'; its columns are n, items, two words"
        ):
            row.missing
        return row.n, row["items"], callable(row.items), row["two words"]

    assert await with_three(work) == (5, "x", True, 1)


async def test_a_row_is_a_plain_dict_for_others() -> None:
    """A row serialises, compares and copies as a dict, and is stored as one."""

    async def work(storage: Any) -> Any:
        row = storage.sql.exec("SELECT 1 AS n").one()
        await storage.put("row", row)
        return json.dumps(row), row == {"n": 1}, type(row), type(await storage.get("row"))

    assert await in_object(work) == ('{"n": 1}', True, Row, dict)


# --- raw ---------------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-09")
async def test_raw_rows_are_tuples_with_every_column() -> None:
    """`raw()` gives tuples in column order, duplicates kept (SQL-09)."""
    assert await with_three(lambda sql: sql.exec("SELECT 1 AS a, 2 AS b, 3 AS a").raw().to_list()) == [
        (1, 2, 3)
    ]


@pytest.mark.rows("SQL-09")
async def test_raw_shares_the_position_of_its_cursor() -> None:
    """A cursor and its raw form can be read in turns (SQL-09)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec(ALL)
        raw = cursor.raw()
        return next(raw), next(cursor), next(raw), next(raw, "end"), next(cursor, "end")

    assert await with_three(work) == ((1, "one"), {"n": 2, "s": "two"}, (3, "three"), "end", "end")


@pytest.mark.rows("SQL-09")
async def test_raw_may_be_left_half_read() -> None:
    """What a loop over `raw()` did not read is left to the cursor (SQL-09)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec(ALL)
        for _ in cursor.raw():
            break
        return cursor.to_list()

    assert [row["n"] for row in await with_three(work)] == [2, 3]


# --- to_list and one ---------------------------------------------------------------------------------


@pytest.mark.rows("SQL-10")
async def test_to_list_gives_the_remaining_rows() -> None:
    """`to_list()` is the rest, an empty list the second time (SQL-10)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec("SELECT n FROM t ORDER BY n")
        next(cursor)
        return cursor.to_list(), cursor.to_list()

    assert await with_three(work) == ([{"n": 2}, {"n": 3}], [])


@pytest.mark.rows("SQL-10")
async def test_unread_rows_of_a_writing_statement_are_bounded() -> None:
    """RETURNING keeps its rows in memory, so there is a limit: all is written, and reading past it says so (SQL-10)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (b)")
        cursor = storage.sql.exec(
            "INSERT INTO t SELECT zeroblob(8000000) FROM json_each('[1,2,3,4,5,6,7,8,9,10]') RETURNING b"
        )
        with pytest.raises(SqlError, match="SQL query result set is too large to fit in memory"):
            cursor.to_list()
        return storage.sql.exec("SELECT count(*) AS n FROM t").one().n

    assert await in_object(work) == 10


@pytest.mark.rows("SQL-11")
async def test_one_gives_the_only_row() -> None:
    """`one()` is the row, and the cursor is at its end (SQL-11)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec("SELECT 7 AS seven")
        row = cursor.one()
        with pytest.raises(SqlError, match=NO_RESULT):
            cursor.one()
        return row, cursor.to_list()

    assert await with_three(work) == ({"seven": 7}, [])


@pytest.mark.rows("SQL-11")
@pytest.mark.parametrize("query", ["SELECT 1 WHERE 0", "CREATE TABLE u (n)", "INSERT INTO t VALUES (4, '')"])
async def test_one_of_nothing_is_an_error(query: str) -> None:
    """A query without rows, and a statement that has none, are the same (SQL-11)."""

    def work(sql: Any) -> None:
        with pytest.raises(SqlError, match=NO_RESULT):
            sql.exec(query).one()

    await with_three(work)


@pytest.mark.rows("SQL-11")
async def test_one_of_many_is_an_error_that_closes_the_cursor() -> None:
    """More than one row: the error, and the cursor gives nothing any more (SQL-11)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec(ALL)
        with pytest.raises(SqlError, match=MANY_RESULTS):
            cursor.one()
        return cursor.to_list(), next(cursor, "end"), cursor.column_names

    assert await with_three(work) == ([], "end", ["n", "s"])


@pytest.mark.rows("SQL-11")
async def test_one_counts_the_rows_that_are_left() -> None:
    """`one()` after reading all but one row gives the last (SQL-11)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec("SELECT n FROM t ORDER BY n")
        next(cursor)
        next(cursor)
        return cursor.one()

    assert await with_three(work) == {"n": 3}


# --- column_names ------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-12")
async def test_column_names_are_there_before_during_and_after() -> None:
    """The names are the same at any time, duplicates and expressions included (SQL-12)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec('SELECT n, 1 + 1, s AS "x y", n FROM t')
        before = cursor.column_names
        next(cursor)
        during = cursor.column_names
        list(cursor)
        return before, during, cursor.column_names

    names = ["n", "1 + 1", "x y", "n"]
    assert await with_three(work) == (names, names, names)


@pytest.mark.rows("SQL-12")
@pytest.mark.parametrize("query", ["SELECT n, s FROM t WHERE 0", "SELECT n, s FROM t WHERE n > 99"])
async def test_column_names_of_a_query_without_rows(query: str) -> None:
    """A query that gives no row has its columns all the same, each time (SQL-12)."""
    assert await with_three(lambda sql: [sql.exec(query).column_names for _ in range(2)]) == [["n", "s"]] * 2


@pytest.mark.rows("SQL-12")
@pytest.mark.parametrize(
    "query", ["UPDATE t SET s = ''", "CREATE TABLE u (n)", "INSERT INTO t VALUES (1, '')"]
)
async def test_a_statement_without_results_has_no_columns(query: str) -> None:
    """What is no query has no column names (SQL-12)."""
    assert await with_three(lambda sql: sql.exec(query).column_names) == []


@pytest.mark.rows("SQL-12")
async def test_returning_has_columns_though_no_row_was_written() -> None:
    """RETURNING of a statement that wrote nothing has its columns (SQL-12)."""
    assert await with_three(
        lambda sql: sql.exec("UPDATE t SET s = '' WHERE n > 99 RETURNING n, s AS text").column_names
    ) == ["n", "text"]


async def test_the_list_of_names_is_the_callers_own() -> None:
    """Changing the list changes nothing for others (SQL-12)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec("SELECT n FROM t")
        cursor.column_names.append("x")
        return cursor.column_names, cursor.to_list()[0]

    assert await with_three(work) == (["n"], {"n": 1})


# --- what happens meanwhile --------------------------------------------------------------------------


@pytest.mark.rows("SQL-15")
async def test_a_cursor_sees_rows_that_are_inserted_ahead_of_it() -> None:
    """A cursor reads as SQLite goes: rows inserted behind its position are met (SQL-15)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
        seen = []
        for row in storage.sql.exec("SELECT n FROM t"):
            seen.append(row.n)
            if row.n < 3:
                storage.sql.exec("INSERT INTO t VALUES (?)", row.n + 10)
        return seen

    assert await in_object(work) == [1, 2, 3, 11, 12]


@pytest.mark.rows("SQL-14", "SQL-15")
async def test_a_cursor_is_one_row_ahead() -> None:
    """The row after the one in hand was read already: a change to it is not seen (SQL-14)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(
            "CREATE TABLE t (n INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)"
        )
        seen = []
        for row in storage.sql.exec("SELECT n, v FROM t"):
            seen.append((row.n, row.v))
            storage.sql.exec("UPDATE t SET v = v + 1")
        return seen

    assert await in_object(work) == [(1, 0), (2, 0), (3, 1)]


@pytest.mark.rows("SQL-15")
async def test_rows_that_are_deleted_ahead_are_not_seen() -> None:
    """Deleting from the table that is being read is allowed (SQL-15)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3), (4)")
        seen = []
        for row in storage.sql.exec("SELECT n FROM t"):
            seen.append(row.n)
            storage.sql.exec("DELETE FROM t WHERE n = ?", row.n + 2)
        return seen

    assert await in_object(work) == [1, 2, 4]


@pytest.mark.rows("SQL-15")
async def test_a_cursor_kept_over_a_suspension_has_no_snapshot() -> None:
    """It goes on after other turns have committed, and sees what they wrote (SQL-15)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
        cursor = storage.sql.exec("SELECT n FROM t")
        first = next(cursor).n
        await storage.sync()
        storage.sql.exec("INSERT INTO t VALUES (9)")
        await storage.sync()
        return [first, *(row.n for row in cursor)]

    assert await in_object(work) == [1, 2, 3, 9]


@pytest.mark.rows("SQL-15")
async def test_an_open_cursor_does_not_hold_up_commits() -> None:
    """Writes of later turns become durable while a cursor stands half-read (SQL-15)."""

    async def work(instance: Any) -> None:
        storage = instance.ctx.storage
        storage.sql.exec("CREATE TABLE IF NOT EXISTS t (n); INSERT INTO t VALUES (1), (2), (3)")
        instance.kept = storage.sql.exec("SELECT n FROM t")
        next(instance.kept)
        for number in range(5):
            storage.kv.put("k", number)
            await storage.sync()

    async with an_object() as stub:
        await inside(stub, work)
        await evict_durable_object(stub)
        assert await inside(stub, lambda instance: instance.ctx.storage.kv.get("k")) == 4


@pytest.mark.rows("SQL-15")
async def test_a_table_that_is_being_read_cannot_be_dropped() -> None:
    """DROP TABLE under an open cursor is `database table is locked`; the cursor goes on (SQL-15)."""

    def work(sql: Any) -> Any:
        cursor = sql.exec("SELECT n FROM t")
        next(cursor)
        with pytest.raises(SqlError, match=r"^database table is locked: SQLITE_LOCKED$"):
            sql.exec("DROP TABLE t")
        sql.exec("CREATE TABLE u (n)")
        sql.exec("ALTER TABLE t ADD COLUMN x")
        return [row.n for row in cursor]

    assert await with_three(work) == [2, 3]


@pytest.mark.rows("SQL-15", "TXN-10")
async def test_a_rollback_ends_an_open_cursor_with_an_error() -> None:
    """A cursor that was open when a savepoint was rolled back says so, once, and then is at its end (SQL-15)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(THREE)
        cursor = storage.sql.exec("SELECT n FROM t")
        next(cursor)
        with pytest.raises(ZeroDivisionError):
            storage.transaction_sync(lambda: (storage.sql.exec("DELETE FROM t"), 1 / 0))
        with pytest.raises(SqlError, match="abort due to ROLLBACK: SQLITE_ABORT"):
            cursor.to_list()
        return cursor.to_list(), storage.sql.exec("SELECT count(*) AS n FROM t").one().n

    assert await in_object(work) == ([], 3)
