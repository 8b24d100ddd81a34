"""How long do 30 days of alarms take in a simulation, and how many seeds pass in a second?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from _lib.bench import Bench
from _lib.table import Row

from perdure import DurableObject
from perdure.testing.simulation import run_simulation

SEEDS = 50


class Counter(DurableObject):
    """One durable write for each call, and for each day."""

    async def hit(self) -> int:
        self.ctx.storage.kv["n"] = value = self.ctx.storage.kv.get("n", 0) + 1
        return value

    async def daily(self) -> None:
        self.ctx.storage.set_alarm(timedelta(days=1))

    async def alarm(self) -> None:
        await self.hit()
        await self.daily()


async def a_month(sim: Any) -> None:
    """30 alarms, with an eviction after each."""
    await sim.env.COUNTER.get_by_name("a").daily()
    await sim.advance(days=30, seconds=1)


async def two_objects(sim: Any) -> None:
    """Six durable calls at once."""
    stubs = [sim.env.COUNTER.get_by_name(name) for name in "ab"]
    await asyncio.gather(*(stub.hit() for stub in stubs for _ in range(3)))


async def a_crash(sim: Any) -> None:
    """The same, a power loss and the recovery."""
    await two_objects(sim)
    await sim.crash()
    await sim.restart()


def took_s(test: Callable[[Any], Awaitable[None]], seeds: int) -> float:
    began_s = time.perf_counter()
    for seed in range(seeds):
        run_simulation(test, Counter, seed=seed)
    return time.perf_counter() - began_s


def play(bench: Bench) -> list[Row]:
    took_s(a_crash, 3)
    turns = range(bench.turns)
    return [
        Row("30 virtual days with an alarm each", "ms", [took_s(a_month, 5) / 5 * 1e3 for _ in turns]),
        Row("seeds, 6 durable calls to 2 objects", "/s", [SEEDS / took_s(two_objects, SEEDS) for _ in turns]),
        Row("seeds, the same with a crash", "/s", [SEEDS / took_s(a_crash, SEEDS) for _ in turns]),
    ]
