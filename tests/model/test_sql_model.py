"""A table does what a dict does, through every form of statement, evictions and restarts (SQL)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.world import World, play

from perdure.errors import SqlError

pytestmark = pytest.mark.rows("SQL-02", "SQL-06", "SQL-07", "SQL-28", "SQL-34", "SQL-35")

SCHEMA = "CREATE TABLE t (k INTEGER PRIMARY KEY, name TEXT UNIQUE, v); CREATE INDEX by_v ON t (v)"

ids = st.integers(0, 6)
names = st.sampled_from(["a", "b", "c", "", "é\0x"])
# Values that SQLite keeps apart: 1, 1.0 and True would be one.
values = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3) | st.binary(max_size=3)
operations = st.one_of(
    st.tuples(st.just("insert"), ids, names, values),
    st.tuples(st.just("insert_many"), st.lists(st.tuples(ids, names, values), min_size=1, max_size=4)),
    st.tuples(st.just("upsert"), ids, names, values),
    st.tuples(st.just("replace"), ids, names, values),
    st.tuples(st.just("update"), ids, values),
    st.tuples(st.just("rename"), ids, names),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("delete_range"), ids, ids),
    st.tuples(st.just("select"), ids),
    st.tuples(st.just("page"), st.integers(0, 3), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("by_value"), values),
    st.tuples(st.sampled_from(["suspend", "count", "clear", "rebuild"])),
)
events = st.one_of(st.lists(operations, min_size=1, max_size=8), st.sampled_from(["evict", "restart"]))

Model = dict[int, tuple[str, Any]]


@settings(max_examples=60)
@given(st.lists(events, min_size=1, max_size=8))
def test_a_table_is_a_dict_of_its_rows(story: list[Any]) -> None:
    """Every row that was written, and no other, is what each query gives."""

    async def told(world: World) -> None:
        model: Model = {}
        await world.event(lambda storage: storage.sql.exec(SCHEMA) and None)
        for event in story:
            if event == "evict":
                await world.evict()
            elif event == "restart":
                await world.restart()
            else:
                await world.event(lambda storage, event=event: perform(storage.sql, model, event))
        await world.event(lambda storage: check(storage.sql, model))

    play(told)


async def perform(sql: Any, model: Model, event: list[Any]) -> None:
    for name, *arguments in event:
        if name == "suspend":
            await asyncio.sleep(0)
        else:
            globals()[f"do_{name}"](sql, model, *arguments)
        check(sql, model)


def check(sql: Any, model: Model) -> None:
    rows = sql.exec("SELECT k, name, v FROM t ORDER BY k").raw().to_list()
    assert rows == [(key, *model[key]) for key in sorted(model)]


def taken(model: Model, key: int | None, name: str) -> bool:
    return any(known == name and other != key for other, (known, _) in model.items())


def do_insert(sql: Any, model: Model, key: int, name: str, value: Any) -> None:
    if key in model or taken(model, None, name):
        with pytest.raises(SqlError, match="UNIQUE constraint failed"):
            sql.exec("INSERT INTO t VALUES (?, ?, ?)", key, name, value)
    else:
        row = sql.exec("INSERT INTO t VALUES (?, ?, ?) RETURNING *", key, name, value).one()
        assert list(row.values()) == [key, name, value]
        model[key] = (name, value)


def do_insert_many(sql: Any, model: Model, rows: list[tuple[int, str, Any]]) -> None:
    """All rows of one statement are written, or none."""
    after = dict(model)
    clash = False
    for key, name, value in rows:
        clash = clash or key in after or taken(after, None, name)
        after[key] = (name, value)
    query = "INSERT INTO t VALUES " + ", ".join(["(?, ?, ?)"] * len(rows))
    bindings = [value for row in rows for value in row]
    if clash:
        with pytest.raises(SqlError, match="UNIQUE constraint failed"):
            sql.exec(query, *bindings)
    else:
        sql.exec(query, *bindings)
        model.update(after)


def do_upsert(sql: Any, model: Model, key: int, name: str, value: Any) -> None:
    query = "INSERT INTO t VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
    if key not in model and taken(model, None, name):
        with pytest.raises(SqlError, match="UNIQUE constraint failed"):
            sql.exec(query, key, name, value)
    else:
        sql.exec(query, key, name, value)
        model[key] = (model[key][0] if key in model else name, value)


def do_replace(sql: Any, model: Model, key: int, name: str, value: Any) -> None:
    sql.exec("REPLACE INTO t VALUES (?, ?, ?)", key, name, value)
    for other in [other for other, (known, _) in model.items() if known == name]:
        del model[other]
    model[key] = (name, value)


def do_update(sql: Any, model: Model, key: int, value: Any) -> None:
    found = sql.exec("UPDATE t SET v = ? WHERE k = ? RETURNING name", value, key).to_list()
    assert [row.name for row in found] == ([model[key][0]] if key in model else [])
    if key in model:
        model[key] = (model[key][0], value)


def do_rename(sql: Any, model: Model, key: int, name: str) -> None:
    if key in model and taken(model, key, name):
        with pytest.raises(SqlError, match=r"UNIQUE constraint failed: t\.name"):
            sql.exec("UPDATE t SET name = ? WHERE k = ?", name, key)
    else:
        sql.exec("UPDATE t SET name = ? WHERE k = ?", name, key)
        if key in model:
            model[key] = (name, model[key][1])


def do_delete(sql: Any, model: Model, key: int) -> None:
    cursor = sql.exec("DELETE FROM t WHERE k = ?", key)
    assert cursor.rows_written == (key in model)
    model.pop(key, None)


def do_delete_range(sql: Any, model: Model, low: int, high: int) -> None:
    gone = sql.exec("DELETE FROM t WHERE k BETWEEN ? AND ? RETURNING k", low, high).raw().to_list()
    wanted = [key for key in model if low <= key <= high]
    assert sorted(gone) == [(key,) for key in sorted(wanted)]
    for key in wanted:
        del model[key]


def do_select(sql: Any, model: Model, key: int) -> None:
    found = sql.exec("SELECT name, v FROM t WHERE k = ?", key).to_list()
    assert [tuple(row.values()) for row in found] == ([model[key]] if key in model else [])


def do_page(sql: Any, model: Model, limit: int, offset: int, reverse: bool) -> None:
    order = "DESC" if reverse else "ASC"
    found = sql.exec(f"SELECT k FROM t ORDER BY k {order} LIMIT ? OFFSET ?", limit, offset).raw().to_list()
    assert found == [(key,) for key in sorted(model, reverse=reverse)[offset : offset + limit]]


def do_by_value(sql: Any, model: Model, value: Any) -> None:
    found = sql.exec("SELECT k FROM t WHERE v IS ? ORDER BY k", value).raw().to_list()
    assert found == [(key,) for key in sorted(model) if same(model[key][1], value)]


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def do_count(sql: Any, model: Model) -> None:
    assert sql.exec("SELECT count(*) AS n, max(k) AS m FROM t").one() == {
        "n": len(model),
        "m": max(model, default=None),
    }


def do_clear(sql: Any, model: Model) -> None:
    assert sql.exec("DELETE FROM t").rows_written == len(model)
    model.clear()


def do_rebuild(sql: Any, model: Model) -> None:
    """Make the table anew under another name, and take its place: what one does to change a schema."""
    sql.exec(
        "CREATE TABLE u (k INTEGER PRIMARY KEY, name TEXT UNIQUE, v); INSERT INTO u SELECT * FROM t; DROP TABLE t; "
        "ALTER TABLE u RENAME TO t; CREATE INDEX by_v ON t (v)"
    )
