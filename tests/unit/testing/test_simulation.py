"""Simulations: virtual time in objects, crashes, faults; the same seed, the same run."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import time
import unittest
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from perdure import DurableObject, Response, ScheduledObject, WebSocketPair, WorkerEntrypoint
from perdure._storage.journal.writer import Writer
from perdure.errors import Disconnected, ObjectReset, StorageFailed, TimedOut
from perdure.testing.exploring import POINT, SEED, SEEDS, crash_at_every_point, explore, simulated
from perdure.testing.faults import _PLACES, POINTS
from perdure.testing.loop import Deadlock
from perdure.testing.simulation import START, run_simulation

ORDER: list[str] = []


class Counter(DurableObject):
    async def hit(self):
        self.ctx.storage.kv["n"] = value = self.ctx.storage.kv.get("n", 0) + 1
        return value

    async def value(self):
        return self.ctx.storage.kv.get("n", 0)

    async def slow_hit(self):
        """Loses updates: another call may come while it sleeps."""
        value = self.ctx.storage.kv.get("n", 0)
        await asyncio.sleep(0)
        self.ctx.storage.kv["n"] = value + 1

    async def daily(self):
        self.ctx.storage.set_alarm(timedelta(days=1))

    async def alarm(self):
        await self.hit()
        await self.daily()

    async def tell(self, listener):
        await listener(await self.hit())

    async def wait(self):
        await asyncio.get_running_loop().create_future()

    async def note(self, number):
        ORDER.append(f"{self.ctx.id.name}{number}")
        await asyncio.sleep(0)
        ORDER.append(f"{self.ctx.id.name}{number}")


class Twin(DurableObject):
    async def ask(self, other):
        await self.ctx.block_concurrency_while(lambda: self.env.TWIN.get_by_name(other).ask(self.ctx.id.name))

    async def now(self):
        return datetime.now(UTC), await asyncio.to_thread(time.time)


def counter(sim, name="a"):
    return sim.env.COUNTER.get_by_name(name)


# --- time ------------------------------------------------------------------------------------------------


@simulated(Counter)
async def test_a_month_of_alarms(sim):
    await counter(sim).daily()
    await sim.advance(days=30, seconds=1)
    assert await counter(sim).value() == 30
    assert timedelta(days=30) < sim.now - START < timedelta(days=30, minutes=1)


@simulated(Counter, start=datetime(2031, 5, 1, tzinfo=UTC))
async def test_time_goes_to_a_date(sim):
    await sim.advance_to(datetime(2031, 6, 1, tzinfo=UTC))
    assert sim.now.date() == datetime(2031, 6, 1).date()
    assert abs(time.time() - sim.now.timestamp()) < 1


class Clockwork(ScheduledObject):
    """Everything that waits for a time, and when it came."""

    def times(self):
        return self.ctx.storage.kv.get("times", [])

    def mark(self, what):
        self.ctx.storage.kv["times"] = [
            *self.times(),
            f"{what} {datetime.fromtimestamp(time.time(), UTC):%H:%M}",
        ]

    async def begin(self):
        self.schedules.every(timedelta(hours=10), self.mark, "schedule")

    async def hang(self):
        await asyncio.Event().wait()


class Nightly(WorkerEntrypoint):
    async def scheduled(self, controller):
        await self.env.CLOCKWORK.get_by_name("a").mark("cron")


class Retrying(DurableObject):
    async def begin(self):
        self.ctx.storage.set_alarm(timedelta(hours=1))

    async def alarm(self, info):
        if info.retry_count < 3:
            raise ValueError("not yet")
        self.ctx.storage.kv["tries"] = info.retry_count

    async def tries(self):
        return self.ctx.storage.kv.get("tries")


@simulated(Clockwork, Nightly, crons=["0 3 * * *"], event_timeout_s=60.0)
async def test_schedules_and_cron_triggers_run_in_virtual_time(sim):
    """From midnight to midnight."""
    clockwork = sim.env.CLOCKWORK.get_by_name("a")
    await clockwork.begin()
    await sim.advance(days=1)
    assert await clockwork.times() == ["cron 03:00", "schedule 10:00", "schedule 20:00"]


@simulated(Clockwork, event_timeout_s=60.0)
async def test_time_limits_pass_in_virtual_time(sim):
    before = sim.now
    with pytest.raises(TimedOut):
        await sim.env.CLOCKWORK.get_by_name("a").hang()
    assert timedelta(seconds=60) <= sim.now - before < timedelta(seconds=61)


@simulated(Retrying)
async def test_retries_of_an_alarm_come_in_virtual_time(sim):
    """Each later than the one before, until it works."""
    retrying = sim.env.RETRYING.get_by_name("a")
    await retrying.begin()
    await sim.advance(hours=1, minutes=5)
    assert await retrying.tries() == 3
    assert [entry.event for entry in sim.logs].count("alarm_failed") == 3


@simulated(Counter)
async def test_idle_objects_are_evicted_in_virtual_time(sim):
    await counter(sim).hit()
    [space] = sim.runtime._running().spaces.values()
    assert space.lives
    await sim.advance(seconds=15)
    assert not space.lives


@simulated(Counter)
async def test_what_happens_without_time_passing_has_happened(sim):
    call = asyncio.ensure_future(counter(sim).hit())
    await sim.until_idle()
    assert call.done()


def test_the_time_of_day_and_chance_are_the_machines_again_afterwards():
    before = time.time, os.urandom, random.getstate()
    run_simulation(nothing, Counter)
    assert (time.time, os.urandom, random.getstate()) == before


async def nothing(sim):
    pass


@simulated(Twin)
async def test_what_asks_the_machine_for_the_time_is_told_the_virtual_one(sim):
    """`datetime.now()` in objects and tests, with time-machine installed; `time.time()` in threads too."""
    await sim.advance(days=30)
    before = sim.now
    told, in_a_thread = await sim.env.TWIN.get_by_name("a").now()
    assert before <= told <= datetime.fromtimestamp(in_a_thread, UTC) <= sim.now == datetime.now(UTC)


def test_without_time_machine_simulations_run_as_well(monkeypatch):
    """Then `time.time()` is virtual, and `datetime.now()` is not."""

    async def test(sim):
        return time.time(), datetime.now(UTC)

    monkeypatch.setitem(sys.modules, "time_machine", None)
    told, now = run_simulation(test, Counter)
    assert told == START.timestamp()
    assert now != START


# --- the same seed, the same run -------------------------------------------------------------------------


async def a_run(sim):
    """Something with many orders, delays, chance, a crash; what can be seen of it."""
    ORDER.clear()
    stubs = [counter(sim, name) for name in "abcd"]
    calls = [asyncio.ensure_future(stub.note(number)) for number in range(4) for stub in stubs]
    ends = [asyncio.ensure_future(stub.wait()) for stub in stubs for _ in range(5)]
    told = []
    for number, end in enumerate(ends):
        end.add_done_callback(lambda _, number=number: told.append(number))
    await asyncio.gather(*calls, *(stub.hit() for stub in stubs))
    ORDER.append(str(sim.now.timestamp()))
    await sim.crash()
    await asyncio.gather(*ends, return_exceptions=True)
    values = [await counter(sim, name).value() for name in "abcd"]
    ids = [uuid.uuid4().hex, str(random.random()), str(sim.env.COUNTER.new_unique_id())]
    return " ".join([*ORDER, *map(str, told), *map(str, values), *ids, str(sim.now.timestamp())])


def test_the_same_seed_is_the_same_run_also_in_another_process():
    """Whatever the hash seed of Python, and the addresses of objects."""
    here = run_simulation(a_run, Counter, seed=7)
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_simulation as t\n"
        "print(t.run_simulation(t.a_run, t.Counter, seed=7))"
    )
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_another_seed_is_another_run():
    assert len({run_simulation(a_run, Counter, seed=seed) for seed in range(5)}) == 5


# --- crashes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [True, False])
def test_what_was_answered_is_there_after_a_crash(power):
    async def test(sim):
        assert [await counter(sim).hit() for _ in range(3)] == [1, 2, 3]
        await sim.crash(power=power)
        assert await counter(sim).value() == 3
        assert sim.crashes == 1

    for seed in range(10):
        run_simulation(test, Counter, seed=seed)


@simulated(Counter)
async def test_calls_in_progress_and_later_ones_fail_when_the_process_crashes(sim):
    stub = counter(sim)
    call = asyncio.ensure_future(stub.wait())
    await sim.until_idle()
    await sim.crash()
    with pytest.raises(Disconnected, match="connection lost"):
        await call
    with pytest.raises(Disconnected, match="connection lost"):
        await stub.value()


@simulated(Counter)
async def test_a_call_that_a_killed_process_held_back_does_not_leave(sim):
    """The step at hand goes on, on a disk that nobody looks at any more; what waits for it reaches nobody."""
    heard = []
    sim.faults.crash("before_journal_append", power=False)
    with pytest.raises(Disconnected):
        await counter(sim).tell(heard.append)
    await sim.restart()
    await sim.until_idle()
    assert (heard, await counter(sim).value()) == ([], 0)


@simulated(Counter)
async def test_a_process_whose_storage_failed_can_be_killed_too(sim):
    """What was still under way in it, on a disk that nobody looks at any more, left it afterwards."""
    sim.disk.sync_error = errno.EIO
    with pytest.raises(StorageFailed):
        await counter(sim).hit()
    sim._crash_now(True)
    await sim.until_idle()
    with pytest.raises(Disconnected):
        await counter(sim, "b").hit()


@simulated(Counter)
async def test_an_alarm_outlives_a_crash(sim):
    await counter(sim).daily()
    await sim.crash()
    await sim.advance(days=2, seconds=1)
    assert await counter(sim).value() == 2


@simulated(Counter)
async def test_a_restart_without_a_crash_is_an_orderly_one(sim):
    await counter(sim).hit()
    await sim.restart()
    assert await counter(sim).value() == 1
    assert sim.crashes == 0


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.headers.get("upgrade"):
            return await self.env.ROOM.get_by_name("a").fetch(request)
        return Response.json(await self.env.COUNTER.get_by_name("a").hit())


class Room(DurableObject):
    async def fetch(self, request):
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, socket, message):
        socket.send(f"{message} back")

    async def websocket_close(self, socket, code, reason, was_clean):
        self.ctx.storage.kv["closed"] = (code, was_clean)

    async def closed(self):
        return self.ctx.storage.kv.get("closed")


@simulated(Counter, Default)
async def test_requests_reach_the_worker_before_and_after_a_crash(sim):
    assert await (await sim.fetch("/")).json() == 1
    await sim.crash()
    assert await (await sim.fetch("/")).json() == 2


@simulated(Room, Default)
async def test_a_socket_sleeps_with_its_object_and_its_connection_may_drop(sim):
    socket = await sim.websocket("/")
    await sim.advance(minutes=1)
    assert "before_hibernation" in sim.faults.reached
    await socket.send("hello")
    assert await socket.receive() == "hello back"
    socket.drop()
    await sim.until_idle()
    assert await sim.env.ROOM.get_by_name("a").closed() == (1006, False)


@simulated(Room, Default)
async def test_a_client_waits_as_long_as_virtual_time_passes(sim):
    """A disk may be slow for minutes; a message that never comes is a deadlock, which tells everything."""
    socket = await sim.websocket("/")
    waiting = asyncio.ensure_future(socket.receive())
    await sim.advance(hours=1)
    assert not waiting.done()
    await socket.send("hello")
    assert await waiting == "hello back"


class Renamed(Counter):
    pass


@simulated(Counter)
async def test_a_restart_may_bring_another_version(sim):
    await sim.restart(objects=[Counter, Renamed])
    assert await sim.env.RENAMED.get_by_name("a").hit() == 1


# --- faults ----------------------------------------------------------------------------------------------


@simulated(Counter)
async def test_a_crash_before_the_sync_may_lose_what_was_not_answered(sim):
    sim.faults.crash("before_fsync")
    with pytest.raises(Disconnected):
        await counter(sim).hit()
    await sim.restart()
    assert await counter(sim).value() in (0, 1)


@simulated(Counter)
async def test_a_crash_after_the_answer_left_loses_nothing(sim):
    assert await counter(sim).hit() == 1
    sim.faults.crash("after_gate_release")
    assert await counter(sim).hit() == 2
    await sim.restart()
    assert await counter(sim).value() == 2


@simulated(Counter)
async def test_a_crash_comes_when_a_point_is_reached_for_the_nth_time(sim):
    sim.faults.crash("before_gate_release", nth=3)
    answers: list[int] = []

    async def hit_for_ever():
        while True:
            answers.append(await counter(sim).hit())

    with pytest.raises(Disconnected):
        await hit_for_ever()
    assert sim.faults.reached.count("before_gate_release") == 3
    await sim.restart()
    assert await counter(sim).value() >= len(answers)


def test_an_alarm_that_crashes_runs_again():
    async def test(sim):
        await counter(sim).daily()
        sim.faults.crash(point)
        await sim.advance(days=1, seconds=1)
        assert sim.crashes == 1
        await sim.restart()
        await sim.advance(seconds=1)
        assert await counter(sim).value() == 1

    for point in ("alarm_start", "alarm_end"):
        run_simulation(test, Counter)


@simulated(Counter)
async def test_a_point_that_does_not_exist_is_refused(sim):
    with pytest.raises(ValueError, match=r"no point 'lunch'.*after_checkpoint"):
        sim.faults.crash("lunch")
    with pytest.raises(ValueError, match="the first time is 1"):
        sim.faults.crash("alarm_start", nth=0)


@simulated(Counter)
async def test_a_sync_that_fails_ends_the_runtime_and_loses_nothing_answered(sim):
    assert await counter(sim).hit() == 1
    sim.disk.sync_error = errno.EIO
    with pytest.raises(StorageFailed):
        await counter(sim).hit()
    await sim.crash()
    assert await counter(sim).value() in (1, 2)


@simulated(Counter)
async def test_a_sync_may_fail_once(sim):
    def fail():
        raise OSError(errno.EIO, "Input/output error")

    sim.faults.at("before_fsync", fail)
    with pytest.raises(StorageFailed):
        await counter(sim).hit()


@simulated(Counter)
async def test_a_slow_disk_takes_virtual_time(sim):
    sim.disk.slow_s = 60.0
    began = sim.now
    await counter(sim).hit()
    assert sim.now - began > timedelta(seconds=1)


# --- at every point --------------------------------------------------------------------------------------

CRASHES: list[int] = []


async def counting(sim):
    """What was answered is there; what was not may be."""
    answered = 0
    try:
        for _ in range(3):
            answered = await counter(sim).hit()
        await counter(sim).daily()
        await sim.advance(days=1, seconds=20)
        answered = await counter(sim).value()
    except Disconnected:
        pass
    await sim.restart()
    CRASHES.append(sim.crashes)
    assert await counter(sim).value() - answered in (0, 1)


def test_a_test_is_run_once_for_each_point():
    CRASHES.clear()
    crash_at_every_point(Counter)(counting)()
    assert CRASHES[0] == 0
    assert len(CRASHES) > 50
    assert set(CRASHES[1:-1]) <= {0, 1}
    assert CRASHES.count(1) > 50


def test_each_kind_of_point_is_reached():
    """Else one of the methods that are wrapped has another name now, or is not called any more."""

    class Chat(Counter):
        async def sleep(self):
            client, server = WebSocketPair()
            self.ctx.accept_websocket(server)
            KEPT.append(client)

    KEPT: list[object] = []

    async def test(sim):
        await counting(sim)
        await sim.env.CHAT.get_by_name("a").sleep()
        await sim.advance(seconds=30)
        await sim.restart(objects=[Counter, Chat, Renamed])

    points: list[str] = []
    run_simulation(test, Counter, Chat, points=points)
    assert {name for _, _, *names in _PLACES for name in names} - set(points) == set()
    assert set(points) <= POINTS


def test_an_engine_that_confirms_before_the_sync_is_caught(monkeypatch):
    """The checker can fail."""
    real = Writer.write

    def hasty(self, commits):
        sync, self._disk.datasync = self._disk.datasync, lambda fd: None
        try:
            return real(self, commits)
        finally:
            self._disk.datasync = sync

    monkeypatch.setattr(Writer, "write", hasty)
    with pytest.raises(AssertionError) as told:
        crash_at_every_point(Counter)(counting)()
    [note] = told.value.__notes__
    assert "It failed with a crash at point" in note
    assert f"{POINT}=" in note


# --- decorators ------------------------------------------------------------------------------------------

RUN: list[object] = []


async def racing(sim):
    RUN.append(sim.seed)
    await asyncio.gather(counter(sim).slow_hit(), counter(sim).hit())
    assert await counter(sim).value() == 2


def test_the_seed_that_fails_is_told_and_replayed(monkeypatch):
    RUN.clear()
    test = explore(Counter, seeds=50)(racing)
    with pytest.raises(AssertionError) as told:
        test()
    failing = RUN[-1]
    assert told.value.__notes__ == [
        f"It failed with seed {failing}. Replay it with --perdure-seed {failing}, or {SEED}={failing}."
    ]
    RUN.clear()
    monkeypatch.setenv(SEED, str(failing))
    with pytest.raises(AssertionError):
        test()
    assert RUN == [failing]


def test_how_many_seeds_are_tried_can_be_set_from_outside(monkeypatch):
    async def test(sim):
        RUN.append(sim.seed)

    RUN.clear()
    monkeypatch.setenv(SEEDS, "3")
    explore(Counter, seeds=50)(test)()
    assert RUN == [0, 1, 2]


@pytest.mark.parametrize("number", [1, 2])
@simulated(Counter)
async def test_fixtures_and_parameters_stay_what_they_are(sim, number, tmp_path):
    assert number in (1, 2)
    assert tmp_path.exists()
    assert await counter(sim).hit() == 1


def test_a_test_without_a_simulation_is_refused():
    async def test():
        pass

    with pytest.raises(TypeError, match="first parameter, `sim`"):
        simulated()(test)


def test_a_decorator_that_is_not_called_says_how_it_is_written():
    with pytest.raises(TypeError, match=r"got racing: write @simulated\(Counter\), or @simulated\(\)"):
        simulated(racing)


@pytest.mark.parametrize("decorator", [simulated, explore, crash_at_every_point])
def test_a_strict_simulation_fails_the_test_that_leaves_something(decorator):
    """An alarm that has not run; one that has run, and a crash at any point, leave nothing."""

    async def leaves_an_alarm(sim):
        await counter(sim).daily()

    async def leaves_nothing(sim):
        with suppress(Disconnected):
            await counter(sim).hit()

    with pytest.raises(AssertionError, match=r"Counter\(a\) has an alarm at 2030-01-02T00:00:00"):
        decorator(Counter, strict=True)(leaves_an_alarm)()
    decorator(Counter, strict=True)(leaves_nothing)()


def test_what_a_test_raises_begins_in_the_test():
    """The loops that ran it are nothing to its reader; of a deadlock the text says where everybody waits."""

    async def fails(sim):
        raise ValueError("told to")

    async def waits(sim):
        await counter(sim).wait()

    for test, error in ((fails, ValueError), (waits, Deadlock)):
        with pytest.raises(error) as told:
            simulated(Counter)(test)()
        ran = [entry.name for entry in told.traceback if "asyncio" in str(entry.path) or entry.name == "run"]
        assert ran == []


def test_a_section_that_never_ends_tells_who_waits_for_what():
    """Two objects that call each other from critical sections are reset after 30 seconds: no deadlock of the loop."""

    async def test(sim):
        await sim.env.TWIN.get_by_name("a").ask("b")

    with pytest.raises(ObjectReset, match="waited for too long") as told:
        run_simulation(test, Twin)
    [note] = told.value.__notes__
    assert "in Twin(a), waits for the input gate:" in note
    assert "Twin(a): its input gate is held by a critical section of Task-" in note


class TestWithUnittest(unittest.TestCase):
    @simulated(Counter)
    async def test_a_method_of_a_test_case(self, sim):
        assert await counter(sim).hit() == 1
