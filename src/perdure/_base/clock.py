"""Clock: the time as the engine sees it, so that tests can own it. (cooperative)"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from perdure._base import limits


class Timer(Protocol):
    """A pending call that can be taken back."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """
    Source of time and of delayed calls.

    Attributes:
        checked_after_s: a timer for a time of day is not set for longer: it does not hear when somebody sets the time of
            day forward.
    """

    checked_after_s: float

    def monotonic_s(self) -> float:
        """Seconds that only grow."""
        ...

    def time_s(self) -> float:
        """Seconds since the epoch, as `time.time()`."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run *callback* on the loop after *delay_s* seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock and the running loop's timers."""

    checked_after_s = limits.CLOCK_CHECK_S

    def monotonic_s(self) -> float:
        return time.monotonic()

    def time_s(self) -> float:
        return time.time()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)
