"""import_store: a file becomes what an object stores, all of it or nothing."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
from pathlib import Path

import pytest
from support.inside import Unsynced, until
from support.stores import an_engine, owned, write

from perdure._base import codec
from perdure._storage import kv, metadata
from perdure._storage.backup import backup
from perdure._storage.database import own
from perdure._storage.delete import delete_store
from perdure._storage.export import export_store
from perdure._storage.import_store import import_store
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout, store_key
from perdure._storage.store import Store
from perdure._storage.verify import verify
from perdure.errors import StorageError
from perdure.testing.disk import PowerCut, SimulatedDisk

KEY = store_key("app-Thing", f"{1:064x}")


def a_file(path: Path, *statements: str, page_bytes: int = 4096) -> str:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size={page_bytes}")
    for statement in statements or ("CREATE TABLE t (a)", "INSERT INTO t VALUES ('imported')"):
        connection.execute(statement)
    connection.close()
    return str(path)


def rows(store: Store) -> list:
    return (store.database or store.open()).run(own("SELECT a FROM t")).fetchall()


async def test_what_was_exported_comes_back(tmp_path: Path) -> None:
    """Tables, keys and values; the object's name stays, and it goes on from there."""
    file = str(tmp_path / "out.sqlite")
    async with an_engine() as engine:
        store, owner = owned(engine)
        store.name = "name"
        await write(store, "CREATE TABLE t (a)", "INSERT INTO t VALUES ('first')", key=b"first")
        await export_store(engine, store.key, file)
        await write(store, "DELETE FROM t", key=b"second")
        assert await import_store(engine, store.key, file) == (os.path.getsize(file), [])
        assert str(owner.errors[0]) == "The object's data was replaced by an import."
        store, _ = owned(engine)
        assert (kv.get(store, "key"), rows(store)) == (b"first", [("first",)])
        row = engine.catalog.get(store.key)
        assert row is not None
        assert row.name == "name"
        await write(store, "INSERT INTO t VALUES ('after')", key=b"third")
        store.try_checkpoint()
        await until(lambda: not store._syncing)
        assert (kv.get(store, "key"), rows(store)) == (b"third", [("first",), ("after",)])
        assert await verify(engine) == []


async def test_an_object_may_begin_with_it(tmp_path: Path) -> None:
    """It is listed under its name then."""
    async with an_engine() as engine:
        await import_store(engine, KEY, a_file(tmp_path / "f"), name="new")
        row = engine.catalog.get(KEY)
        assert row is not None
        assert row.name == "new"
        assert rows(owned(engine)[0]) == [("imported",)]


@pytest.mark.parametrize("later", [False, True])
async def test_it_is_there_after_a_restart(tmp_path: Path, later: bool) -> None:
    """With what was committed after it, and nothing of what was before."""
    data = tmp_path / "data"
    async with an_engine(data) as engine:
        store, _ = owned(engine)
        await write(
            store, "CREATE TABLE old (a)", *["INSERT INTO old VALUES (zeroblob(9000))"] * 5, key=b"old"
        )
        await import_store(engine, KEY, a_file(tmp_path / "f"))
        if later:
            await write(owned(engine)[0], "INSERT INTO t VALUES ('later')")
    recover(Unsynced(), Layout(str(data)))
    async with an_engine(data) as engine:
        store, _ = owned(engine)
        assert rows(store) == [("imported",)] + [("later",)] * later
        assert kv.get(store, "key") is None
        assert await verify(engine) == []
        assert [name for name in os.listdir(os.path.dirname(store.path)) if "wal" not in name] == [
            os.path.basename(store.path)
        ]


@pytest.mark.parametrize("seed", range(40))
async def test_when_the_power_goes_all_of_it_is_there_or_nothing(tmp_path: Path, seed: int) -> None:
    """At any step of the import, and of the recovery after it."""
    chance = random.Random(seed)
    file = a_file(tmp_path / "f", "CREATE TABLE t (a)", *["INSERT INTO t VALUES (zeroblob(5000))"] * 5)
    disk = SimulatedDisk(str(tmp_path / "data"))
    cuts: list[tuple[str, bool]] = []
    step = chance.randrange(60)
    confirmed = False
    async with an_engine(tmp_path / "data", disk=disk) as engine:
        store, _ = owned(engine)
        await write(store, "CREATE TABLE old (a)", "INSERT INTO old VALUES (zeroblob(9000))")
        if chance.random() < 0.5:
            store.try_checkpoint()
            await until(lambda: not store._syncing)

        def cut() -> str:
            return disk.after_power_loss(str(tmp_path / "cut"), chance, lives_on=True).root

        def at(point: str) -> None:
            if point.startswith("before_") and disk.steps == step:
                cuts.append((cut(), confirmed))

        disk.steps = 0
        disk.on_point = at
        await import_store(engine, KEY, file)
        confirmed = True
        await write(owned(engine)[0], "INSERT INTO t VALUES (1)")
        disk.on_point = None
        if not cuts:
            cuts.append((cut(), True))
    [(root, was_confirmed)] = cuts
    again = SimulatedDisk(root)
    again.steps_left = chance.choice((None, chance.randrange(15)))
    try:
        recover(again, Layout(root))
    except PowerCut:
        again.steps_left = None
        root = again.after_power_loss(str(tmp_path / "cut again"), chance).root
        recover(SimulatedDisk(root), Layout(root))
    async with an_engine(Path(root)) as engine:
        assert await verify(engine) == []
        store, _ = owned(engine)
        tables = {table for (table,) in store.open().run(own("SELECT name FROM sqlite_schema")).fetchall()}
        assert tables in ({"t"}, {"old"})
        assert not was_confirmed or tables == {"t"}
        if tables == {"t"}:
            assert len(rows(store)) in (5, 6)


async def test_what_writes_meanwhile_is_replaced(tmp_path: Path) -> None:
    """It commits as long as the file is copied; the import then waits until that is durable."""
    file = a_file(tmp_path / "f")
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"0")
        task = asyncio.create_task(import_store(engine, KEY, file))
        number = 0
        while not task.done():
            number += 1
            if store.owner is not None and store.critical is None:
                kv.put(store, "key", b"%d" % number)
                store.end_turn()
                if number % 5 == 0:
                    engine.release(store)
            await asyncio.sleep(0)
        await task
        assert rows(owned(engine)[0]) == [("imported",)]


async def test_a_cancelled_import_has_happened_or_not(tmp_path: Path) -> None:
    """Whoever gives up waiting leaves nothing half done."""
    file = a_file(tmp_path / "f")
    for steps in range(0, 40, 3):
        async with an_engine() as engine:
            store, _ = owned(engine)
            await write(store, "CREATE TABLE t (a)")
            task = asyncio.create_task(import_store(engine, KEY, file))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert rows(owned(engine)[0]) in ([], [("imported",)])
            assert await verify(engine) == []


async def test_what_an_object_stored_meanwhile_stays_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not have been there when the import began."""
    copied = threading.Event()
    monkeypatch.setattr("perdure._storage.import_store.take_over", lambda *_, **__: copied.wait(10) and [])
    async with an_engine() as engine:
        task = asyncio.create_task(import_store(engine, KEY, a_file(tmp_path / "f"), replace=False))
        store, owner = owned(engine)
        await asyncio.sleep(0)
        await write(store, "CREATE TABLE t (a)", "INSERT INTO t VALUES ('meanwhile')")
        copied.set()
        with pytest.raises(FileExistsError):
            await task
        assert owner.errors == []
        assert rows(store) == [("meanwhile",)]
        with pytest.raises(FileExistsError):
            await import_store(engine, KEY, str(tmp_path / "nothing is read"), replace=False)


@pytest.mark.parametrize("page_bytes", [1024, 65536])
async def test_other_page_sizes_are_converted(tmp_path: Path, page_bytes: int) -> None:
    file = a_file(
        tmp_path / "f",
        "PRAGMA auto_vacuum=FULL",
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES ('imported')",
        page_bytes=page_bytes,
    )
    async with an_engine() as engine:
        await import_store(engine, KEY, file)
        store, _ = owned(engine)
        assert rows(store) == [("imported",)]
        await write(store, "INSERT INTO t VALUES (randomblob(20000))")
        assert await verify(engine) == []


async def test_a_file_with_its_wal_is_complete(tmp_path: Path) -> None:
    """Without it the last commits may be missing, as in an object's file that was copied by hand."""
    writer = sqlite3.connect(tmp_path / "f", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (a)")
    writer.execute("PRAGMA wal_checkpoint")
    writer.execute("INSERT INTO t VALUES ('imported')")
    async with an_engine() as engine:
        await import_store(engine, KEY, str(tmp_path / "f"))
        assert rows(owned(engine)[0]) == [("imported",)]
        (tmp_path / "copy").write_bytes((tmp_path / "f").read_bytes())
        with pytest.raises(StorageError, match="in WAL mode, and its -wal file is not beside it"):
            await import_store(engine, KEY, str(tmp_path / "copy"))
    writer.close()


async def test_files_of_a_backup_are_complete(tmp_path: Path) -> None:
    """One object can be taken back from it."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, "CREATE TABLE t (a)", "INSERT INTO t VALUES ('backed up')")
        await backup(engine, str(tmp_path / "backup"))
        await write(store, "DELETE FROM t")
        await import_store(engine, KEY, Layout(str(tmp_path / "backup")).store(KEY))
        assert rows(owned(engine)[0]) == [("backed up",)]


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        (["CREATE TABLE _cf_mine (a)"], "names that begin with _cf_"),
        (["CREATE TABLE _cf_KV (key INTEGER PRIMARY KEY, value)"], "names that begin with _cf_"),
        (["CREATE VIEW _CF_view AS SELECT 1"], "names that begin with _cf_"),
        (["CREATE VIRTUAL TABLE t USING fts4 (a)"], "virtual table 't' of fts4"),
        (["PRAGMA encoding='UTF-16'", "CREATE TABLE t (a)"], "UTF-16"),
    ],
)
async def test_what_an_object_cannot_hold_is_refused(
    tmp_path: Path, statements: list[str], text: str
) -> None:
    """And the object stays as it was."""
    file = a_file(tmp_path / "f", *statements)
    async with an_engine() as engine:
        store, owner = owned(engine)
        await write(store, key=b"value")
        with pytest.raises(StorageError, match=text):
            await import_store(engine, KEY, file)
        assert (kv.get(store, "key"), owner.errors) == (b"value", [])
        assert len(os.listdir(os.path.dirname(store.path))) == 2  # with its WAL


async def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Also what is no database, is not there, or belongs to the data folder."""
    file = a_file(tmp_path / "f", "CREATE TABLE t (a)", "CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (1)")
    with open(file, "r+b") as stream:
        stream.seek(2 * 4096)
        stream.write(bytes(4096))
    (tmp_path / "text").write_text("text" * 2000)
    (tmp_path / "short").write_text("SQLite takes what has less than 512 bytes for an empty database")
    (tmp_path / "empty").write_bytes(b"")
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"value")
        for source, text in (
            (file, "damaged|malformed"),
            (str(tmp_path / "text"), "not a database"),
            (str(tmp_path / "short"), "not a database"),
            (str(tmp_path / "empty"), "empty"),
            (store.path, "belongs to this data folder"),
        ):
            with pytest.raises(StorageError, match=text):
                await import_store(engine, KEY, source)
        with pytest.raises(FileNotFoundError):
            await import_store(engine, KEY, str(tmp_path / "none"))
        assert kv.get(store, "key") == b"value"


async def test_an_alarm_comes_back_with_its_object(tmp_path: Path) -> None:
    """In its database and in the index; one that the file does not have is gone from both."""
    file, plain = str(tmp_path / "out.sqlite"), a_file(tmp_path / "plain.sqlite")
    async with an_engine() as engine:
        store, _ = owned(engine)
        metadata.set_alarm(store, 1000)
        store.end_turn()
        await store.gate.wait()
        await export_store(engine, store.key, file)
        await import_store(engine, store.key, plain)
        assert engine.catalog.alarms((-1, b""), 9) == []
        await import_store(engine, store.key, file)
        assert engine.catalog.alarms((-1, b""), 9) == [(store.key, 1000, None)]
        assert metadata.alarm(owned(engine)[0]) == 1000


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE _cf_METADATA (a)", "CREATE VIEW _cf_METADATA AS SELECT 1"]
)
async def test_a_hidden_table_must_be_ours(tmp_path: Path, statement: str) -> None:
    """Else the runtime would run on what it did not make."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        with pytest.raises(StorageError, match="belong to the runtime"):
            await import_store(engine, store.key, a_file(tmp_path / "bad.sqlite", statement))


@pytest.mark.parametrize(
    ("value", "says"),
    [("'soon'", "is 'soon', which is no time"), ("-1", "no time")],
)
async def test_an_alarm_that_is_no_time_is_refused(tmp_path: Path, value: str, says: str) -> None:
    """It could never run, and could not even be read."""
    table = "CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)"
    file = a_file(tmp_path / "bad.sqlite", table, f"INSERT INTO _cf_METADATA VALUES (1, {value})")
    async with an_engine() as engine:
        store, _ = owned(engine)
        with pytest.raises(StorageError, match=says):
            await import_store(engine, store.key, file)


async def test_a_schema_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """SQLite does not look what bytes a text has."""
    file = a_file(tmp_path / "bad.sqlite", "CREATE TABLE x (name)")
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA writable_schema=ON")
    connection.execute("UPDATE sqlite_schema SET sql = sql || CAST(x'202d2dff' AS TEXT) WHERE name = 'x'")
    connection.commit()
    connection.close()
    async with an_engine() as engine:
        store, _ = owned(engine)
        with pytest.raises(StorageError, match="not UTF-8"):
            await import_store(engine, store.key, file)


def a_file_of_workerd(path: Path, *more: str) -> str:
    return a_file(
        path,
        "CREATE TABLE _cf_KV (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
        "INSERT INTO _cf_KV VALUES ('mode', x'ff0f22057175696574'), ('n', x'ff0f4954')",
        *more,
    )


async def test_keys_and_values_of_workerd_become_perdures(tmp_path: Path) -> None:
    """They are as V8 writes them there, and as our own codec does here."""
    file = a_file_of_workerd(tmp_path / "v8.sqlite")
    async with an_engine() as engine:
        assert (await import_store(engine, KEY, file)).left_out == []
        store, _ = owned(engine)
        assert [codec.loads(kv.get(store, key) or b"") for key in ("mode", "n")] == ["quiet", 42]
        assert await verify(engine) == []


async def test_the_alarm_of_workerd_is_in_nanoseconds(tmp_path: Path) -> None:
    """A part of a millisecond is rounded up: no alarm is early."""
    file = a_file(
        tmp_path / "f",
        "CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)",
        "INSERT INTO _cf_METADATA VALUES (1, 1795703040827000001)",
    )
    async with an_engine() as engine:
        await import_store(engine, KEY, file)
        assert metadata.alarm(owned(engine)[0]) == 1795703040828
        assert engine.catalog.alarms((-1, b""), 9) == [(KEY, 1795703040828, None)]


async def test_a_value_that_only_javascript_can_read_stops_an_import(tmp_path: Path) -> None:
    """The text names the key and the reason; the object is what it was."""
    file = a_file_of_workerd(tmp_path / "v8.sqlite", "INSERT INTO _cf_KV VALUES ('stub', x'ff0f5c01')")
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"value")
        with pytest.raises(StorageError, match=r"'stub': at byte 2 is a value of kind .*--leave-out"):
            await import_store(engine, KEY, file)
        assert kv.get(store, "key") == b"value"


async def test_a_value_that_only_javascript_can_read_is_left_out_if_asked(tmp_path: Path) -> None:
    """And told."""
    file = a_file_of_workerd(tmp_path / "v8.sqlite", "INSERT INTO _cf_KV VALUES ('stub', x'ff0f5c01')")
    async with an_engine() as engine:
        [(key, why)] = (await import_store(engine, KEY, file, leave_out=True)).left_out
        store, _ = owned(engine)
        assert (key, "kind '\\\\'" in why) == ("stub", True)
        assert kv.get(store, "stub") is None
        assert codec.loads(kv.get(store, "mode") or b"") == "quiet"


async def test_nobody_sees_the_moment_between(tmp_path: Path) -> None:
    """From its record to its end a copy, a deletion and another import wait; an instance is refused."""
    file = a_file(tmp_path / "f")
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"value")
        first = asyncio.create_task(import_store(engine, KEY, file))
        await until(lambda: store.is_reserved)
        with pytest.raises(StorageError, match="is being replaced by an import"):
            owned(engine)
        assert not store.try_checkpoint()
        second = asyncio.create_task(import_store(engine, KEY, file))
        await export_store(engine, KEY, str(tmp_path / "out"))
        connection = sqlite3.connect(tmp_path / "out")
        assert connection.execute("SELECT * FROM t").fetchall() == [("imported",)]
        connection.close()
        await asyncio.gather(first, second)
        assert await delete_store(engine, KEY)
        assert kv.get(owned(engine)[0], "key") is None


async def test_what_an_import_has_left_goes_with_the_next(tmp_path: Path) -> None:
    """The process died before its record was written."""
    file = a_file(tmp_path / "f")
    async with an_engine() as engine:
        await import_store(engine, KEY, file)
        left = Path(engine.layout.replacement(KEY, "0" * 16))
        left.write_text("half of a copy")
        await import_store(engine, KEY, file)
        assert not left.exists()
        assert rows(owned(engine)[0]) == [("imported",)]
