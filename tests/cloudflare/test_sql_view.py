"""`ctx.storage.sql` under Cloudflare's names."""

from __future__ import annotations

import datetime

import pytest
from cloudflare.inside import within

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsDict, Uint8Array, jsnull


async def one(self, query, *bindings):
    return self.ctx.storage.sql.exec(query, *bindings).one()


@pytest.mark.rows("SQL-06")
@pytest.mark.parametrize(
    ("value", "kind", "quoted"),
    [
        (1, "real", "1.0"),
        (1.5, "real", "1.5"),
        ("text", "text", "'text'"),
        (b"\x01", "blob", "X'01'"),
        (memoryview(b"\x01"), "blob", "X'01'"),
        (Uint8Array(b"\x01"), "blob", "X'01'"),
        (None, "null", "NULL"),
        (jsnull, "null", "NULL"),
        (True, "text", "'true'"),
        (False, "text", "'false'"),
    ],
    ids="int float str bytes memoryview Uint8Array None jsnull true false".split(),
)
async def test_a_binding_is_what_it_is_on_cloudflare(value, kind, quoted):
    """Numbers are REAL, booleans texts, null and undefined NULL."""

    async def work(self):
        return await one(self, "SELECT typeof(?1) AS kind, quote(?1) AS quoted", value)

    assert await within(work) == {"kind": kind, "quoted": quoted}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**53, "parameter 2 is 9007199254740992"),
        ({"a": 1}, "parameter 2 is of type dict"),
        ([1], "parameter 2 is of type list"),
        (datetime.datetime(2026, 1, 1), "parameter 2 is of type datetime"),
        ((1,), "tuple cannot be sent"),
    ],
)
async def test_a_binding_that_sqlite_cannot_store_is_refused(value, text):
    """The error names the parameter and says what to bind instead."""

    async def work(self):
        with pytest.raises(TypeError) as caught:
            self.ctx.storage.sql.exec("SELECT ?, ?", 1, value)
        return str(caught.value)

    assert text in await within(work)


@pytest.mark.members("SqlStorageCursor.one")
async def test_a_row_has_items_and_attributes():
    """Values come as Python gets them from JavaScript: whole REALs are ints, large INTEGERs floats, BLOBs bytes."""

    async def work(self):
        return await one(
            self,
            "SELECT 1 AS a, 2.0 AS b, 2.5 AS c, 'x' AS d, NULL AS e, x'00ff' AS f, 9007199254740993 AS g",
        )

    row = await within(work)
    assert type(row) is JsDict
    assert (row.a, row["b"], row.c, row.d, row.e) == (1, 2, 2.5, "x", None)
    assert type(row.b) is int
    assert bytes(row.f) == b"\x00\xff"
    assert row.g == 9007199254740992.0
    assert type(row.g) is float


@pytest.mark.members(
    "SqlStorageCursor.next",
    "SqlStorageCursor.toArray",
    "SqlStorageCursor.raw",
    "SqlStorageCursor.columnNames",
    "SqlStorageCursor.rowsRead",
    "SqlStorageRawIterator.next",
    "SqlStorageRawIterator.toArray",
)
async def test_a_cursor_is_read_in_every_way():
    """By `for`, `next()`, `toArray()`, `raw()`; all share one position."""

    async def work(self):
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT)")
        for x in range(5):
            sql.exec("INSERT INTO t VALUES (?, ?)", x, str(x))
        cursor = sql.exec("SELECT x, y FROM t ORDER BY x")
        first = cursor.next()
        second = next(iter(cursor)).x
        third = cursor.raw().next().value
        rest = [row.x for row in cursor.toArray()]
        end = cursor.next()
        assert cursor.columnNames == ["x", "y"]
        assert cursor.rowsRead == 5
        assert sql.exec("SELECT x, y FROM t WHERE x < ?", 2).raw().toArray() == [[0, "0"], [1, "1"]]
        return first.value.x, first.done, second, third, rest, end.done, end.value

    assert await within(work) == (0, False, 1, [2, "2"], [3, 4], True, None)


async def test_rows_and_columns_are_arrays_of_javascripts_too():
    """`.toArray().to_py()` and `.length` are how code reads them that was written when they were proxies."""

    async def work(self):
        sql = self.ctx.storage.sql
        query = "SELECT 1 AS x, 'a' AS y"
        assert sql.exec(query).toArray().to_py() == [{"x": 1, "y": "a"}]
        assert sql.exec(query).toArray().length == 1
        assert sql.exec(query).raw().toArray().to_py() == [[1, "a"]]
        assert sql.exec(query).raw().next().value.to_py() == [1, "a"]
        return sql.exec(query).columnNames.to_py()

    assert await within(work) == ["x", "y"]


async def test_an_error_of_sqlite_is_an_exception_of_both_worlds():
    """`except JsException` takes it; it has `.name` and `.message`, and the object lives on."""

    async def work(self):
        sql = self.ctx.storage.sql
        with pytest.raises(JsException) as caught:
            sql.exec("SELECT * FROM missing")
        with pytest.raises(Exception, match="got no results"):
            sql.exec("SELECT 1 WHERE 0").one()
        with pytest.raises(Exception, match="got multiple results"):
            sql.exec("SELECT 1 UNION SELECT 2").one()
        with pytest.raises(Exception, match="Wrong number of parameter bindings"):
            sql.exec("SELECT ?")
        return caught.value

    error = await within(work)
    assert error.name == "Error"
    assert error.message == "no such table: missing: SQLITE_ERROR"


@pytest.mark.members("SqlStorageCursor.rowsWritten", "SqlStorage.databaseSize")
async def test_a_written_row_is_counted_and_takes_space():
    """`rowsWritten` and `databaseSize` are numbers."""

    async def work(self):
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE t (x)")
        written = sql.exec("INSERT INTO t VALUES (1), (2)").rowsWritten
        return written, sql.databaseSize

    written, size = await within(work)
    assert written == 2
    assert size >= 4096
