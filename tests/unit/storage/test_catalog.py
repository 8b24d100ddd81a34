"""catalog: which objects there are, in what order, and that it never lacks one that confirmed anything."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from pathlib import Path

import pytest
from support.inside import Unsynced, until
from support.stores import Owner, an_engine

from perdure._base import limits
from perdure._storage import kv
from perdure._storage.catalog import place_of
from perdure._storage.engine import StorageEngine
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout, namespace_folder, namespace_key, store_key
from perdure._storage.notes import Fields, add_notes, read_notes
from perdure._storage.store import Store
from perdure.errors import DataFolderError

VALUES = itertools.count()
FOLDER = namespace_folder("app-Thing")


def a_store(engine: StorageEngine, number: int, name: str | None = None) -> Store:
    store = engine.store(store_key("app-Thing", f"{number:064x}"))
    store.name = name
    if store.owner is None:
        store.attach(Owner())
    return store


async def written(engine: StorageEngine, number: int, name: str | None = None) -> Store:
    """A store with something in it, durable."""
    store = a_store(engine, number, name)
    kv.put(store, "k", b"%d" % next(VALUES))  # to write what is there already would be no commit
    store.end_turn()
    await until(lambda: store.is_durable)
    return store


def listed(engine: StorageEngine, **options) -> list[str | int]:
    """Names, or where there is none numbers, of what is listed."""
    rows = engine.catalog.list(FOLDER, **{"limit": 1000, **options})
    return [row.name if row.name is not None else int(row.id.hex(), 16) for row in rows]


# --- what is in it -----------------------------------------------------------------------------------


async def test_an_object_is_listed_as_soon_as_its_first_write_is_confirmed() -> None:
    """Not before, and without waiting for anything."""
    async with an_engine() as engine:
        store = a_store(engine, 1, "one")
        kv.put(store, "k", b"v")
        before = listed(engine)
        store.end_turn()
        seen = []
        store.gate.when(store.number, lambda error: seen.append(listed(engine)))
        await until(lambda: seen)
        assert (before, seen) == ([], [["one"]])


async def test_an_object_that_only_reads_is_not_listed() -> None:
    """Nor has it a file when it leaves memory."""
    async with an_engine() as engine:
        store = a_store(engine, 1, "one")
        kv.get(store, "k")
        there = os.path.exists(store.path)
        engine.release(store)
        assert (listed(engine), there, os.path.exists(store.path)) == ([], True, False)


async def test_an_erased_object_is_not_listed_and_its_file_goes() -> None:
    """The file goes when the object leaves memory and nothing is needed to undo that."""
    async with an_engine() as engine:
        store = await written(engine, 1, "one")
        store.erase()
        await until(lambda: store.is_durable)
        assert listed(engine) == []
        assert os.path.exists(store.path)
        engine.release(store)
        await until(
            lambda: not os.path.exists(store.path) and not engine.journal._ledger.stores() - {b"catalog"}
        )


async def test_an_erased_object_that_writes_again_is_listed_again() -> None:
    async with an_engine() as engine:
        store = await written(engine, 1, "one")
        first_used_s = engine.catalog.list(FOLDER, limit=1)[0].first_used_s
        store.erase()
        await written(engine, 1, "one")
        [row] = engine.catalog.list(FOLDER, limit=2)
        assert row.name == "one"
        assert row.first_used_s > first_used_s


async def test_an_object_lives_on_in_a_new_file() -> None:
    """It is used again while its old file goes, and after."""
    async with an_engine() as engine:
        store = await written(engine, 1, "one")
        store.erase()
        engine.release(store)
        store = await written(engine, 1, "one")
        await until(lambda: store.is_durable and not store._syncing)
        value = kv.get(store, "k")
        assert value
        engine.release(store)
        store.close()
        engine._forget(store)
        assert kv.get(a_store(engine, 1), "k") == value


async def test_a_name_that_was_not_known_is_learnt_later() -> None:
    """An object reached by its id alone has no name until somebody uses it."""
    async with an_engine() as engine:
        store = await written(engine, 1)
        assert listed(engine) == [1]
        store._announced = False  # as in the next process
        await written(engine, 1, "one")
        assert listed(engine) == ["one"]


async def test_the_last_use_is_noted_coarsely() -> None:
    """A use that is hardly later writes nothing."""
    now = 1000.0
    async with an_engine(now_s=lambda: now) as engine:
        store = await written(engine, 1, "one")
        for later in (limits.LAST_USE_PRECISION_S / 2, limits.LAST_USE_PRECISION_S + 1):
            now = 1000.0 + later
            engine.release(store)
            store.attach(Owner())
            [row] = engine.catalog.list(FOLDER, limit=1)
            assert (row.first_used_s, row.last_used_s) == (1000.0, now if later > 500 else 1000.0)


# --- the list ----------------------------------------------------------------------------------------


async def test_names_come_in_order_and_then_ids() -> None:
    """In the order of the names' UTF-8 bytes; any text is a name."""
    names = ["z", "a", "ä", "", "a\0", "\ud800", "𝄞", "b"]
    async with an_engine() as engine:
        for number, name in enumerate(names):
            await written(engine, number, name)
        for number in (30, 20):
            await written(engine, number)
        in_order = sorted(names, key=lambda name: name.encode("utf-8", "surrogatepass"))
        assert listed(engine) == [*in_order, 20, 30]
        assert listed(engine, prefix="a") == ["a", "a\0"]
        assert listed(engine, prefix="") == in_order


async def test_pages_follow_each_other_without_a_gap() -> None:
    async with an_engine() as engine:
        for number in range(7):
            await written(engine, number, f"n{number}" if number < 4 else None)
        for limit in (1, 2, 3, 4, 5, 7):
            seen: list[bytes] = []
            after = None
            while rows := engine.catalog.list(FOLDER, after=after, limit=limit):
                seen += [row.id for row in rows]
                after = place_of(rows[-1])
            assert [int(found.hex(), 16) for found in seen] == list(range(7))


async def test_namespaces_do_not_see_each_other() -> None:
    async with an_engine() as engine:
        await written(engine, 1, "one")
        other = engine.store(store_key("app-Other", f"{1:064x}"))
        other.name = "other"
        other.attach(Owner())
        kv.put(other, "k", b"v")
        other.end_turn()
        await until(lambda: other.is_durable)
        assert listed(engine) == ["one"]
        assert [row.name for row in engine.catalog.list(namespace_folder("app-Other"), limit=9)] == ["other"]


async def test_one_object_can_be_asked_for() -> None:
    async with an_engine() as engine:
        store = await written(engine, 1, "one")
        row = engine.catalog.get(store.key)
        assert row is not None
        assert row.name == "one"
        assert engine.catalog.get(store_key("app-Thing", f"{2:064x}")) is None


# --- what it survives --------------------------------------------------------------------------------


async def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    """Also what was heard and not committed yet."""
    async with an_engine(tmp_path) as engine:
        await written(engine, 1, "one")
    recover(Unsynced(), Layout(str(tmp_path)))
    async with an_engine(tmp_path) as engine:
        assert listed(engine) == ["one"]
        await written(engine, 2, "two")
        (await written(engine, 1, "one")).erase()
        await engine.journal.flush()
    recover(Unsynced(), Layout(str(tmp_path)))
    assert not os.path.exists(Layout(str(tmp_path)).store(store_key("app-Thing", f"{1:064x}")))
    async with an_engine(tmp_path) as engine:
        assert listed(engine) == ["two"]
        await engine.journal.flush()
        assert read_notes(Unsynced(), Layout(str(tmp_path))) == []


async def test_a_segment_stays_until_the_catalog_has_what_it_tells() -> None:
    """Everything else of it may be in the objects' own files."""
    async with an_engine() as engine:
        store = await written(engine, 1, "one")
        store.make_way()
        await until(lambda: not store._syncing)
        assert engine.journal._ledger.stores() == {engine.catalog.key}
        engine.catalog.flush()
        await engine.journal.flush()
        assert engine.journal._ledger.stores() == {b"catalog"}


async def test_what_was_heard_is_written_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, and at once when it is much."""
    monkeypatch.setattr(limits, "CATALOG_NOTES_PER_COMMIT", 3)
    async with an_engine() as engine:
        for number in range(3):
            await written(engine, number)
        await until(lambda: not engine.catalog._heard)
    monkeypatch.setattr(limits, "CATALOG_FLUSH_S", 0.001)
    async with an_engine() as engine:
        await written(engine, 1)
        await asyncio.sleep(0.002)
        await until(lambda: not engine.catalog._heard)


async def test_commits_of_the_catalog_that_are_lost_are_made_again() -> None:
    """The disk was full: what they held is heard still."""
    async with an_engine() as engine:
        await written(engine, 1, "one")
        engine.catalog.flush()
        catalog = engine.store(b"catalog")
        engine.journal._committer.gathered.clear()
        catalog.failed(OSError(errno.ENOSPC, "full"))
        assert listed(engine) == ["one"]
        assert catalog.critical is None


async def test_a_deleted_namespace_leaves_it(tmp_path: Path) -> None:
    disk, layout = Unsynced(), Layout(str(tmp_path))
    async with an_engine(tmp_path) as engine:
        await written(engine, 1, "one")
    recover(disk, layout)
    add_notes(disk, layout, [(namespace_key("app-Thing"), Fields(erased=True))])
    async with an_engine(tmp_path) as engine:
        assert listed(engine) == []


def test_damaged_notes_are_refused(tmp_path: Path) -> None:
    """To start without them would be to lose objects from the list."""
    disk, layout = Unsynced(), Layout(str(tmp_path))
    add_notes(disk, layout, [(namespace_key("app-Thing"), Fields(erased=True))])
    data = bytearray((tmp_path / "catalog.notes").read_bytes())
    data[60] ^= 1
    (tmp_path / "catalog.notes").write_bytes(data)
    with pytest.raises(DataFolderError, match=r"catalog\.notes is damaged"):
        read_notes(disk, layout)


# --- a folder of the version before --------------------------------------------------------------------


async def test_a_folder_of_format_1_gets_its_catalog(tmp_path: Path) -> None:
    """From the files: those that never confirmed anything, or were emptied, are no objects."""
    async with an_engine(tmp_path) as engine:
        for number in (1, 2, 3):
            await written(engine, number, f"thing {number}")
        kv.get(a_store(engine, 4), "k")
    recover(Unsynced(), Layout(str(tmp_path)))
    os.unlink(tmp_path / "catalog.sqlite")
    os.unlink(tmp_path / "catalog.notes")
    async with an_engine(tmp_path) as engine:
        store = await written(engine, 3, "thing 3")
        store.erase()
        await written(engine, 1, "thing 1")  # its name is in the journal again
        await engine.journal.flush()
    os.unlink(tmp_path / "catalog.sqlite")
    (tmp_path / "FORMAT").write_text("perdure data 1\n")
    for _ in range(2):
        async with an_engine(tmp_path) as engine:
            assert listed(engine) == ["thing 1", 2]
        (tmp_path / "FORMAT").write_text("perdure data 1\n")  # cut short, it is run again
