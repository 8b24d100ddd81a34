"""backup: a data folder copied while it is in use; what did not change is not copied, what did always is."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest
from support.inside import Unsynced, until
from support.stores import an_engine, owned, write

from perdure._storage import kv, metadata
from perdure._storage.backup import BackupResult, backup
from perdure._storage.delete import delete_store
from perdure._storage.engine import StorageEngine
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout
from perdure._storage.snapshot import Snapshot
from perdure._storage.store import Store
from perdure._storage.verify import verify
from perdure.errors import DataFolderError, StorageError


async def saved(engine: StorageEngine, target: Path, **options) -> tuple[int, int, int]:
    """How many objects a backup holds, copied and removed."""
    result: BackupResult = await backup(engine, str(target), **options)
    return result.objects, result.copied, result.removed


async def content(folder: Path, numbers: range) -> list[bytes | None]:
    """What the objects of a backup hold; it must be sound. The folder is a backup no more."""
    async with an_engine(folder) as engine:
        assert await verify(engine) == []
        return [kv.get(owned(engine, number)[0], "key") for number in numbers]


async def test_a_backup_is_a_data_folder(tmp_path: Path) -> None:
    """With all objects, their names, and what the folder remembers of its classes."""
    data, target = tmp_path / "data", tmp_path / "backup"
    async with an_engine(data) as engine:
        Path(engine.layout.classes).write_text("{}")
        for number in range(5):
            store, _ = owned(engine, number)
            store.name = f"name {number}"
            await write(store, key=b"%d" % number)
        seen: list[tuple[int, int]] = []
        assert await saved(engine, target, on_progress=lambda *progress: seen.append(progress)) == (5, 5, 0)
        assert seen[-1] == (5, 5)
        folder = store.key.decode().partition("/")[0]
    assert (target / "classes.json").read_text() == "{}"
    async with an_engine(target) as engine:
        assert [row.name for row in engine.catalog.list(folder, limit=9)] == [f"name {n}" for n in range(5)]
    assert await content(target, range(5)) == [b"%d" % number for number in range(5)]


async def test_what_has_not_changed_is_not_copied_again(tmp_path: Path) -> None:
    """Of all, those that wrote since; whatever became of their stores meanwhile."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        stores = [owned(engine, number)[0] for number in range(10)]
        for store in stores:
            await write(store, key=b"old")
        assert await saved(engine, target) == (10, 10, 0)
        assert await saved(engine, target) == (10, 0, 0)
        await write(stores[3], key=b"new")
        stores[3].try_checkpoint()
        await until(lambda: not stores[3]._syncing)
        for store in stores[3:5]:
            engine.release(store)
            store.close()
            engine._forget(store)
        await write(owned(engine, 5)[0], key=b"new")
        assert await saved(engine, target) == (10, 2, 0)
        await write(owned(engine, 4)[0], key=b"new")
        assert await saved(engine, target) == (10, 1, 0)
        assert await saved(engine, target, incremental=False) == (10, 10, 0)
    wanted = [b"new" if number in (3, 4, 5) else b"old" for number in range(10)]
    assert await content(target, range(10)) == wanted


async def test_a_commit_that_was_on_its_way_is_not_missed(tmp_path: Path) -> None:
    """It told nothing, since its object was known; and it was not durable when the backup began."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"1")
        kv.put(store, "key", b"2")
        store.end_turn()
        await saved(engine, target)
        assert await saved(engine, target) == (1, 0, 0)
    assert await content(target, range(1, 2)) == [b"2"]


async def test_a_commit_during_a_backup_is_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the object was copied before it or after."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        stores = [owned(engine, number)[0] for number in range(100)]
        for store in stores:
            await write(store, key=b"old")
        hold_on = asyncio.Event()

        def progress(done: int, total: int) -> None:
            if not hold_on.is_set():
                hold_on.set()
                for number in (0, 99):  # one is copied already
                    kv.put(stores[number], "key", b"new")
                    stores[number].end_turn()

        await saved(engine, target, on_progress=progress)
        await until(lambda: stores[99].is_durable and stores[0].is_durable)
        assert await saved(engine, target) == (100, 2, 0)
    assert await content(target, range(0, 100, 99)) == [b"new", b"new"]


async def test_it_knows_what_changed_after_a_restart(tmp_path: Path) -> None:
    """Also when the process died before the catalog had heard. What the log still told is copied once more."""
    data, target = tmp_path / "data", tmp_path / "backup"
    async with an_engine(data) as engine:
        for number in range(3):
            await write(owned(engine, number)[0], key=b"old")
        await saved(engine, target)
    recover(Unsynced(), Layout(str(data)))
    async with an_engine(data) as engine:
        assert await saved(engine, target) == (3, 3, 0)
    recover(Unsynced(), Layout(str(data)))
    async with an_engine(data) as engine:
        await write(owned(engine, 1)[0], key=b"new")
        engine.catalog._heard.clear()  # what dies with the process
    recover(Unsynced(), Layout(str(data)))
    async with an_engine(data) as engine:
        assert await saved(engine, target) == (3, 1, 0)
    assert await content(target, range(3)) == [b"old", b"new", b"old"]


async def test_objects_that_are_gone_go_from_the_backup(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    async with an_engine() as engine:
        for number in range(3):
            await write(owned(engine, number)[0], key=b"old")
        await saved(engine, target)
        await delete_store(engine, owned(engine, 1)[0].key)
        assert await saved(engine, target) == (2, 0, 1)
        assert not os.path.exists(Layout(str(target)).store(owned(engine, 1)[0].key))
    assert await content(target, range(3)) == [b"old", None, b"old"]


async def test_objects_that_go_meanwhile_are_not_in_it(tmp_path: Path) -> None:
    """The catalog in it lists what it holds."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        for number in range(40):
            await write(owned(engine, number)[0], key=b"old")
        last = owned(engine, 39)[0].key
        tasks = []

        def progress(done: int, total: int) -> None:
            if not tasks:
                tasks.append(asyncio.ensure_future(delete_store(engine, last)))

        result = await backup(engine, str(target), on_progress=progress)
        await tasks[0]
    async with an_engine(target) as engine:
        assert engine.catalog.count() == result.objects
        assert await verify(engine) == []


async def test_a_backup_that_was_cut_short_does_not_look_like_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody opens it; the next run completes it, and misses nothing."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        for number in range(3):
            await write(owned(engine, number)[0], key=b"old")
        await saved(engine, target)
        await write(owned(engine, 1)[0], key=b"new")
        with monkeypatch.context() as patched:
            patched.setattr(Snapshot, "copy", broken_copy(Snapshot.copy))
            with pytest.raises(DataFolderError, match=r"stopped: .*No space left.*start it again"):
                await saved(engine, target)
        with pytest.raises(DataFolderError, match="no FORMAT file"):
            async with an_engine(target):
                pass
        assert await saved(engine, target) == (3, 1, 0)
    assert await content(target, range(3)) == [b"old", b"new", b"old"]


def broken_copy(copy):
    def full(self, target, **options):
        if "catalog" in target:
            return copy(self, target, **options)
        raise OSError(28, "No space left on device", target)

    return full


async def test_a_backup_of_another_folder_is_copied_anew(tmp_path: Path) -> None:
    """A folder restored from an older backup has a history of its own: nothing in the target counts."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        await write(owned(engine, 1)[0], key=b"one")
        await saved(engine, target)
        await saved(engine, target)
    async with an_engine() as engine:
        await write(owned(engine, 1)[0], key=b"other")
        assert await saved(engine, target) == (1, 1, 0)
    assert await content(target, range(1, 2)) == [b"other"]


async def test_what_is_restored_from_a_backup_goes_on_with_it(tmp_path: Path) -> None:
    """It knows the backup it came from; what it changes is copied."""
    target, restored = tmp_path / "backup", tmp_path / "restored"
    async with an_engine() as engine:
        for number in range(3):
            await write(owned(engine, number)[0], key=b"old")
        await saved(engine, target)
    shutil.copytree(target, restored)
    async with an_engine(restored) as engine:
        assert not os.path.exists(engine.layout.backup)
        await write(owned(engine, 1)[0], key=b"new")
        await saved(engine, target)
    assert await content(target, range(3)) == [b"old", b"new", b"old"]


@pytest.mark.parametrize("place", ["", "inside", "around"])
async def test_a_wrong_target_is_refused(tmp_path: Path, place: str) -> None:
    """A folder with something else in it, and the data folder itself: nothing is touched."""
    data = tmp_path / "around" / "data"
    async with an_engine(data) as engine:
        await write(owned(engine)[0], key=b"value")
        target = {"": data, "inside": data / "backup", "around": data.parent}[place]
        with pytest.raises(DataFolderError, match="cannot stand in its own data folder"):
            await backup(engine, str(target))
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").write_text("mine")
        with pytest.raises(DataFolderError, match="not empty, and no backup"):
            await backup(engine, str(tmp_path / "other"))
        assert [path.name for path in (tmp_path / "other").iterdir()] == ["file"]
        assert await verify(engine) == []


async def test_a_backup_that_was_opened_is_no_backup_any_more(tmp_path: Path) -> None:
    """It may have a life of its own now."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        await write(owned(engine)[0], key=b"value")
        await saved(engine, target)
        async with an_engine(target):
            pass
        with pytest.raises(DataFolderError, match="is one no more"):
            await saved(engine, target)


async def test_a_catalog_that_cannot_be_asked_ends_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full: it is no word that an object was deleted, which would leave it out."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        for number in range(40):
            await write(owned(engine, number)[0], key=b"old")

        def progress(done: int, total: int) -> None:
            monkeypatch.setattr(engine.catalog, "flush", lambda *, whole=False: False)

        with pytest.raises(StorageError, match="cannot be written now"):
            await backup(engine, str(target), on_progress=progress)
        monkeypatch.undo()
        assert not (target / "FORMAT").exists()
        assert (await backup(engine, str(target))).objects == 40


async def test_one_backup_at_a_time(tmp_path: Path) -> None:
    async with an_engine() as engine:
        await write(owned(engine)[0], key=b"value")
        first = asyncio.create_task(backup(engine, str(tmp_path / "1")))
        await asyncio.sleep(0)
        with pytest.raises(StorageError, match="A backup is running already"):
            await backup(engine, str(tmp_path / "2"))
        assert (await first).objects == 1


async def test_a_folder_without_objects_has_a_backup(tmp_path: Path) -> None:
    async with an_engine() as engine:
        assert await saved(engine, tmp_path / "backup") == (0, 0, 0)
    async with an_engine(tmp_path / "backup") as engine:
        assert engine.catalog.count() == 0


async def test_alarms_of_a_backup_are_those_of_its_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where an object was copied later than the catalog: an alarm that the index lacked would never run."""
    target = tmp_path / "backup"
    async with an_engine() as engine:
        stores = [owned(engine, number)[0] for number in range(4)]
        for number, store in enumerate(stores):
            await alarmed(store, None if number == 0 else 100 + number)
        plain = Snapshot.copy
        changed = False

        def copy(snapshot: Snapshot, path: str, **options: bool) -> int:
            nonlocal changed
            if path.endswith("catalog.sqlite.new") and not changed:
                changed = True
                loop.call_soon_threadsafe(change.set)
                assert done.wait(10)
            return plain(snapshot, path, **options)

        loop, change, done = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        monkeypatch.setattr(Snapshot, "copy", copy)
        copying = asyncio.ensure_future(backup(engine, str(target)))
        await change.wait()
        await alarmed(stores[0], 500)
        await alarmed(stores[1], None)
        await alarmed(stores[2], 50)
        done.set()
        await copying
        monkeypatch.undo()
    async with an_engine(target) as engine:
        index = {key: due_ms for key, due_ms, _ in engine.catalog.alarms((-1, b""), 9)}
        assert index == {
            store.key: due_ms
            for store in stores
            if (due_ms := metadata.alarm(engine.store(store.key))) is not None
        }
        assert sorted(index.values()) == [50, 103, 500]


async def alarmed(store: Store, due_ms: int | None) -> None:
    """Set or clear the alarm of a store that has something else in it, too."""
    if due_ms is None:
        metadata.clear_alarm(store)
    else:
        metadata.set_alarm(store, due_ms)
    await write(store, key=b"more")
