"""export and dump: one object as a file that any SQLite program opens, and as SQL."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.inside import Unsynced
from support.stores import an_engine, owned, write

from perdure._storage.dump import dump_sql
from perdure._storage.export import export_aside, export_store
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout
from perdure.errors import SqlError, StorageError

CONTENT = (
    "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, body, kind AS (typeof(body))) -- a comment",
    "INSERT INTO item (body) VALUES (NULL), (1), (-9223372036854775808), (0.1), (1e999), ('it''s\n;'), (x'00ff'), ('')",
    "DELETE FROM item WHERE id = 8",
    'CREATE TABLE "odd ""name" ("a b" TEXT PRIMARY KEY) WITHOUT ROWID',
    """INSERT INTO "odd ""name" VALUES ('x')""",
    "CREATE INDEX item_body ON item (body) WHERE body NOT NULL",
    "CREATE VIEW items AS SELECT * FROM item",
    "CREATE TABLE odd (value)",
    "INSERT INTO odd VALUES (CAST(x'ff61' AS TEXT)), ('a' || char(0) || 'b'), (CAST(x'c3' AS TEXT))",
    "CREATE TABLE heard (id)",
    "CREATE TRIGGER hears AFTER INSERT ON item BEGIN INSERT INTO heard VALUES (new.id); END",
    "CREATE VIRTUAL TABLE text USING fts5 (body)",
    "INSERT INTO text VALUES ('one two'), ('two three')",
    "CREATE VIRTUAL TABLE box USING rtree (id, x0, x1)",
    "INSERT INTO box VALUES (1, 0, 1)",
    "ANALYZE",
)
QUESTIONS = (
    "SELECT *, typeof(body) FROM item",
    'SELECT * FROM "odd ""name"',
    "SELECT * FROM items",
    "SELECT typeof(value), CAST(value AS BLOB) FROM odd",
    "SELECT * FROM heard",
    "SELECT rowid, * FROM text WHERE text MATCH 'two'",
    "SELECT * FROM box",
    "SELECT * FROM _cf_KV",
    "SELECT * FROM sqlite_sequence",
    "SELECT * FROM sqlite_stat1 ORDER BY 1, 2",
    "SELECT type, name, trim(sql, char(10)) FROM sqlite_schema WHERE name <> 'sqlite_stat4' ORDER BY name",
    "PRAGMA integrity_check",
)


def answers(connection: sqlite3.Connection) -> list[Any]:
    return [connection.execute(question).fetchall() for question in QUESTIONS]


async def exported(target: Path) -> int:
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, *CONTENT, key=b"value")
        return await export_store(engine, store.key, str(target))


async def test_python_opens_an_exported_file(tmp_path: Path) -> None:
    """It holds everything, is not in WAL mode, and nothing has to stand beside it."""
    target = tmp_path / "out.sqlite"
    size_bytes = await exported(target)
    assert size_bytes == target.stat().st_size
    connection = sqlite3.connect(target)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    [items, *_, integrity] = answers(connection)
    assert integrity == [("ok",)]
    assert [row[1] for row in items] == [None, 1, -(2**63), 0.1, float("inf"), "it's\n;", b"\0\xff"]
    connection.execute("INSERT INTO item (body) VALUES ('written by another program')")
    connection.commit()
    connection.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.sqlite"]


async def test_a_dump_makes_the_same_database_anew(tmp_path: Path) -> None:
    """Each value with its type, also in virtual tables; triggers do not run meanwhile."""
    await exported(tmp_path / "out.sqlite")
    sql = "\n".join(dump_sql(str(tmp_path / "out.sqlite")))
    again = sqlite3.connect(tmp_path / "again.sqlite", isolation_level=None)
    again.executescript(sql)
    again.close()
    again = sqlite3.connect(tmp_path / "again.sqlite")
    first = sqlite3.connect(tmp_path / "out.sqlite")
    for question, one, other in zip(QUESTIONS, answers(first), answers(again), strict=True):
        assert one == other, question
    first.close()
    again.close()


async def test_a_file_that_is_there_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Or stays, when the new one cannot be written."""
    target = tmp_path / "out.sqlite"
    target.write_text("before")
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"value")
        (tmp_path / "out.sqlite.new").mkdir()
        with pytest.raises(OSError):
            await export_store(engine, store.key, str(target))
        assert target.read_text() == "before"
        (tmp_path / "out.sqlite.new").rmdir()
        await export_store(engine, store.key, str(target))
        assert target.read_bytes()[:6] == b"SQLite"


async def test_no_object_no_file(tmp_path: Path) -> None:
    async with an_engine() as engine:
        store, _ = owned(engine)
        with pytest.raises(StorageError, match="There is no object"):
            await export_store(engine, store.key, str(tmp_path / "out.sqlite"))
        assert list(tmp_path.iterdir()) == []


async def test_an_export_aside_is_the_same_in_the_data_folder() -> None:
    """Each in a file of its own; of an object that is not there, none."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, *CONTENT, key=b"value")
        one, other = [Path(await export_aside(engine, store.key)) for _ in range(2)]
        assert one != other
        assert one.parent == other.parent == Path(engine.layout.root)
        assert one.read_bytes() == other.read_bytes()
        connection = sqlite3.connect(one)
        assert answers(connection)[-1] == [("ok",)]
        connection.close()
        missing, _ = owned(engine, 2)
        with pytest.raises(StorageError, match="There is no object"):
            await export_aside(engine, missing.key)
        assert sorted(Path(engine.layout.root).glob("exported-*")) == sorted([one, other])


async def test_what_a_killed_command_left_goes_at_the_next_start_or_export(tmp_path: Path) -> None:
    """A copy aside has its reader at once: what is older than a minute has none. The reader keeps it open."""
    async with an_engine(tmp_path) as engine:
        store, _ = owned(engine)
        await write(store, *CONTENT)
        left, read = [Path(await export_aside(engine, store.key)) for _ in range(2)]
        os.utime(left, (1, 1))
        await export_aside(engine, store.key)
        assert not left.exists()
        os.utime(read, (1, 1))
    recover(Unsynced(), Layout(str(tmp_path)))
    async with an_engine(tmp_path):
        assert len(list(tmp_path.glob("exported-*"))) == 1


def test_what_is_no_database_cannot_be_dumped(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text" * 200)
    with pytest.raises(SqlError, match="not a database"):
        list(dump_sql(str(tmp_path / "text")))
