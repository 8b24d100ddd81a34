"""The scheduler by itself: what it does when the index cannot be read, and where its memory ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from perdure._alarms.agenda import Agenda, Entry, Place
from perdure._alarms.scheduler import DONE, Outcome, Scheduler
from perdure._base import limits
from perdure.errors import StorageError
from perdure.testing.clock import ManualClock

START = 1_000_000


class Index:
    """Alarms in a dict; it can fail."""

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.broken = False

    def alarms(self, after: Place, limit: int) -> Sequence[tuple[bytes, int, str | None]]:
        if self.broken:
            raise StorageError("the disk is full.")
        places = sorted((due_ms, key) for key, due_ms in self.rows.items() if (due_ms, key) > after)
        return [(key, due_ms, None) for due_ms, key in places[:limit]]


class Runner:
    """Notes what runs; every run ends at once, as `outcome` says."""

    def __init__(self) -> None:
        self.ran: list[Entry] = []
        self.dropped: list[bytes] = []
        self.outcome = DONE

    def run(self, entry: Entry) -> asyncio.Future[Outcome]:
        self.ran.append(entry)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        future.set_result(self.outcome)
        return future

    def expire(self, entry: Entry) -> None: ...

    def failed(self, entry: Entry, error: BaseException, delay_s: float | None) -> None: ...

    def drop(self, entry: Entry) -> None:
        self.dropped.append(entry.key)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.index = Index()
        self.runner = Runner()
        self.scheduler = Scheduler(self.clock, self.index, self.runner, chance=lambda: 0.0)

    def set(self, key: bytes, seconds: float) -> None:
        """Set an alarm, as a durable commit tells it: to the index and to the scheduler."""
        due_ms = round((START + seconds) * 1000)
        self.index.rows[key] = due_ms
        self.scheduler.hear(key, due_ms, None)

    async def pass_(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def ran(self) -> list[bytes]:
        return [entry.key for entry in self.runner.ran]


async def test_an_index_that_cannot_be_read_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """No alarm is lost by that; it is told."""
    world = World()
    world.index.rows[b"a"] = START * 1000
    world.index.broken = True
    world.scheduler.start()
    await world.pass_(3)
    assert world.ran == []
    assert "the disk is full." in caplog.text
    world.index.broken = False
    await world.pass_(limits.ALARM_INDEX_RETRY_S)
    assert world.ran == [b"a"]


async def test_before_its_start_it_runs_nothing() -> None:
    """What it hears is in the index by then."""
    world = World()
    world.set(b"a", 1)
    await world.pass_(5)
    assert world.clock.pending == 0
    world.scheduler.start()
    await world.pass_(0)
    assert world.ran == [b"a"]


async def test_an_alarm_behind_the_horizon_that_moves_before_it_runs_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that moves behind it is forgotten until the index brings it."""
    monkeypatch.setattr(limits, "ALARMS_READ_AT_ONCE", 2)
    world = World()
    world.index.rows = {key: (START + 10 * n) * 1000 for n, key in enumerate((b"a", b"b", b"c", b"d"), 1)}
    world.scheduler.start()
    assert world.scheduler.waiting == 2
    world.set(b"d", 5)
    world.set(b"a", 100)
    assert world.scheduler.waiting == 2
    for _ in range(20):
        await world.pass_(5)
    assert world.ran == [b"d", b"b", b"c", b"a"]


async def test_a_failure_that_is_final_is_dropped() -> None:
    """Without a further run."""
    world = World()
    world.runner.outcome = Outcome(KeyError(), is_final=True)
    world.scheduler.start()
    world.set(b"a", 1)
    await world.pass_(1)
    await world.pass_(5000)
    assert world.ran == [b"a"]
    assert world.runner.dropped == [b"a"]


async def test_many_that_are_due_are_begun_a_few_at_a_time() -> None:
    """Other work of the loop has its turn in between."""
    world = World()
    world.index.rows = {b"%03d" % n: START * 1000 for n in range(50)}
    world.scheduler.start()
    assert len(world.ran) == limits.ALARMS_BEGUN_AT_ONCE
    for _ in range(50):
        await asyncio.sleep(0)
    assert world.ran == sorted(world.index.rows)


async def test_alarms_that_have_failed_are_not_looked_through_for_each_one_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None of them can be forgotten, so there is nothing to find: 20,000 of them took the loop half a minute."""
    monkeypatch.setattr(limits, "ALARMS_IN_MEMORY_MAX", 10)
    monkeypatch.setattr(limits, "ALARMS_READ_AT_ONCE", 5)
    trims: list[int] = []
    trim = Agenda.trim
    monkeypatch.setattr(Agenda, "trim", lambda agenda, count: trims.append(count) or trim(agenda, count))
    world = World()
    world.runner.outcome = Outcome(KeyError())
    world.index.rows = {b"%03d" % n: START * 1000 for n in range(50)}
    world.scheduler.start()
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(world.ran) == world.scheduler.waiting == 50
    assert trims == []
