"""`cursor.rows_read` and `cursor.rows_written`: how Cloudflare counts, without workerd's patch of SQLite (SQL-13, SQL-14)."""

from __future__ import annotations

from typing import Any

import pytest
from support import counted
from support.inside import Plain, Unsynced, an_object, in_object, inside

from perdure import Runtime
from perdure.testing import evict_durable_object

FIVE = (
    "CREATE TABLE t (n INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)"
)


def counters(cursor: Any) -> tuple[int, int]:
    return cursor.rows_read, cursor.rows_written


@pytest.mark.rows("SQL-13")
@pytest.mark.parametrize("name", ["PLAIN", "INDEXED", "KEYED"])
async def test_statements_count_as_in_workerd(name: str) -> None:
    """Rows looked at, and rows and index entries written, are those that workerd counts (SQL-13)."""
    story: counted.Story = getattr(counted, name)

    def work(storage: Any) -> Any:
        found = []
        for statement, wanted in story:
            cursor = storage.sql.exec(statement)
            cursor.to_list()
            found.append((statement, counters(cursor) if wanted else None))
        return found

    assert await in_object(work) == story


@pytest.mark.rows("SQL-13")
@pytest.mark.parametrize("name", ["PLAIN", "INDEXED", "KEYED"])
async def test_what_another_object_said_before_counts_the_same(name: str) -> None:
    """A text that is new to this object alone is not watched before somebody asks, and is told right (SQL-13)."""
    story: counted.Story = getattr(counted, name)
    first = next(index for index, (_, wanted) in enumerate(story) if wanted)

    def work(storage: Any) -> Any:
        for statement, _ in story[: first + 1]:
            cursor = storage.sql.exec(statement)
            cursor.to_list()
        return cursor

    async with Runtime(objects=[Plain], disk=Unsynced()) as runtime:
        objects = runtime.namespace(Plain)
        await inside(objects.get_by_name("a"), lambda instance: work(instance.ctx.storage) and None)
        asked = await inside(objects.get_by_name("b"), lambda instance: counters(work(instance.ctx.storage)))
    assert asked == story[first][1]


@pytest.mark.rows("SQL-13")
async def test_the_counters_run_while_rows_are_read() -> None:
    """Before the first row, between rows and at the end the numbers are those of that moment (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(FIVE)
        cursor = storage.sql.exec("SELECT n FROM t WHERE v % 2 = 1")
        seen = [counters(cursor)]
        for _ in cursor:
            seen.append(counters(cursor))
        return seen

    assert await in_object(work) == [(1, 0), (3, 0), (5, 0), (5, 0)]


@pytest.mark.rows("SQL-14")
async def test_the_statement_is_one_row_ahead() -> None:
    """After a row was handed out the next one has been read, so it counts already (SQL-14)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(FIVE)
        cursor = storage.sql.exec("SELECT n FROM t")
        before = cursor.rows_read
        next(cursor)
        return before, cursor.rows_read

    assert await in_object(work) == (1, 2)


@pytest.mark.rows("SQL-13")
async def test_the_counters_stay_readable() -> None:
    """They can be asked for again at the end, after an eviction too, and asking changes nothing (SQL-13)."""
    async with an_object() as stub:

        def work(instance: Any) -> Any:
            instance.ctx.storage.sql.exec(FIVE)
            cursor = instance.ctx.storage.sql.exec("SELECT n FROM t")
            cursor.to_list()
            return cursor, [counters(cursor) for _ in range(3)]

        cursor, seen = await inside(stub, work)
        await evict_durable_object(stub)
        assert seen == [(5, 0)] * 3
        assert counters(cursor) == (5, 0)


@pytest.mark.rows("SQL-13")
async def test_asking_does_not_move_the_cursor() -> None:
    """Counting leaves the cursor, and every other one, where it was (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(FIVE)
        one, other = storage.sql.exec("SELECT n FROM t").raw(), storage.sql.exec("SELECT n FROM t")
        rows = []
        for row in one:
            rows.append((row[0], next(other).n))
            counters(other)
        return rows, counters(other)

    assert await in_object(work) == ([(n, n) for n in range(1, 6)], (5, 0))


@pytest.mark.rows("SQL-13", "SQL-11")
async def test_a_cursor_that_was_closed_early_has_counted_so_far() -> None:
    """`one()` of many rows closes the cursor; what was read until then counts (SQL-11)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (2), (1)")
        cursor = storage.sql.exec("SELECT n FROM t ORDER BY n")
        with pytest.raises(Exception, match="multiple results"):
            cursor.one()
        return cursor.rows_read

    assert await in_object(work) == 4


@pytest.mark.rows("SQL-13")
async def test_only_the_last_statement_of_a_text_counts() -> None:
    """The counters are those of the cursor's own statement (SQL-13)."""

    def work(storage: Any) -> Any:
        cursor = storage.sql.exec(f"{FIVE}; INSERT INTO t SELECT n + 5, v FROM t")
        return counters(cursor)[1], counters(storage.sql.exec("DELETE FROM t; SELECT * FROM t"))

    assert await in_object(work) == (5, (1, 0))


@pytest.mark.rows("SQL-13")
async def test_a_text_that_ran_often_is_counted_when_somebody_asks_at_last() -> None:
    """A writing statement is not watched each time; the first question answers from what is known (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (k TEXT PRIMARY KEY, n)")
        for number in range(50):
            cursor = storage.sql.exec("INSERT INTO t VALUES (?, ?)", str(number), number)
        return counters(cursor), counters(storage.sql.exec("UPDATE t SET n = 0"))

    assert await in_object(work) == ((0, 2), (50, 50))


@pytest.mark.rows("SQL-13")
async def test_inserts_and_updates_of_an_upsert_are_told_apart() -> None:
    """A new row writes its index entry too, an updated one does not; also of several rows at once (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (k TEXT PRIMARY KEY, n)")
        query = "INSERT INTO t VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1"
        seen = [counters(storage.sql.exec(query, key)) for key in "aaba"]
        many = (
            "INSERT INTO t VALUES ('a', 1), ('c', 1), ('b', 1), ('d', 1) ON CONFLICT DO UPDATE SET n = n + 1"
        )
        return seen, counters(storage.sql.exec(many))

    assert await in_object(work) == ([(0, 2), (1, 1), (0, 2), (1, 1)], (2, 6))


@pytest.mark.rows("SQL-13")
async def test_triggers_count_as_written() -> None:
    """Rows that a trigger writes count with the statement that fired it (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(
            "CREATE TABLE t (n); CREATE TABLE log (n); "
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.n); END"
        )
        return counters(storage.sql.exec("INSERT INTO t VALUES (1)"))

    assert await in_object(work) == (0, 2)


@pytest.mark.rows("SQL-13")
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("INSERT INTO f VALUES ('hello world'), ('good bye')", (0, 2)),
        ("SELECT * FROM f WHERE f MATCH 'hello'", (1, 0)),
        ("SELECT * FROM f", (2, 0)),
        ("DELETE FROM f WHERE rowid = 1", (0, 1)),
        ("UPDATE f SET body = 'x'", (4, 2)),
    ],
)
async def test_rows_of_virtual_tables_count(query: str, wanted: tuple[int, int]) -> None:
    """Writes to a full-text table count as rows, what it keeps inside does not (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE VIRTUAL TABLE f USING fts5 (body)")
        if not query.startswith("INSERT"):
            storage.sql.exec("INSERT INTO f VALUES ('hello world'), ('good bye')")
        cursor = storage.sql.exec(query)
        cursor.to_list()
        return counters(cursor)

    assert await in_object(work) == wanted


@pytest.mark.rows("SQL-13")
@pytest.mark.parametrize(
    "query",
    [
        "PRAGMA table_list",
        "PRAGMA foreign_keys",
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN SELECT 1",
        "CREATE TABLE IF NOT EXISTS t (n)",
    ],
)
async def test_what_touches_no_row_counts_none(query: str) -> None:
    """Statements about the schema that change nothing count nothing (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (1)")
        cursor = storage.sql.exec(query)
        cursor.to_list()
        return counters(cursor)

    assert await in_object(work) == (0, 0)


@pytest.mark.rows("SQL-13")
async def test_asking_is_never_an_error() -> None:
    """A cursor whose table has gone since, or whose object was emptied, tells what can be known (SQL-13)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec(FIVE)
        cursor = storage.sql.exec("SELECT n FROM t")
        cursor.to_list()
        storage.sql.exec("DROP TABLE t")
        dropped = counters(cursor)
        await storage.delete_all()
        return dropped, counters(cursor)

    assert all(type(number) is int for pair in await in_object(work) for number in pair)


@pytest.mark.rows("SQL-13", "SQL-29")
async def test_a_statement_that_is_too_involved_is_estimated() -> None:
    """Counting takes a bounded effort, and then gives about the number of rows scanned (SQL-13)."""

    def work(storage: Any) -> Any:
        storage.sql.exec(FIVE)
        union = " UNION ".join(["SELECT n FROM t WHERE v > 1 AND v < 9"] * 5)
        cursor = storage.sql.exec(f"SELECT n, sum(n) OVER (ORDER BY n) FROM ({union}) ORDER BY n DESC")
        cursor.to_list()
        return cursor.rows_read

    assert await in_object(work) >= 4
