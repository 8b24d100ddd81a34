"""Too much waits at one object: the caller is told at once; the object, and what waits, go on."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support.held_disk import HeldDisk
from support.inside import Unsynced, attempt, begin, live_of, until

from perdure import DurableObject, Overloaded, Request, Response, Runtime
from perdure._base import limits
from perdure._gates.input import InputGate
from perdure.testing.clock import ManualClock

TOO_MANY = "Durable Object is overloaded. Too many requests queued."
TOO_MUCH = "Durable Object is overloaded. Too much data queued."
TOO_LONG = "Durable Object is overloaded. Requests queued for too long."
TOO_OFTEN = "Durable Object is overloaded. Too many requests for the same object within a 10 second window."


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.seen = []
        self.open = asyncio.Event()

    async def section(self):
        await self.ctx.block_concurrency_while(self.open.wait)

    async def note(self, what, data=b""):
        self.seen.append(what)
        return what

    async def wait(self):
        await self.open.wait()

    async def go_on(self):
        self.open.set()

    async def all_seen(self):
        return self.seen

    async def fetch(self, request: Request) -> Response:
        return Response(str(len(await request.bytes())))


class Blocked:
    """A room with an open section, so that every event waits, until `open`."""

    def __init__(self, **options):
        self.clock = ManualClock()
        self.runtime = Runtime(
            objects=[Room], **{"disk": Unsynced(), "clock": self.clock, "slow_ms": 0, **options}
        )

    async def __aenter__(self):
        await self.runtime.start()
        self.rooms = self.runtime.namespace(Room)
        self.room = self.rooms.get_by_name("x")
        self.live = live_of(self.room)
        self.blocking = self.room.section()
        await until(lambda: self.live.gate.active is not None)
        return self

    async def __aexit__(self, *_):
        await self.runtime.stop(drain_s=0)

    def open(self):
        self.live.instance.open.set()


def told_of_overload(error, text):
    assert type(error) is Overloaded
    assert str(error) == text
    return error.overloaded and not error.retryable and not error.durable_object_reset


@pytest.mark.rows("ERR-13", "GATE-20", "ERR-03", "ERR-05")
async def test_too_many_events_are_refused_at_once_and_those_that_wait_go_on():
    """The bound is on events that have not begun; when these have, there is room again."""
    async with Blocked(queue_events=3) as blocked:
        waiting = [blocked.room.note(n) for n in range(3)]
        refused = blocked.room.note("one too many")
        assert refused.done()  # before anything else ran
        error = await attempt(refused)
        assert told_of_overload(error, TOO_MANY)
        assert error.durable_object_id == str(blocked.room.id)
        blocked.open()
        assert await asyncio.gather(*waiting) == [0, 1, 2]
        assert await blocked.room.note("again") == "again"
        assert await blocked.room.all_seen() == [0, 1, 2, "again"]


@pytest.mark.rows("ERR-13")
async def test_a_full_queue_is_of_one_object_alone():
    """Another object of the same class takes events."""
    async with Blocked(queue_events=1) as blocked:
        waiting = blocked.room.note(1)
        assert told_of_overload(await attempt(blocked.room.note(2)), TOO_MANY)
        assert await blocked.rooms.get_by_name("another").note(3) == 3
        blocked.open()
        assert await waiting == 1


@pytest.mark.rows("ERR-13")
async def test_what_has_begun_is_not_queued():
    """However many events await something inside the object."""
    async with Runtime(objects=[Room], disk=Unsynced(), queue_events=2) as rt:
        room = rt.env.ROOM.get_by_name("x")
        under_way = []
        for _ in range(10):
            under_way.append(room.wait())
            await until(lambda: live_of(room).queue.count == 0)
        await room.go_on()
        await asyncio.gather(*under_way)


@pytest.mark.rows("ERR-13")
async def test_calls_made_in_one_go_count_too():
    """They wait for the loop."""
    async with Runtime(objects=[Room], disk=Unsynced(), queue_events=5) as rt:
        room = rt.env.ROOM.get_by_name("x")
        answers = await asyncio.gather(*[attempt(room.note(n)) for n in range(7)])
    assert answers[:5] == [0, 1, 2, 3, 4]
    assert all(told_of_overload(error, TOO_MANY) for error in answers[5:])


@pytest.mark.rows("ERR-14")
async def test_too_much_data_is_refused():
    """Arguments count as they are copied, bodies with their bytes; an empty call still fits."""
    async with Blocked(queue_bytes=1000) as blocked:
        first = blocked.room.note(1, b"x" * 900)
        assert told_of_overload(await attempt(blocked.room.note(2, b"x" * 200)), TOO_MUCH)
        too_large = blocked.room.fetch("http://x/", method="POST", body=b"x" * 200)
        assert told_of_overload(await attempt(too_large), TOO_MUCH)
        small = blocked.room.go_on()
        blocked.open()
        assert await first == 1
        await small
        assert await (await blocked.room.fetch("http://x/", method="POST", body=b"x" * 990)).text() == "990"
        assert blocked.live.queue.size_bytes == 0


@pytest.mark.rows("ERR-14")
async def test_one_event_alone_is_never_too_much_data():
    """Else it could never be sent."""
    async with Blocked(queue_bytes=1000) as blocked:
        large = blocked.room.note(1, b"x" * 5000)
        blocked.open()
        assert await large == 1


@pytest.mark.rows("ERR-15")
async def test_an_event_that_waits_too_long_is_refused_and_never_runs():
    """Those behind it have their own time."""
    async with Blocked(queue_wait_s=5.0) as blocked:
        early = blocked.room.note("early")
        await until(lambda: blocked.clock.pending == 2)
        blocked.clock.advance(4.0)
        late = blocked.room.note("late")
        await until(lambda: blocked.clock.pending == 3)
        blocked.clock.advance(1.0)
        assert told_of_overload(await attempt(early), TOO_LONG)
        await until(lambda: len(blocked.live.events) == 2)  # its task is gone, the section still open
        assert blocked.live.queue.count == 1
        blocked.open()
        assert await late == "late"
        assert await blocked.room.all_seen() == ["late"]


@pytest.mark.rows("ERR-15")
async def test_an_event_whose_turn_comes_as_its_time_ends_does_not_keep_the_others():
    """It had been woken already when it was refused."""
    async with Blocked(queue_wait_s=5.0) as blocked:
        early = blocked.room.note("early")
        await until(lambda: blocked.clock.pending == 2)
        blocked.clock.advance(1.0)
        late = [blocked.room.note(n) for n in range(3)]
        await until(lambda: blocked.clock.pending == 5)
        moments = [4.0]

        class Gate(InputGate):
            __slots__ = ()

            def go_on(self):
                super().go_on()
                if moments:  # the first who waits is woken, and has not taken its step
                    blocked.clock.advance(moments.pop())

        blocked.live.gate.__class__ = Gate
        blocked.open()
        assert told_of_overload(await attempt(early), TOO_LONG)
        assert await asyncio.gather(*late) == [0, 1, 2]
        assert await blocked.room.all_seen() == [0, 1, 2]


@pytest.mark.rows("ERR-15")
async def test_waiting_behind_writes_that_outrun_the_disk_counts():
    """The disk stands still: nothing begins, and callers are told."""
    disk, clock = HeldDisk(), ManualClock()
    async with Runtime(objects=[Room], disk=disk, clock=clock, slow_ms=0, queue_wait_s=5.0) as rt:
        room = rt.env.ROOM.get_by_name("x")
        await room.note("first")
        live = live_of(room)
        live.crowded = True
        journal = rt._host.storage.journal
        room_in_journal = asyncio.get_running_loop().create_future()
        journal.room = lambda: room_in_journal
        waits = room.note("second")
        await until(lambda: live._held)
        clock.advance(5.0)
        assert told_of_overload(await attempt(waits), TOO_LONG)
        del journal.room
        room_in_journal.set_result(None)
        await until(lambda: not live.crowded)
        assert await room.all_seen() == ["first"]


@pytest.mark.rows("ERR-16")
async def test_an_object_may_be_given_a_bound_of_events_in_ten_seconds():
    """By default there is none: one object here serves as many as it can."""
    clock = ManualClock()
    async with Runtime(objects=[Room], disk=Unsynced(), clock=clock, events_per_10_s=3) as rt:
        room = rt.env.ROOM.get_by_name("x")
        for n in range(3):
            await room.note(n)
            clock.advance(1.0)
        assert told_of_overload(await attempt(room.note(3)), TOO_OFTEN)
        clock.advance(7.0)
        assert await room.note(4) == 4


@pytest.mark.rows("GATE-20")
async def test_the_stub_that_was_refused_goes_on_working():
    """It saw no reset."""
    async with Blocked(queue_events=1) as blocked:
        waiting = blocked.room.note(1)
        assert type(await attempt(blocked.room.note(2))) is Overloaded
        blocked.open()
        await waiting
        assert await blocked.room.note(3) == 3


async def test_operators_are_told_of_an_overloaded_object_once_in_ten_seconds(caplog):
    """Not for each event that is refused."""
    async with Blocked(queue_events=1) as blocked:
        blocked.room.note(1)
        with caplog.at_level(logging.WARNING, "perdure"):
            for _ in range(5):
                await attempt(blocked.room.note(2))
            assert [record.getMessage() for record in caplog.records] == [
                f"Room(x) refuses events: {TOO_MANY}"
            ]
            blocked.clock.advance(limits.EVENT_WINDOW_S)
            await attempt(blocked.room.note(2))
            assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "name", ["queue_events", "queue_bytes", "queue_wait_s", "events_per_10_s", "event_timeout_s"]
)
def test_a_bound_that_nothing_could_meet_is_refused(name):
    """Before anything starts."""
    with pytest.raises(ValueError, match=f"^{name} is 0: it must be above 0"):
        Runtime(objects=[Room], **{name: 0})


@pytest.mark.rows("LIM-22", "LIFE-23")
async def test_an_object_has_so_many_tasks_and_no_more(monkeypatch):
    """Whoever starts one more is told; when some have ended there is room again."""
    monkeypatch.setattr(limits, "TASKS_MAX", 3)

    async def work(room):
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(room.open.wait())
            with pytest.raises(Overloaded, match=r"Room\(x\) has 3 tasks in progress"):
                asyncio.create_task(room.open.wait())
            room.open.set()
        await asyncio.create_task(asyncio.sleep(0))

    async with Runtime(objects=[Room], disk=Unsynced()) as rt:
        await begin(rt.env.ROOM.get_by_name("x"), work)


async def test_nothing_of_an_event_is_left_when_it_has_ended():
    """Neither of those that ran, nor of those that were refused or waited too long."""
    async with Blocked(queue_events=2, queue_wait_s=5.0, event_timeout_s=50.0) as blocked:
        live = blocked.live
        waiting = [blocked.room.note(1, b"x"), blocked.room.note(2, b"x")]
        await until(lambda: blocked.clock.pending == 4)
        await attempt(blocked.room.note(3))
        blocked.clock.advance(5.0)
        for call in waiting:
            await attempt(call)
        blocked.open()
        await blocked.blocking
        await blocked.room.note(4, b"x")
        await until(lambda: not live.events)
        assert (live.queue.count, live.queue.size_bytes) == (0, 0)
        assert not live.tasks
        assert blocked.clock.pending == 1  # for the eviction


class Stream(DurableObject):
    made = 0

    async def pieces(self):
        while True:
            self.made += 1
            yield b"x" * 1000

    async def fetch(self, request: Request) -> Response:
        if request.body is not None:
            pieces = aiter(request.body)
            return Response(str(len([await anext(pieces) for _ in range(3)])))
        return Response(self.pieces())

    async def send(self):
        return await (
            await self.env.STREAM.get_by_name("reader").fetch("http://x/", method="POST", body=self.pieces())
        ).text()

    async def count(self):
        return self.made


async def test_a_stream_is_made_no_faster_than_it_is_read():
    """So nothing of it piles up between two objects, in either direction."""
    async with Runtime(objects=[Stream], disk=Unsynced()) as rt:
        stream = rt.env.STREAM.get_by_name("x")
        response = await stream.fetch("http://x/")
        assert await stream.count() == 0
        pieces = aiter(response.body)
        for n in (1, 2):
            await anext(pieces)
            assert await stream.count() == n
        sender = rt.env.STREAM.get_by_name("sender")
        assert await sender.send() == "3"
        assert await sender.count() == 3


@pytest.mark.rows("LIM-22")
async def test_streams_that_nobody_reads_are_bounded(monkeypatch):
    """Each is a task of the object that makes it."""
    monkeypatch.setattr(limits, "TASKS_MAX", 3)
    async with Runtime(objects=[Stream], disk=Unsynced()) as rt:
        stream = rt.env.STREAM.get_by_name("x")
        kept = [await stream.fetch("http://x/") for _ in range(3)]
        error = await attempt(stream.fetch("http://x/"))
        assert type(error) is Overloaded
        assert str(error).startswith("Stream(x) has 3 tasks in progress")
        await kept.pop().body.aclose()
        await until(lambda: len(live_of(stream).tasks) == 2)
        await stream.fetch("http://x/")
