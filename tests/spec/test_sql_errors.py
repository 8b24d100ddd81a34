"""Errors of SQL: their form, what they undo, and which reset the object (SQL-26…29)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.inside import an_object, attempt, begin, in_object, inside, live_of

from perdure._storage.database import own
from perdure.errors import SqlError, StorageError, StorageReset

VIOLATED = (
    "Durable Object was reset and rolled back to its last known good state because the application left the "
    "database in a state where constraints were violated: FOREIGN KEY constraint failed: SQLITE_CONSTRAINT "
    "(extended: SQLITE_CONSTRAINT_FOREIGNKEY)"
)
FULL = "database or disk is full: SQLITE_FULL"
FAMILY = "CREATE TABLE parent (id PRIMARY KEY); CREATE TABLE child (p REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"


def limit_pages(storage: Any, pages: int) -> None:
    """Let the object's database fill up at *pages* pages, as a full disk would."""
    storage._live.store().open() if storage._live.used_store is None else None
    store = storage._live.store()
    (store.database or store.open()).run(own(f"PRAGMA max_page_count = {pages}"))


# --- the form ----------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-27")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELEC 1", 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'),
        ("SELECT nope FROM t", "no such column: nope at offset 7: SQLITE_ERROR"),
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR"),
        ("SELECT nope(1)", "no such function: nope at offset 7: SQLITE_ERROR"),
        ("SELECT 'x", 'unrecognized token: "\'x" at offset 7: SQLITE_ERROR'),
        ("SELECT 'é', nope FROM t", "no such column: nope at offset 13: SQLITE_ERROR"),
        ("INSERT INTO t (a) VALUES (1, 2)", "2 values for 1 columns: SQLITE_ERROR"),
        (
            "INSERT INTO t (a) VALUES (1)",
            "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)",
        ),
        (
            "INSERT INTO t (b) VALUES (NULL)",
            "NOT NULL constraint failed: t.b: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_NOTNULL)",
        ),
        (
            "INSERT INTO t (c) VALUES (-1)",
            "CHECK constraint failed: c > 0: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)",
        ),
        (
            "INSERT INTO p VALUES (1)",
            "UNIQUE constraint failed: p.id: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)",
        ),
        ("INSERT INTO p VALUES ('x')", "datatype mismatch: SQLITE_MISMATCH"),
        ("CREATE TABLE t (n)", "table t already exists at offset 13: SQLITE_ERROR"),
        (
            "INSERT INTO s VALUES ('x')",
            "cannot store TEXT value in INT column s.n: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_DATATYPE)",
        ),
        ("INSERT INTO r VALUES (1)", "no: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_TRIGGER)"),
    ],
)
async def test_an_error_tells_text_place_and_code(query: str, text: str) -> None:
    """The message is `<text>[ at offset <n>]: <CODE>[ (extended: <CODE>)]` (SQL-27)."""

    def work(storage: Any) -> None:
        storage.sql.exec(
            """
            CREATE TABLE t (a UNIQUE, b NOT NULL DEFAULT 0, c CHECK (c > 0));
            INSERT INTO t (a) VALUES (1);
            CREATE TABLE p (id INTEGER PRIMARY KEY);
            INSERT INTO p VALUES (1);
            CREATE TABLE s (n INT) STRICT;
            CREATE TABLE r (n);
            CREATE TRIGGER g BEFORE INSERT ON r BEGIN SELECT raise(ABORT, 'no'); END
            """.strip()
        )
        with pytest.raises(SqlError, match=f"^{re.escape(text)}$"):
            storage.sql.exec(query)

    await in_object(work)


@pytest.mark.rows("SQL-27")
async def test_an_error_has_its_codes_as_attributes() -> None:
    """Code, extended code and offset need not be parsed out of the text (SQL-27)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)")
        with pytest.raises(SqlError) as unique:
            storage.sql.exec("INSERT INTO t VALUES (1)")
        with pytest.raises(SqlError) as syntax:
            storage.sql.exec("SELECT nope FROM t")
        return [
            (error.value.code, error.value.extended_code, error.value.offset) for error in (unique, syntax)
        ]

    assert await in_object(work) == [
        ("SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_UNIQUE", -1),
        ("SQLITE_ERROR", "SQLITE_ERROR", 7),
    ]


@pytest.mark.rows("SQL-27")
async def test_an_error_while_rows_are_read_has_the_same_form() -> None:
    """What fails at a later row is raised when that row is read, and the cursor is at its end (SQL-27)."""

    def work(storage: Any) -> Any:
        cursor = storage.sql.exec('SELECT json(value) FROM json_each(\'["1", "2", "{", "3"]\')')
        first = next(cursor)
        with pytest.raises(SqlError, match="malformed JSON: SQLITE_ERROR"):
            cursor.to_list()
        return list(first.values()), cursor.to_list()

    assert await in_object(work) == (["1"], [])


@pytest.mark.rows("SQL-27", "ERR-07")
async def test_an_error_reaches_the_caller_as_what_it_is() -> None:
    """An error that leaves the object arrives with class, text and codes (SQL-27)."""
    async with an_object() as stub:
        error = await attempt(
            inside(stub, lambda instance: instance.ctx.storage.sql.exec("SELECT * FROM nope"))
        )
    assert isinstance(error, SqlError)
    assert (str(error), error.code, error.remote) == (
        "no such table: nope: SQLITE_ERROR",
        "SQLITE_ERROR",
        True,
    )


# --- ordinary errors ---------------------------------------------------------------------------------


@pytest.mark.rows("SQL-28")
async def test_an_ordinary_error_leaves_the_turn_open() -> None:
    """What the turn wrote before a failed statement is committed, also when the error leaves the handler (SQL-28)."""
    async with an_object() as stub:

        def work(instance: Any) -> None:
            instance.ctx.storage.sql.exec("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1)")
            instance.ctx.storage.sql.exec("INSERT INTO t VALUES (1)")

        before = live_of(stub)
        assert isinstance(await attempt(inside(stub, work)), SqlError)
        assert live_of(stub) is before
        rows = await inside(stub, lambda instance: instance.ctx.storage.sql.exec("SELECT n FROM t").to_list())
    assert rows == [{"n": 1}]


@pytest.mark.rows("SQL-28")
async def test_a_failed_statement_undoes_only_itself() -> None:
    """Rows that a statement wrote before it failed are gone, those of earlier ones are not (SQL-28)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1)")
        for query in ("INSERT INTO t VALUES (5), (1), (6)", "INSERT INTO t VALUES (5), (1), (6) RETURNING n"):
            with pytest.raises(SqlError):
                storage.sql.exec(query)
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(1,)]


@pytest.mark.rows("SQL-28")
async def test_or_fail_keeps_what_was_written_before() -> None:
    """`INSERT OR FAIL` keeps the rows before the failing one, as SQLite defines it (SQL-28)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1)")
        with pytest.raises(SqlError):
            storage.sql.exec("INSERT OR FAIL INTO t VALUES (5), (1), (6)")
        await storage.sync()
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(1,), (5,)]


@pytest.mark.rows("SQL-29")
async def test_or_rollback_loses_the_turn() -> None:
    """`INSERT OR ROLLBACK` ends the transaction behind the runtime's back: the object is reset (SQL-29)."""
    async with an_object() as stub:

        def work(instance: Any) -> None:
            storage = instance.ctx.storage
            storage.sql.exec("CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1)")
            with pytest.raises(SqlError, match="UNIQUE constraint failed"):
                storage.sql.exec("INSERT OR ROLLBACK INTO t VALUES (1)")
            with pytest.raises(StorageError):
                storage.sql.exec("SELECT 1")

        error = await attempt(inside(stub, work))
        assert isinstance(error, StorageReset)
        assert (
            await inside(
                stub,
                lambda instance: instance.ctx.storage.sql.exec("SELECT name FROM sqlite_master").to_list(),
            )
            == []
        )


# --- violations at commit ----------------------------------------------------------------------------


@pytest.mark.rows("SQL-26")
async def test_a_violation_at_commit_resets_the_object() -> None:
    """A deferred constraint that is still violated at the end of the turn loses the turn and the instance (SQL-26)."""
    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.sql.exec(FAMILY) and None)

        def work(instance: Any) -> str:
            instance.ctx.storage.kv.put("k", 1)
            instance.ctx.storage.sql.exec("INSERT INTO child VALUES (1)")
            return "done"

        before = live_of(stub)
        error = await attempt(inside(stub, work))
        assert isinstance(error, StorageReset)
        assert str(error) == VIOLATED
        assert live_of(stub) is not before
        storage = await inside(stub, lambda instance: instance.ctx.storage)
        assert await inside(
            stub, lambda _: (storage.kv.get("k"), storage.sql.exec("SELECT * FROM child").to_list())
        ) == (
            None,
            [],
        )


@pytest.mark.rows("SQL-26", "GATE-09")
async def test_every_caller_in_progress_hears_of_the_reset() -> None:
    """Callers that wait for the same instance get the error, too (SQL-26)."""
    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.sql.exec(FAMILY) and None)

        async def waits(instance: Any) -> None:
            await instance.ctx.storage.sync()
            await begin(stub, lambda _: None)

        async def violates(instance: Any) -> None:
            instance.ctx.storage.sql.exec("INSERT INTO child VALUES (1)")

        outcomes = [begin(stub, waits), begin(stub, violates)]
        errors = [await attempt(outcome) for outcome in outcomes]
    assert str(errors[1]) == VIOLATED
    assert errors[0] is None or str(errors[0]) == VIOLATED


@pytest.mark.rows("SQL-26")
async def test_a_violation_that_is_mended_in_the_turn_is_none() -> None:
    """What counts is the state at the end of the turn (SQL-26)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec(FAMILY)
        storage.sql.exec("INSERT INTO child VALUES (1)")
        storage.sql.exec("DELETE FROM child")
        await storage.sync()
        return storage.sql.exec("SELECT count(*) AS n FROM child").one().n

    assert await in_object(work) == 0


@pytest.mark.rows("SQL-26", "TXN-01")
async def test_a_violation_at_the_commit_of_a_transaction_resets_too() -> None:
    """The commit of `transaction` is checked in the same way (SQL-26)."""
    async with an_object() as stub:

        async def work(instance: Any) -> None:
            instance.ctx.storage.sql.exec(FAMILY)
            async with instance.ctx.storage.transaction():
                instance.ctx.storage.sql.exec("INSERT INTO child VALUES (1)")

        error = await attempt(inside(stub, work))
        tables = await inside(
            stub,
            lambda i: i.ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").to_list(),
        )
    assert str(error) == VIOLATED
    assert [row["name"] for row in tables] == ["parent", "child"]


# --- critical errors ---------------------------------------------------------------------------------


@pytest.mark.rows("SQL-29")
async def test_a_full_database_resets_the_object() -> None:
    """SQLITE_FULL that rolled the transaction back loses the turn, though the handler swallowed the error (SQL-29)."""
    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.sql.exec("CREATE TABLE t (b)") and None)

        def work(instance: Any) -> str:
            storage = instance.ctx.storage
            storage.kv.put("k", 1)
            limit_pages(storage, 10)
            with pytest.raises(SqlError, match=FULL):
                storage.sql.exec("INSERT INTO t VALUES (zeroblob(1000000))")
            for use in (
                lambda: storage.sql.exec("SELECT 1"),
                lambda: storage.kv.get("k"),
                lambda: storage.put("k", 2),
                lambda: storage.transaction_sync(lambda: None),
            ):
                with pytest.raises(StorageError):
                    use()
            return "swallowed"

        before = live_of(stub)
        error = await attempt(inside(stub, work))
        assert isinstance(error, StorageReset)
        assert str(error) == FULL
        assert live_of(stub) is not before
        assert await inside(stub, lambda instance: instance.ctx.storage.kv.get("k")) is None


@pytest.mark.rows("SQL-29")
async def test_after_the_reset_the_object_works_again() -> None:
    """The next instance writes as if nothing had been (SQL-29)."""
    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.kv.put("kept", 1))

        def fill(instance: Any) -> None:
            limit_pages(instance.ctx.storage, 5)
            instance.ctx.storage.kv.put("lost", b"x" * 1_000_000)

        assert FULL in str(await attempt(inside(stub, fill)))
        await inside(stub, lambda instance: instance.ctx.storage.kv.put("new", b"x" * 1_000_000))
        assert await inside(stub, lambda instance: list(instance.ctx.storage.kv)) == ["kept", "new"]


@pytest.mark.rows("SQL-29", "KVA-05")
async def test_a_full_database_in_the_middle_of_many_pairs() -> None:
    """A `put` of many pairs that fills the database up resets the object as well (SQL-29)."""
    async with an_object() as stub:

        def fill(instance: Any) -> None:
            instance.ctx.storage.kv.put("a", 1)
            limit_pages(instance.ctx.storage, 10)
            instance.ctx.storage.put({f"k{n}": b"x" * 100_000 for n in range(10)})

        assert FULL in str(await attempt(inside(stub, fill)))
        assert await inside(stub, lambda instance: instance.ctx.storage.list()) == {}


@pytest.mark.rows("TXN-12", "SQL-29")
async def test_a_swallowed_critical_error_fails_the_transaction_around_it() -> None:
    """`transaction_sync` whose callback swallowed a critical error cannot commit (TXN-12)."""
    async with an_object() as stub:

        def work(instance: Any) -> None:
            storage = instance.ctx.storage
            storage.sql.exec("CREATE TABLE t (b)")

            def swallows() -> None:
                limit_pages(storage, 10)
                with pytest.raises(SqlError):
                    storage.sql.exec("INSERT INTO t VALUES (zeroblob(1000000))")

            with pytest.raises(
                StorageError, match=r"^Cannot commit transaction due to an earlier SQL critical error$"
            ):
                storage.transaction_sync(swallows)

        error = await attempt(inside(stub, work))
        assert str(error) == FULL
