"""Clocks for tests: one that moves only when told, and one that is the time of a simulated loop. (cooperative)"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
from collections.abc import Callable


class ManualClock:
    """
    A `Clock` for `Runtime(clock=…)` on any event loop; it stands still until `advance`.

    It moves what the runtime does by the clock: alarms, schedules, cron, eviction, hibernation, retries, timeouts. An
    `asyncio.sleep` is the loop's: for that the loop itself must be simulated (`SimulatedLoop`, `VirtualClock`).

    Args:
        now_s: both the time of day, in seconds since the epoch, and the time that only grows.
        checked_after_s: see `Clock`; for tests that set the time of day forward.
    """

    def __init__(self, now_s: float = 1_000_000.0, *, checked_after_s: float = math.inf) -> None:
        self.checked_after_s = checked_after_s
        self._now_s = now_s
        self._set_s = 0.0  # by how much the time of day was set forward
        self._timers: list[_Timer] = []
        self._made = 0

    def monotonic_s(self) -> float:
        return self._now_s

    def time_s(self) -> float:
        return self._now_s + self._set_s

    def set_forward(self, seconds: float) -> None:
        """Change the time of day, as an operator does, or back with a negative number; timers do not notice."""
        self._set_s += seconds

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> _Timer:
        self._made += 1  # timers of the same moment run in the order in which they were set
        timer = _Timer(self._now_s + delay_s, self._made, callback)
        heapq.heappush(self._timers, timer)
        return timer

    @property
    def pending(self) -> int:
        """How many timers are set."""
        return sum(timer.callback is not None for timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*; every timer that falls due runs at its own moment, also one set meanwhile."""
        end_s = self._now_s + seconds
        while self._timers and self._timers[0].due_s <= end_s:
            timer = heapq.heappop(self._timers)
            self._now_s = max(self._now_s, timer.due_s)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                timer.context.run(callback)
        self._now_s = end_s


class _Timer:
    """One pending call."""

    def __init__(self, due_s: float, number: int, callback: Callable[[], None]) -> None:
        self.due_s = due_s
        self.number = number
        self.callback: Callable[[], None] | None = callback
        self.context = contextvars.copy_context()

    def __lt__(self, other: _Timer) -> bool:
        return (self.due_s, self.number) < (other.due_s, other.number)

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """
    A `Clock` that is the running loop's own time, so that `asyncio.sleep` and alarms agree.

    Args:
        start_s: the time of day at the loop's second 0, in seconds since the epoch.
        loop: whose time it is, also in threads; None: that of the loop which runs when it is asked.
    """

    checked_after_s = math.inf

    def __init__(self, start_s: float, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._start_s = start_s
        self._given = loop

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return self._given or asyncio.get_running_loop()

    def monotonic_s(self) -> float:
        return self._loop.time()

    def time_s(self) -> float:
        return self._start_s + self._loop.time()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(delay_s, callback)
