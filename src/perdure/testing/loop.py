"""SimulatedLoop: an event loop with a time of its own, whose order of steps a seed decides. (edge)

Everything runs in one thread. When nothing is ready, the loop's time jumps to the next timer, so a month of alarms
takes as long as what they do. Work for threads (`run_in_executor`, `asyncio.to_thread`) runs on the loop itself.

With a seed, what is ready is taken in an order of chance: across *lanes*, first in first out inside each. A lane is
an object (whatever its code scheduled, by the context variable of the handle), a task outside of objects, or all the
rest. So one object's steps stay in the order in which asyncio would take them, and those of several objects
interleave in every way that real disks and networks could make.

Invariants: the same seed and the same program, the same run; time never goes back, and never past a timer.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from itertools import count
from typing import Any, Final, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from perdure._base.current import current
from perdure.testing.waiting import describe

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

AWAITED_S_MAX: Final = 400 * 86_400.0
"""So long nothing but timers may run, without `advance`, before what is awaited counts as never coming."""


class Deadlock(AssertionError):
    """Nothing is ready and nothing ever will be; the text lists every task, its stack and who holds which gate."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose time jumps to the next timer when nothing is ready, and whose order a seed decides.

    Steps of one object stay in the order in which asyncio would take them; those of several objects, and of tasks
    outside of objects, interleave.

    Args:
        seed: decides the order across lanes; None keeps asyncio's own.

    Attributes:
        is_held: time does not jump; it moves in `advance` alone.
        slow_s: up to so long, by chance, work for threads takes in virtual time.
        on_jump: called when time has moved on.
    """

    # Names of asyncio's own base class, the same from Python 3.11 to 3.14.
    _ready: deque[Any]
    _scheduled: list[Any]
    _timer_cancelled_count: int
    _process_events: Callable[[Any], None]

    def __init__(self, seed: object = None) -> None:
        self._selecting = selectors.DefaultSelector()
        super().__init__(self._selecting)
        self._own_descriptors = len(self._selecting.get_map())
        self._chance = None if seed is None else random.Random(f"{seed} loop")  # noqa: S311
        self._work_chance = random.Random(f"{seed} work")  # noqa: S311
        self._now_s = 0.0
        self._lanes: dict[Any, deque[Any]] = {}
        self._ready_lanes: list[Any] = []
        self._at_once: list[Callable[[], None]] = []
        self._idle_waiters: list[asyncio.Future[None]] = []
        self._working = 0
        self._awaited_from_s = 0.0
        self._limit_s = 0.0
        self.contexts: WeakKeyDictionary[Any, Context] = WeakKeyDictionary()
        """Of each task that has been ready, for reports."""
        self.is_held = False
        self.slow_s = 0.0
        self.on_jump: Callable[[], None] = _nothing
        self.task_numbers = count(1)
        self._timer_numbers = count(1)
        self.set_task_factory(_make_task)

    # --- time -----------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = _Timer(next(self._timer_numbers), when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    async def advance(self, seconds: float) -> None:
        """Let *seconds* of virtual time pass: every timer that falls due runs at its own moment, also one set meanwhile."""
        if seconds < 0:
            raise ValueError(f"time cannot go back: advance() was given {seconds} seconds.")
        self._limit_s = self._awaited_from_s = self._now_s + seconds
        await asyncio.sleep(seconds)
        await self.until_idle()

    async def until_idle(self) -> None:
        """Wait until nothing more happens without time passing, but for work of disks and threads, which ends first."""
        waiter = self.create_future()
        self._idle_waiters.append(waiter)
        await waiter

    # --- one step -------------------------------------------------------------------------------------

    def at_once(self, callback: Callable[[], None]) -> None:
        """Run *callback* when the step that runs now is over, before any other."""
        self._at_once.append(callback)

    def _run_once(self) -> None:
        self._take_due()
        self._sort_in()
        if not self._ready_lanes:
            self._wait()
            self._take_due()
            self._sort_in()
        if self._ready_lanes:
            handle = self._choose()
            if not handle._cancelled:
                handle._run()
        while self._at_once:
            self._at_once.pop(0)()

    def _take_due(self) -> None:
        timers = self._scheduled
        while timers and (timers[0]._cancelled or timers[0]._when <= self._now_s):
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(timer)

    def _sort_in(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            lane = self._lane_of(handle)
            waiting = self._lanes.get(lane)
            if waiting is None:
                waiting = self._lanes[lane] = deque()
                self._ready_lanes.append(lane)
            waiting.append(handle)

    def _lane_of(self, handle: Any) -> Any:
        task = getattr(handle._callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            if task not in self.contexts:
                self.contexts[task] = handle._context
        else:
            task = None
        if self._chance is None:
            return None
        live = handle._context.get(current)
        return task if live is None else live

    def _choose(self) -> Any:
        lanes = self._ready_lanes
        index = 0 if self._chance is None or len(lanes) == 1 else self._chance.randrange(len(lanes))
        lane = lanes[index]
        waiting = self._lanes[lane]
        handle = waiting.popleft()
        if not waiting:
            del self._lanes[lane]
            del lanes[index]
        return handle

    # --- nothing is ready -----------------------------------------------------------------------------

    def _wait(self) -> None:
        events = self._selecting.select(0)
        if events:
            self._process_events(events)
            return
        if self._idle_waiters and not self._working:
            waiters, self._idle_waiters = self._idle_waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
            return
        if self._scheduled:
            self._jump(self._scheduled[0]._when)
        elif len(self._selecting.get_map()) > self._own_descriptors:
            self._process_events(self._selecting.select(None))
        else:
            raise Deadlock(
                describe(self, "deadlock: nothing is ready, no timer is set, and no I/O is waited for")
            )

    def _jump(self, due_s: float) -> None:
        if self.is_held and due_s > self._limit_s and not self._working:
            raise Deadlock(
                describe(
                    self,
                    f"time is held, and nothing more happens before {due_s - self._now_s:.6g} s from now: advance()",
                )
            )
        if due_s - self._awaited_from_s > AWAITED_S_MAX:
            raise Deadlock(
                describe(
                    self,
                    f"for {AWAITED_S_MAX / 86_400:.0f} days of virtual time nothing but timers has run: what is "
                    "awaited does not come. To let more time pass use advance()",
                )
            )
        self._now_s = max(self._now_s, due_s)
        self.on_jump()

    # --- what others would give to threads ------------------------------------------------------------

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        if asyncio._get_running_loop() is self:
            return self.call_soon(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.work(self._work_chance.uniform(0, self.slow_s), run)
        return future

    def work(self, delay_s: float, run: Callable[[], None]) -> None:
        """Call *run* after *delay_s* as a thread would: it finds no running loop and no object; `until_idle` waits for it."""
        self._working += 1

        def ended() -> None:
            self._working -= 1
            with self._outside():
                run()

        self.call_later(delay_s, ended, context=Context())

    @contextmanager
    def _outside(self) -> Iterator[None]:
        """Let the code in the block find no running loop, as in a thread."""
        asyncio._set_running_loop(None)
        try:
            yield
        finally:
            asyncio._set_running_loop(self)

    def close(self) -> None:
        self._lanes.clear()
        self._ready_lanes.clear()
        super().close()


def simulate(coroutine: Coroutine[Any, Any, T], *, seed: object = None) -> T:
    """Run *coroutine* to its end on a loop of its own; the same *seed*, the same run."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(seed)) as runner:
        return runner.run(coroutine)


class _Timer(asyncio.TimerHandle):
    """Of timers for the same moment, which are common here, the one that was set first runs first."""

    __slots__ = ("_number",)
    _scheduled: bool  # of asyncio's own, as above
    _when: float

    def __init__(self, number: int, *how: Any) -> None:
        super().__init__(*how)
        self._number = number

    def __lt__(self, other: Any) -> bool:
        return (self._when, self._number) < (other._when, other._number)


class _Task(asyncio.Task[Any]):
    """A task whose place in sets is the same in every run: asyncio keeps tasks in sets, and goes through them."""

    __slots__ = ("_number",)

    def __init__(self, coro: Any, *, loop: SimulatedLoop, **options: Any) -> None:
        self._number = next(loop.task_numbers)
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._number


def _nothing() -> None:
    """Hear of a jump that is nobody's business."""


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    assert isinstance(loop, SimulatedLoop)
    return _Task(coro, loop=loop, **options)
