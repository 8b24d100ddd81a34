"""Alarms: one for each object, stored with the rest, run at their time. Source: ALM-*, LIM-16."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.faulty_disk import FaultyDisk
from support.inside import Unsynced, an_object, attempt, begin, inside, live_of, settled, until

from perdure import AlarmInfo, DurableObject, ObjectReset, Runtime
from perdure._alarms.agenda import Entry
from perdure._base import limits
from perdure._base.observer import Observer
from perdure._engine.alarms import Alarms
from perdure.testing import evict_durable_object, run_durable_object_alarm
from perdure.testing.clock import ManualClock

START = 1_000_000.0


class Alarmed(DurableObject):
    """Notes each run; a test may let it do more."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.runs: list[AlarmInfo] = []
        self.now = self.env.now
        self.times: list[float] = []
        RUNS.append(self)

    async def alarm(self, info: AlarmInfo) -> None:
        self.runs.append(info)
        self.times.append(self.now())
        HISTORY.append((self.ctx.id.name, info))
        if "do" in DO:
            await DO["do"](self, info)

    def set(self, when: Any, **options: Any) -> None:
        self.ctx.storage.set_alarm(when, **options)

    def get(self) -> Any:
        return self.ctx.storage.get_alarm()

    def clear(self) -> Any:
        return self.ctx.storage.delete_alarm()


RUNS: list[Alarmed] = []
HISTORY: list[tuple[str | None, AlarmInfo]] = []
DO: dict[str, Any] = {}
SEEN: list[Any] = []


class Failures(Observer):
    """Keeps what is told of alarms."""

    def __init__(self) -> None:
        self.failed: list[tuple[BaseException, int, float | None]] = []
        self.unhandled = 0

    def alarm_failed(self, label: str, error: BaseException, retries: int, delay_s: float | None) -> None:
        self.failed.append((error, retries, delay_s))

    def alarm_unhandled(self, live: Any) -> None:
        self.unhandled += 1


class World:
    """A runtime on a clock that stands still, and its one object."""

    def __init__(self, cls: type = Alarmed, data: Path | None = None, **options: Any) -> None:
        self.clock = options.pop("clock", None) or ManualClock(START)
        self.told = Failures()
        options = {"disk": Unsynced(), "idle_s": 1e9} | options
        self.runtime = Runtime(
            objects=[cls],
            data=data,
            clock=self.clock,
            observer=self.told,
            env={"now": self.clock.time_s},
            **options,
        )
        self.cls = cls

    @property
    def stub(self) -> Any:
        return self.named("one")

    def named(self, name: str) -> Any:
        return self.runtime.namespace(self.cls).get_by_name(name)

    async def settle(self) -> None:
        await settled(self.runtime)

    async def pass_(self, seconds: float) -> None:
        """Let so much time pass, and what falls due come to its end."""
        self.clock.advance(seconds)
        await self.settle()


@asynccontextmanager
async def a_world(cls: type = Alarmed, data: Path | None = None, **options: Any) -> AsyncIterator[World]:
    world = World(cls, data, **options)
    async with world.runtime:
        yield world


@asynccontextmanager
async def an_alarm(cls: type = Alarmed, *, do: Any = None, **options: Any) -> AsyncIterator[World]:
    """Give a world whose object has an alarm in five seconds; *do* is what its handler does then."""
    if do is not None:
        DO["do"] = do
    async with a_world(cls, **options) as world:
        await world.stub.set(timedelta(seconds=5))
        yield world


@pytest.fixture(autouse=True)
def _forget() -> None:
    RUNS.clear()
    HISTORY.clear()
    DO.clear()
    SEEN.clear()


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


# --- setting, asking, clearing --------------------------------------------------------------------------


@pytest.mark.rows("ALM-01", "ALM-04")
async def test_an_object_has_one_alarm() -> None:
    """A second time replaces the first."""
    async with a_world() as world:
        assert await world.stub.get() is None
        await world.stub.set(timedelta(seconds=10))
        assert await world.stub.get() == moment(10)
        await world.stub.set(timedelta(seconds=5))
        assert await world.stub.get() == moment(5)
        await world.pass_(60)
        assert [info.scheduled_time for _, info in HISTORY] == [moment(5)]
        assert await world.stub.get() is None


@pytest.mark.rows("ALM-02")
@pytest.mark.parametrize(
    "when",
    [
        timedelta(seconds=7),
        START + 7,
        int(START) + 7,
        datetime.fromtimestamp(START + 7, UTC),
        datetime.fromtimestamp(START + 7, ZoneInfo("Asia/Kolkata")),
    ],
    ids=repr,
)
async def test_a_time_is_a_datetime_a_timedelta_or_seconds(when: Any) -> None:
    """Each names the same moment."""
    async with a_world() as world:
        await world.stub.set(when)
        assert await world.stub.get() == moment(7)


@pytest.mark.rows("ALM-02")
async def test_a_time_in_the_past_is_now() -> None:
    """It runs as soon as it can, and its time is that of the call."""
    async with a_world() as world:
        await world.stub.set(1)
        await world.pass_(0)
        assert [info.scheduled_time for _, info in HISTORY] == [moment(0)]


@pytest.mark.rows("ALM-02")
@pytest.mark.parametrize(
    ("when", "kind", "text"),
    [
        (0, TypeError, "set_alarm() cannot be called with an alarm time <= 0"),
        (-5.0, TypeError, "set_alarm() cannot be called with an alarm time <= 0"),
        (datetime(1960, 1, 1, tzinfo=UTC), TypeError, "set_alarm() cannot be called with an alarm time <= 0"),
        (math.nan, TypeError, "not a valid Date"),
        (math.inf, TypeError, "not a valid Date"),
        (datetime.max.replace(tzinfo=UTC), TypeError, "doesn't support dates after 2189"),
        (timedelta.max, TypeError, "doesn't support dates after 2189"),
        (datetime(2027, 1, 1), ValueError, "without a time zone"),  # noqa: DTZ001
        (START * 1000 * 1000, ValueError, "looks like milliseconds"),
        ("tomorrow", TypeError, "given str"),
        (None, TypeError, "given NoneType"),
        (True, TypeError, "given bool"),
    ],
    ids=repr,
)
async def test_what_is_no_time_is_refused(when: Any, kind: type[Exception], text: str) -> None:
    """The error says what was given and what is taken; the alarm stays as it was."""
    async with a_world() as world:
        await world.stub.set(timedelta(seconds=10))
        error = await attempt(inside(world.stub, lambda one: one.set(when)))
        assert isinstance(error, kind)
        assert text in str(error)
        assert await world.stub.get() == moment(10)


@pytest.mark.rows("ALM-03")
async def test_a_class_without_a_handler_cannot_set_one() -> None:
    """But its constructor is not asked."""

    class Silent(DurableObject):
        def __init__(self, ctx: Any, env: Any) -> None:
            super().__init__(ctx, env)
            ctx.storage.set_alarm(timedelta(hours=1))

        def set(self) -> None:
            self.ctx.storage.set_alarm(timedelta(hours=2))

        def get(self) -> Any:
            return self.ctx.storage.get_alarm()

    async with a_world(Silent) as world:
        error = await attempt(world.stub.set())
        assert isinstance(error, TypeError)
        assert (
            str(error)
            == "Your Durable Object class must have an alarm() handler in order to call set_alarm()"
        )
        assert await world.stub.get() == moment(3600)


@pytest.mark.rows("ALM-19")
async def test_an_alarm_without_a_handler_is_cleared() -> None:
    """It is told of once, and not tried again."""

    class Silent(DurableObject):
        def __init__(self, ctx: Any, env: Any) -> None:
            super().__init__(ctx, env)
            if not ctx.storage.kv.get("made"):
                ctx.storage.kv.put("made", True)
                ctx.storage.set_alarm(timedelta(seconds=5))

        def get(self) -> Any:
            return self.ctx.storage.get_alarm()

    async with a_world(Silent) as world:
        await world.stub.get()
        await world.pass_(5)
        assert world.told.unhandled == 1
        assert await world.stub.get() is None
        await world.pass_(3600)
        assert world.told.unhandled == 1
        assert not world.told.failed


@pytest.mark.rows("ALM-05")
async def test_clearing_keeps_it_from_running() -> None:
    """There need not be one to clear."""
    async with a_world() as world:
        assert await world.stub.clear() is None
        await world.stub.set(timedelta(seconds=5))
        await world.stub.clear()
        assert await world.stub.get() is None
        await world.pass_(60)
        assert HISTORY == []


@pytest.mark.rows("KVA-16", "ALM-23")
async def test_delete_all_clears_the_alarm() -> None:
    """Also one that was set in the same turn."""
    async with an_alarm() as world:
        await inside(world.stub, lambda one: one.ctx.storage.delete_all())
        assert await world.stub.get() is None

        def both(one: Any) -> None:
            one.set(timedelta(seconds=5))
            one.ctx.storage.delete_all()

        await inside(world.stub, both)
        assert await world.stub.get() is None
        await world.pass_(60)
        assert HISTORY == []


# --- part of the storage --------------------------------------------------------------------------------


@pytest.mark.rows("ALM-06", "SQL-34")
async def test_an_alarm_is_a_write_of_its_turn() -> None:
    """An abort takes both back."""
    async with a_world() as world:

        def write_and_abort(one: Any) -> None:
            one.ctx.storage.put("k", 1)
            one.set(timedelta(seconds=5))
            one.ctx.abort("stop")

        await attempt(inside(world.stub, write_and_abort))
        assert await world.stub.get() is None
        await world.pass_(60)
        assert HISTORY == []


@pytest.mark.rows("TXN-13")
async def test_a_transaction_takes_the_alarm_back() -> None:
    """With it goes what get_alarm() told inside."""
    async with a_world() as world:
        seen = []

        async def fail(one: Any) -> None:
            async def closure(txn: Any) -> None:
                await txn.set_alarm(timedelta(seconds=5))
                seen.append(await txn.get_alarm())
                txn.rollback()

            await one.ctx.storage.transaction(closure)
            seen.append(await one.ctx.storage.get_alarm())

        await inside(world.stub, fail)
        assert seen == [moment(5), None]
        await world.pass_(60)
        assert HISTORY == []


@pytest.mark.rows("TXN-13")
async def test_a_savepoint_takes_the_alarm_back_to_what_it_was() -> None:
    """What was set before it stays, and is what runs."""
    async with a_world() as world:

        def change(one: Any) -> None:
            one.set(timedelta(seconds=5))
            with suppress(KeyError), one.ctx.storage.transaction_sync():
                one.ctx.storage.delete_alarm()
                raise KeyError

        await inside(world.stub, change)
        assert await world.stub.get() == moment(5)
        await world.pass_(60)
        assert len(HISTORY) == 1


@pytest.mark.rows("TXN-13")
async def test_clearing_in_a_transaction_that_fails_leaves_it_set() -> None:
    """An alarm that comes due meanwhile waits for the end of the transaction, and runs."""
    async with an_alarm() as world:
        go_on = asyncio.Event()

        async def closure(txn: Any) -> None:
            await txn.delete_alarm()
            await go_on.wait()
            raise KeyError

        async def change(one: Any) -> None:
            with pytest.raises(KeyError):
                await one.ctx.storage.transaction(closure)

        changing = begin(world.stub, change)
        await asyncio.sleep(0.01)
        world.clock.advance(5)
        await asyncio.sleep(0.01)
        assert HISTORY == []
        go_on.set()
        await changing
        await world.settle()
        assert len(HISTORY) == 1


@pytest.mark.rows("ALM-27")
async def test_the_same_time_again_writes_nothing() -> None:
    """No row, and no commit."""
    async with a_world() as world:
        await world.stub.set(START + 5)
        number = live_of(world.stub).store().number
        await world.stub.set(START + 5)
        assert live_of(world.stub).store().number == number


@pytest.mark.rows("SQL-32")
async def test_the_table_of_the_alarm_is_hidden() -> None:
    """It is made by the first alarm, and cannot be read."""
    async with a_world() as world:

        def names(one: Any) -> list[str]:
            return [row.name for row in one.ctx.storage.sql.exec("SELECT name FROM sqlite_schema")]

        def read(one: Any) -> None:
            one.ctx.storage.sql.exec("SELECT * FROM _cf_METADATA")

        await world.stub.get()
        await world.stub.clear()
        assert await inside(world.stub, names) == []
        await world.stub.set(timedelta(seconds=5))
        assert await inside(world.stub, names) == ["_cf_METADATA"]
        error = await attempt(inside(world.stub, read))
        assert str(error) == "access to _cf_METADATA.key is prohibited: SQLITE_AUTH"


@pytest.mark.rows("ALM-07")
async def test_nothing_runs_that_is_not_durable() -> None:
    """An alarm begins after the sync of the commit that set it; not before."""
    disk = FaultyDisk()
    async with a_world(disk=disk) as world:
        await world.stub.get()
        with disk.held():
            setting = begin(world.stub, lambda one: one.set(1))
            await asyncio.sleep(0.02)
            world.clock.advance(5)
            await asyncio.sleep(0.01)
            assert HISTORY == []
        await setting
        await world.pass_(0)
        assert len(HISTORY) == 1


# --- running --------------------------------------------------------------------------------------------


@pytest.mark.rows("ALM-08")
async def test_an_alarm_is_never_early() -> None:
    """A millisecond before its time it has not begun."""
    async with an_alarm() as world:
        await world.pass_(4.999)
        assert HISTORY == []
        await world.pass_(0.001)
        assert len(HISTORY) == 1


@pytest.mark.rows("ALM-08")
async def test_a_part_of_a_millisecond_is_rounded_up() -> None:
    """Rounded down, it would be early."""
    async with a_world() as world:
        when = moment(5) + timedelta(microseconds=300)
        await world.stub.set(when)
        assert await world.stub.get() >= when
        await world.pass_(5)
        assert HISTORY == []
        await world.pass_(0.001)
        assert len(HISTORY) == 1


@pytest.mark.rows("ALM-09")
async def test_a_handler_is_told_of_its_alarm() -> None:
    """And one that takes no argument is not."""

    class Plain(DurableObject):
        def alarm(self) -> None:
            RUNS.append(self)  # type: ignore[arg-type]

        def set(self) -> None:
            self.ctx.storage.set_alarm(timedelta(seconds=5))

    async with an_alarm() as world:
        await world.pass_(6)
        assert HISTORY == [("one", AlarmInfo(0, False, moment(5)))]
    RUNS.clear()
    async with a_world(Plain) as world:
        await world.stub.set()
        await world.pass_(6)
        assert len(RUNS) == 1


@pytest.mark.rows("ALM-10", "NS-16")
async def test_an_alarm_wakes_its_object() -> None:
    """A new instance has the name by which the object was reached."""
    async with an_alarm() as world:
        await evict_durable_object(world.stub)
        await world.pass_(5)
        assert [name for name, _ in HISTORY] == ["one"]
        assert len(RUNS) == 2


@pytest.mark.rows("ALM-04", "ALM-11")
async def test_a_running_alarm_is_none_and_then_gone() -> None:
    """`get_alarm` tells of a new one only."""
    seen = []

    async def look(one: Any, info: AlarmInfo) -> None:
        seen.append(await one.get())

    async with an_alarm(do=look) as world:
        await world.pass_(5)
        assert seen == [None]
        assert await world.stub.get() is None


@pytest.mark.rows("ALM-11", "ALM-25")
async def test_a_new_alarm_set_by_the_handler_is_kept() -> None:
    """So an alarm repeats itself."""

    async def again(one: Any, info: AlarmInfo) -> None:
        if len(HISTORY) < 3:
            one.set(timedelta(seconds=10))

    async with an_alarm(do=again) as world:
        for _ in range(6):
            await world.pass_(5)
        assert [info.scheduled_time for _, info in HISTORY] == [moment(5), moment(15), moment(25)]


@pytest.mark.rows("ALM-27")
async def test_the_same_time_set_by_the_handler_is_a_new_alarm() -> None:
    """It runs again, and is no retry."""

    async def again(one: Any, info: AlarmInfo) -> None:
        if len(HISTORY) == 1:
            one.set(info.scheduled_time)

    async with an_alarm(do=again) as world:
        await world.pass_(5)
        await world.pass_(1)
        assert [info.is_retry for _, info in HISTORY] == [False, False]


@pytest.mark.rows("ALM-11")
async def test_an_alarm_and_the_last_writes_of_its_handler_are_one_commit() -> None:
    """So no crash can keep the writes and run it again, or the other way round."""

    async def write(one: Any, info: AlarmInfo) -> None:
        one.ctx.storage.put("done", True)

    async with an_alarm(do=write) as world:
        number = live_of(world.stub).store().number
        await world.pass_(5)
        assert live_of(world.stub).store().number == number + 1


@pytest.mark.rows("ALM-12", "ALM-13")
async def test_a_failed_alarm_runs_again_after_two_seconds_and_more() -> None:
    """Each wait is twice as long; a quarter of it more at most, by chance."""

    async def fail(one: Any, info: AlarmInfo) -> None:
        raise KeyError(info.retry_count)

    async with an_alarm(do=fail) as world:
        await world.pass_(5)
        assert await world.stub.get() == moment(5)
        for retry in range(1, 4):
            delay_s = world.told.failed[-1][2]
            assert delay_s is not None
            assert 2**retry <= delay_s <= 2**retry * 1.25
            await world.pass_(delay_s - 0.01)
            assert len(HISTORY) == retry
            await world.pass_(0.02)
            assert HISTORY[-1][1] == AlarmInfo(retry, True, moment(5))


@pytest.mark.rows("ALM-14", "LIM-16")
async def test_after_six_retries_an_alarm_is_dropped() -> None:
    """Then there is none any more; that is told."""

    async def fail(one: Any, info: AlarmInfo) -> None:
        raise KeyError

    async with an_alarm(do=fail) as world:
        await world.pass_(5)
        for _ in range(6):
            assert await world.stub.get() == moment(5)
            await world.pass_(200)
        assert [info.retry_count for _, info in HISTORY] == [0, 1, 2, 3, 4, 5, 6]
        assert await world.stub.get() is None
        assert world.told.failed[-1][2] is None
        await world.pass_(100_000)
        assert len(HISTORY) == 7


@pytest.mark.rows("ALM-12")
async def test_an_alarm_set_by_a_failed_run_runs_instead() -> None:
    """It is a new one, with all its tries."""

    async def fail(one: Any, info: AlarmInfo) -> None:
        if len(HISTORY) == 1:
            one.set(timedelta(seconds=100))
            await asyncio.sleep(0)
            raise KeyError

    async with an_alarm(do=fail) as world:
        await world.pass_(5)
        assert await world.stub.get() == moment(105)
        await world.pass_(50)
        assert len(HISTORY) == 1
        await world.pass_(50)
        assert HISTORY[1:] == [("one", AlarmInfo(0, False, moment(105)))]


async def test_clearing_between_the_tries_ends_them() -> None:
    """And so does a new alarm."""

    async def fail(one: Any, info: AlarmInfo) -> None:
        raise KeyError

    async with an_alarm(do=fail) as world:
        await world.pass_(5)
        await world.stub.clear()
        await world.pass_(1000)
        assert len(HISTORY) == 1
        await world.stub.set(timedelta(seconds=5))
        await world.pass_(5)
        await world.stub.set(timedelta(seconds=100))
        await world.pass_(99)
        assert len(HISTORY) == 2


@pytest.mark.rows("ALM-05")
async def test_an_alarm_cleared_by_its_handler_is_not_tried_again() -> None:
    """The failure is told nevertheless."""

    async def fail(one: Any, info: AlarmInfo) -> None:
        await one.clear()
        await asyncio.sleep(0)
        raise KeyError

    async with an_alarm(do=fail) as world:
        await world.pass_(5)
        await world.pass_(1000)
        assert len(HISTORY) == 1
        assert len(world.told.failed) == 1


@pytest.mark.rows("ALM-15")
async def test_a_constructor_that_fails_does_not_count() -> None:
    """The alarm is tried as long as it takes, and its first run is no retry."""
    failures = 20

    class Late(Alarmed):
        def __init__(self, ctx: Any, env: Any) -> None:
            nonlocal failures
            super().__init__(ctx, env)
            if ctx.storage.kv.get("made") and failures:
                failures -= 1
                raise KeyError("not yet")
            ctx.storage.kv.put("made", True)

    async with an_alarm(Late) as world:
        await evict_durable_object(world.stub)
        await world.pass_(5)
        for _ in range(20):
            assert HISTORY == []
            await world.pass_((world.told.failed[-1][2] or 0) + 0.01)
        assert HISTORY == [("one", AlarmInfo(0, False, moment(5)))]


@pytest.mark.rows("ALM-15", "ALM-26")
async def test_a_run_whose_writes_are_lost_has_failed_and_does_not_count() -> None:
    """The disk was full: it runs again as often as it takes, and its first run that is kept is no retry."""

    async def write(one: Any, info: AlarmInfo) -> None:
        await one.ctx.storage.put("n", await one.ctx.storage.get("n", 0) + 1)

    DO["do"] = write
    disk = FaultyDisk()
    async with an_alarm(disk=disk) as world:
        with disk.being_full():
            await world.pass_(5)
            for failures in range(1, 10):
                assert len(HISTORY) == failures
                assert await world.stub.get() == moment(5)
                await world.pass_((world.told.failed[-1][2] or 0) + 0.01)
        await world.pass_((world.told.failed[-1][2] or 0) + 0.01)
        assert {info.is_retry for _, info in HISTORY} == {False}
        assert await world.stub.get() is None
        assert await inside(world.stub, lambda one: one.ctx.storage.get("n")) == 1


@pytest.mark.rows("ALM-17")
async def test_a_run_of_fifteen_minutes_is_ended() -> None:
    """Its object is reset; that counts as a failure, and it runs again."""

    async def hang(one: Any, info: AlarmInfo) -> None:
        if info.retry_count == 0:
            await asyncio.Event().wait()

    async with an_alarm(do=hang) as world:
        world.clock.advance(5)
        await until(lambda: HISTORY)
        waiting = begin(world.stub, lambda one: asyncio.Event().wait())
        await asyncio.sleep(0.01)
        world.clock.advance(limits.ALARM_RUN_S_MAX - 1)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await world.pass_(1)
        error = await attempt(waiting)
        assert isinstance(error, ObjectReset)
        assert str(error) == "Alarm exceeded its allowed execution time"
        assert error.overloaded
        await world.pass_(3)
        assert HISTORY[-1][1].retry_count == 1


@pytest.mark.rows("ALM-18", "CTX-09")
async def test_an_aborted_alarm_runs_again() -> None:
    """On a new instance; what it wrote in that turn is gone."""

    async def abort(one: Any, info: AlarmInfo) -> None:
        if info.retry_count == 0:
            one.ctx.storage.put("lost", 1)
            one.ctx.abort("stop")

    async with an_alarm(do=abort) as world:
        await world.pass_(5)
        assert await world.stub.get() == moment(5)
        await world.pass_(3)
        assert [info.retry_count for _, info in HISTORY] == [0, 1]
        assert await inside(world.stub, lambda one: one.ctx.storage.get("lost")) is None


@pytest.mark.rows("ALM-18", "CTX-10")
async def test_an_abort_may_drop_the_alarm() -> None:
    """From whichever event it comes."""

    async def wait(one: Any, info: AlarmInfo) -> None:
        await asyncio.Event().wait()

    async with an_alarm(do=wait) as world:
        world.clock.advance(5)
        await until(lambda: HISTORY)
        await attempt(inside(world.stub, lambda one: one.ctx.abort("stop", retry_alarm=False)))
        await world.settle()
        assert await world.stub.get() is None
        await world.pass_(1000)
        assert len(HISTORY) == 1


@pytest.mark.rows("CTX-10")
async def test_an_abort_without_a_running_alarm_leaves_it() -> None:
    """It has not begun, so there is no retry to forbid."""
    async with an_alarm() as world:
        await attempt(inside(world.stub, lambda one: one.ctx.abort("stop", retry_alarm=False)))
        await world.pass_(5)
        assert len(HISTORY) == 1


@pytest.mark.rows("ALM-20")
async def test_an_alarm_that_comes_due_while_one_runs_waits() -> None:
    """One run at a time; the last time that was set meanwhile is the one that counts."""
    go_on = asyncio.Event()

    async def wait(one: Any, info: AlarmInfo) -> None:
        if len(HISTORY) == 1:
            await go_on.wait()

    async with an_alarm(do=wait) as world:
        world.clock.advance(5)
        await until(lambda: HISTORY)
        await world.stub.set(timedelta(seconds=1))
        await world.stub.set(timedelta(seconds=2))
        world.clock.advance(10)
        await asyncio.sleep(0.01)
        assert len(HISTORY) == 1
        go_on.set()
        await world.settle()
        await world.pass_(0)
        assert HISTORY[1][1].scheduled_time == moment(7)


@pytest.mark.rows("ALM-21")
async def test_requests_run_while_an_alarm_waits() -> None:
    """It is an event like the others."""
    go_on = asyncio.Event()

    async def wait(one: Any, info: AlarmInfo) -> None:
        await go_on.wait()

    async with an_alarm(do=wait) as world:
        world.clock.advance(5)
        await until(lambda: HISTORY)
        assert await world.stub.get() is None
        go_on.set()
        await world.settle()


async def test_an_alarm_waits_for_a_critical_section() -> None:
    """As any event does (GATE-12)."""
    async with a_world() as world:
        go_on = asyncio.Event()
        await world.stub.set(timedelta(seconds=5))
        blocking = begin(world.stub, lambda one: one.ctx.block_concurrency_while(go_on.wait))
        await asyncio.sleep(0.01)
        world.clock.advance(5)
        await asyncio.sleep(0.01)
        assert HISTORY == []
        go_on.set()
        await blocking
        await world.settle()
        assert len(HISTORY) == 1


async def test_an_alarm_that_was_moved_as_it_waited_to_begin_runs_all_the_same() -> None:
    """Its run is under way from when it came due; what was set meanwhile is a new alarm, as in workerd."""
    async with a_world() as world:
        go_on = asyncio.Event()
        await world.stub.set(timedelta(seconds=5))
        blocking = begin(world.stub, lambda one: one.ctx.block_concurrency_while(go_on.wait))
        await asyncio.sleep(0.01)
        moving = begin(world.stub, lambda one: one.set(START + 50))
        world.clock.advance(5)
        go_on.set()
        await asyncio.gather(blocking, moving)
        await world.settle()
        assert [info.scheduled_time for _, info in HISTORY] == [moment(5)]
        assert await world.stub.get() == moment(50)


async def test_an_alarm_that_was_cleared_as_it_waited_to_begin_does_not_run() -> None:
    """Whoever was told that it is cleared can rely on that."""
    async with a_world() as world:
        go_on = asyncio.Event()
        await world.stub.set(timedelta(seconds=5))
        blocking = begin(world.stub, lambda one: one.ctx.block_concurrency_while(go_on.wait))
        await asyncio.sleep(0.01)
        clearing = begin(world.stub, lambda one: one.clear())
        world.clock.advance(5)
        go_on.set()
        await asyncio.gather(blocking, clearing)
        await world.settle()
        assert HISTORY == []


@pytest.mark.rows("ALM-04", "ALM-10")
async def test_the_constructor_of_a_woken_object_sees_its_alarm() -> None:
    """So `if get_alarm() is None: set_alarm(…)` in a constructor makes no second one."""

    class Looking(Alarmed):
        def __init__(self, ctx: Any, env: Any) -> None:
            super().__init__(ctx, env)
            ctx.block_concurrency_while(self.look)

        async def look(self) -> None:
            SEEN.append(await self.ctx.storage.get_alarm())

    async with an_alarm(Looking) as world:
        await evict_durable_object(world.stub)
        await world.pass_(5)
        assert SEEN == [None, moment(5)]
        assert len(HISTORY) == 1


@pytest.mark.parametrize(("seconds", "runs"), [(50, 0), (-50, 1)])
async def test_an_alarm_that_the_constructor_moves_runs_at_its_new_time(seconds: float, runs: int) -> None:
    """The object is made before its alarm begins, and what it has stored then counts; in workerd too."""

    class Moving(Alarmed):
        def __init__(self, ctx: Any, env: Any) -> None:
            super().__init__(ctx, env)
            if "move" in DO:
                ctx.storage.set_alarm(timedelta(seconds=seconds))

    async with an_alarm(Moving) as world:
        await evict_durable_object(world.stub)
        DO["move"] = True
        await world.pass_(7)
        assert len(HISTORY) == runs
        await world.pass_(50)
        assert len(HISTORY) == 1
        assert await world.stub.get() is None


@pytest.mark.rows("TEST-02")
async def test_a_test_runs_an_alarm_at_once() -> None:
    """Whatever its time; a new one that it sets stays. Without one it says so."""

    async def again(one: Any, info: AlarmInfo) -> None:
        if len(HISTORY) == 1:
            one.set(timedelta(seconds=5))

    DO["do"] = again
    async with a_world() as world:
        assert await run_durable_object_alarm(world.stub) is False
        await world.stub.set(timedelta(hours=5))
        assert await run_durable_object_alarm(world.stub) is True
        assert await world.stub.get() == moment(5)
        assert await run_durable_object_alarm(world.stub) is True
        assert await world.stub.get() is None
        await world.pass_(100_000)
        assert len(HISTORY) == 2


@pytest.mark.rows("TEST-02")
async def test_a_test_sees_what_an_alarm_raises() -> None:
    """And the alarm is still set."""

    async def fail(one: Any, info: AlarmInfo) -> None:
        raise KeyError("gone")

    DO["do"] = fail
    async with a_world() as world:
        await world.stub.set(timedelta(hours=5))
        assert isinstance(await attempt(run_durable_object_alarm(world.stub)), KeyError)
        assert await world.stub.get() == moment(5 * 3600)


# --- restarts, clocks, crowds ---------------------------------------------------------------------------


@pytest.mark.rows("ALM-06", "ALM-22")
async def test_an_alarm_survives_a_restart(data: Path) -> None:
    """One that came due meanwhile runs at once, under its name; one that has not, at its time."""
    async with a_world(data=data) as world:
        await world.named("late").set(timedelta(seconds=5))
        await world.named("early").set(timedelta(seconds=500))
    async with a_world(data=data, clock=ManualClock(START + 100)) as world:
        await until(lambda: HISTORY)
        await world.settle()
        assert HISTORY == [("late", AlarmInfo(0, False, moment(5)))]
        await world.pass_(400)
        assert HISTORY[1:] == [("early", AlarmInfo(0, False, moment(500)))]


async def test_a_command_that_opens_the_folder_runs_no_alarm(data: Path) -> None:
    """It does what it was asked; the next start runs what is due."""
    async with an_alarm(data=data):
        pass
    async with a_world(data=data, clock=ManualClock(START + 100), role="command") as world:
        assert await world.stub.get() == moment(5)
        await world.stub.set(START + 6)
        await world.pass_(60)
        assert HISTORY == []
    async with a_world(data=data, clock=ManualClock(START + 200)) as world:
        await until(lambda: HISTORY)
        await world.settle()


async def test_a_stop_lets_a_running_alarm_end(data: Path) -> None:
    """And one that does not end runs again after the start."""
    go_on = asyncio.Event()

    async def wait(one: Any, info: AlarmInfo) -> None:
        await go_on.wait()

    DO["do"] = wait
    world = World(data=data)
    await world.runtime.start()
    await world.stub.set(timedelta(seconds=5))
    world.clock.advance(5)
    await until(lambda: HISTORY)
    await world.runtime.stop(drain_s=0)
    go_on.set()
    async with a_world(data=data, clock=ManualClock(START + 100)) as world:
        await until(lambda: len(HISTORY) == 2)
        await world.settle()
    assert [info.is_retry for _, info in HISTORY] == [False, False]
    async with a_world(data=data, clock=ManualClock(START + 200)) as world:
        await world.settle()
        assert await world.stub.get() is None
    assert len(HISTORY) == 2


async def test_a_start_opens_no_database_that_is_not_due(data: Path) -> None:
    """However many objects sleep; those that are due are opened, a bounded number at a time."""
    async with a_world(data=data) as world:
        for number in range(300):
            await world.named(f"due {number}").set(timedelta(seconds=10))
            await world.named(f"later {number}").set(timedelta(seconds=10_000))
    async with a_world(data=data, clock=ManualClock(START + 9)) as world:
        await world.settle()
        storage = world.runtime._running().storage
        assert storage.open_count <= 1  # the catalog
        RUNS.clear()
        most = 0

        async def count(one: Any, info: AlarmInfo) -> None:
            nonlocal most
            most = max(most, len(world.runtime._running()._scheduler._running))
            await asyncio.sleep(0)

        DO["do"] = count
        world.clock.advance(1)
        await until(lambda: len(HISTORY) == 300)
        await world.settle()
        assert 1 < most <= limits.ALARMS_AT_ONCE
        assert {name for name, _ in HISTORY} == {f"due {number}" for number in range(300)}
        assert len(RUNS) == 300


async def test_more_alarms_than_memory_holds_all_run_in_order(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is read from the index when it comes to them."""
    monkeypatch.setattr(limits, "ALARMS_IN_MEMORY_MAX", 20)
    monkeypatch.setattr(limits, "ALARMS_READ_AT_ONCE", 8)
    async with a_world(data=data) as world:
        scheduler = world.runtime._running()._scheduler
        for number in reversed(range(60)):
            await world.named(str(number)).set(timedelta(seconds=10 + number))
            assert scheduler.waiting <= 20
        for number in range(60):
            await world.pass_(1 if number else 10)
            assert [name for name, _ in HISTORY] == [str(n) for n in range(number + 1)]
    HISTORY.clear()
    async with a_world(data=data, clock=ManualClock(START + 100)) as world:
        for number in range(60):
            await world.named(str(number)).set(timedelta(seconds=10 + number % 3))
    async with a_world(data=data, clock=ManualClock(START + 200)) as world:
        await until(lambda: len(HISTORY) == 60)
        await world.settle()
        assert len({name for name, _ in HISTORY}) == 60


async def test_an_object_that_cannot_be_opened_keeps_no_other_from_its_time(
    data: Path,
) -> None:
    """Its alarm is tried again, without counting, until it can."""
    async with a_world(data=data) as world:
        await world.named("bad").set(timedelta(seconds=5))
        await world.named("good").set(timedelta(seconds=6))
        folder = world.runtime._running().storage.layout
        path = Path(folder.store(live_of(world.named("bad")).store().key))
    async with a_world(data=data, clock=ManualClock(START + 1)):
        pass  # what the journal held is in the files now
    kept = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    async with a_world(data=data, clock=ManualClock(START + 2)) as world:
        await world.pass_(10)
        assert [name for name, _ in HISTORY] == ["good"]
        assert world.told.failed[0][2] is not None
        path.write_bytes(kept)
        await world.pass_(60)
        assert HISTORY[1:] == [("bad", AlarmInfo(0, False, moment(5)))]


async def test_an_alarm_that_hangs_keeps_no_place_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five seconds of waiting the next one begins."""
    monkeypatch.setattr(limits, "ALARMS_AT_ONCE", 2)
    go_on = asyncio.Event()

    async def wait(one: Any, info: AlarmInfo) -> None:
        if one.ctx.id.name.startswith("hung"):
            await go_on.wait()

    DO["do"] = wait
    async with a_world() as world:
        for name in ("hung 1", "hung 2"):
            await world.named(name).set(timedelta(seconds=5))
        await world.named("other").set(timedelta(seconds=6))
        world.clock.advance(6)
        await until(lambda: len(HISTORY) == 2)
        await asyncio.sleep(0.01)
        assert len(HISTORY) == 2
        world.clock.advance(limits.ALARM_WAITS_S)
        await until(lambda: len(HISTORY) == 3)
        go_on.set()
        await world.settle()


async def test_a_clock_set_forward_is_noticed() -> None:
    """What is due then runs within ten seconds."""
    async with a_world(clock=ManualClock(START, checked_after_s=limits.CLOCK_CHECK_S)) as world:
        await world.stub.set(timedelta(minutes=50))
        await world.pass_(1)
        world.clock.set_forward(3600)
        await world.pass_(limits.CLOCK_CHECK_S)
        assert len(HISTORY) == 1


async def test_a_clock_set_back_lets_an_alarm_wait() -> None:
    """Its time has not come by this clock; and it is not lost."""
    async with a_world() as world:
        await world.stub.set(timedelta(minutes=5))
        world.clock.set_forward(-3600)
        await world.pass_(600)
        assert HISTORY == []
        await world.pass_(3600)
        assert len(HISTORY) == 1
        assert RUNS[0].times[0] >= START + 300


async def test_no_object_is_made_for_an_alarm_that_was_cleared() -> None:
    """The store alone is asked."""
    async with an_alarm() as world:
        await evict_durable_object(world.stub)
        host = world.runtime._running()
        live = live_of(world.stub)
        await inside(world.stub, lambda one: one.clear())
        await evict_durable_object(world.stub)
        RUNS.clear()
        entry = Entry(live.space.store_key(live.id), int(START * 1000), "one", 0)
        await Alarms(host).run(entry)
        assert RUNS == []
        assert live.space.lives == {}


async def test_an_object_without_alarms_has_no_table_for_them() -> None:
    """Nothing is written for what nobody uses."""
    async with an_object() as stub:
        await inside(stub, lambda one: one.ctx.storage.put("k", 1))
        live = live_of(stub)
        assert live.store().tells_alarm is False
