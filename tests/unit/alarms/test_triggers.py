"""Cron triggers of a worker: at their times, one run at a time for each, nothing made up for. Source: EP-03."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from support.inside import until

from perdure._alarms.triggers import Triggers
from perdure._base import limits
from perdure._base.cron import parse
from perdure._base.observer import Observer
from perdure.testing.clock import ManualClock

NOON = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)


class Told(Observer):
    def __init__(self) -> None:
        self.failed: list[tuple[str, BaseException]] = []
        self.passed_over: list[str] = []

    def cron_failed(self, cron: str, time: datetime, error: BaseException) -> None:
        self.failed.append((cron, error))

    def cron_passed_over(self, cron: str, time: datetime) -> None:
        self.passed_over.append(f"{time:%H:%M}")


class World:
    """Triggers on a clock that stands still."""

    def __init__(self, *crons: str, start: Callable[[str], Coroutine[Any, Any, None]] | None = None) -> None:
        self.clock = ManualClock(NOON.timestamp(), checked_after_s=limits.CLOCK_CHECK_S)
        self.told = Told()
        self.runs: list[str] = []
        self.background: set[asyncio.Future[Any]] = set()
        self.start = start
        self.triggers = Triggers(
            map(parse, crons),
            self.run,
            clock=self.clock,
            observer=self.told,
            background=self.background,
        )
        self.triggers.start()

    async def run(self, cron: str, time: datetime) -> None:
        self.runs.append(f"{cron} {time:%H:%M}")
        if self.start is not None:
            await self.start(cron)

    async def pass_(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_each_expression_runs_at_its_times() -> None:
    """Verbatim, with the time for which it runs."""
    world = World("* * * * *", "*/2 * * * *")
    await world.pass_(29)
    assert world.runs == []
    for _ in range(3):
        await world.pass_(60)
    assert world.runs == [
        "* * * * * 12:01",
        "* * * * * 12:02",
        "*/2 * * * * 12:02",
        "* * * * * 12:03",
    ]


async def test_one_run_at_a_time_for_an_expression() -> None:
    """A time that comes meanwhile is passed over; other expressions go on."""
    go_on = asyncio.Event()

    async def wait(cron: str) -> None:
        if cron == "* * * * *":
            await go_on.wait()

    world = World("* * * * *", "1-59 * * * *", start=wait)
    for _ in range(3):
        await world.pass_(60)
    assert [run for run in world.runs if run.startswith("*")] == ["* * * * * 12:01"]
    assert len(world.runs) == 4
    assert world.told.passed_over == ["12:02", "12:03"]
    go_on.set()
    await until(lambda: not world.background)
    await world.pass_(60)
    assert world.runs[-2:] == ["* * * * * 12:04", "1-59 * * * * 12:04"]


async def test_a_failure_is_told_and_the_next_time_comes() -> None:
    """Nothing is tried again."""

    async def fail(cron: str) -> None:
        raise KeyError(cron)

    world = World("* * * * *", start=fail)
    await world.pass_(60)
    await until(lambda: len(world.told.failed) == 1)
    await world.pass_(60)
    await until(lambda: len(world.told.failed) == 2)
    assert world.runs == ["* * * * * 12:01", "* * * * * 12:02"]


async def test_what_was_missed_is_not_made_up_for() -> None:
    """When the machine slept, or its clock was set forward; the last minute still counts."""
    world = World("* * * * *", "7 * * * *")
    world.clock.set_forward(3600)
    await world.pass_(limits.CLOCK_CHECK_S)
    assert world.runs == ["* * * * * 13:00"]
    await world.pass_(30)
    assert world.runs == ["* * * * * 13:00", "* * * * * 13:01"]


async def test_a_clock_set_back_runs_nothing_twice() -> None:
    """The times that come again have been."""
    world = World("* * * * *")
    await world.pass_(60)
    world.clock.set_forward(-600)
    for _ in range(9):
        await world.pass_(60)
    assert world.runs == ["* * * * * 12:01"]
    await world.pass_(120)
    assert world.runs[1] == "* * * * * 12:02"


async def test_a_run_of_fifteen_minutes_is_ended() -> None:
    """That is told as its failure."""
    cancelled = asyncio.Event()

    async def hang(cron: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    world = World("1 * * * *", start=hang)
    await world.pass_(31)
    await world.pass_(limits.CRON_RUN_S_MAX)
    await until(lambda: world.told.failed)
    assert cancelled.is_set()
    assert isinstance(world.told.failed[0][1], TimeoutError)


async def test_a_stop_begins_nothing_more() -> None:
    """What runs is left to whoever stops."""
    world = World("* * * * *")
    world.triggers.stop()
    await world.pass_(600)
    assert world.runs == []
    assert world.clock.pending == 0
