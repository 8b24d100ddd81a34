"""`setTimeout`, `setInterval` and `scheduler`. (cooperative)"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final

from perdure._cloudflare.javascript.promises import JsPromise, promise_of
from perdure._cloudflare.tasks import call, start
from perdure._cloudflare.values import js_number

_numbers: Final = itertools.count(1)
_timers: Final[dict[int, _Timer]] = {}

SHORTEST_MS: Final = 1
"""What runs comes to its end first, with its answer: `setTimeout(lambda: ctx.abort("gone"), 0)` is after that."""


class _Timer:
    """One call, or many, to come."""

    def __init__(
        self, function: Callable[..., Any], delay: Any, args: tuple[Any, ...], repeats: bool
    ) -> None:
        if not callable(function):
            raise TypeError(f"A timer calls a function; got {type(function).__name__}")
        ms = js_number(0 if delay is None else delay)
        self._delay_s = max(ms, SHORTEST_MS) / 1000 if ms == ms else SHORTEST_MS / 1000
        self._function = function
        self._args = args
        self._repeats = repeats
        self._is_cleared = False
        self._is_calling = False
        self.number = next(_numbers)
        self._task = start(self._run(), "setInterval()" if repeats else "setTimeout()")
        _timers[self.number] = self
        self._task.add_done_callback(lambda _: _timers.pop(self.number, None))

    async def _run(self) -> None:
        while not self._is_cleared:
            await asyncio.sleep(self._delay_s)
            self._is_calling = True
            await call(self._function, self._args, "a timer's function")
            self._is_calling = False
            if not self._repeats:
                return

    def clear(self) -> None:
        self._is_cleared = True
        if not self._is_calling:  # a function may clear its own timer, and goes on to its end
            self._task.cancel()


def setTimeout(function: Callable[..., Any], delay: Any = 0, *args: Any) -> int:
    """Call `function(*args)`, plain or async, after *delay* milliseconds; return the number of the timer."""
    return _Timer(function, delay, args, repeats=False).number


def setInterval(function: Callable[..., Any], delay: Any = 0, *args: Any) -> int:
    """Call `function(*args)` every *delay* milliseconds; return the number of the timer."""
    return _Timer(function, delay, args, repeats=True).number


def clearTimeout(number: Any = None) -> None:
    """Call nothing more for the timer *number*; one that is unknown, or over, is none."""
    timer = _timers.get(number)
    if timer is not None:
        timer.clear()


clearInterval = clearTimeout


class _Scheduler:
    """`scheduler.wait(ms)`."""

    def wait(self, delay: Any, options: Any = None) -> JsPromise:
        """Return the promise of *delay* milliseconds having passed."""
        return promise_of(asyncio.sleep(max(js_number(delay), 0) / 1000))


scheduler: Final = _Scheduler()
