"""`scheduled` of a worker. Source: EP-02, EP-03, TEST-08."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from support.inside import Unsynced, attempt, until

from perdure import ConfigError, DurableObject, PerdureError, Runtime, ScheduledController, WorkerEntrypoint
from perdure.testing.clock import ManualClock

NOON = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)
SEEN: list[Any] = []


class Kept(DurableObject):
    async def keep(self, text: str) -> None:
        await self.ctx.storage.put("text", text)

    async def kept(self) -> Any:
        return await self.ctx.storage.get("text")


class Default(WorkerEntrypoint):
    async def scheduled(self, controller: ScheduledController) -> None:
        SEEN.append(controller)
        await self.env.KEPT.get_by_name("x").keep(controller.cron)


@pytest.fixture(autouse=True)
def _forget() -> None:
    SEEN.clear()


def runtime(worker: type | None = Default, **options: Any) -> Runtime:
    return Runtime(objects=[Kept], worker=worker, disk=Unsynced(), **options)


@pytest.mark.rows("EP-02", "EP-03")
async def test_a_worker_runs_at_the_times_of_its_expressions() -> None:
    """It sees the expression and the time, and calls objects."""
    clock = ManualClock(NOON.timestamp())
    async with runtime(crons=["*/5 * * * *"], clock=clock) as rt:
        clock.advance(270)
        await until(lambda: SEEN)
        (controller,) = SEEN
        assert controller.cron == "*/5 * * * *"
        assert controller.scheduled_time == datetime(2026, 11, 26, 12, 5, tzinfo=UTC)
        assert controller.type == "scheduled"
        assert controller.retries
        stub = rt.namespace(Kept).get_by_name("x")
        await until(lambda: not rt._running().background)
        assert await stub.kept() == "*/5 * * * *"


async def test_after_a_stop_no_time_is_made_up_for() -> None:
    """A start looks forward only."""
    async with runtime(crons=["* * * * *"], clock=ManualClock(NOON.timestamp() + 3600)):
        await asyncio.sleep(0)
        assert SEEN == []


async def test_it_can_be_run_by_hand() -> None:
    """For any expression and time; what it raises is raised."""
    async with runtime() as rt:
        await rt.scheduled("0 0 * * *", datetime(2027, 1, 1, tzinfo=UTC))
        assert SEEN[0] == ScheduledController(datetime(2027, 1, 1, tzinfo=UTC), "0 0 * * *")


@pytest.mark.rows("EP-03")
async def test_a_worker_without_it_says_so() -> None:
    """And asks not to be tried again."""

    class Default(WorkerEntrypoint):
        scheduled = None

    async with runtime(Default) as rt:
        error = await attempt(rt.scheduled("* * * * *"))
        assert isinstance(error, PerdureError)
        assert str(error) == "Handler does not export a scheduled() function"


@pytest.mark.rows("EP-03")
async def test_a_run_lasts_until_its_background_work_is_done() -> None:
    """The first task that fails is its failure; the others run to their end."""
    ended = []

    async def work(name: str, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        ended.append(name)
        if name != "good":
            raise KeyError(name)

    class Default(WorkerEntrypoint):
        async def scheduled(self, controller: ScheduledController, env: Any, ctx: Any) -> None:
            assert env is self.env
            ctx.wait_until(work("good", 9))
            ctx.wait_until(work("second", 5))
            ctx.wait_until(work("first", 1))

    async with runtime(Default) as rt:
        error = await attempt(rt.scheduled("* * * * *"))
        assert repr(error) == "KeyError('first')"
        assert ended == ["first", "second", "good"]


async def test_code_that_exits_fails_that_run_only() -> None:
    """It does not take the process along."""

    class Default(WorkerEntrypoint):
        def scheduled(self) -> None:
            raise SystemExit(3)

    clock = ManualClock(NOON.timestamp())
    async with runtime(Default, crons=["* * * * *"], clock=clock) as rt:
        assert (await attempt(rt.scheduled("* * * * *"))).name == "SystemExit"
        clock.advance(60)
        await asyncio.sleep(0)
        await until(lambda: not rt._running().background)


async def test_expressions_are_checked_when_a_runtime_is_made() -> None:
    """A wrong one, and one that nobody would run."""
    with pytest.raises(ConfigError, match='"61" is no minute'):
        runtime(crons=["61 * * * *"])
    with pytest.raises(ConfigError, match="no worker"):
        runtime(None, crons=["* * * * *"])
