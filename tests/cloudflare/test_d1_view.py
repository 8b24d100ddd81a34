"""D1 databases under Cloudflare's names: values, results and errors as the SDK shows them."""

from __future__ import annotations

import datetime
import json

import pytest

from perdure import D1Error, testing
from perdure._cloudflare.env_view import EnvView
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsDict, Uint8Array, jsnull, to_js, undefined
from perdure._cloudflare.workers.rpc import _BindingWrapper, _RpcStubWrapper


async def with_database(work):
    """Run `await work(db)` on a database with one table."""
    async with testing.runtime(d1_databases=["DB"]) as app:
        db = EnvView(app.env).DB
        await db.exec(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)\nINSERT INTO t (name) VALUES ('a'), ('b')"
        )
        return await work(db)


@pytest.mark.parametrize(
    ("value", "kind", "quoted"),
    [
        (1, "real", "1.0"),
        (1.5, "real", "1.5"),
        ("text", "text", "'text'"),
        (True, "real", "1.0"),
        (False, "real", "0.0"),
        (None, "null", "NULL"),
        (jsnull, "null", "NULL"),
        (undefined, "null", "NULL"),
        (b"\x01", "blob", "X'01'"),
        (memoryview(b"\x01"), "blob", "X'01'"),
        (Uint8Array(b"\x01"), "blob", "X'01'"),
        ([1, 255], "blob", "X'01FF'"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.members("D1PreparedStatement.bind")
async def test_a_value_is_bound_as_on_cloudflare(value, kind, quoted):
    """Numbers are REAL, booleans 1 and 0 among them, arrays of bytes blobs."""

    async def work(db):
        return await db.prepare("SELECT typeof(?1) AS kind, quote(?1) AS quoted").bind(value).first()

    assert await with_database(work) == {"kind": kind, "quoted": quoted}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1}, "D1_TYPE_ERROR: Type 'object' not supported for value '[object Object]'"),
        ([1, 256], "D1_TYPE_ERROR: Type 'object' not supported for value '1,256'"),
        (2**53, "D1_TYPE_ERROR: Type 'bigint' not supported for value '9007199254740992'"),
        (datetime.datetime(2026, 1, 1), "D1_TYPE_ERROR: Type 'object' not supported"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_value_of_another_type_is_refused(value, text):
    """When it is bound, as a JsException and a TypeError."""

    async def work(db):
        with pytest.raises(JsException) as caught:
            db.prepare("SELECT ?").bind(value)
        assert isinstance(caught.value, TypeError)
        return caught.value.message

    assert (await with_database(work)).startswith(text)


@pytest.mark.members("D1PreparedStatement.all", "D1PreparedStatement.run")
async def test_a_result_is_an_object_with_an_array_of_rows():
    """By item and by attribute, with the members of both languages, and as JSON."""

    async def work(db):
        return await db.prepare("SELECT id, name FROM t").all(), await db.prepare("SELECT 1 AS n").run()

    result, other = await with_database(work)
    assert type(result) is JsDict
    assert result.success is result["success"] is True
    assert [row.name for row in result.results] == [row["name"] for row in result["results"]] == ["a", "b"]
    assert result.results.to_py() == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert isinstance(result.results, list)
    assert (result.results.length, result.results[0].to_py()) == (2, {"id": 1, "name": "a"})
    assert json.loads(json.dumps(result))["meta"]["rows_read"] == 2
    assert set(result.meta) == set(
        "served_by duration changes last_row_id changed_db size_after rows_read rows_written".split()
    )
    assert other.results == [{"n": 1}]


@pytest.mark.members("D1PreparedStatement.raw")
@pytest.mark.parametrize("arguments", [((), {}), ((None,), {}), (({"columnNames": False},), {})], ids=str)
async def test_raw_gives_arrays(arguments):
    """Without options, or with those that say no."""

    async def work(db):
        args, named = arguments
        return await db.prepare("SELECT id, name FROM t").raw(*args, **named)

    rows = await with_database(work)
    assert rows == [[1, "a"], [2, "b"]]
    assert rows.to_py() == [[1, "a"], [2, "b"]]


@pytest.mark.members("D1PreparedStatement.raw")
@pytest.mark.parametrize(
    "arguments",
    [
        (({"columnNames": True},), {}),
        ((), {"columnNames": True}),
        ((to_js({"columnNames": True}),), {}),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_raw_begins_with_the_names_on_request(arguments):
    """As an object of options, or by keyword."""

    async def work(db):
        args, named = arguments
        return await db.prepare("SELECT id, name FROM t LIMIT 1").raw(*args, **named)

    assert await with_database(work) == [["id", "name"], [1, "a"]]


@pytest.mark.members("D1PreparedStatement.first")
async def test_values_come_as_through_json():
    """Whole numbers are int, blobs arrays of numbers, what is beyond 2**53 a float, infinity null."""

    async def work(db):
        first = db.prepare(
            "SELECT 2.0 AS a, x'00ff' AS b, 9007199254740993 AS c, NULL AS d, 9e999 AS e"
        ).first
        return await first(), await first("a"), await first("b"), await first("d")

    row, a, b, d = await with_database(work)
    assert row == {"a": 2, "b": [0, 255], "c": 9007199254740992.0, "d": None, "e": None}
    assert (a, b, d, type(a), bytes(b)) == (2, [0, 255], None, int, b"\0\xff")


async def test_a_row_without_the_column_is_an_error():
    """D1_COLUMN_NOTFOUND."""

    async def work(db):
        with pytest.raises(JsException, match="D1_COLUMN_NOTFOUND") as caught:
            await db.prepare("SELECT 1 AS a").first("b")
        return caught.value.message

    assert await with_database(work) == "D1_COLUMN_NOTFOUND: Column not found (b)"


@pytest.mark.members("D1Database.prepare")
async def test_what_sqlite_says_is_a_js_exception_and_a_d1_error():
    """Its message is Cloudflare's text."""

    async def work(db):
        with pytest.raises(JsException, match="syntax error") as caught:
            await db.prepare("SELEC").run()
        return caught.value

    error = await with_database(work)
    assert error.message == 'D1_ERROR: near "SELEC": syntax error at offset 0: SQLITE_ERROR'
    assert error.name == "Error"
    assert isinstance(error, D1Error)


@pytest.mark.members("D1Database.batch")
async def test_a_batch_takes_lists_of_both_languages():
    """And gives an array of results, or nothing has happened."""

    async def work(db):
        insert = db.prepare("INSERT INTO t (name) VALUES (?)")
        results = await db.batch(to_js([insert.bind("c"), insert.bind("d")]))
        with pytest.raises(JsException, match="UNIQUE"):
            await db.batch([insert.bind("e"), insert.bind("a")])
        return results, await db.prepare("SELECT count(*) AS n FROM t").first("n")

    results, count = await with_database(work)
    assert [result.meta.last_row_id for result in results] == [3, 4]
    assert count == 4


@pytest.mark.members("D1Database.exec")
async def test_exec_gives_count_and_duration():
    """And names the line that failed."""

    async def work(db):
        with pytest.raises(JsException, match=r"^Error: D1_EXEC_ERROR: Error in line 2: nope: "):
            await db.exec("SELECT 1\nnope")
        return await db.exec("SELECT 1;\nSELECT 2;")

    done = await with_database(work)
    assert done["count"] == done.count == 2
    assert done.duration >= 0


@pytest.mark.members("D1Database.withSession", "D1DatabaseSession.getBookmark")
async def test_a_session_has_a_bookmark_after_its_first_query():
    """None before; its statements and batches are those of the database."""

    async def work(db):
        session = db.withSession()
        before = session.getBookmark()
        await session.batch([session.prepare("INSERT INTO t (name) VALUES (?)").bind("c")])
        again = db.withSession(session.getBookmark())
        return before, session.getBookmark(), await again.prepare("SELECT count(*) AS n FROM t").first("n")

    before, after, count = await with_database(work)
    assert before is None
    assert isinstance(after, str)
    assert count == 3


async def test_statements_are_bindings_and_no_stubs():
    """As the SDK's wrappers are told apart."""

    async def work(db):
        return [db, db.prepare("SELECT 1"), db.prepare("SELECT ?").bind(1)]

    for one in await with_database(work):
        assert isinstance(one, _BindingWrapper)
        assert not isinstance(one, _RpcStubWrapper)
        assert not callable(one)


async def test_a_name_that_is_not_there_is_told_with_those_that_are():
    """`dump` needs Cloudflare's alpha databases, and is none of the names."""

    async def work(db):
        with pytest.raises(
            AttributeError, match="D1Database has no 'dump' here; it has batch, exec, prepare, withSession"
        ):
            db.dump
        with pytest.raises(AttributeError, match="D1PreparedStatement has no 'execute'"):
            db.prepare("SELECT 1").execute

    await with_database(work)
