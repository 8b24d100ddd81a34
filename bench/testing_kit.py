"""How long does a test's own runtime take to start and stop, and how many small tests pass in a second?"""

from __future__ import annotations

import asyncio
import time

from _lib.bench import Bench
from _lib.table import Row

from perdure import DurableObject, testing

TESTS = 100


class Counter(DurableObject):
    """One durable write for each call."""

    async def hit(self) -> int:
        self.ctx.storage.kv["n"] = value = self.ctx.storage.kv.get("n", 0) + 1
        return value


async def started_and_stopped(tests: int) -> float:
    began_s = time.perf_counter()
    for _ in range(tests):
        async with testing.runtime(Counter):
            pass
    return time.perf_counter() - began_s


async def small_tests(tests: int) -> float:
    """Each is one durable call to a new object in a runtime of its own."""
    began_s = time.perf_counter()
    for _ in range(tests):
        async with testing.runtime(Counter) as app:
            assert await app.env.COUNTER.get_by_name("a").hit() == 1
    return time.perf_counter() - began_s


async def crashes(tests: int) -> float:
    """After one durable call: `kill -9`, recovery, and the next call."""
    async with testing.runtime(Counter) as app:
        began_s = time.perf_counter()
        for number in range(1, tests + 1):
            assert await app.env.COUNTER.get_by_name("a").hit() == number
            await app.crash()
        return time.perf_counter() - began_s


def play(bench: Bench) -> list[Row]:
    asyncio.run(small_tests(3))
    turns = range(bench.turns)
    return [
        Row(
            "start and stop of a test runtime",
            "ms",
            [asyncio.run(started_and_stopped(TESTS)) / TESTS * 1e3 for _ in turns],
        ),
        Row("tests of one durable call", "/s", [TESTS / asyncio.run(small_tests(TESTS)) for _ in turns]),
        Row(
            "one durable call, a crash and the recovery",
            "ms",
            [asyncio.run(crashes(TESTS)) / TESTS * 1e3 for _ in turns],
        ),
    ]
