"""An event that runs longer than the runtime's time limit: its caller is told, it is cancelled, the object goes on."""

from __future__ import annotations

import asyncio

import pytest
from support.held_disk import HeldDisk
from support.inside import Unsynced, attempt, live_of, until
from support.loops import on_both_loops

from perdure import DurableObject, ObjectReset, PerdureError, Runtime, TimedOut
from perdure._base.limits import EVENT_CANCEL_GRACE_S
from perdure.testing.clock import ManualClock

LIMIT_S = 5.0
TEXT = (
    "wait() of Room(x) ran longer than the time limit of 5 seconds for an event and was cancelled. Writes of steps "
    "that were done are kept."
)


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.ends = []
        self.open = asyncio.Event()

    async def wait(self):
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise

    async def write_and_wait(self):
        await self.ctx.storage.put("before", 1)
        await asyncio.sleep(0)
        await self.wait()

    async def wait_in_a_transaction(self):
        async with self.ctx.storage.transaction():
            await self.ctx.storage.put("inside", 1)
            await self.wait()

    async def wait_in_a_section(self):
        await self.ctx.block_concurrency_while(self.open.wait)

    async def refuse_to_end(self):
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.ends.append("no")

    async def swallow(self):
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            return "a result that comes too late"

    async def stored(self):
        return list(self.ctx.storage.kv.list())

    async def seen(self):
        return self.ends

    async def quick(self):
        return 1


class Limited:
    def __init__(self, **options):
        self.clock = ManualClock()
        options = {"disk": Unsynced(), "slow_ms": 0, "event_timeout_s": LIMIT_S, **options}
        self.runtime = Runtime(objects=[Room], clock=self.clock, **options)

    async def __aenter__(self):
        await self.runtime.start()
        self.room = self.runtime.namespace(Room).get_by_name("x")
        return self

    async def __aexit__(self, *_):
        await self.runtime.stop(drain_s=0)

    async def begin(self, call):
        live = live_of(self.room)
        await until(lambda: live.events and live.queue.count == 0 and self.clock.pending)
        for _ in range(5):
            await asyncio.sleep(0)
        return call


@on_both_loops
async def test_the_caller_is_told_and_the_event_cancelled():
    """The object keeps its memory, and goes on."""
    async with Limited() as limited:
        call = await limited.begin(limited.room.wait())
        limited.clock.advance(LIMIT_S - 0.1)
        await asyncio.sleep(0)
        assert not call.done()
        limited.clock.advance(0.1)
        error = await attempt(call)
        assert type(error) is TimedOut
        assert isinstance(error, (PerdureError, TimeoutError))
        assert str(error) == TEXT
        assert not error.retryable
        assert not error.overloaded
        assert error.durable_object_id == str(limited.room.id)
        assert await limited.room.seen() == ["cancelled"]


async def test_an_event_that_ends_in_time_hears_nothing():
    """Nor is a timer left of it."""
    async with Limited() as limited:
        assert await limited.room.quick() == 1
        assert limited.clock.pending == 1  # for the eviction
        limited.clock.advance(LIMIT_S)
        assert await limited.room.seen() == []


async def test_by_default_there_is_no_limit():
    """An event may take as long as it likes."""
    async with Limited(event_timeout_s=None) as limited:
        call = limited.room.wait()
        await until(lambda: live_of(limited.room).instance)
        assert limited.clock.pending == 0
        limited.clock.advance(1e6)
        await asyncio.sleep(0)
        assert not call.done()


async def test_time_in_the_queue_is_not_time_of_the_event():
    """It begins with the event's first step."""
    async with Limited(event_timeout_s=40.0) as limited:
        section = limited.room.wait_in_a_section()
        live = live_of(limited.room)
        await until(lambda: live.gate.active is not None)
        waits = limited.room.wait()
        await until(lambda: live.queue.count == 1)
        limited.clock.advance(20.0)
        live.instance.open.set()
        await section
        live.instance.open.clear()
        await until(lambda: live.queue.count == 0)
        limited.clock.advance(30.0)
        await asyncio.sleep(0)
        assert not waits.done()
        limited.clock.advance(10.0)
        assert type(await attempt(waits)) is TimedOut


async def test_writes_of_steps_that_were_done_stay():
    """Each was a commit of its own."""
    async with Limited() as limited:
        call = await limited.begin(limited.room.write_and_wait())
        limited.clock.advance(LIMIT_S)
        assert type(await attempt(call)) is TimedOut
        assert [key for key, _ in await limited.room.stored()] == ["before"]


async def test_the_error_waits_for_the_writes_before_it():
    """As every error does (GATE-08)."""
    disk = HeldDisk()
    async with Limited(disk=disk) as limited:
        await limited.room.quick()
        with disk.held():
            call = await limited.begin(limited.room.write_and_wait())
            await until(lambda: not live_of(limited.room).used_store.gate.is_open)
            limited.clock.advance(LIMIT_S)
            await until(lambda: not live_of(limited.room).events)
            assert not call.done()
        assert type(await attempt(call)) is TimedOut


async def test_a_transaction_that_it_holds_is_rolled_back_and_left():
    """The next event finds the gate open."""
    async with Limited() as limited:
        call = await limited.begin(limited.room.wait_in_a_transaction())
        limited.clock.advance(LIMIT_S)
        assert type(await attempt(call)) is TimedOut
        assert await limited.room.stored() == []


async def test_a_section_that_it_began_keeps_its_own_limit():
    """`block_concurrency_while` may not fail, or the object is reset; it goes on, and the object after it."""
    async with Limited() as limited:
        call = await limited.begin(limited.room.wait_in_a_section())
        limited.clock.advance(LIMIT_S)
        assert type(await attempt(call)) is TimedOut
        waits = limited.room.quick()
        live = live_of(limited.room)
        await until(lambda: live.queue.count == 1)
        live.instance.open.set()
        assert await waits == 1


async def test_what_an_event_returns_after_that_is_dropped():
    """Its caller has been told already."""
    async with Limited() as limited:
        call = await limited.begin(limited.room.swallow())
        limited.clock.advance(LIMIT_S)
        assert type(await attempt(call)) is TimedOut
        await until(lambda: not live_of(limited.room).events)
        limited.clock.advance(EVENT_CANCEL_GRACE_S)
        assert await limited.room.seen() == []  # no reset


@on_both_loops
async def test_an_event_that_does_not_end_when_cancelled_ends_with_its_object():
    """Five seconds later; other calls in progress fail, the next one finds a new instance."""
    async with Limited() as limited:
        call = await limited.begin(limited.room.refuse_to_end())
        limited.clock.advance(LIMIT_S)
        assert type(await attempt(call)) is TimedOut
        assert await limited.room.seen() == ["no"]
        task = next(iter(live_of(limited.room).events)).task
        other = limited.room.wait()
        await until(lambda: live_of(limited.room).queue.count == 0)
        limited.clock.advance(EVENT_CANCEL_GRACE_S - 0.1)
        assert await limited.room.seen() == ["no"]
        limited.clock.advance(0.1)
        error = await attempt(other)
        assert type(error) is ObjectReset
        assert str(error).startswith(
            "refuse_to_end() of Room(x) went on for 5 seconds after it was cancelled"
        )
        await until(task.done)
        assert await limited.runtime.namespace(Room).get_by_name("x").seen() == []


@pytest.mark.parametrize("method", ["wait", "refuse_to_end"])
async def test_a_runtime_stops_while_an_event_is_being_ended(method):
    """No timer of it acts later."""
    async with Limited() as limited:
        call = await limited.begin(getattr(limited.room, method)())
        limited.clock.advance(LIMIT_S)
        await limited.runtime.stop(drain_s=0)
        assert type(await attempt(call)) is TimedOut
        limited.clock.advance(EVENT_CANCEL_GRACE_S)
