"""The power goes at any moment: what is left on the disk is, for each object, a commit it made, no older than confirmed.

One seed is one run, on a simulated loop and a disk that knows what was synced. It lives through several power
losses: each time what is left is recovered (now and then the power goes during that, too), compared with the
record of all commits, and lived on. PERDURE_POWER_SEEDS sets how many are tried, PERDURE_POWER_FIRST_SEED the
first of them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import sqlite3
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.world import Content, Log, Thing, Violated, World

from perdure import DurableObject, Runtime
from perdure._base import codec, ids, limits
from perdure._base.limits import KIB
from perdure._base.registry import Registry
from perdure._config.project import Declared, Migration
from perdure._engine import lifecycle
from perdure._storage.files import RealDisk
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout, is_provisional, store_key
from perdure.testing.clock import VirtualClock
from perdure.testing.disk import PowerCut, SimulatedDisk
from perdure.testing.loop import simulate

SEEDS = int(os.environ.get("PERDURE_POWER_SEEDS", "15"))
FIRST = int(os.environ.get("PERDURE_POWER_FIRST_SEED", "1"))
UNIQUE_KEY = "app-Thing"


class Simulation:
    """One seed's run."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.world = World(self.chance, [f"thing {number}" for number in range(self.chance.randint(2, 7))])
        self.cuts: list[tuple[str, dict[str, Log]]] = []
        self.folders = 0
        self.lives = 0

    def run(
        self, run: Callable[[Coroutine[Any, Any, None]], None], disk: type[SimulatedDisk] = SimulatedDisk
    ) -> World:
        chance = self.chance
        root = self.next_folder()
        with mock.patch.object(limits, "FRAMES_PER_CHECKPOINT", chance.choice((5, 40, 1000))):
            for _ in range(chance.randint(2, 4)):
                self.cuts.clear()
                run(self.live(disk(root, chance)))
                for cut, logs in self.cuts:
                    root = self.recover(cut, logs)
        return self.world

    def next_folder(self) -> str:
        self.folders += 1
        return str(self.folder / str(self.folders))

    # --- until the power goes -------------------------------------------------------------------------

    async def live(self, disk: SimulatedDisk) -> None:
        chance = self.chance
        # A few losses in each run: the last is the end of it, the others are looked at as well.
        steps = sorted(chance.sample(range(10, 400), 3))
        breaks_at = chance.randrange(10, 2000)

        def cut() -> None:
            left = disk.after_power_loss(self.next_folder(), chance, lives_on=True)
            self.cuts.append((left.root, self.world.copy_logs()))

        def at(point: str) -> None:
            if disk.steps == breaks_at:
                disk.sync_error = errno.EIO
            if steps and disk.steps >= steps[0]:
                steps.pop(0)
                cut()

        self.lives += 1
        runtime = Runtime(
            [Thing],
            data=disk.root,
            disk=disk,
            clock=VirtualClock(self.lives * 1e6),
            env={"WORLD": self.world},
            idle_s=1e6,
            slow_ms=0,
            journal_bytes=chance.choice((128, 200, 512, 4096)) * KIB,
            open_stores=chance.choice((1, 3, 100)),
        )
        await runtime.start()
        listed = {info.name for info in runtime.namespace(Thing).list()}
        assert listed == {name for name, log in self.world.logs.items() if log.last().content}
        alarms = {name: due_ms for _, due_ms, name in runtime._host.storage.catalog.alarms((-1, b""), 1000)}
        logs = self.world.logs.items()
        assert alarms == {
            name: log.last().content["alarm"] for name, log in logs if "alarm" in log.last().content
        }
        disk.steps = 0
        disk.on_point = at
        try:
            async with asyncio.timeout(1000):
                while steps and runtime._host.failed is None:
                    await self.some_calls(runtime, disk)
            if runtime._host.failed is not None:
                assert disk.sync_error, runtime._host.failed
                cut()
        finally:
            disk.on_point = None
            await runtime.stop(drain_s=1)

    async def some_calls(self, runtime: Runtime, disk: SimulatedDisk) -> None:
        chance = self.chance
        calls = []
        for _ in range(chance.randint(5, 15)):
            name = chance.choice(list(self.world.logs))
            calls.append(asyncio.create_task(self.world.call(runtime, name)))
            match chance.random():
                case x if x < 0.2:
                    await asyncio.sleep(chance.uniform(0, 0.005))
                case x if x < 0.3:
                    evict(runtime)
                case x if x < 0.32 and disk.space_bytes is None:
                    disk.space_bytes = chance.choice((0, 5_000, 50_000))
                case x if x < 0.4:
                    disk.space_bytes = None
        # While the disk is full, and with it the journal, writers wait, if need be for ever.
        _, waiting = await asyncio.wait(calls, timeout=5)
        if waiting:
            disk.space_bytes = None
        await asyncio.gather(*calls)

    # --- afterwards -----------------------------------------------------------------------------------

    def recover(self, root: str, logs: dict[str, Log]) -> str:
        """
        Recover *root*, perhaps only after losing power meanwhile, and compare it with what was known then.

        The objects may live on from there; returns the folder that is sound.
        """
        while True:
            disk = SimulatedDisk(root)
            disk.steps_left = self.chance.choice((None, None, self.chance.randrange(60)))
            try:
                recover(disk, Layout(root))
                break
            except PowerCut:
                disk.steps_left = None
                root = disk.after_power_loss(self.next_folder(), self.chance).root
        for name, log in logs.items():
            index = log.find(stored(root, name))
            log.rewind(index)
            log.confirmed = log.issued = index  # it is durable now
        self.world.logs = logs
        return root


class ThreadedDisk(SimulatedDisk):
    """Whose work is done by threads, as on a real one."""

    worker = RealDisk.worker


def evict(runtime: Runtime) -> None:
    """Drop every object with nothing in progress, as idleness would."""
    for live in runtime._host._lives():
        if live.state is lifecycle.RUNNING and live.is_idle:
            live.evict()


def stored(root: str, name: str) -> Content:
    """Read all that object *name* has stored; its database must be sound."""
    object_id = ids.id_from_name(ids.namespace_key(UNIQUE_KEY), name)
    path = Layout(root).store(store_key(UNIQUE_KEY, object_id.hex()))
    status = os.stat(path) if os.path.exists(path) else None
    if status is None or is_provisional(status.st_mode & 0o777, status.st_size):
        return {}
    # Immutable: SQLite looks at this file alone and leaves it as it is.
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_schema")}
        content: Content = {}
        if "_cf_KV" in tables:
            registry = Registry()
            content |= {
                key: codec.loads(value, registry) for key, value in connection.execute("SELECT * FROM _cf_KV")
            }
        if "_cf_METADATA" in tables:
            content |= {
                "alarm": due_ms
                for (due_ms,) in connection.execute("SELECT value FROM _cf_METADATA WHERE key = 1")
            }
        if "item" in tables:
            content |= {
                ("item", item): body for item, body in connection.execute("SELECT id, body FROM item")
            }
            assert len(connection.execute("SELECT id FROM item INDEXED BY item_tag").fetchall()) == len(
                connection.execute("SELECT id FROM item NOT INDEXED").fetchall()
            )
        return content
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_after_power_loss_each_object_is_at_a_commit_no_older_than_the_last_confirmed(seed, tmp_path):
    """The same seed, the same run."""
    Violated.seen.clear()
    world = Simulation(seed, tmp_path).run(partial(simulate, seed=seed))
    assert not Violated.seen
    assert world.answers


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(1, SEEDS // 5)))
def test_the_same_holds_with_the_threads_of_real_life(seed, tmp_path):
    """Not replayable: a seed decides what happens, the machine when."""
    Violated.seen.clear()
    world = Simulation(seed, tmp_path).run(asyncio.run, ThreadedDisk)
    assert not Violated.seen
    assert world.answers


class Room(DurableObject):
    async def write(self):
        self.ctx.storage.kv["written"] = True

    async def read(self):
        return self.ctx.storage.kv.get("written")


async def test_objects_that_a_migration_deleted_stay_deleted(tmp_path):
    """Whatever of it had reached the disk: either it is carried out again, or nothing of them can come back."""

    def a_runtime(disk, *migrations, classes=(Room,)):
        return Runtime(
            classes, data=disk.root, disk=disk, slow_ms=0, declared=Declared(migrations=migrations)
        )

    made = Migration("v1", new_sqlite_classes=("Room",))
    deleted = Migration("v2", deleted_classes=("Room",))
    made_again = Migration("v3", new_sqlite_classes=("Room",))
    used = SimulatedDisk(str(tmp_path / "used"))
    async with a_runtime(used, made) as runtime:
        await runtime.env.ROOM.get_by_name("a").write()
    async with a_runtime(used, made):
        pass  # the object stands in a file of its own
    async with a_runtime(used, made, deleted, classes=()):
        pass
    for seed in range(10):
        disk = used.after_power_loss(str(tmp_path / str(seed)), random.Random(seed), lives_on=True)
        async with a_runtime(disk, made, deleted, made_again) as runtime:
            assert await runtime.env.ROOM.get_by_name("a").read() is None
