"""A store without an object around it: a real engine and journal on a folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.inside import Unsynced, until

from perdure._base.disk import Disk
from perdure._storage import kv
from perdure._storage.database import own
from perdure._storage.engine import StorageEngine
from perdure._storage.folder import DataFolder
from perdure._storage.journal.journal import Journal
from perdure._storage.layout import store_key
from perdure._storage.store import Store


class Owner:
    """Stands for the live object: remembers what it heard."""

    def __init__(self) -> None:
        self.open_turn = False
        self.turns = 0
        self.errors: list[BaseException] = []

    def turn_opened(self) -> None:
        self.open_turn = True
        self.turns += 1

    def storage_broke(self, error: BaseException) -> None:
        self.errors.append(error)


@asynccontextmanager
async def an_engine(
    data: Path | None = None, *, disk: Disk | None = None, **options: Any
) -> AsyncIterator[StorageEngine]:
    """Give a running engine on *data*, or on a folder that goes with it."""
    disk = disk or Unsynced()
    with tempfile.TemporaryDirectory(prefix="perdure-store-") as temporary:
        folder = DataFolder.open(data or temporary, disk)
        try:
            journal = Journal(disk, folder.layout, epoch=folder.epoch)
            await journal.start()
            engine = StorageEngine(disk, folder.layout, journal, **options)
            await engine.start()
            try:
                yield engine
            finally:
                await engine.close()
        finally:
            folder.close()


def owned(engine: StorageEngine, number: int = 1) -> tuple[Store, Owner]:
    """The store *number* of *engine*, with an owner."""
    store = engine.store(store_key("app-Thing", f"{number:064x}"))
    owner = Owner()
    store.attach(owner)
    return store, owner


@asynccontextmanager
async def a_store(**options: Any) -> AsyncIterator[tuple[Store, Owner]]:
    """Give one store in a fresh folder, and its owner."""
    async with an_engine(**options) as engine:
        yield owned(engine)


async def write(store: Store, *statements: str, **pairs: bytes) -> None:
    """Run *statements* and put *pairs* as one turn; wait until it is durable."""
    for key, value in pairs.items():
        kv.put(store, key, value)
    for statement in statements:
        store.begin_write().run(own(statement))
    store.end_turn()
    await until(lambda: store.is_durable)
