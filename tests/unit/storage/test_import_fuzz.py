"""Imported files that anything has happened to: what they hold, or a refusal that leaves the object as it was."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from functools import cache

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stores import an_engine, owned, write

from perdure._base import codec
from perdure._storage import kv, metadata
from perdure._storage.database import own
from perdure._storage.export import export_store
from perdure._storage.import_store import import_store
from perdure._storage.verify import verify
from perdure.errors import SqlError, StorageError
from perdure.testing.harness import memory_folder


@cache
def samples() -> list[bytes]:
    """Files that can be imported: one of an object with keys, values and an alarm, one of SQLite alone."""

    async def exported(path: str) -> None:
        async with an_engine() as engine:
            store, _ = owned(engine)
            await write(
                store,
                "CREATE TABLE t (a, b TEXT)",
                "CREATE INDEX i ON t (b)",
                "CREATE VIRTUAL TABLE words USING fts5(text)",
                "INSERT INTO words VALUES ('some words')",
                "INSERT INTO t VALUES (1, 'one')",
                first=codec.dumps({"a": 1}),
                second=codec.dumps([1.5, "x" * 5000]),
            )
            store.begin_write()
            metadata.set_alarm(store, 2_000_000_000_000)
            store.end_turn()
            await store.gate.wait()
            await export_store(engine, store.key, path)

    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        asyncio.run(exported(f"{folder}/exported"))
        connection = sqlite3.connect(f"{folder}/plain", isolation_level=None)
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "b" * n * 20) for n in range(1, 60)])
        connection.execute("CREATE VIEW v AS SELECT a FROM t")
        connection.execute("CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = 1; END")
        connection.close()
        contents = []
        for name in ("exported", "plain"):
            with open(f"{folder}/{name}", "rb") as file:
                contents.append(file.read())
    return contents


def damaged(data: st.DataObject, content: bytes) -> bytes:
    at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 120) | st.integers(4096, 4200))
    at = min(at, len(content) - 1)
    match data.draw(st.sampled_from(["byte", "byte", "rubbish", "zero", "cut", "page", "text"])):
        case "byte":
            return content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
        case "rubbish":
            rubbish = data.draw(st.binary(min_size=1, max_size=200))
            return content[:at] + rubbish + content[at + len(rubbish) :]
        case "zero":
            return content[:at] + bytes(100) + content[at + 100 :]
        case "cut":
            return content[:at]
        case "page":
            source, target = (data.draw(st.integers(0, len(content) // 4096)) * 4096 for _ in range(2))
            return content[:target] + content[source : source + 4096] + content[target + 4096 :]
        case _:  # in the schema, which SQLite parses
            old = data.draw(st.sampled_from([b"TABLE", b"_cf_KV", b"INDEX", b"fts5", b"BLOB", b"PRIMARY"]))
            new = data.draw(st.sampled_from([b"VIEW ", b"_cf_XX", b"_CF_KV", b"json1", b"x", b"\0\0\0"]))
            return content.replace(old, new, data.draw(st.integers(1, 3)))


@pytest.mark.fuzz
@given(st.data())
def test_whatever_happened_to_a_file_it_is_imported_and_can_be_read_or_refused_and_nothing_changes(data):
    """Refused with a `StorageError` that says why; what was imported is used with SQLite's answers and errors."""
    content = data.draw(st.sampled_from(samples()))
    for _ in range(data.draw(st.integers(1, 3))):
        content = damaged(data, content) or b"x"

    async def run(folder: str) -> None:
        path = f"{folder}/file"
        with open(path, "wb") as file:
            file.write(content)
        os.mkdir(f"{folder}/data")
        async with an_engine(f"{folder}/data") as engine:
            store, _ = owned(engine)
            await write(store, "CREATE TABLE mine (a)", key=b"before")
            try:
                await import_store(engine, store.key, path)
            except StorageError:
                assert kv.get(store, "key") == b"before"
                assert store.owner is not None
                assert await verify(engine) == []
            else:
                store, _ = owned(engine)
                for statement in (
                    "SELECT count(*) FROM sqlite_schema",
                    "SELECT * FROM t",
                    "SELECT * FROM words",
                ):
                    try:
                        store.begin_write().run(own(statement)).fetchall()
                    except (
                        apsw.Error,
                        UnicodeDecodeError,
                    ):  # that table is another, or none; text is what nobody looked at
                        pass
                metadata.alarm(store)
                try:
                    kv.put(store, "key", b"after")
                    assert kv.get(store, "key") == b"after"
                except SqlError:  # SQLite has looked at every page, and finds out only now
                    return
                store.end_turn()
                await store.gate.wait()

    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        asyncio.run(run(folder))


@pytest.mark.parametrize("number", [0, 1])
async def test_without_damage_the_samples_are_imported(tmp_path, number):
    """Else the test above would say nothing."""
    path = tmp_path / "file"
    path.write_bytes(samples()[number])
    async with an_engine() as engine:
        store, _ = owned(engine)
        await import_store(engine, store.key, str(path))
