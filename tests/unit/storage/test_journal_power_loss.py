"""The journal, checkpoints and recovery together, on a disk that loses whatever was not synced."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from support.log import frame, key, open_journal, settle

from perdure import errors
from perdure._base.limits import PAGE_BYTES
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import PROVISIONAL_MODE, SYNCED_MODE, Layout, is_provisional
from perdure.testing.disk import PowerCut, SimulatedDisk

State = tuple[int, ...]
"""Content of each page of a store."""


class Store:
    """One store in one process, as a model: what it holds after each commit, and what its WAL would hold."""

    def __init__(self, number: int, state: State) -> None:
        self.key = key(number)
        self.states: dict[int, State] = {0: state}
        self.number = self.durable_number = 0
        self.wal: dict[int, int] = {}

    @property
    def state(self) -> State:
        return self.states[self.number]

    def durable(self, number: int) -> None:
        self.durable_number = number

    def failed(self, error: Exception) -> None:
        if isinstance(error, errors.StorageFailed):
            return  # the end: what was not confirmed may be there after a start, or not
        for number in range(self.durable_number + 1, self.number + 1):
            del self.states[number]
        self.number = self.durable_number
        # What the WAL would be cut back to; the pages of lost commits fall back to the durable form of them.
        self.wal = {page: self.state[page - 1] for page in self.wal if page <= len(self.state)}


class Life:
    """A process from its start to the power loss."""

    def __init__(self, disk: SimulatedDisk, stores: list[Store], chance: random.Random) -> None:
        self.disk = disk
        self.layout = Layout(disk.root)
        self.stores = stores
        self.chance = chance
        self.journal = open_journal(disk, self.layout)
        self.journal.on_pressure = self.relieve
        self.wanted: set[Store] = set()

    async def run(self, actions: int) -> None:
        try:
            await self.journal.start()
            self.disk.steps_left = self.chance.choice([5, 30, 100, 300, 1000])
            for _ in range(actions):
                await self.act()
                if self.disk.steps_left == 0:
                    break
        except (PowerCut, errors.StorageFailed):
            pass
        if self.journal._asking is not None:
            self.journal._asking.cancel()

    async def act(self) -> None:
        store = self.chance.choice(self.stores)
        for wanted in sorted(self.wanted, key=lambda store: store.key):
            self.checkpoint(wanted)
        match self.chance.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                if not self.journal.is_full:
                    self.commit(store)
            case 5 | 6:
                await settle()
            case 7:
                try:
                    await self.journal.flush()
                except errors.StorageReset:
                    pass
            case 8:
                self.checkpoint(store)
            case 9:
                if self.chance.random() < 0.3:
                    self.disk.space_bytes = self.chance.choice([0, 3000, 20_000])
                else:
                    self.disk.space_bytes = None

    def commit(self, store: Store) -> None:
        chance = self.chance
        size = max(1, len(store.state) + chance.choice([0, 0, 1, 2, 5, -1, -3]))
        changed = {page: chance.randrange(1, 256) for page in range(len(store.state) + 1, size + 1)}
        changed |= {chance.randint(1, size): chance.randrange(1, 256) for _ in range(3)} | {
            1: chance.randrange(1, 256)
        }
        pages = {page + 1: content for page, content in enumerate(store.state[:size])} | changed
        store.number += 1
        store.states[store.number] = tuple(pages[page] for page in range(1, size + 1))
        store.wal |= changed
        self.append(store, changed)

    def append(self, store: Store, pages: dict[int, int], whole: bool = False) -> None:
        size = len(store.state)
        pages = {page: content for page, content in pages.items() if page <= size}
        last = max(pages)
        frames = [
            frame(page, content, size if page == last else 0) for page, content in sorted(pages.items())
        ]
        self.journal.append(store, store.number, frames, whole=whole)

    def relieve(self, stores: list[Store]) -> None:
        for store in stores:
            self.wanted.add(store)

    def checkpoint(self, store: Store) -> None:
        """What the engine does: only when all is durable, the pages, the mode, the sync, the names."""
        self.wanted.discard(store)
        if store.durable_number < store.number or not store.wal:
            return
        if self.chance.random() < 0.3:
            # As if a cursor were open: the pages once more instead.
            store.number += 1
            store.states[store.number] = store.states[store.number - 1]
            self.append(store, store.wal, whole=True)
            return
        disk, path = self.disk, self.layout.store(store.key)
        space, disk.space_bytes = disk.space_bytes, None
        os.makedirs(os.path.dirname(path), exist_ok=True)
        is_new = is_provisional(disk.mode(path), disk.size(path))
        fd = disk.open(path, create=True, mode=PROVISIONAL_MODE)
        try:
            for page, content in store.wal.items():
                disk.pwrite(fd, [bytes([content]) * PAGE_BYTES], (page - 1) * PAGE_BYTES)
            disk.truncate(fd, len(store.state) * PAGE_BYTES)
            if is_new:
                disk.chmod(fd, SYNCED_MODE)
                disk.fsync(fd)
                for folder in self.layout.store_folders(store.key):
                    disk.sync_folder(folder)
            else:
                disk.datasync(fd)
        finally:
            disk.close(fd)
        store.wal = {}
        disk.space_bytes = space
        self.journal.checkpointed(store, store.number)


def read(disk: SimulatedDisk, store: Store) -> State:
    data = disk.read(Layout(disk.root).store(store.key)) or b""
    assert len(data) % PAGE_BYTES == 0
    pages = [data[start : start + PAGE_BYTES] for start in range(0, len(data), PAGE_BYTES)]
    assert all(page == page[:1] * PAGE_BYTES for page in pages), "no page is torn"
    return tuple(page[0] for page in pages)


def never_synced(disk: SimulatedDisk, store: Store) -> bool:
    path = Layout(disk.root).store(store.key)
    return is_provisional(disk.mode(path), disk.size(path))


def play(folder: str, seed: int) -> None:
    chance = random.Random(seed)
    disk = SimulatedDisk(f"{folder}/0")
    disk.make_folder(Layout(disk.root).objects)
    disk.make_folder(Layout(disk.root).journal)
    states: list[State] = [()] * chance.choice([1, 3, 6])
    for life in range(1, 4):
        stores = [Store(number, state) for number, state in enumerate(states)]
        asyncio.run(Life(disk, stores, chance).run(chance.choice([10, 60, 200])))
        disk = disk.after_power_loss(f"{folder}/{life}", chance)
        if chance.random() < 0.3:
            disk.steps_left = chance.randrange(40)
            try:
                recover(disk, Layout(disk.root))
            except PowerCut:
                disk = disk.after_power_loss(f"{folder}/{life}-again", chance)
            disk.steps_left = None
        recover(disk, Layout(disk.root))
        for number, store in enumerate(stores):
            found = () if never_synced(disk, store) else read(disk, store)
            allowed = [state for commit, state in store.states.items() if commit >= store.durable_number]
            assert found in allowed, f"life {life}: {found} is not at or after commit {store.durable_number}"
            states[number] = found


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_after_a_power_loss_each_store_is_at_a_commit_not_before_its_last_durable_one(seed):
    """
    Commits, syncs, checkpoints, a disk that is full at times, and the power goes anywhere, also during recovery.

    Each store is then whole, at one of its commits, and nothing that was reported durable is lost; three times in a row.
    """
    with tempfile.TemporaryDirectory() as folder:
        play(folder, seed)
