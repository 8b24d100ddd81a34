"""`ctx.storage.sql.exec`: statements, bindings, values (SQL-01…07, 16, 17, 32…35)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.inside import an_object, in_object, inside

from perdure.errors import SqlError
from perdure.testing import evict_durable_object

NO_STATEMENT = r"^SQL code did not contain a statement\.$"
WRONG_BINDINGS = r"^Wrong number of parameter bindings for SQL query\.$"
BINDINGS_BEFORE_LAST = r"^When executing multiple SQL statements in a single call, only the last statement can have parameters\.$"


async def rows(query: str, *bindings: Any, setup: str = "SELECT 1") -> list[tuple[Any, ...]]:
    """What one query gives in a fresh object, as tuples."""

    def work(storage: Any) -> Any:
        storage.sql.exec(setup)
        return storage.sql.exec(query, *bindings).raw().to_list()

    return await in_object(work)


# --- exec --------------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-01")
async def test_every_object_has_sql() -> None:
    """Each object has a SQLite database of its own, without any configuration (SQL-01)."""
    assert await rows("SELECT 1") == [(1,)]


@pytest.mark.rows("SQL-02")
async def test_a_write_happens_though_nobody_reads_its_cursor() -> None:
    """The statement has run when `exec` returns (SQL-02)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n)")
        storage.sql.exec("INSERT INTO t VALUES (1), (2)")
        storage.sql.exec("INSERT INTO t VALUES (3), (4) RETURNING n")
        return storage.sql.exec("SELECT count(*) FROM t").raw().to_list()

    assert await in_object(work) == [(4,)]


@pytest.mark.rows("SQL-02")
async def test_unread_rows_of_returning_do_not_disturb_the_commit() -> None:
    """A RETURNING that is read in part, or not at all, is committed like any other (SQL-02)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n)")
        cursor = storage.sql.exec("INSERT INTO t VALUES (1), (2), (3) RETURNING n")
        first = next(cursor)
        await storage.sync()
        return first, cursor.to_list(), storage.sql.exec("SELECT count(*) AS n FROM t").one().n

    assert await in_object(work) == ({"n": 1}, [{"n": 2}, {"n": 3}], 3)


@pytest.mark.rows("SQL-02", "SQL-03")
async def test_several_statements_run_in_order() -> None:
    """All statements of a text run; the cursor is that of the last one (SQL-02)."""
    query = "CREATE TABLE t (n); INSERT INTO t VALUES (1), (2); SELECT n FROM t; SELECT sum(n) FROM t"
    assert await rows(query) == [(3,)]


@pytest.mark.rows("SQL-02")
async def test_the_results_of_earlier_statements_are_dropped() -> None:
    """Only the last statement's rows can be read; the others have run to their end (SQL-02)."""
    assert await rows("SELECT 1 UNION ALL SELECT 2; SELECT 3") == [(3,)]


@pytest.mark.rows("SQL-03")
async def test_only_the_last_statement_may_have_parameters() -> None:
    """Parameters before the last statement are refused; what stands before them has run (SQL-03)."""

    def work(storage: Any) -> Any:
        with pytest.raises(SqlError, match=BINDINGS_BEFORE_LAST):
            storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (?); SELECT 1", 1)
        storage.sql.exec("INSERT INTO t VALUES (1); INSERT INTO t VALUES (?)", 5)
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(1,), (5,)]


@pytest.mark.rows("SQL-03", "SQL-28")
@pytest.mark.parametrize(
    ("fails", "error"),
    [("INSERT INTO t VALUES (1)", "UNIQUE constraint failed"), ("garbage", 'near "garbage": syntax error')],
)
async def test_statements_before_a_failing_one_stay_applied(fails: str, error: str) -> None:
    """A later statement that fails does not undo the earlier ones (SQL-03)."""

    def work(storage: Any) -> Any:
        with pytest.raises(SqlError, match=error):
            storage.sql.exec(
                f"CREATE TABLE t (n UNIQUE); INSERT INTO t VALUES (1); {fails}; INSERT INTO t VALUES (2)"
            )
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(1,)]


@pytest.mark.rows("SQL-03")
async def test_a_text_of_several_statements_may_run_again() -> None:
    """What was learned of a text the first time is used the second, with the same effect (SQL-03, SQL-16)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n)")
        for number in range(3):
            storage.sql.exec("DELETE FROM t WHERE n = 1; INSERT INTO t VALUES (?)", number)
        return storage.sql.exec("SELECT n FROM t").raw().to_list()

    assert await in_object(work) == [(0,), (2,)]


@pytest.mark.rows("SQL-04")
@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "\n\t",
        ";",
        ";;",
        " ; ",
        "/* x */",
        "-- x",
        "SELECT 1; -- x",
        "SELECT 1; /* x */",
        "SELECT 1;;",
        "SELECT 1; ;",
    ],
)
async def test_a_text_that_ends_without_a_statement_is_refused(query: str) -> None:
    """Nothing, only comments, or a comment or semicolon behind the last one: no statement (SQL-04)."""

    def work(storage: Any) -> None:
        for _ in range(2):
            with pytest.raises(SqlError, match=NO_STATEMENT):
                storage.sql.exec(query)

    await in_object(work)


@pytest.mark.rows("SQL-04")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1;",
        "SELECT 1; \n\t\f",
        "SELECT 1 -- x",
        "-- x\nSELECT 1",
        ";SELECT 1",
        "; ; SELECT 1",
        " SELECT 1 ",
    ],
)
async def test_space_around_a_statement_is_fine(query: str) -> None:
    """Space behind the last semicolon, and comments inside or before a statement, are no matter (SQL-04)."""
    assert await rows(query) == [(1,)]


@pytest.mark.rows("SQL-04")
@pytest.mark.parametrize("query", ["SELECT 1\0", "SELECT 1 \0 garbage", "\0SELECT 1"])
async def test_a_text_with_nul_is_refused(query: str) -> None:
    """SQLite reads no further than a NUL, so nothing is run of such a text (SQL-04)."""

    def work(storage: Any) -> None:
        with pytest.raises(SqlError, match=NO_STATEMENT):
            storage.sql.exec(query)

    await in_object(work)


@pytest.mark.parametrize("query", [None, 5, b"SELECT 1", ["SELECT 1"]])
async def test_a_query_that_is_no_text_is_a_type_error(query: Any) -> None:
    """The error names the type that came."""

    def work(storage: Any) -> None:
        with pytest.raises(
            TypeError, match=rf"^exec\(\): the query must be a str, not {type(query).__name__}\.$"
        ):
            storage.sql.exec(query)

    await in_object(work)


# --- bindings ----------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-05")
@pytest.mark.parametrize(
    ("query", "bindings"),
    [
        ("SELECT ?", ()),
        ("SELECT 1", (1,)),
        ("SELECT ?, ?", (1,)),
        ("SELECT ?2", (1,)),
        ("SELECT :a, :a", (1, 2)),
    ],
)
async def test_each_parameter_has_one_binding(query: str, bindings: tuple[Any, ...]) -> None:
    """The number of bindings must be that of the parameters, also when the text was seen before (SQL-05)."""

    def work(storage: Any) -> None:
        for _ in range(2):
            with pytest.raises(SqlError, match=WRONG_BINDINGS):
                storage.sql.exec(query, *bindings)

    await in_object(work)


@pytest.mark.rows("SQL-05")
@pytest.mark.parametrize(
    ("query", "bindings", "row"),
    [
        ("SELECT ?, ?", (1, 2), (1, 2)),
        ("SELECT ?1, ?1", (1,), (1, 1)),
        ("SELECT ?2", (1, 2), (2,)),
        ("SELECT :x, :y, :x", (1, 2), (1, 2, 1)),
        ("SELECT @x, $y, :x", (1, 2, 3), (1, 2, 3)),
    ],
)
async def test_numbered_and_named_parameters_take_positions(query: str, bindings: Any, row: Any) -> None:
    """Named parameters are numbered as SQLite does; bindings are positional (SQL-05)."""
    assert await rows(query, *bindings) == [row]


@pytest.mark.rows("SQL-06")
@pytest.mark.parametrize(
    ("value", "kind", "back"),
    [
        ("text", "text", "text"),
        ("", "text", ""),
        (0, "integer", 0),
        (2**63 - 1, "integer", 2**63 - 1),
        (-(2**63), "integer", -(2**63)),
        (2**53 + 1, "integer", 2**53 + 1),
        (1.0, "real", 1.0),
        (math.inf, "real", math.inf),
        (True, "integer", 1),
        (False, "integer", 0),
        (None, "null", None),
        (b"\0\xff", "blob", b"\0\xff"),
        (b"", "blob", b""),
        (bytearray(b"ab"), "blob", b"ab"),
        pytest.param(
            memoryview(b"ab"), "blob", b"ab", id="memoryview"
        ),  # its repr is another in each process
    ],
    ids=repr,
)
async def test_a_value_is_bound_by_its_type(value: Any, kind: str, back: Any) -> None:
    """str, int, float, bool, None and bytes have each their SQLite type; an int is exact (SQL-06, SQL-07)."""
    assert await rows("SELECT typeof(?1), ?1", value) == [(kind, back)]


@pytest.mark.rows("SQL-06")
async def test_an_int_stays_an_integer_in_expressions() -> None:
    """A Python int is INTEGER, a float REAL, also where no column gives them a type (SQL-06)."""
    assert await rows("SELECT ? / 2, ? / 2", 7, 7.0) == [(3, 3.5)]


@pytest.mark.rows("SQL-06")
async def test_not_a_number_is_null() -> None:
    """SQLite has no NaN: it stores NULL (SQL-06)."""
    assert await rows("SELECT ?", math.nan) == [(None,)]


@pytest.mark.rows("SQL-06")
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
async def test_an_int_beyond_64_bits_is_a_value_error(value: int) -> None:
    """The error names the parameter and says what to do (SQL-06)."""

    def work(storage: Any) -> None:
        with pytest.raises(ValueError, match=rf"^exec\(\): parameter 2 is {value}, which does not fit"):
            storage.sql.exec("SELECT ?, ?", 1, value)

    await in_object(work)


@pytest.mark.rows("SQL-06")
@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), 1j, print])
async def test_another_type_is_a_type_error_that_names_the_parameter(value: Any) -> None:
    """Nothing is made text in silence (SQL-06)."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match=rf"^exec\(\): parameter 2 is of type {type(value).__name__}, "):
            storage.sql.exec("SELECT ?, ?", 1, value)

    await in_object(work)


@pytest.mark.rows("SQL-06")
async def test_a_list_of_bindings_is_a_type_error() -> None:
    """Bindings are arguments, not one list of them (SQL-06)."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match="parameter 1 is of type list"):
            storage.sql.exec("SELECT ?, ?", [1, 2])

    await in_object(work)


@pytest.mark.rows("SQL-06")
async def test_subclasses_of_bindable_types_are_bound() -> None:
    """A str, int or bytes of a subclass, as an IntEnum is, is bound as what it is (SQL-06)."""
    import enum

    class Level(enum.IntEnum):
        HIGH = 3

    class Name(str):
        __slots__ = ()

    assert await rows(
        "SELECT ?, typeof(?1), ?, ?", Level.HIGH, Name("n"), enum.StrEnum("E", {"A": "a"}).A
    ) == [(3, "integer", "n", "a")]


@pytest.mark.rows("SQL-06")
async def test_text_with_nul_is_kept_whole() -> None:
    """NUL in a bound text is stored and comes back, though SQLite's `length` stops there (SQL-06)."""
    assert await rows("SELECT ?1, length(?1), hex(?1), ?1 || char(0)", "x\0y") == [
        ("x\0y", 1, "780079", "x\0y\0")
    ]


@pytest.mark.rows("SQL-06")
async def test_text_with_half_a_character_is_a_value_error() -> None:
    """A lone surrogate cannot be bound, nor stand in a query (SQL-06)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (s)")
        for query, bindings in [
            ("SELECT ?", ["\ud800"]),
            ("INSERT INTO t VALUES (?)", ["\ud800"]),
            ("SELECT '\ud800'", []),
        ]:
            with pytest.raises(ValueError, match="surrogates not allowed"):
                storage.sql.exec(query, *bindings)
        return storage.sql.exec("SELECT count(*) AS n FROM t").one().n

    assert await in_object(work) == 0


# --- results -----------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-07")
async def test_results_have_python_types() -> None:
    """INTEGER is int (64 bits, exact), REAL float, TEXT str, BLOB bytes, NULL None (SQL-07)."""
    [row] = await rows("SELECT 9223372036854775807, 1.5, 'é', x'00ff', NULL, 1 = 1, 1e400")
    assert row == (2**63 - 1, 1.5, "é", b"\0\xff", None, 1, math.inf)
    assert [type(value) for value in row] == [int, float, str, bytes, type(None), int, float]


@pytest.mark.rows("SQL-07")
async def test_column_affinity_is_sqlites() -> None:
    """A float in an INTEGER column becomes an integer where it can, text stays text in TEXT (SQL-06, SQL-07)."""
    found = await rows(
        "INSERT INTO t VALUES (?, ?, ?) RETURNING i, s, n",
        3.0,
        5,
        3.0,
        setup="CREATE TABLE t (i INTEGER, s TEXT, n)",
    )
    assert [(type(value), value) for value in found[0]] == [(int, 3), (str, "5"), (float, 3.0)]


@pytest.mark.rows("SQL-07")
async def test_text_that_is_not_utf8_says_so() -> None:
    """Bytes that were cast to TEXT and are no UTF-8 are an error with a way out, and the object goes on (SQL-07)."""

    def work(storage: Any) -> Any:
        with pytest.raises(SqlError, match=r"not valid UTF-8; select it as CAST\(column AS BLOB\)"):
            storage.sql.exec("SELECT CAST(x'ff' AS TEXT)").one()
        return storage.sql.exec("SELECT CAST(CAST(x'ff' AS TEXT) AS BLOB) AS b").one().b

    assert await in_object(work) == b"\xff"


# --- the statement cache -----------------------------------------------------------------------------


@pytest.mark.rows("SQL-16")
async def test_two_cursors_of_one_text_are_independent() -> None:
    """A second cursor on the same text, opened while the first is in use, has its own position (SQL-16)."""

    def work(storage: Any) -> Any:
        query = "SELECT value FROM json_each('[1,2,3]')"
        first = storage.sql.exec(query).raw()
        one = next(first)
        second = storage.sql.exec(query).raw()
        return one, next(second), list(first), list(second)

    assert await in_object(work) == ((1,), (1,), [(2,), (3,)], [(2,), (3,)])


@pytest.mark.rows("SQL-16")
async def test_a_known_text_notices_a_change_of_the_schema() -> None:
    """Statements that were prepared before ALTER TABLE are prepared anew (SQL-16)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (a)")
        storage.sql.exec("INSERT INTO t VALUES (1)")
        before = storage.sql.exec("SELECT * FROM t").one()
        storage.sql.exec("ALTER TABLE t ADD COLUMN b DEFAULT 2")
        return (
            before,
            storage.sql.exec("SELECT * FROM t").one(),
            storage.sql.exec("SELECT * FROM t").column_names,
        )

    assert await in_object(work) == ({"a": 1}, {"a": 1, "b": 2}, ["a", "b"])


@pytest.mark.rows("SQL-16", "LIM-08")
async def test_very_many_texts_do_not_pile_up() -> None:
    """What is remembered of texts is bounded; texts that were forgotten still work (LIM-08)."""

    def work(storage: Any) -> Any:
        for number in range(1000):
            assert storage.sql.exec(f"SELECT {number} AS n").one().n == number
        return len(storage._live.used_store.plans), storage.sql.exec("SELECT 0 AS n").one().n

    remembered, again = await in_object(work)
    assert remembered <= 200
    assert again == 0


# --- the database ------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-17", "SQL-33")
async def test_database_size_counts_pages_in_use() -> None:
    """`database_size` is (pages - free pages) x 4096, hidden tables included (SQL-17)."""

    async def work(storage: Any) -> Any:
        sizes = [storage.sql.database_size]
        storage.kv.put("a", 1)
        sizes.append(storage.sql.database_size)
        storage.sql.exec("CREATE TABLE t (b)")
        sizes.append(storage.sql.database_size)
        storage.sql.exec("INSERT INTO t VALUES (zeroblob(100000))")
        sizes.append(storage.sql.database_size)
        storage.sql.exec("DELETE FROM t")
        sizes.append(storage.sql.database_size)
        await storage.delete_all()
        return [*sizes, storage.sql.database_size]

    assert await in_object(work) == [4096, 8192, 12288, 110592, 12288, 4096]


@pytest.mark.rows("SQL-33")
async def test_an_object_that_only_reads_leaves_no_file(data: Path) -> None:
    """A store counts as data only once something was written: reading an unused object stores nothing (SQL-33)."""
    async with an_object(data=data) as stub:
        await inside(stub, lambda instance: instance.ctx.storage.get("k"))
        await inside(stub, lambda instance: instance.ctx.storage.sql.exec("SELECT 1").one())
    async with an_object(data=data) as stub:
        size = await inside(stub, lambda instance: instance.ctx.storage.sql.database_size)
    assert size == 4096


@pytest.mark.rows("SQL-34", "GATE-18")
async def test_sql_shares_the_turn_with_keys() -> None:
    """A turn that fails half-way leaves what it wrote by SQL and by `put` together, as one commit (SQL-34)."""

    async def work(storage: Any) -> Any:
        before = storage._live.store().number
        storage.sql.exec("CREATE TABLE t (n)")
        storage.kv.put("k", 1)
        storage.sql.exec("INSERT INTO t VALUES (1)")
        await storage.sync()
        return storage._live.store().number - before

    assert await in_object(work) == 1


@pytest.mark.rows("SQL-34")
async def test_tables_survive_an_eviction() -> None:
    """The next instance finds the tables of the one before (SQL-34)."""
    async with an_object() as stub:
        await inside(
            stub,
            lambda instance: (
                instance.ctx.storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (7)") and None
            ),
        )
        await evict_durable_object(stub)
        assert (
            await inside(stub, lambda instance: instance.ctx.storage.sql.exec("SELECT n FROM t").one().n) == 7
        )


@pytest.mark.rows("SQL-32")
async def test_hidden_tables_can_be_seen_to_exist() -> None:
    """`sqlite_master` and `PRAGMA table_list` show `_cf_KV`; nothing else is hidden there yet (SQL-20, SQL-32)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", 1)
        by_schema = storage.sql.exec("SELECT name FROM sqlite_master").raw().to_list()
        by_pragma = {row["name"] for row in storage.sql.exec("PRAGMA table_list")}
        return by_schema, by_pragma

    by_schema, by_pragma = await in_object(work)
    assert by_schema == [("_cf_KV",)]
    assert by_pragma == {"_cf_KV", "sqlite_schema", "sqlite_temp_schema"}


# --- the language ------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-35")
@pytest.mark.parametrize(
    ("change", "query", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN c DEFAULT 7", "SELECT c FROM t WHERE a = 1", [(7,)]),
        ("ALTER TABLE t DROP COLUMN b", "SELECT * FROM t WHERE a = 1", [(1,)]),
        ("ALTER TABLE t RENAME COLUMN b TO c", "SELECT c FROM t WHERE a = 1", [("x",)]),
        ("ALTER TABLE t RENAME TO u", "SELECT b FROM u WHERE a = 1", [("x",)]),
        ("CREATE INDEX i ON t (b) WHERE a > 1", "SELECT a FROM t WHERE b = 'y' AND a > 1", [(2,)]),
        ("CREATE INDEX i ON t (upper(b))", "SELECT a FROM t WHERE upper(b) = 'Y'", [(2,)]),
        ("CREATE VIEW v AS SELECT a FROM t", "SELECT count(*) FROM v", [(2,)]),
        (
            "CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO t VALUES (old.a + 10, 'z'); END; DELETE FROM t WHERE a = 1",
            "SELECT a FROM t ORDER BY a",
            [(2,), (11,)],
        ),
        (
            "INSERT INTO t VALUES (1, 'new') ON CONFLICT (a) DO UPDATE SET b = excluded.b",
            "SELECT b FROM t WHERE a = 1",
            [("new",)],
        ),
        ("ANALYZE", "SELECT count(*) FROM sqlite_stat1", [(1,)]),
        ("REINDEX", "SELECT count(*) FROM t", [(2,)]),
        ("CREATE TABLE u AS SELECT * FROM t", "SELECT count(*) FROM u", [(2,)]),
        (
            "CREATE TABLE u (x TEXT, y INTEGER GENERATED ALWAYS AS (length(x)) STORED) STRICT; INSERT INTO u (x) VALUES ('abc')",
            "SELECT y FROM u",
            [(3,)],
        ),
    ],
)
async def test_the_language_of_sqlite_is_there(change: str, query: str, expected: Any) -> None:
    """ALTER TABLE, triggers, views, partial and expression indexes, upserts and ANALYZE are allowed (SQL-35)."""
    setup = f"CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'); {change}"
    assert await rows(query, setup=setup) == expected


@pytest.mark.rows("SQL-35")
async def test_queries_may_be_recursive() -> None:
    """Common table expressions, recursive ones too, are allowed (SQL-35)."""
    query = (
        "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100) SELECT sum(x) FROM c"
    )
    assert await rows(query) == [(5050,)]


@pytest.mark.rows("SQL-35")
async def test_returning_gives_what_was_written() -> None:
    """RETURNING of INSERT, UPDATE and DELETE gives rows (SQL-35)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (a, b)")
        return [
            storage.sql.exec(query).raw().to_list()
            for query in (
                "INSERT INTO t VALUES (1, 2), (3, 4) RETURNING a",
                "UPDATE t SET b = b * 10 WHERE a = 1 RETURNING *",
                "DELETE FROM t RETURNING b",
            )
        ]

    assert await in_object(work) == [[(1,), (3,)], [(1, 20)], [(20,), (4,)]]


@pytest.mark.rows("SQL-31")
async def test_text_in_double_quotes_is_text() -> None:
    """A double-quoted name that nothing bears is a string literal (SQL-31)."""
    assert await rows('SELECT "not a column"') == [("not a column",)]


@pytest.mark.rows("SQL-34", "SQL-35")
@pytest.mark.parametrize(
    "change", ["DROP TABLE t", "DROP INDEX i", "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t RENAME TO u"]
)
async def test_the_schema_can_be_changed_after_a_key_was_read(change: str) -> None:
    """What the runtime reads for itself is in nobody's way (SQL-34)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (a, b); CREATE INDEX i ON t (a)")
        storage.kv.put("k", 1)
        seen = storage.kv.get("k"), "k" in storage.kv, len(storage.kv), storage.sql.database_size > 0
        storage.sql.exec(change)
        return seen, storage.kv.get("k")

    assert await in_object(work) == ((1, True, 1, True), 1)
