"""Named jobs of an object on top of its one alarm; Perdure's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.inside import Unsynced, attempt, begin, inside, settled, until

from perdure import DurableObject, Runtime
from perdure._base import limits
from perdure._base.observer import Observer
from perdure.schedules import ScheduledObject
from perdure.testing import evict_durable_object
from perdure.testing.clock import ManualClock

START = datetime(2027, 3, 26, 12, 0, tzinfo=UTC)  # a Friday
RAN: list[str] = []
DO: dict[str, Any] = {}


class Job(ScheduledObject):
    """Notes what is called, and when."""

    async def note(self, *args: Any) -> None:
        now = datetime.fromtimestamp(self.ctx._live.host.clock.time_s(), UTC)
        RAN.append(" ".join([f"{now:%d %H:%M:%S}", *map(str, args)]))
        if "do" in DO:
            await DO["do"](self)

    def plain(self) -> None:
        RAN.append("plain")

    async def _hidden(self) -> None:
        RAN.append("hidden")


class Told(Observer):
    def __init__(self) -> None:
        self.failed: list[tuple[str, float | None]] = []

    def schedule_failed(self, label: str, error: BaseException, delay_s: float | None) -> None:
        self.failed.append((f"{label}: {error!r}", delay_s))


class World:
    """One object on a clock that stands still."""

    def __init__(self, cls: type, data: Path | None, at: datetime) -> None:
        self.clock = ManualClock(at.timestamp())
        self.told = Told()
        self.cls = cls
        self.runtime = Runtime(
            [cls], data=data, clock=self.clock, observer=self.told, disk=Unsynced(), idle_s=1e9
        )

    @property
    def stub(self) -> Any:
        return self.runtime.namespace(self.cls).get_by_name("one")

    async def do(self, change: Any) -> Any:
        """Run `change(schedules)` inside the object."""
        return await inside(self.stub, lambda one: change(one.schedules))

    async def pass_(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass, with all that falls due meanwhile."""
        end_s = self.clock.time_s() + seconds
        while self.clock.time_s() < end_s:
            self.clock.advance(min(step, end_s - self.clock.time_s()))
            await self.settle()

    async def settle(self) -> None:
        runs = -1
        while runs != len(RAN):  # a job that is done makes way for the next one
            runs = len(RAN)
            await settled(self.runtime)
            self.clock.advance(0.001)
            await settled(self.runtime)


@asynccontextmanager
async def a_world(cls: type = Job, data: Path | None = None, at: datetime = START) -> AsyncIterator[World]:
    world = World(cls, data, at)
    async with world.runtime:
        yield world


@pytest.fixture(autouse=True)
def _forget() -> None:
    RAN.clear()
    DO.clear()


# --- when -----------------------------------------------------------------------------------------------


async def test_a_job_at_a_time_and_after_a_delay_runs_once() -> None:
    """With its arguments; then it is gone."""
    async with a_world() as world:
        await world.do(lambda s: s.at(START + timedelta(seconds=20), "note", "at", name="a"))
        await world.do(lambda s: s.after(10, "note", "after", 10, name="b"))
        await world.do(lambda s: s.after(timedelta(seconds=30), "plain"))
        await world.pass_(60)
        assert RAN == ["26 12:00:10 after 10", "26 12:00:20 at", "plain"]
        assert await world.do(lambda s: s.list()) == []


async def test_a_job_every_so_often_stays_on_its_grid() -> None:
    """However long one takes."""

    async def slow(one: Any) -> None:
        await until(lambda: one.ctx._live.host.clock.time_s() > START.timestamp() + 14)

    DO["do"] = slow
    async with a_world() as world:
        await inside(world.stub, lambda one: one.schedules.every(10, one.note))
        world.clock.advance(10)
        await until(lambda: RAN)
        world.clock.advance(5)
        await world.settle()
        await world.pass_(20)
        assert RAN == ["26 12:00:10", "26 12:00:20", "26 12:00:30"]


async def test_every_may_begin_at_a_time() -> None:
    """And goes on from there."""
    async with a_world() as world:
        await world.do(lambda s: s.every(timedelta(minutes=1), "note", start=START + timedelta(seconds=5)))
        await world.pass_(130)
        assert RAN == ["26 12:00:05", "26 12:01:05", "26 12:02:05"]


async def test_a_cron_expression_runs_in_its_time_zone() -> None:
    """Nine in Berlin, also after the clocks went forward there."""
    async with a_world() as world:
        await world.do(lambda s: s.cron("0 9 * * *", "note", time_zone="Europe/Berlin"))
        await world.pass_(3 * 24 * 3600, step=600)
        assert RAN == ["27 08:00:00", "28 07:00:00", "29 07:00:00"]


# --- names ----------------------------------------------------------------------------------------------


async def test_a_name_has_one_schedule() -> None:
    """By default it is the method's; another schedule takes its place."""
    async with a_world() as world:
        await world.do(lambda s: s.after(10, "note", "first"))
        await world.do(lambda s: s.after(20, "note", "second"))
        await world.do(lambda s: s.after(30, "note", "other", name="other"))
        assert [one.name for one in await world.do(lambda s: s.list())] == ["note", "other"]
        await world.pass_(60)
        assert RAN == ["26 12:00:20 second", "26 12:00:30 other"]


async def test_the_same_schedule_again_changes_nothing() -> None:
    """So it may stand in `__init__`: the next time does not move when the object is made again."""

    class InInit(Job):
        def __init__(self, ctx: Any, env: Any) -> None:
            super().__init__(ctx, env)
            self.schedules.every(60, self.note, "every")
            self.schedules.cron("*/2 * * * *", self.note, "cron", name="cron")

    async with a_world(InInit) as world:
        for _ in range(4):
            await world.do(lambda s: None)
            await evict_durable_object(world.stub)
            await world.pass_(31)
        assert RAN == ["26 12:01:00 every", "26 12:02:00 cron", "26 12:02:00 every"]


async def test_a_changed_schedule_takes_effect_at_once() -> None:
    """New arguments, another interval."""
    async with a_world() as world:
        await world.do(lambda s: s.every(60, "note", "old"))
        await world.do(lambda s: s.every(10, "note", "new"))
        await world.pass_(25)
        assert RAN == ["26 12:00:10 new", "26 12:00:20 new"]


async def test_a_schedule_can_be_looked_at_and_taken_back() -> None:
    """By name, or all of them; the alarm goes with the last."""
    async with a_world() as world:
        made = await world.do(lambda s: s.every(timedelta(minutes=5), "note", 1, "x", missed="skip"))
        assert made == await world.do(lambda s: s.get("note"))
        assert (made.method, made.args, made.every, made.missed) == (
            "note",
            (1, "x"),
            timedelta(minutes=5),
            "skip",
        )
        assert made.next_run == START + timedelta(minutes=5)
        cron = await world.do(lambda s: s.cron("0 0 1 1 *", "plain"))
        assert (cron.cron, cron.time_zone, cron.every) == ("0 0 1 1 *", "UTC", None)
        assert await world.do(lambda s: s.cancel("note")) is True
        assert await world.do(lambda s: s.cancel("note")) is False
        assert await world.do(lambda s: s.get("note")) is None
        assert await world.do(lambda s: s.cancel_all()) == 1
        assert await inside(world.stub, lambda one: one.ctx.storage.get_alarm()) is None
        await world.pass_(600, step=60)
        assert RAN == []


async def test_a_schedule_is_a_write_of_its_turn() -> None:
    """A transaction takes it back, and with it the alarm."""
    async with a_world() as world:

        def change(one: Any) -> None:
            one.schedules.after(30, one.note, "kept", name="kept")
            try:
                with one.ctx.storage.transaction_sync():
                    one.schedules.after(10, one.note, "undone")
                    raise KeyError
            except KeyError:
                pass

        await inside(world.stub, change)
        await world.pass_(60)
        assert RAN == ["26 12:00:30 kept"]


# --- what goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda s: s.at(datetime(2027, 1, 1), "note"), ValueError, "at() was given"),  # noqa: DTZ001
        (lambda s: s.after(-1, "note"), ValueError, "0 or more"),
        (lambda s: s.after("soon", "note"), TypeError, "got str"),
        (lambda s: s.after(timedelta(days=365 * 200), "note"), ValueError, "after 2189"),
        (lambda s: s.after(timedelta.max, "note"), ValueError, "after 2189"),
        (lambda s: s.every(timedelta.max, "note", start=START), ValueError, "after 2189"),
        (lambda s: s.every(0, "note"), ValueError, "a millisecond at least"),
        (lambda s: s.every(float("inf"), "note"), ValueError, "finite"),
        (lambda s: s.cron("0 25 * * *", "note"), ValueError, '"25" is no hour'),
        (lambda s: s.cron(5, "note"), TypeError, "got int"),
        (lambda s: s.cron("0 9 * * *", "note", time_zone="Berlin"), ValueError, "no time zone"),
        (lambda s: s.cron("0 9 * * *", "note", time_zone=ZoneInfo("UTC")), ValueError, "no time zone"),
        (lambda s: s.after(1, "nothing"), TypeError, "no method of Job"),
        (lambda s: s.after(1, lambda: None), TypeError, "no method of Job"),
        (lambda s: s.after(1, print), TypeError, "no method of Job"),
        (lambda s: s.after(1, "note", name=""), ValueError, "no name"),
        (lambda s: s.after(1, "note", missed="never"), ValueError, "'once', 'skip', 'all'"),
        (lambda s: s.after(1, "note", object()), TypeError, "arguments"),
    ],
)
async def test_a_mistake_is_told_and_changes_nothing(make: Any, kind: type[Exception], says: str) -> None:
    """Before anything is stored."""
    async with a_world() as world:
        error = await attempt(inside(world.stub, lambda one: make(one.schedules)))
        assert isinstance(error, kind)
        assert says in str(error)
        assert await world.do(lambda s: s.list()) == []


def test_a_class_with_an_alarm_of_its_own_is_refused() -> None:
    """An object has one alarm."""
    with pytest.raises(TypeError, match=r"Both has an alarm\(\) of its own"):

        class Both(ScheduledObject):
            async def alarm(self) -> None:
                pass


async def test_schedules_cannot_be_reached_by_callers() -> None:
    """They are the object's own."""
    async with a_world() as world:
        for call in (world.stub.schedules, world.stub.alarm()):
            assert isinstance(await attempt(call), TypeError)


async def test_a_job_that_fails_is_tried_again_and_others_go_on() -> None:
    """After two seconds, four, eight … six times; its error is in the history."""

    async def fail(one: Any) -> None:
        raise KeyError("no")

    async with a_world() as world:
        DO["do"] = fail
        await world.do(lambda s: s.after(1, "note"))
        await world.do(lambda s: s.every(60, "plain"))
        await world.pass_(400)
        assert len([run for run in RAN if run != "plain"]) == 7
        assert RAN.count("plain") == 6
        waits = [delay_s for _, delay_s in world.told.failed]
        assert all(2**n <= wait <= 2**n * 1.25 for n, wait in enumerate(waits[:6], 1))
        assert waits[6] is None
        assert "schedule 'note' of Job(one): KeyError('no')" in world.told.failed[0][0]
        assert await world.do(lambda s: s.get("note")) is None
        (last, *_) = await world.do(lambda s: s.history("note"))
        assert (last.outcome, last.error) == ("failed", "KeyError: 'no'")


async def test_a_repeated_job_that_always_fails_comes_again_at_its_next_time() -> None:
    """It is given up for one time only."""

    async def fail(one: Any) -> None:
        raise KeyError("no")

    async with a_world() as world:
        DO["do"] = fail
        await world.do(lambda s: s.every(3600, "note"))
        await world.pass_(3600 + 400)
        assert len(RAN) == 7
        assert (await world.do(lambda s: s.get("note"))).next_run == START + timedelta(hours=2)


async def test_a_job_that_resets_its_object_is_not_tried_for_ever() -> None:
    """That it began is stored before it begins."""

    async def abort(one: Any) -> None:
        one.ctx.abort("enough")

    async with a_world() as world:
        DO["do"] = abort
        await world.do(lambda s: s.after(1, "note"))
        await world.do(lambda s: s.after(300, "plain"))
        await world.pass_(400)
        assert len([run for run in RAN if run != "plain"]) == 7
        assert RAN[-1] == "plain"
        (run,) = await world.do(lambda s: s.history("note"))
        assert run.error == "It took the object or the process down each time it was tried."


async def test_a_job_whose_method_is_gone_fails_and_is_dropped() -> None:
    """Code changes; the other jobs go on."""
    async with a_world() as world:
        await world.do(lambda s: s.after(1, "plain"))
        Job.plain, kept = None, Job.plain  # type: ignore[method-assign,assignment]
        try:
            await world.pass_(300)
        finally:
            Job.plain = kept  # type: ignore[method-assign]
        assert await world.do(lambda s: s.list()) == []
        assert "NoneType" in (await world.do(lambda s: s.history()))[0].error


async def test_a_job_may_change_schedules_as_it_runs() -> None:
    """Cancel its own, or make it anew: what it says last is what counts."""

    async def again(one: Any) -> None:
        await asyncio.sleep(0)
        if len(RAN) == 1:
            one.schedules.after(5, one.note, "again")
        else:
            one.schedules.cancel("note")

    async with a_world() as world:
        DO["do"] = again
        await world.do(lambda s: s.every(10, "note"))
        await world.pass_(60)
        assert RAN == ["26 12:00:10", "26 12:00:15 again"]


async def test_a_job_may_ask_for_itself_again_at_once() -> None:
    """Also in the millisecond for which it runs: its own schedule is no longer one that is to come."""

    async def again(one: Any) -> None:
        if len(RAN) < 4:
            one.schedules.after(0, one.note)

    async with a_world() as world:
        DO["do"] = again
        await world.do(lambda s: s.after(10, "note"))
        world.clock.advance(10)
        await world.settle()
        assert len(RAN) == 4
        assert await world.do(lambda s: s.list()) == []


async def test_a_repeated_job_ends_with_the_last_time_that_an_alarm_can_have() -> None:
    """What would come after 2189 does not come; the object goes on."""
    async with a_world(at=datetime(2189, 12, 31, 23, 59, 40, tzinfo=UTC)) as world:
        await world.do(lambda s: s.every(15, "plain"))
        await world.pass_(30)
        assert RAN == ["plain"]
        assert await world.do(lambda s: s.list()) == []


async def test_an_alarm_that_code_cleared_is_mended() -> None:
    """When the object is made again."""
    async with a_world() as world:
        await world.do(lambda s: s.after(10, "note"))
        await inside(world.stub, lambda one: one.ctx.storage.delete_alarm())
        await evict_durable_object(world.stub)
        await world.do(lambda s: None)
        await world.pass_(20)
        assert RAN == ["26 12:00:10"]


# --- missed, kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missed", "ran", "outcomes"),
    [
        ("once", ["26 12:35:00"], ["done"]),
        ("skip", [], ["missed"]),
        ("all", ["26 12:35:00"] * 3, ["done", "done", "done"]),
    ],
)
async def test_times_while_nobody_was_there(
    data: Path, missed: Any, ran: list[str], outcomes: list[str]
) -> None:
    """Once, not at all, or each: as the schedule says."""
    async with a_world(data=data) as world:
        await world.do(lambda s: s.every(600, "note", missed=missed))
    async with a_world(data=data, at=START + timedelta(minutes=35)) as world:
        await world.settle()
        assert RAN == ran
        assert [run.outcome for run in await world.do(lambda s: s.history())] == outcomes
        await world.pass_(301)
        assert RAN == [*ran, "26 12:40:00"]


async def test_history_tells_the_last_runs() -> None:
    """Twenty of each schedule, the newest first, with their times."""
    async with a_world() as world:
        await world.do(lambda s: s.every(10, "note"))
        await world.do(lambda s: s.after(5, "plain"))
        await world.pass_(300)
        runs = await world.do(lambda s: s.history("note"))
        assert len(runs) == limits.SCHEDULE_RUNS_OF_ONE_MAX
        assert runs[0].scheduled_time == START + timedelta(seconds=300)
        assert runs[0].started <= runs[0].ended
        assert runs[0].outcome == "done"
        assert len(await world.do(lambda s: s.history())) == 20
        assert [run.name for run in await world.do(lambda s: s.history("plain"))] == ["plain"]
        assert len(await world.do(lambda s: s.history(limit=3))) == 3


async def test_a_run_waits_for_the_one_before_it() -> None:
    """Jobs of one object never run at the same time; calls to the object do meanwhile."""
    go_on = asyncio.Event()

    async def wait(one: Any) -> None:
        await go_on.wait()

    async with a_world() as world:
        DO["do"] = wait
        await world.do(lambda s: s.after(1, "note"))
        await world.do(lambda s: s.after(2, "plain"))
        world.clock.advance(3)
        await until(lambda: RAN)
        assert await world.do(lambda s: len(s.list())) == 2
        assert len(RAN) == 1
        go_on.set()
        await world.settle()
        assert RAN[1:] == ["plain"]


async def test_delete_all_removes_schedules() -> None:
    """They are part of what the object stores."""
    async with a_world() as world:
        await world.do(lambda s: s.every(10, "note"))
        await inside(world.stub, lambda one: one.ctx.storage.delete_all())
        assert await world.do(lambda s: s.list()) == []
        await world.pass_(30)
        assert RAN == []


async def test_private_methods_and_bound_methods_can_be_scheduled() -> None:
    """What callers cannot reach, the object itself can."""
    async with a_world() as world:
        await inside(world.stub, lambda one: one.schedules.after(1, one._hidden))
        await world.pass_(2)
        assert RAN == ["hidden"]


async def test_a_plain_object_pays_nothing() -> None:
    """Only a class that asks for schedules has them."""
    async with a_world(type("Plain", (DurableObject,), {})) as world:
        await inside(world.stub, lambda one: one.ctx.storage.put("k", 1))
        waiting = begin(world.stub, lambda one: hasattr(one, "schedules"))
        assert await waiting is False
