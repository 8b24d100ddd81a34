"""Limits of SQL (SQL-30, LIM-04, LIM-07); texts and bounds are those that workerd gives."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import in_object

from perdure._base import limits
from perdure.errors import SqlError


async def outcome(query: str, *bindings: Any) -> str:
    """`fine`, or the text of the error."""

    def work(storage: Any) -> str:
        try:
            storage.sql.exec(query, *bindings).to_list()
        except SqlError as error:
            return str(error)
        return "fine"

    return await in_object(work)


def many(count: int, item: str = "1", between: str = ",") -> str:
    return between.join([item] * count)


def columns(count: int) -> str:
    return ",".join(f"c{number}" for number in range(count))


@pytest.mark.rows("SQL-30", "LIM-07")
@pytest.mark.parametrize(
    ("fits", "refused", "text"),
    [
        (f"CREATE TABLE t ({columns(100)})", f"CREATE TABLE t ({columns(101)})", "too many columns on t"),
        (f"SELECT {many(100)}", f"SELECT {many(101)}", "too many columns in result set"),
        (
            f"SELECT {many(5, '1', ' UNION ALL SELECT ')}",
            f"SELECT {many(6, '1', ' UNION ALL SELECT ')}",
            "too many terms in compound SELECT",
        ),
        (
            f"SELECT {many(100, '1', '+')}",
            f"SELECT {many(101, '1', '+')}",
            "Expression tree is too large (maximum depth 100)",
        ),
        (
            f"SELECT max({many(127)})",
            f"SELECT max({many(128)})",
            "too many arguments on function max at offset 7",
        ),
        (
            f"SELECT 'a' LIKE '{'a' * 50}'",
            f"SELECT 'a' LIKE '{'a' * 51}'",
            "LIKE or GLOB pattern too complex",
        ),
        (
            f"SELECT 'a' GLOB '{'a' * 50}'",
            f"SELECT 'a' GLOB '{'a' * 51}'",
            "LIKE or GLOB pattern too complex",
        ),
    ],
    ids=["columns", "result columns", "compound terms", "depth", "arguments", "like", "glob"],
)
async def test_a_statement_has_its_bounds(fits: str, refused: str, text: str) -> None:
    """What is at the bound works, one more does not (SQL-30)."""
    assert await outcome(fits) == "fine"
    assert await outcome(refused) == f"{text}: SQLITE_ERROR"


@pytest.mark.rows("SQL-30", "LIM-07")
async def test_a_statement_has_at_most_100_parameters() -> None:
    """A hundred parameters can be bound, not one more, numbered or not (SQL-30)."""
    assert await outcome(f"SELECT {many(100, '?')}", *range(100)) == "fine"
    more = await outcome(f"SELECT {many(50, '?')}, {many(51, '?', ' + ')}", *range(101))
    assert more.startswith("too many SQL variables at offset ")
    assert await outcome("SELECT ?101", *range(101)) == (
        "variable number must be between ?1 and ?100 at offset 7: SQLITE_ERROR"
    )


@pytest.mark.rows("SQL-30", "LIM-07")
async def test_a_statement_is_at_most_100000_bytes_long() -> None:
    """The length is counted in bytes of UTF-8 (SQL-30)."""
    assert await outcome("SELECT 1" + " " * (100_000 - 8)) == "fine"
    assert await outcome("SELECT 1" + " " * (100_001 - 8)) == "statement too long: SQLITE_TOOBIG"
    assert await outcome("SELECT '" + "é" * 49_995 + "'") == "fine"
    assert await outcome("SELECT '" + "é" * 49_996 + "'") == "statement too long: SQLITE_TOOBIG"


@pytest.mark.rows("SQL-30")
async def test_values_is_no_compound_select() -> None:
    """Many rows of VALUES are no terms of a compound SELECT (SQL-30)."""
    assert await outcome(f"VALUES {many(1000, '(1)')}") == "fine"


@pytest.mark.rows("SQL-30")
async def test_triggers_nest_at_most_ten_deep() -> None:
    """A trigger that calls itself is stopped (SQL-30)."""

    def work(storage: Any) -> None:
        storage.sql.exec(
            "PRAGMA recursive_triggers = ON; CREATE TABLE t (n); CREATE TRIGGER g AFTER INSERT ON t "
            "BEGIN INSERT INTO t VALUES (new.n + 1); END"
        )
        with pytest.raises(SqlError, match=r"^triggers nested too deep: SQLITE_ERROR$"):
            storage.sql.exec("INSERT INTO t VALUES (1)")

    await in_object(work)


@pytest.mark.rows("SQL-30", "LIM-04")
@pytest.mark.parametrize("kind", ["blob", "text"])
async def test_a_value_has_a_largest_size(kind: str) -> None:
    """2 MB are promised for a value or row; the bound is workerd's own, a little above 8 MiB (LIM-04)."""
    filler: Any = b"x" if kind == "blob" else "x"

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (v)")
        storage.sql.exec("INSERT INTO t VALUES (?)", filler * 2_000_000)
        storage.sql.exec("INSERT INTO t VALUES (?)", filler * (8 * 1024 * 1024))
        with pytest.raises(SqlError, match=r"^string or blob too big: SQLITE_TOOBIG$"):
            storage.sql.exec("INSERT INTO t VALUES (?)", filler * (limits.SQL_VALUE_BYTES_MAX + 1))
        return storage.sql.exec("SELECT length(v) AS n FROM t").raw().to_list()

    assert await in_object(work) == [(2_000_000,), (8 * 1024 * 1024,)]


@pytest.mark.rows("SQL-30", "LIM-04")
async def test_a_value_that_is_computed_has_the_same_bound() -> None:
    """`zeroblob` and the like cannot make what could not be bound (LIM-04)."""
    assert await outcome(f"SELECT length(zeroblob({limits.SQL_VALUE_BYTES_MAX}))") == "fine"
    assert await outcome(f"SELECT length(zeroblob({limits.SQL_VALUE_BYTES_MAX + 1}))") == (
        "string or blob too big: SQLITE_TOOBIG"
    )


@pytest.mark.rows("SQL-10")
async def test_a_result_may_be_long() -> None:
    """The number of rows has no bound of its own (SQL-10)."""

    def work(storage: Any) -> Any:
        query = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c"
        return sum(1 for _ in storage.sql.exec(query).raw())

    assert await in_object(work) == 100_000


@pytest.mark.rows("SQL-30")
async def test_a_statement_of_full_length_may_be_a_long_program() -> None:
    """Whatever fits in 100,000 bytes runs: workerd does not hold programs to the documented 25,000 steps (SQL-30)."""

    def work(storage: Any) -> Any:
        storage.sql.exec("CREATE TABLE t (n)")
        storage.sql.exec(f"INSERT INTO t VALUES {many(24_900, '(1)')}")
        return storage.sql.exec("SELECT count(*) AS n FROM t").one().n

    assert await in_object(work) == 24_900
