"""One seed, one story: clients, alarms and sockets on many objects, and accidents; then all that must hold is looked at."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from simulation.cell import Cell, Default
from simulation.watch import Watch

from perdure._storage.verify import verify
from perdure.errors import DataFolderError, Disconnected, ObjectReset, Overloaded, PerdureError, StorageError
from perdure.testing import (
    Simulation,
    WebSocketClosed,
    WebSocketRefused,
    abort_all_durable_objects,
    evict_all_durable_objects,
    evict_durable_object,
    run_simulation,
)
from perdure.testing.faults import POINTS

LIVES_MAX = 3
CLIENTS_MAX = 4
CELLS_MAX = 5
TROUBLE = (Disconnected, ObjectReset, Overloaded, StorageError)
"""What a call may fail with when accidents happen; it may have happened, or not."""

GONE = "The execution context which hosts this callback is no longer running."

FAILED = os.strerror(errno.EIO)
FULL = os.strerror(errno.ENOSPC)
"""While the process starts these end the start; the next one goes on."""


@dataclass
class Report:
    """How the story of a seed ended."""

    seed: int
    violations: list[str]
    answers: int
    crashes: int
    trace: int


def play(seed: int) -> Report:
    """Run the story of *seed*; whatever it raises is a violation too."""
    watch = Watch()
    crashes = 0
    chance = random.Random(f"{seed} story")

    async def story(sim: Simulation) -> None:
        nonlocal crashes
        try:
            await Story(sim, watch, chance).run()
        finally:
            crashes = sim.crashes

    cell = type("Cell", (Cell,), {"watch": watch})
    was_disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # failing disks have much to say
    try:
        run_simulation(
            story,
            cell,
            Default,
            seed=seed,
            idle_s=chance.choice([0.05, 0.5, 10.0]),
            journal_bytes=chance.choice([256, 512, 2048]) * 1024,
        )
    except Exception as error:
        watch.violation(f"{type(error).__name__}: {error}")
    finally:
        logging.disable(was_disabled)
    return Report(seed, watch.violations, watch.answers, crashes, watch.trace)


class Story:
    """
    Lives of a process, one after the other; each ends by a crash, a failing disk, or in order.

    Invariant: every choice is made by `chance`, so a seed is one story.
    """

    def __init__(self, sim: Simulation, watch: Watch, chance: random.Random) -> None:
        self.sim = sim
        self.watch = watch
        self.chance = chance
        self.cells = [f"cell-{number}" for number in range(chance.randint(2, CELLS_MAX))]
        self.stubs = 0
        self.sockets = 0
        sim.loop.set_exception_handler(
            lambda loop, context: watch.violation(
                f"unhandled: {context['message']}: {context.get('exception')!r}"
            )
        )

    async def run(self) -> None:
        for _ in range(self.chance.randint(1, LIVES_MAX)):
            await self.live()
            await self.end_life()
        await self.finish()

    @property
    def is_dead(self) -> bool:
        """Whether the process has crashed, could not start, or its storage failed."""
        return not self.sim.is_running or self.sim.runtime._running().failed is not None

    # --- a life ---------------------------------------------------------------------------------------

    async def live(self) -> None:
        clients = [asyncio.create_task(self.client()) for _ in range(self.chance.randint(1, CLIENTS_MAX))]
        accidents = asyncio.create_task(self.accidents())
        await asyncio.gather(*clients)
        accidents.cancel()
        await asyncio.wait([accidents])
        if not accidents.cancelled():
            accidents.result()

    async def end_life(self) -> None:
        """Start again as it comes, and look; whatever happens meanwhile."""
        is_looked_at = False
        while not is_looked_at:
            try:
                if self.sim.is_running and self.chance.random() < 0.6:
                    await self.sim.crash(power=self.chance.random() < 0.7)
                else:
                    await self.sim.restart()
                self.heal()
                await self.look()
                is_looked_at = True
            except DataFolderError as error:
                if FAILED not in str(error) and FULL not in str(error):
                    raise
                self.heal()
            except TROUBLE:
                if not self.is_dead:
                    raise
                self.heal()

    def heal(self) -> None:
        disk = self.sim.disk
        disk.space_bytes, disk.sync_error, disk.slow_s = None, None, 0.004

    async def look(self, *, is_over: bool = False) -> None:
        accounts = {name: await self.sim.env.CELL.get_by_name(name).account() for name in self.cells}
        self.watch.check(accounts, is_over=is_over)
        if is_over:
            for finding in await verify(self.sim.runtime._running().storage):
                self.watch.violation(f"{finding.path}: {finding.problem}")

    # --- clients --------------------------------------------------------------------------------------

    async def client(self) -> None:
        for _ in range(self.chance.randint(2, 8)):
            if self.is_dead:
                return
            await self.chance.choices([self.call, self.talk, self.hold, self.read], [7, 2, 1, 1])[0]()
            await asyncio.sleep(self.chance.choice([0, 0.001, 0.01, 0.2]))

    async def call(self) -> None:
        """Make some calls at once, all by one stub."""
        name = self.chance.choice(self.cells)
        self.stubs += 1
        try:
            stub = self.sim.env.CELL.get_by_name(name)
        except TROUBLE:
            return
        calls = [
            asyncio.ensure_future(self.begin(stub, f"stub-{self.stubs}.{number}"))
            for number in range(self.chance.choice([1, 1, 2, 6]))
        ]
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            self.hear(name, answer)

    def begin(self, stub: Any, op: str) -> Any:
        chance = self.chance
        pause_s = chance.choice([0, 0, 0.001, 0.01, 0.1])
        match chance.randrange(15):
            case 0 | 1 | 2:
                return stub.write(op, chance.choice([0, 10, 3000, 20_000]), pause_s)
            case 3:
                return stub.read(op)
            case 4:
                return stub.careless(op)
            case 5:
                return stub.fail(op)
            case 6:
                return stub.transact(op, pause_s)
            case 7:
                return stub.undo(op, pause_s)
            case 8:
                return stub.section(op, pause_s)
            case 9:
                return self.pass_on(stub, op)
            case 10:
                return stub.background(op, pause_s)
            case 11 | 12:
                return stub.set_alarm(
                    op, chance.choice([1, 50, 1000, 60_000]), chance.choice([0, 0, 2]), pause_s
                )
            case 13:
                return stub.reset(op) if chance.random() < 0.2 else stub.delete_alarm(op)
            case _:
                return self.forget(stub, op) if chance.random() < 0.5 else stub.shout(op)

    def pass_on(self, stub: Any, op: str) -> Any:
        other = self.chance.choice([name for name in self.cells if name != stub.id.name])
        call = stub.pass_on(op, other)  # at once: the calls of a stub are in order

        async def heard() -> list[int]:
            *head, n, digest, era = await call
            self.watch.promise(other, n, digest, era)
            return head

        return heard()

    def forget(self, stub: Any, op: str) -> Any:
        call = stub.forget(op, self.chance.random() < 0.5)

        async def heard() -> list[int]:
            *head, era = await call
            self.watch.forgotten(stub.id.name, era)
            return head

        return heard()

    async def hold(self) -> None:
        """Sit at a desk of a cell, write from there, and hear what others shout."""
        name = self.chance.choice(self.cells)
        self.stubs += 1
        me = f"desk-{self.stubs}"
        try:
            stub = self.sim.env.CELL.get_by_name(name)
            with await stub.join(me, lambda head: self.watch.promise(name, *head)) as desk:
                for number in range(self.chance.randint(1, 4)):
                    self.watch.promise(name, *await desk.write(f"{me}.{number}"))
                    if self.chance.random() < 0.3:
                        self.watch.promise(name, *await stub.shout(f"{me} shouts"))
                    await asyncio.sleep(self.chance.choice([0, 0.1, 1, 15]))
        except (*TROUBLE, PerdureError) as error:
            self.endure(error)

    async def read(self) -> None:
        """Read a stream of a cell, perhaps not to its end."""
        name = self.chance.choice(self.cells)
        self.stubs += 1
        chance = self.chance
        try:
            stub = self.sim.env.CELL.get_by_name(name)
            feed = await stub.feed(f"feed-{self.stubs}", chance.randint(1, 5), chance.choice([0, 0.001, 0.1]))
            async with feed:
                async for head in feed:
                    self.watch.promise(name, *head)
                    if chance.random() < 0.1:
                        break
        except (*TROUBLE, PerdureError) as error:
            self.endure(error)

    def endure(self, error: Exception) -> None:
        """Take what calls by reference may end with: also with the end of whoever they belong to."""
        if not isinstance(error, TROUBLE) and str(error) != GONE:
            raise error

    def hear(self, name: str, answer: Any) -> None:
        """Take the answer of a call for what it promises."""
        self.watch.saw(
            str(answer).replace(self.sim._root, ""), self.sim.now
        )  # each run has a folder of its own
        if isinstance(answer, list):
            if answer and answer[0]:
                self.watch.promise(name, *answer)
        elif isinstance(answer, ValueError) and not isinstance(answer, PerdureError):
            self.watch.promise(name, *map(int, str(answer).split()))
        elif not isinstance(answer, TROUBLE):
            self.watch.violation(f"{name}: a call ended with {answer!r}")

    async def talk(self) -> None:
        """Talk with a cell over a WebSocket, with pauses in which the cell may leave memory."""
        name = self.chance.choice(self.cells)
        self.sockets += 1
        me, said, heard = f"s{self.sockets}", 0, 0
        try:
            socket = await self.sim.websocket(f"/{name}")
        except (*TROUBLE, WebSocketRefused):
            return
        try:
            for _ in range(self.chance.randint(1, 4)):
                for _ in range(self.chance.randint(1, 3)):
                    said += 1
                    await socket.send(f"{me} {said}")
                while heard < said:
                    number, *head = map(int, str(await socket.receive()).split())
                    heard += 1
                    self.watch.promise(name, *head)
                    if number != heard:
                        self.watch.violation(f"{name}: answer {number} to {me} came as number {heard}")
                await asyncio.sleep(self.chance.choice([0, 0.1, 1, 15]))
            if self.chance.random() < 0.5:
                await socket.close()
            else:
                socket.drop()
        except WebSocketClosed:
            pass  # the object was reset, or the process has died

    # --- accidents ------------------------------------------------------------------------------------

    async def accidents(self) -> None:
        chance, sim = self.chance, self.sim
        for _ in range(chance.randint(0, 4)):
            await asyncio.sleep(chance.uniform(0, chance.choice([0.01, 0.3, 5.0])))
            match chance.randrange(9):
                case 0 | 1 | 2:
                    sim.faults.crash(
                        chance.choice(sorted(POINTS)), nth=chance.randint(1, 12), power=chance.random() < 0.7
                    )
                case 3:
                    await self.evict()
                case 4:
                    abort_all_durable_objects(sim)
                case 5:
                    sim.disk.space_bytes = chance.choice([0, 5000, 50_000])
                    await asyncio.sleep(chance.uniform(0, 0.5))
                    sim.disk.space_bytes = None
                case 6:
                    sim.faults.at("before_fsync", fail, nth=chance.randint(1, 5))
                case 7:
                    sim.disk.slow_s = chance.choice([0.1, 1.0])
                case 8:
                    await sim.until_idle()
                    await self.evict()

    async def evict(self) -> None:
        with suppress(TimeoutError, *TROUBLE, PerdureError):  # it is busy, or not in memory
            async with asyncio.timeout(0.05):
                if self.chance.random() < 0.5:
                    await evict_all_durable_objects(self.sim)
                else:
                    stub = self.sim.env.CELL.get_by_name(self.chance.choice(self.cells))
                    await evict_durable_object(stub, websockets=self.chance.choice(["hibernate", "close"]))

    # --- the end --------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Let everything come to its end, without accidents; then nothing is left but what was written."""
        sim = self.sim
        sim.faults.end()
        if self.is_dead:
            await sim.restart()
        self.heal()
        await sim.advance(days=1)
        await self.look(is_over=True)
        await sim.advance(minutes=5)
        for what in self.in_memory():
            self.watch.violation(f"left in memory: {what}")
        await sim.restart()
        await self.look(is_over=True)
        folder = str(sim.folder)
        await sim.stop()
        for what in [*left_files(folder), *open_files(folder)]:
            self.watch.violation(f"left: {what}")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            self.watch.violation(f"a task is left: {task!r}")

    def in_memory(self) -> list[str]:
        """Return what is there of objects that have been idle for long."""
        host = self.sim.runtime._running()
        storage = host.storage
        return [
            *(live.label for space in host.spaces.values() for live in space.lives.values()),
            *(f"a roster of {id.hex()}" for space in host.spaces.values() for id in space.rosters),
            *(f"background work {task!r}" for task in host.background),
            *(f"{host._scheduler.waiting} alarms" for _ in range(bool(host._scheduler.waiting))),
            *(f"a run of an alarm of {key!r}" for key in host._scheduler._running),
            *(
                f"a transaction in {key!r}"
                for key, store in storage._stores.items()
                if store.depth or store.in_turn
            ),
            *(f"an output of {key!r}" for key, store in storage._stores.items() if store.gate._waiting),
        ]


def fail() -> None:
    raise OSError(errno.EIO, FAILED)


def open_files(folder: str) -> list[str]:
    """Return what this process has open below *folder*, or of folders of lives before."""
    root = os.path.dirname(folder)
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path.startswith(root):
                found.append(f"open file {path}")
    return found


def left_files(folder: str) -> list[str]:
    """Return files that a runtime which has stopped should not have left."""
    names = [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]
    return [name for name in names if name.endswith((".new", ".notes", "-journal", "-shm"))]
