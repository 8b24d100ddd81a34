"""Simulation: a runtime in a world whose time, order, disk and accidents the test decides. (cooperative)

One seed is one run: the event loop's order, how late the disk is, what a power loss leaves, `random`, `os.urandom` and
with it `uuid4` and new ids all come from it.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from perdure._base import limits
from perdure._base.limits import MIB
from perdure._base.observer import Observer
from perdure._engine import sections
from perdure.errors import Disconnected, ObjectReset
from perdure.runtime import Runtime
from perdure.testing.clock import VirtualClock
from perdure.testing.disk import SimulatedDisk
from perdure.testing.faults import Faults, watching
from perdure.testing.harness import KILLED, Perdure, maker, memory_folder
from perdure.testing.loop import SimulatedLoop, simulate
from perdure.testing.waiting import describe

T = TypeVar("T")

START: Final = datetime(2030, 1, 1, tzinfo=UTC)
"""When simulated time begins, unless the test says otherwise: a Tuesday."""
_JOURNAL_BYTES: Final = 2 * MIB  # each crash copies it


class Simulation(Perdure):
    """
    A test runtime (`Perdure`: `env`, `fetch`, `websocket`, `outbound`, `logs` …) whose time, order, disk and accidents the test decides.

    `run_simulation` and the decorators of `perdure.testing` make it.

    Args:
        folder: where each life has a folder of its own.
        seed: what decides everything that chance decides.
        start: the time of day at which it begins.
        classes, config, vars, strict, options: as of `perdure.testing.runtime`.

    Attributes:
        seed: the same.
        loop: the event loop; `loop.is_held` keeps time still but for `advance`.
        disk: the disk of this life: each crash makes a new one.
        faults: accidents to come.
        crashes: how many there were.
    """

    _receive_s = (
        None  # virtual time passes at once: what never comes is a deadlock, which is told with all tasks
    )

    def __init__(
        self,
        folder: str,
        *classes: type,
        seed: object = 0,
        start: datetime = START,
        config: str | os.PathLike[str] | None = None,
        vars: Mapping[str, Any] | None = None,
        strict: bool = False,
        **options: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop), "a simulation needs a simulated loop: run_simulation()"
        self._app = (classes, config, vars)
        self._options = {"journal_bytes": _JOURNAL_BYTES, **options}
        self.clock = VirtualClock(start.timestamp(), loop)
        super().__init__(self._maker(), strict=strict)
        self.seed = seed
        self.loop = loop
        self.chance = random.Random(f"{seed} power")  # noqa: S311
        self.faults = Faults(self._crash_now)
        self.crashes = 0
        self._root = folder
        self._left: SimulatedDisk | None = None
        """What a crash has left, from then until the next life."""
        self.disk = SimulatedDisk(str(self._next_folder()), random.Random(f"{seed} disk"))  # noqa: S311

    # --- the runtime ----------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Start it, unless it runs."""
        if not self.is_running:
            await self._start()
        return self

    async def restart(self, **changes: Any) -> None:
        """
        Start again on what the disk holds: after a crash that is recovery, else the process stops in an orderly way first.

        Should it crash once more meanwhile, it is started again until it runs. Take stubs from `env` again.

        Args:
            changes: options of the runtime from now on, as a new version of the program has them.
        """
        self._options |= changes
        self._make = self._maker()
        await self.stop()
        await self._start()

    async def stop(self) -> None:
        """Stop the process in an orderly way; after a crash, what is left of it."""
        if not self.is_running:
            return
        if self._left is None:
            await self._stop(limits.DRAIN_S)
        else:
            self._kill()
            with suppress(
                Exception
            ):  # whatever it still does, it does on a disk that nobody looks at any more
                await self._stop(0)

    def _maker(self) -> Callable[..., Runtime]:
        return maker(*self._app, {**self._options, "clock": self.clock})

    async def _start(self) -> None:
        while True:
            if self._left is not None:
                self.disk.close_all()
                self.disk, self._left = self._left, None
                self.disk.on_point = self.faults.reach
            self.folder, self._disk = Path(self.disk.root), self.disk
            await super()._start()
            if not self._has_crashed():
                return
            await self.stop()

    def _has_crashed(self) -> bool:
        return self._left is not None

    async def leftovers(self) -> list[str]:
        """See `Perdure.leftovers`; a process that has crashed leaves nothing behind."""
        return [] if self._has_crashed() else await super().leftovers()

    # --- accidents ------------------------------------------------------------------------------------

    async def crash(self, *, power: bool = True) -> None:
        """
        End the process at once, and start it again on what is left; calls in progress fail with `Disconnected`.

        Take stubs from `env` again: those of the process that died stay disconnected.

        Args:
            power: the whole machine loses its power, and with it any part of what was not synced; else the process alone
                is killed, and all that it wrote is there.
        """
        self._crash_now(power)
        await self.restart()

    def _crash_now(self, power: bool) -> None:
        if self._left is not None:
            return
        disk = self.disk
        disk.on_point = None
        target = str(self._next_folder())
        # The step at hand goes on to its end, on a disk that nobody looks at any more.
        left = disk.after_power_loss(target, self.chance, lives_on=True) if power else disk.after_kill(target)
        left.space_bytes, left.slow_s = disk.space_bytes, disk.slow_s
        disk.space_bytes, disk.sync_error, disk.slow_s = None, None, 0.0
        self._left = left
        self.crashes += 1
        if self.is_running:
            self.loop.at_once(self._kill)

    def _kill(self) -> None:
        if not self.is_running or isinstance(self.runtime._running().failed, Disconnected):
            return  # it is dead already
        runtime, host = self.runtime, self.runtime._running()
        host.failed = Disconnected(KILLED)
        host.observer = Observer()  # the dead tell nothing
        host._scheduler.stop()
        if runtime._triggers is not None:
            runtime._triggers.stop()
        super()._kill()
        for task in list(host.background):
            task.cancel()

    # --- time -----------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The virtual time of day."""
        return datetime.fromtimestamp(self.clock.time_s(), UTC)

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let so much virtual time pass; whatever falls due runs at its own moment, and to its end as far as it can."""
        await self.loop.advance(
            timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        )

    async def advance_to(self, time: datetime) -> None:
        """Let virtual time pass until *time*, an aware datetime."""
        await self.loop.advance((time - self.now).total_seconds())

    async def until_idle(self) -> None:
        """Let everything happen that happens without time passing, but for what the disk takes."""
        await self.loop.until_idle()


def run_simulation(
    test: Callable[[Simulation], Awaitable[T]],
    *classes: type,
    seed: object = 0,
    start: datetime = START,
    crash_at: int | None = None,
    points: list[str] | None = None,
    **options: Any,
) -> T:
    """
    Run `test(simulation)` to its end on a loop of its own; return what it returns. The same *seed*, the same run.

    ```python
    async def a_month(sim):
        counter = sim.env.COUNTER.get_by_name("a")
        await counter.start_daily_alarm()
        await sim.advance(days=30)
        assert await counter.alarms_run() == 30


    run_simulation(a_month, Counter)
    ```

    Args:
        seed: decides everything that chance decides.
        start: the time of day at which the simulation begins.
        crash_at: lose power at this point of those reached by the test, counted from 0.
        points: the names of the points that are reached are added to it.
        classes, options: as of `perdure.testing.runtime`, also `config`, `vars` and `strict`.
    """

    async def run() -> T:
        opened = simulation(
            folder, *classes, seed=seed, start=start, crash_at=crash_at, points=points, **options
        )
        async with opened as sim:
            return await test(sim)

    with tempfile.TemporaryDirectory(prefix="perdure-sim-", dir=memory_folder()) as folder:
        return simulate(run(), seed=seed)


@asynccontextmanager
async def simulation(
    folder: str,
    *classes: type,
    seed: object = 0,
    crash_at: int | None = None,
    points: list[str] | None = None,
    **options: Any,
) -> AsyncIterator[Simulation]:
    """Give a simulation that has started, on the simulated loop that runs; see `run_simulation`."""
    sim = Simulation(folder, *classes, seed=seed, **options)
    with seeded(seed), virtual(sim.clock, sim.loop), watching(sim.faults.reach), telling(sim.loop):
        async with sim:
            sim.faults.begin(crash_at)
            sim.disk.on_point = sim.faults.reach
            try:
                yield sim
            finally:
                sim.faults.end()
                if points is not None:
                    points.extend(sim.faults.reached)


@contextmanager
def seeded(seed: object) -> Iterator[None]:
    """Let `random` and `os.urandom`, and with it `uuid4`, be those of a run."""
    bytes_ = random.Random(f"{seed} bytes")  # noqa: S311
    state = random.getstate()
    random.seed(f"{seed} random")
    with replaced(os, "urandom", bytes_.randbytes):
        try:
            yield
        finally:
            random.setstate(state)


@contextmanager
def virtual(clock: VirtualClock, loop: SimulatedLoop) -> Iterator[None]:
    """
    Let `time.time` be that of *clock*, and `datetime.now` too where time-machine is installed.

    `datetime` asks the machine from within C, and cannot be told otherwise from Python.
    """
    with ExitStack() as stack:
        with suppress(ModuleNotFoundError):
            import time_machine

            traveller = stack.enter_context(time_machine.travel(clock.time_s(), tick=False))
            loop.on_jump = lambda: traveller.move_to(clock.time_s())
        stack.enter_context(replaced(time, "time", clock.time_s))
        stack.enter_context(replaced(time, "time_ns", lambda: int(clock.time_s() * 1e9)))
        yield


@contextmanager
def telling(loop: SimulatedLoop) -> Iterator[None]:
    """
    Let the error of a critical section that never ended tell every task, its stack and who holds which gate.

    It has a time limit, so what waits for each other there is no deadlock of the loop.
    """
    real = sections.waited_too_long

    def waited_too_long() -> ObjectReset:
        error = real()
        error.add_note(describe(loop, "who waited for what"))
        return error

    with replaced(sections, "waited_too_long", waited_too_long):
        yield


@contextmanager
def replaced(module: Any, name: str, replacement: Any) -> Iterator[None]:
    """Let the module have *replacement* under *name* meanwhile."""
    real = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        setattr(module, name, real)
