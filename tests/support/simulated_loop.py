"""An event loop without waiting, and disk work that takes as long as a seed says: the same seed, the same run.

Everything runs in one thread. The loop's clock jumps to the next timer whenever nothing is ready, and work
that the engine would give to a thread runs on the loop itself, some virtual milliseconds after it was given.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Looks at real descriptors without waiting, and moves the clock in place of it."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: nothing is ready and nothing is due")
        self.now_s += max(timeout, 0)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def simulate(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run *coroutine* on a loop of this kind."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(coroutine)


class LateWork:
    """
    Stands in for a thread (`Work`) and for an executor: runs what it is given later, on the loop.

    Args:
        chance: decides how much later.
        in_order: one after the other, as one thread would; else each by itself, as a pool.
        slow_s: the longest that one job takes.
    """

    def __init__(self, chance: random.Random, *, in_order: bool = True, slow_s: float = 0.004) -> None:
        self._chance = chance
        self._in_order = in_order
        self._slow_s = slow_s
        self._due_s = 0.0

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        loop = asyncio.get_running_loop()
        future: Future[T] = Future()
        due_s = loop.time() + self._chance.uniform(0, self._slow_s)
        if self._in_order:
            due_s = self._due_s = max(due_s, self._due_s)

        def run() -> None:
            try:
                result = function(*args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        loop.call_at(due_s, run)
        return future

    def stop(self) -> None:
        """Nothing is left running: the loop outlives it."""

    def shutdown(self, wait: bool = True) -> None:
        """The same, for an executor."""
