"""delete: an object and all it stored is gone, durably."""

from __future__ import annotations

import os
from pathlib import Path

from support.inside import Unsynced, until
from support.stores import an_engine, owned, write

from perdure._storage import kv
from perdure._storage.delete import delete_store
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout


async def test_a_deleted_object_is_gone() -> None:
    """From the list and from the disk; deleting it again finds nothing."""
    async with an_engine() as engine:
        store, owner = owned(engine)
        await write(store, key=b"value")
        assert await delete_store(engine, store.key)
        assert str(owner.errors[0]) == "The object was deleted."
        assert engine.catalog.get(store.key) is None
        assert not await delete_store(engine, store.key)
        await until(lambda: not os.path.exists(store.path))


async def test_it_stays_gone_after_a_crash(tmp_path: Path) -> None:
    """Right after it was said to be deleted."""
    async with an_engine(tmp_path) as engine:
        store, _ = owned(engine)
        await write(store, key=b"value")
        store.make_way()
        await until(lambda: not store._syncing)
        store.pins += 1  # as if the process died before its file could go
        assert await delete_store(engine, store.key)
        assert os.path.exists(store.path)
        store.pins = 0
        engine._stores.pop(store.key)
    recover(Unsynced(), Layout(str(tmp_path)))
    assert not os.path.exists(store.path)
    async with an_engine(tmp_path) as engine:
        assert engine.catalog.get(store.key) is None


async def test_an_object_that_is_used_again_begins_empty() -> None:
    async with an_engine() as engine:
        store, _ = owned(engine)
        await write(store, key=b"value")
        kv.put(store, "key", b"of a turn that is open")
        await delete_store(engine, store.key)
        again, _ = owned(engine)
        assert kv.get(again, "key") is None
        await write(again, key=b"new")
        assert engine.catalog.get(store.key) is not None
