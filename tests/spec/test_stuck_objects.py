"""A stuck object never stops another's events, its eviction, or the end of the runtime."""

from __future__ import annotations

import asyncio

import pytest
from support.inside import Unsynced, attempt, live_of, until
from support.loops import on_both_loops

from perdure import Disconnected, DurableObject, ObjectReset, Response, Runtime
from perdure._base import limits
from perdure.testing.clock import ManualClock


async def for_ever():
    await asyncio.Event().wait()


async def refuse_to_end():
    while True:
        try:
            await for_ever()
        except asyncio.CancelledError:
            pass


class Room(DurableObject):
    async def waits(self):
        await for_ever()

    async def refuses_to_end(self):
        await refuse_to_end()

    async def keeps_a_section(self):
        await self.ctx.block_concurrency_while(refuse_to_end)

    async def keeps_a_transaction(self):
        async with self.ctx.storage.transaction():
            await refuse_to_end()

    async def leaves_a_task(self):
        self.task = asyncio.create_task(refuse_to_end())

    async def leaves_work(self):
        self.ctx.wait_until(refuse_to_end())

    async def fetch(self, request):
        async def pieces():
            yield b"the first"
            while True:
                try:
                    await for_ever()
                except asyncio.CancelledError:
                    pass
                yield b"another"

        return Response(pieces())

    async def ping(self):
        return "pong"


STUCK = [
    "waits",
    "refuses_to_end",
    "keeps_a_section",
    "keeps_a_transaction",
    "leaves_a_task",
    "leaves_work",
    "streams",
]


async def stick(room, how):
    """Get *room* stuck; return what its caller goes on with, if there is something."""
    if how == "streams":
        response = await room.fetch("http://x/")
        pieces = aiter(response.body)
        assert await anext(pieces) == b"the first"
        return asyncio.ensure_future(anext(pieces))
    call = asyncio.ensure_future(getattr(room, how)())
    live = live_of(room)
    await until(lambda: live.instance is not None and live.queue.count == 0)
    for _ in range(5):
        await asyncio.sleep(0)
    return call


class Stuck:
    """A runtime with one stuck object."""

    def __init__(self, how, **options):
        self.how = how
        self.clock = ManualClock()
        self.runtime = Runtime(objects=[Room], disk=Unsynced(), clock=self.clock, slow_ms=0, **options)

    async def __aenter__(self):
        await self.runtime.start()
        rooms = self.runtime.namespace(Room)
        self.room, self.other = rooms.get_by_name("stuck"), rooms.get_by_name("other")
        self.call = await stick(self.room, self.how)
        return self

    async def __aexit__(self, *_):
        await self.runtime.stop(drain_s=0)


@pytest.mark.parametrize("how", STUCK)
@on_both_loops
async def test_other_objects_answer(how):
    """Whatever keeps one of them."""
    async with Stuck(how) as stuck:
        assert await stuck.other.ping() == "pong"


@pytest.mark.parametrize("how", STUCK)
async def test_other_objects_are_evicted_when_they_are_idle(how):
    """After their ten seconds."""
    async with Stuck(how) as stuck:
        await stuck.other.ping()
        other, live = live_of(stuck.other), live_of(stuck.room)
        await until(lambda: not other.events)
        stuck.clock.advance(limits.IDLE_EVICTION_S + 1)
        assert other.state == "evicted"
        assert live.broken is None


@pytest.mark.parametrize("how", ["leaves_a_task", "leaves_work", "streams"])
async def test_what_never_ends_in_the_background_keeps_its_object_fifteen_minutes(how):
    """Then the object goes, and with it what ran."""
    async with Stuck(how) as stuck:
        live = live_of(stuck.room)
        await until(lambda: not live.events)
        tasks = list(live.tasks)
        assert tasks
        stuck.clock.advance(limits.WAIT_UNTIL_OBJECT_S + 2 * limits.IDLE_EVICTION_S)
        assert live.state == "evicted"
        await until(lambda: all(task.done() for task in tasks))


@pytest.mark.parametrize("how", ["keeps_a_section", "keeps_a_transaction"])
async def test_a_section_that_is_never_left_ends_with_its_object(how):
    """After thirty seconds; the next event finds a new instance."""
    async with Stuck(how) as stuck:
        waits = stuck.room.ping()
        tasks = [event.task for event in live_of(stuck.room).events]
        stuck.clock.advance(limits.CRITICAL_SECTION_TIMEOUT_S)
        assert type(await attempt(waits)) is ObjectReset
        await until(lambda: all(task.done() for task in tasks))
        assert await stuck.runtime.namespace(Room).get_by_name("stuck").ping() == "pong"


@pytest.mark.parametrize("how", STUCK)
@on_both_loops
async def test_the_runtime_stops_when_the_time_is_over(how):
    """What still waits is told that the server shuts down."""
    async with Stuck(how) as stuck:
        live = live_of(stuck.room)
        tasks = [*live.tasks, *(event.task for event in live.events)]
        stopping = asyncio.ensure_future(stuck.runtime.stop(drain_s=10.0))
        await until(lambda: stuck.clock.pending)
        for _ in range(5):
            await asyncio.sleep(0)
        stuck.clock.advance(10.0)
        await asyncio.wait_for(stopping, 5)
        assert all(task.done() for task in tasks)
        if how not in ("leaves_a_task", "leaves_work"):
            assert type(await attempt(stuck.call)) is Disconnected
