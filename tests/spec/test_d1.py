"""D1 databases: results, errors and transactions as Cloudflare documents them for D1."""

from __future__ import annotations

import datetime
import enum
import json

import pytest

from perdure import ConfigError, D1Error, D1TypeError, DataCloneError, DurableObject, Row, Runtime
from perdure._admin.operations import Objects, Verify

pytestmark = pytest.mark.perdure(d1_databases=["DB"], classes=[])

SCHEMA = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER)"


async def filled(app):
    """Return a database with two users."""
    database = app.env.DB
    await database.exec(SCHEMA)
    await database.prepare("INSERT INTO users (name, age) VALUES ('Ada', 36), ('Alan', 41)").run()
    return database


async def count(db):
    return await db.prepare("SELECT count(*) AS n FROM users").first("n")


# --- statements -----------------------------------------------------------------------------------------


async def test_all_gives_rows_by_name_and_by_attribute(perdure):
    """`results`, `success` and `meta`; the result is iterable."""
    db = await filled(perdure)
    result = await db.prepare("SELECT name, age FROM users ORDER BY age").all()
    assert result.success is True
    assert result.results == [{"name": "Ada", "age": 36}, {"name": "Alan", "age": 41}]
    assert [row.name for row in result] == ["Ada", "Alan"]
    assert len(result) == 2
    assert type(result.results[0]) is Row


async def test_run_is_all(perdure):
    """With the rows of RETURNING, or of a SELECT."""
    db = await filled(perdure)
    result = await db.prepare("INSERT INTO users (name) VALUES ('Eve') RETURNING id").run()
    assert result.results == [{"id": 3}]
    assert (await db.prepare("SELECT 1 AS one").run()).results == [{"one": 1}]


async def test_first_gives_a_row_a_column_or_none(perdure):
    """`first()` and `first(column)`."""
    db = await filled(perdure)
    assert await db.prepare("SELECT name FROM users ORDER BY id").first() == {"name": "Ada"}
    assert await db.prepare("SELECT name FROM users ORDER BY id").first("name") == "Ada"
    assert await db.prepare("SELECT name FROM users WHERE id = 9").first() is None
    assert await db.prepare("SELECT name FROM users WHERE id = 9").first("name") is None


async def test_first_of_a_column_that_is_not_there_is_an_error(perdure):
    """D1_COLUMN_NOTFOUND."""
    db = await filled(perdure)
    with pytest.raises(D1Error, match=r"^D1_COLUMN_NOTFOUND: Column not found \(nope\)$"):
        await db.prepare("SELECT name FROM users").first("nope")


async def test_raw_gives_tuples_with_names_on_request(perdure):
    """Two columns of one name are both there."""
    db = await filled(perdure)
    statement = db.prepare("SELECT id, name AS id FROM users ORDER BY id")
    assert await statement.raw() == [(1, "Ada"), (2, "Alan")]
    assert await statement.raw(column_names=True) == [("id", "id"), (1, "Ada"), (2, "Alan")]
    assert await db.prepare("SELECT name FROM users WHERE 0").raw(column_names=True) == [("name",)]


async def test_of_two_columns_with_one_name_the_last_wins_in_a_row(perdure):
    """As in a JavaScript object."""
    db = await filled(perdure)
    assert await db.prepare("SELECT 1 AS a, 2 AS a").first() == {"a": 2}


async def test_a_statement_runs_again_and_bind_makes_another_one(perdure):
    """The one before keeps its values."""
    db = await filled(perdure)
    statement = db.prepare("SELECT ? AS a")
    one, two = statement.bind(1), statement.bind(2)
    assert [await one.first("a"), await two.first("a"), await one.first("a")] == [1, 2, 1]


async def test_parameters_are_in_order_or_numbered(perdure):
    """`?1` may be used twice."""
    db = await filled(perdure)
    assert await db.prepare("SELECT ?2 || ?1 || ?2 AS a").bind("b", "a").first("a") == "aba"


class Size(enum.IntEnum):
    LARGE = 3


class Word(enum.StrEnum):
    YES = "yes"


@pytest.mark.parametrize(
    ("value", "stored", "kind"),
    [
        (None, None, "null"),
        (True, 1, "integer"),
        (False, 0, "integer"),
        (7, 7, "integer"),
        (2**63 - 1, 2**63 - 1, "integer"),
        (1.0, 1.0, "real"),
        ("é", "é", "text"),
        (b"\0\xff", b"\0\xff", "blob"),
        (bytearray(b"a"), b"a", "blob"),
        (memoryview(b"a"), b"a", "blob"),
        (Size.LARGE, 3, "integer"),
        (Word.YES, "yes", "text"),
    ],
)
async def test_values_are_stored_as_they_are(perdure, value, stored, kind):
    """What SQLite has a type for."""
    db = await filled(perdure)
    row = await db.prepare("SELECT ?1 AS value, typeof(?1) AS kind").bind(value).first()
    assert row == {"value": stored, "kind": kind}
    assert type(row["value"]) is type(stored)


@pytest.mark.parametrize("value", [{}, [1], (1,), datetime.date(2026, 1, 1), object, 2**63, 1j], ids=repr)
async def test_a_value_of_another_type_is_refused_when_it_is_bound(perdure, value):
    """D1_TYPE_ERROR, before anything runs; the text names the type."""
    db = await filled(perdure)
    with pytest.raises(
        D1TypeError, match=f"^D1_TYPE_ERROR: Type '{type(value).__name__}' not supported for value"
    ) as caught:
        db.prepare("SELECT ?").bind(value)
    assert isinstance(caught.value, TypeError)


# --- meta -----------------------------------------------------------------------------------------------


async def test_meta_of_a_write_tells_changes_and_the_last_rowid(perdure):
    """The names are Cloudflare's."""
    db = await filled(perdure)
    meta = (await db.prepare("INSERT INTO users (name) VALUES ('Eve'), ('Mallory')").run()).meta
    assert (meta.changes, meta.last_row_id, meta.changed_db) == (2, 4, True)
    assert meta.rows_written == 4  # of the table and of the index of UNIQUE
    assert meta.duration >= 0
    assert meta.size_after % 4096 == 0
    assert meta.served_by == "perdure"


async def test_meta_of_a_read_tells_the_rows_that_were_looked_at(perdure):
    """And that nothing was changed."""
    db = await filled(perdure)
    meta = (await db.prepare("SELECT * FROM users WHERE age = 41").all()).meta
    assert (meta.changes, meta.changed_db, meta.rows_read, meta.rows_written) == (0, False, 2, 0)


async def test_changes_count_those_of_triggers_and_foreign_keys(perdure):
    """As Cloudflare's do."""
    db = await filled(perdure)
    await db.exec("CREATE TABLE posts (user INTEGER REFERENCES users (id) ON DELETE CASCADE)")
    await db.prepare("INSERT INTO posts VALUES (1), (1)").run()
    assert (await db.prepare("DELETE FROM users WHERE id = 1").run()).meta.changes == 3


async def test_a_changed_schema_changed_the_database(perdure):
    """No row was, but its size."""
    db = await filled(perdure)
    meta = (await db.prepare("CREATE TABLE more (a)").run()).meta
    assert (meta.changes, meta.changed_db) == (0, True)


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "text", "code"),
    [
        ("SELEC", 'near "SELEC": syntax error at offset 0: SQLITE_ERROR', "SQLITE_ERROR"),
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR", "SQLITE_ERROR"),
        ("", "No SQL statements detected.", "SQLITE_ERROR"),
        (" -- nothing\n;", "No SQL statements detected.", "SQLITE_ERROR"),
        ("SELECT ?", "Wrong number of parameter bindings for SQL query.", "SQLITE_ERROR"),
        ("CREATE TABLE _cf_a (b)", "not authorized: SQLITE_AUTH", "SQLITE_AUTH"),
        (
            "INSERT INTO users (name) VALUES ('Ada')",
            "UNIQUE constraint failed: users.name: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)",
            "SQLITE_CONSTRAINT",
        ),
    ],
)
async def test_what_sqlite_says_is_a_d1_error(perdure, query, text, code):
    """`D1_ERROR: <text>: <code>`, the same from all ways to run a statement."""
    db = await filled(perdure)
    statement = db.prepare(query)
    for run in (statement.all, statement.run, statement.first, statement.raw, lambda: db.batch([statement])):
        with pytest.raises(D1Error) as caught:
            await run()
        assert str(caught.value) == f"D1_ERROR: {text}"
        assert caught.value.code == code


@pytest.mark.parametrize("query", ["BEGIN", "BEGIN TRANSACTION", "COMMIT", "SAVEPOINT a"])
async def test_transactions_of_sql_are_refused_with_what_to_use(perdure, query):
    """`batch` is the transaction."""
    db = await filled(perdure)
    with pytest.raises(D1Error, match=r"^D1_ERROR: To execute a transaction, please use batch\(\)"):
        await db.prepare(query).run()


async def test_a_failed_statement_leaves_nothing_and_the_database_goes_on(perdure):
    """The first row of the two is undone."""
    db = await filled(perdure)
    with pytest.raises(D1Error):
        await db.prepare("INSERT INTO users (name) VALUES ('Eve'), ('Ada')").run()
    assert await count(db) == 2


async def test_what_sqlite_says_is_no_failure_of_an_object(caplog):
    """It is an answer, and logged nowhere: an application may count on the error of a constraint."""
    async with Runtime(d1_databases=["DB"]) as rt:
        with caplog.at_level("DEBUG", "perdure"), pytest.raises(D1Error):
            await rt.env.DB.prepare("SELEC").run()
    assert "SELEC" not in caplog.text


async def test_a_statement_is_a_str(perdure):
    """And told at once."""
    db = await filled(perdure)
    with pytest.raises(D1TypeError, match="prepare"):
        db.prepare(None)
    with pytest.raises(D1TypeError, match="exec"):
        await db.exec(b"SELECT 1")


async def test_what_is_no_unicode_text_is_refused_at_once(perdure):
    """Half a surrogate pair, in a statement or in a value."""
    db = await filled(perdure)
    with pytest.raises(D1TypeError, match="half a surrogate pair"):
        db.prepare("SELECT '\ud800'")
    with pytest.raises(D1TypeError, match="half a surrogate pair"):
        await db.exec("SELECT '\ud800'")
    with pytest.raises(D1TypeError, match="half a surrogate pair"):
        db.prepare("SELECT ?").bind("\ud800")


async def test_several_statements_in_one_give_the_rows_of_the_last(perdure):
    """Which has the parameters; all happen, or none. A comment may end the text."""
    db = await filled(perdure)
    both = db.prepare("INSERT INTO users (name) VALUES ('Eve'); SELECT name FROM users WHERE id = ?; -- done")
    result = await both.bind(3).all()
    assert (result.results, result.meta.changes) == ([{"name": "Eve"}], 1)
    with pytest.raises(D1Error, match="no such table"):
        await db.prepare("INSERT INTO users (name) VALUES ('Mallory'); SELECT * FROM nope").run()
    assert await count(db) == 3


# --- batch ----------------------------------------------------------------------------------------------


async def test_a_batch_gives_a_result_for_each_statement_in_order(perdure):
    """Each sees what the ones before wrote."""
    db = await filled(perdure)
    insert = db.prepare("INSERT INTO users (name) VALUES (?)")
    results = await db.batch(
        [insert.bind("Eve"), insert.bind("Bob"), db.prepare("SELECT count(*) AS n FROM users")]
    )
    assert [result.meta.last_row_id for result in results[:2]] == [3, 4]
    assert results[2].results == [{"n": 4}]


async def test_a_batch_rolls_back_whole(perdure):
    """When its last statement fails, nothing of it has happened."""
    db = await filled(perdure)
    insert = db.prepare("INSERT INTO users (name) VALUES (?)")
    with pytest.raises(D1Error, match="^D1_ERROR: UNIQUE constraint failed: users.name"):
        await db.batch([insert.bind("Eve"), db.prepare("CREATE TABLE more (a)"), insert.bind("Ada")])
    assert await count(db) == 2
    assert await db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'more'").first() is None


async def test_a_batch_takes_statements_of_prepare_alone(perdure):
    """And at least one."""
    db = await filled(perdure)
    with pytest.raises(D1Error, match="No SQL statements detected"):
        await db.batch([])
    with pytest.raises(D1TypeError, match="prepare"):
        await db.batch(["SELECT 1"])


async def test_a_batch_may_defer_foreign_keys(perdure):
    """To its end, where they are checked."""
    db = await filled(perdure)
    await db.exec("CREATE TABLE posts (user INTEGER REFERENCES users (id))")
    defer = db.prepare("PRAGMA defer_foreign_keys = on")
    post = db.prepare("INSERT INTO posts VALUES (9)")
    await db.batch([defer, post, db.prepare("INSERT INTO users (id, name) VALUES (9, 'Eve')")])
    with pytest.raises(D1Error, match="FOREIGN KEY constraint failed"):
        await db.batch([post, db.prepare("DELETE FROM users WHERE id = 9")])


# --- exec -----------------------------------------------------------------------------------------------


async def test_exec_runs_a_statement_for_each_line(perdure):
    """Lines without any are passed over."""
    db = await filled(perdure)
    result = await db.exec(
        "\nINSERT INTO users (name) VALUES ('Eve');\n-- and\n\nDELETE FROM users WHERE id < 3\n"
    )
    assert result.count == 2
    assert result.duration >= 0
    assert await count(db) == 1


async def test_exec_of_a_line_that_fails_has_done_nothing(perdure):
    """The error has the line's number and its text; the lines before are undone, as Cloudflare's local D1 undoes them."""
    db = await filled(perdure)
    with pytest.raises(
        D1Error, match='^D1_EXEC_ERROR: Error in line 2: DELET: near "DELET": syntax error at offset 0'
    ):
        await db.exec("INSERT INTO users (name) VALUES ('Eve')\nDELET\nDELETE FROM users")
    assert await count(db) == 2


async def test_a_statement_over_several_lines_is_none_of_exec(perdure):
    """As on Cloudflare: `incomplete input`."""
    db = await filled(perdure)
    with pytest.raises(
        D1Error, match=r"^D1_EXEC_ERROR: Error in line 1: CREATE TABLE more \(: incomplete input"
    ):
        await db.exec("CREATE TABLE more (\n  a\n)")


async def test_exec_of_nothing_is_an_error(perdure):
    """Also of comments alone."""
    db = await filled(perdure)
    with pytest.raises(D1Error, match="^D1_EXEC_ERROR: Error in line 1: : No SQL statements detected.$"):
        await db.exec("  ")


# --- sessions -------------------------------------------------------------------------------------------


async def test_a_session_has_a_bookmark_after_its_first_query(perdure):
    """It grows with what is written."""
    db = await filled(perdure)
    session = db.with_session()
    assert session.get_bookmark() is None
    await session.prepare("SELECT 1").all()
    before = session.get_bookmark()
    await session.batch([session.prepare("INSERT INTO users (name) VALUES ('Eve')")])
    assert isinstance(before, str)
    assert session.get_bookmark() > before


async def test_a_session_begins_at_a_bookmark_or_a_constraint(perdure):
    """There is one copy, so each sees everything."""
    db = await filled(perdure)
    for constraint in ("first-primary", "first-unconstrained", "0" * 16):
        assert await db.with_session(constraint).prepare("SELECT count(*) AS n FROM users").first("n") == 2


# --- the database as a binding --------------------------------------------------------------------------


class Room(DurableObject):
    async def names(self):
        rows = await self.env.DB.prepare("SELECT name FROM users").raw()
        return [name for (name,) in rows]

    async def give(self):
        return self.env.DB


@pytest.mark.perdure(d1_databases=["DB"], classes=[Room])
async def test_objects_use_it_and_do_not_pass_it_on(perdure):
    """It is what it is in one process."""
    await perdure.env.DB.batch(
        [perdure.env.DB.prepare(SCHEMA), perdure.env.DB.prepare("INSERT INTO users (name) VALUES ('Ada')")]
    )
    room = perdure.env.ROOM.get_by_name("a")
    assert await room.names() == ["Ada"]
    with pytest.raises(DataCloneError, match="D1Database"):
        await room.give()


async def test_what_was_confirmed_is_there_after_a_restart(data):
    """Under its id, whatever the binding is called."""
    async with Runtime(d1_databases={"DB": "main"}, data=data) as rt:
        await rt.env.DB.exec(SCHEMA)
    async with Runtime(d1_databases={"OTHER": "main", "MORE": "more"}, data=data) as rt:
        assert await count(rt.env.OTHER) == 0
        with pytest.raises(D1Error, match="no such table"):
            await count(rt.env.MORE)


async def test_operators_see_it_as_an_object(data):
    """With nothing in it but what its users made; one that was only read is not there."""
    async with Runtime(d1_databases={"DB": "main", "EMPTY": "empty"}, data=data) as rt:
        await rt.env.DB.exec(SCHEMA)
        await rt.env.EMPTY.prepare("SELECT 1").all()
        answer = await rt._admin().run(Objects())
        assert [(one["class"], one["name"]) for one in answer["objects"]] == [("perdure:d1", "main")]
        assert (await rt._admin().run(Verify()))["findings"] == []
        tables = await rt.env.DB.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").raw()
        assert tables == [("users",)]
    assert json.loads((data / "classes.json").read_bytes())["own"] == ["perdure:d1"]


async def test_one_name_of_env_is_one_thing():
    """A database and a KV namespace cannot share it."""
    with pytest.raises(ConfigError, match="'DB' stands for two things"):
        Runtime(d1_databases=["DB"], kv_namespaces=["DB"])
