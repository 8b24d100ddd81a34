"""The input gate and critical sections: GATE-01 … GATE-05, GATE-12 … GATE-17, GATE-19."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from support.held_disk import HeldDisk
from support.inside import Plain, an_object, attempt, begin, inside, live_of, until
from support.loops import on_both_loops

from perdure import DurableObject, ObjectReset, Runtime
from perdure._base.limits import CRITICAL_SECTION_TIMEOUT_S
from perdure.errors import PerdureError, StorageError
from perdure.testing.clock import ManualClock

TOO_LONG = "A call to block_concurrency_while() in a Durable Object waited for too long."


class Room(DurableObject):
    """Notes what happens in which order."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        self.go_on = asyncio.Event()

    async def note(self, tag):
        self.log.append(tag)

    async def two_steps(self, tag):
        self.log.append(f"{tag} 1")
        await asyncio.sleep(0)
        self.log.append(f"{tag} 2")

    async def section(self, tag):
        async def work():
            self.log.append(f"{tag} begins")
            await asyncio.sleep(0.005)
            self.log.append(f"{tag} ends")

        self.log.append(f"{tag} asks")
        await self.ctx.block_concurrency_while(work)
        self.log.append(f"{tag} goes on")


async def log_of(stub):
    return await inside(stub, lambda room: list(room.log))


# --- one at a time ----------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-01")
@on_both_loops
async def test_two_events_take_turns_at_their_awaits():
    """Both are in progress; no two steps run at once."""
    async with an_object(Room) as stub:
        await asyncio.gather(stub.two_steps("a"), stub.two_steps("b"))
        assert await log_of(stub) == ["a 1", "b 1", "a 2", "b 2"]


@pytest.mark.rows("GATE-03", "GATE-04", "GATE-11")
@on_both_loops
async def test_nothing_comes_between_two_storage_operations():
    """They are done when they return, so a read and the write after it are one step."""

    class Counter(DurableObject):
        async def hit(self):
            n = await self.ctx.storage.get("n", 0, allow_concurrency=False)
            await self.ctx.storage.put("n", n + 1)
            return n + 1

    async with an_object(Counter) as stub:
        assert await asyncio.gather(*[stub.hit() for _ in range(200)]) == list(range(1, 201))


@pytest.mark.rows("GATE-05")
@on_both_loops
async def test_other_events_run_while_one_awaits_something_else():
    """A timer, a future, a thread, another object: each ends only because of an event that ran meanwhile."""

    class Other(DurableObject):
        async def wait_for_a_note(self):
            await self.ctx.exports.Room.get_by_name("x").note("from the other object")

    async def slow(room):
        other = room.ctx.exports.Other.get_by_name("o")
        noted = asyncio.Event()
        in_thread = threading.Event()
        room.note_of = {"future": noted.set, "thread": in_thread.set}
        await noted.wait()
        await asyncio.to_thread(in_thread.wait)
        while len(room.log) < 2:
            await asyncio.sleep(0.001)
        await other.wait_for_a_note()

    async with Runtime(objects=[Room, Other]) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        running = begin(stub, slow)
        await asyncio.sleep(0)
        for what in ("future", "thread"):
            await inside(stub, lambda room, what=what: room.note_of[what]())
        await stub.note("for the timer")
        await stub.note("for the timer")
        await running
        assert (await log_of(stub))[-1] == "from the other object"


@pytest.mark.rows("GATE-19")
async def test_an_object_has_one_instance():
    """However many stubs and events there are at once."""
    made = []

    class Once(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            made.append(self)

        async def hit(self):
            return id(self)

    async with Runtime(objects=[Once]) as rt:
        stubs = [rt.env.ONCE.get_by_name("x") for _ in range(20)]
        assert len(set(await asyncio.gather(*[stub.hit() for stub in stubs]))) == 1
        assert len(made) == 1


@pytest.mark.rows("GATE-19", "KVA-24")
async def test_a_superseded_instance_cannot_use_the_storage():
    """Its code may hold on to `ctx`; the storage is the next one's."""
    async with Runtime(objects=[Plain]) as rt:
        stub = rt.env.PLAIN.get_by_name("x")
        old = await inside(stub, lambda plain: plain.ctx)
        live_of(stub).evict()
        assert await inside(stub, lambda plain: plain.ctx) is not old
        for use in (
            lambda: old.storage.get("k"),
            lambda: old.storage.put("k", 1),
            lambda: old.storage.kv.get("k"),
            lambda: old.storage.sql.exec("SELECT 1"),
            lambda: old.storage.transaction_sync(lambda: None),
        ):
            with pytest.raises(StorageError, match="Durable Object storage is no longer accessible."):
                use()


# --- a critical section holds back everything else ---------------------------------------------------------


@pytest.mark.rows("GATE-12", "CTX-08")
@on_both_loops
async def test_no_event_is_delivered_while_a_section_is_open():
    """They come in their order when it has ended."""
    async with an_object(Room) as stub:
        first = stub.section("s")
        notes = [stub.note(n) for n in range(3)]
        await asyncio.gather(first, *notes)
        assert await log_of(stub) == ["s asks", "s begins", "s ends", "s goes on", 0, 1, 2]


@pytest.mark.rows("GATE-12")
@on_both_loops
async def test_the_running_turn_ends_before_the_callback_begins():
    """Then nothing else goes on before the callback has."""

    async def work(room):
        async def section():
            room.log.append("section")

        room.ctx.block_concurrency_while(section)
        room.log.append("the rest of the turn")
        await asyncio.sleep(0)
        room.log.append("the next turn")

    async with an_object(Room) as stub:
        await inside(stub, work)
        assert await log_of(stub) == ["the rest of the turn", "section", "the next turn"]


@pytest.mark.rows("GATE-02", "GATE-12")
@on_both_loops
@pytest.mark.parametrize("what", ["sleep", "future", "thread", "call", "event", "queue"])
async def test_whatever_an_event_awaits_its_next_step_waits_for_the_section(what):
    """A timer, a future, a thread's result, a call's result."""

    async def await_it(room, ready):
        loop = asyncio.get_running_loop()
        if what == "sleep":
            await asyncio.sleep(0)
        elif what == "thread":
            await asyncio.to_thread(int)
        elif what == "call":
            await room.ctx.exports.Plain.get_by_name("o").fetch("http://x/")
        elif what == "event":
            event = asyncio.Event()
            loop.call_soon(event.set)
            await event.wait()
        elif what == "queue":
            queue = asyncio.Queue()
            loop.call_soon(queue.put_nowait, 1)
            await queue.get()
        else:
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

    async def waits(room):
        try:
            await await_it(room, None)
        except PerdureError:
            pass
        room.log.append("went on")

    async def blocks(room):
        async def section():
            await asyncio.sleep(0.01)
            room.log.append("section ends")

        await room.ctx.block_concurrency_while(section)

    async with Runtime(objects=[Room, Plain]) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        await asyncio.gather(begin(stub, waits), begin(stub, blocks))
        assert await log_of(stub) == ["section ends", "went on"]


@pytest.mark.rows("GATE-02")
@on_both_loops
async def test_a_section_goes_before_the_events_that_wait():
    """Asked for while another one is open."""
    async with an_object(Room) as stub:

        async def two(room):
            def section(tag):
                async def work():
                    await asyncio.sleep(0.002)
                    room.log.append(tag)

                return room.ctx.block_concurrency_while(work)

            await asyncio.gather(section("a"), section("b"))

        await asyncio.gather(begin(stub, two), stub.note("event"))
        assert await log_of(stub) == ["a", "b", "event"]


@pytest.mark.rows("GATE-12", "CTX-08")
@pytest.mark.parametrize("form", ["called", "decorator", "task"])
async def test_a_section_of_the_constructor_comes_before_the_first_event(form):
    """Nobody needs to await it there."""

    class Prepared(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.ready = False

            async def prepare():
                await asyncio.sleep(0.002)
                self.ready = True

            if form == "called":
                ctx.block_concurrency_while(prepare)
            elif form == "decorator":

                @ctx.block_concurrency_while
                async def set_up():
                    await prepare()
            else:
                asyncio.ensure_future(ctx.block_concurrency_while(prepare))

        async def is_ready(self):
            return self.ready

    async with an_object(Prepared) as stub:
        assert await asyncio.gather(stub.is_ready(), stub.is_ready()) == [True, True]


@pytest.mark.rows("GATE-12")
async def test_sections_of_one_constructor_run_one_after_another():
    """In the order asked for."""

    class Prepared(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.log = []
            for tag, wait_s in (("a", 0.004), ("b", 0.001)):
                ctx.block_concurrency_while(lambda tag=tag, wait_s=wait_s: self.prepare(tag, wait_s))

        async def prepare(self, tag, wait_s):
            await asyncio.sleep(wait_s)
            self.log.append(tag)

        async def get(self):
            return self.log

    async with an_object(Prepared) as stub:
        assert await stub.get() == ["a", "b"]


# --- the handover -----------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-13")
@on_both_loops
async def test_the_code_after_the_await_runs_before_any_other_event():
    """Events that wait, and one that arrives at the very moment the section ends."""

    async def work(room):
        async def section():
            await asyncio.sleep(0.002)
            room.ctx.exports.Room.get(room.ctx.id).note("arrived at the end")

        await room.ctx.block_concurrency_while(section)
        room.log.append("after the await")

    async with an_object(Room) as stub:
        await asyncio.gather(begin(stub, work), stub.note("waited"))
        assert (await log_of(stub))[0] == "after the await"


@pytest.mark.rows("GATE-13")
@on_both_loops
@pytest.mark.parametrize("ticks", range(8))
async def test_no_moment_of_arrival_comes_before_the_handover(ticks):
    """An event delivered any number of loop ticks around the section's end."""

    async def work(room):
        async def section():
            for _ in range(4):
                await asyncio.sleep(0)
            room.log.append("section ends")

        await room.ctx.block_concurrency_while(section)
        room.log.append("after")

    async with an_object(Room) as stub:
        await stub.note("constructed")
        running = begin(stub, work)
        for _ in range(ticks):
            await asyncio.sleep(0)
        note = stub.note("event")
        await asyncio.gather(running, note)
        log = await log_of(stub)
        assert log.index("after") == log.index("section ends") + 1


@pytest.mark.rows("GATE-13")
@on_both_loops
async def test_a_write_after_the_section_belongs_to_the_step_that_was_handed_over():
    """It is there before the next event looks."""

    async def work(room):
        async def section():
            await asyncio.sleep(0.001)
            return (await room.ctx.storage.get("n", 0)) + 1

        await room.ctx.storage.put("n", await room.ctx.block_concurrency_while(section))

    async with an_object(Room) as stub:
        await asyncio.gather(*[begin(stub, work) for _ in range(10)])
        assert await inside(stub, lambda room: room.ctx.storage.get("n")) == 10


@pytest.mark.rows("GATE-13")
@on_both_loops
@pytest.mark.parametrize(
    "wait",
    [
        lambda section: asyncio.wait_for(section, 5),
        lambda section: asyncio.shield(section),
        lambda section: asyncio.gather(section),
        lambda section: asyncio.wait([section]),
    ],
    ids=["wait_for", "shield", "gather", "wait"],
)
async def test_a_section_can_be_awaited_in_other_ways(wait):
    """Then its end is handed over to nobody in particular, and everybody goes on."""

    async def work(room):
        async def section():
            await asyncio.sleep(0.001)
            room.log.append("section ends")

        await wait(room.ctx.block_concurrency_while(section))
        room.log.append("after")

    async with an_object(Room) as stub:
        await asyncio.gather(begin(stub, work), stub.note("event"))
        log = await log_of(stub)
        assert log[0] == "section ends"
        assert sorted(log[1:]) == ["after", "event"]


# --- failure and time -------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-14", "LIFE-15")
@on_both_loops
async def test_a_failing_section_resets_the_object():
    """Its caller and every waiting event get the error; turns that had ended stay, the failing one is gone."""

    async def work(room):
        room.ctx.storage.kv["before"] = 1
        await asyncio.sleep(0)

        async def section():
            room.ctx.storage.kv["inside"] = 1
            await asyncio.sleep(0)
            room.ctx.storage.kv["lost"] = 1
            raise ValueError("from the section")

        await room.ctx.block_concurrency_while(section)

    disk = HeldDisk()
    async with Runtime(objects=[Room], disk=disk) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        with (
            disk.held()
        ):  # a fast disk would confirm the first turn, and let answers out, before the section fails
            calls = [begin(stub, work), stub.note("waits"), stub.two_steps("t")]
            errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [str(error) for error in errors] == ["from the section"] * 3
        assert all(type(error) is ValueError and error.durable_object_reset for error in errors)
        again = rt.env.ROOM.get_by_name("x")
        assert await log_of(again) == []
        assert await inside(again, lambda room: dict(room.ctx.storage.kv.list())) == {
            "before": 1,
            "inside": 1,
        }


@pytest.mark.rows("GATE-14")
@on_both_loops
async def test_a_try_around_a_failing_section_saves_nothing():
    """The await never ends: nothing of the caller's code runs, `finally` but for clean-up included."""
    log = []

    async def work(room):
        async def section():
            raise ValueError("from the section")

        try:
            await room.ctx.block_concurrency_while(section)
            log.append("after")
        except Exception:
            log.append("caught")
        log.append("went on")

    async with an_object(Room) as stub:
        with pytest.raises(ValueError, match="from the section"):
            await inside(stub, work)
        for _ in range(10):
            await asyncio.sleep(0)
        assert log == []


@pytest.mark.rows("GATE-14")
async def test_an_error_caught_inside_the_section_harms_nobody():
    """That is where to catch it."""

    async def work(room):
        async def section():
            try:
                raise ValueError
            except ValueError:
                return "caught inside"

        return await room.ctx.block_concurrency_while(section)

    async with an_object(Room) as stub:
        assert await inside(stub, work) == "caught inside"
        await stub.note("alive")


@pytest.mark.rows("GATE-14")
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_any_failure_of_a_section_resets_the_object(error):
    """And nothing more than the object."""

    async def work(room):
        async def section():
            raise error("boom")

        await room.ctx.block_concurrency_while(section)

    async with Runtime(objects=[Room]) as rt:
        told = await attempt(begin(rt.env.ROOM.get_by_name("x"), work))
        assert error.__name__ in told.name
        assert told.durable_object_reset
        await rt.env.ROOM.get_by_name("x").note("a new instance")


@pytest.mark.rows("GATE-14", "GATE-16")
async def test_a_failing_nested_section_resets_the_object_too():
    """The outer one cannot catch it."""
    log = []

    async def work(room):
        async def inner():
            raise ValueError("inner")

        async def outer():
            try:
                await room.ctx.block_concurrency_while(inner)
            except ValueError:
                log.append("caught")

        await room.ctx.block_concurrency_while(outer)

    async with an_object(Room) as stub:
        with pytest.raises(ValueError, match="inner"):
            await inside(stub, work)
        assert log == []


@pytest.mark.rows("GATE-15", "LIM-15", "ERR-03")
@on_both_loops
async def test_a_section_may_take_30_seconds():
    """Then the object is reset, and everybody who waits is told; do not retry soon."""
    clock = ManualClock()

    async def work(room):
        await room.ctx.block_concurrency_while(lambda: asyncio.Event().wait())

    async with Runtime(objects=[Room], clock=clock, slow_ms=0) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        calls = [asyncio.ensure_future(attempt(call)) for call in (begin(stub, work), stub.note("waits"))]
        await until(lambda: clock.pending == 2)  # the section's, and that of who waits
        clock.advance(CRITICAL_SECTION_TIMEOUT_S - 0.1)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(call.done() for call in calls)
        clock.advance(0.1)
        for error in await asyncio.gather(*calls):
            assert type(error) is ObjectReset
            assert str(error).startswith(TOO_LONG)
            assert error.overloaded
            assert error.durable_object_reset
            assert not error.retryable
        await rt.env.ROOM.get_by_name("x").note("a new instance")


@pytest.mark.rows("GATE-15")
async def test_the_30_seconds_begin_with_the_section():
    """Not while it waits in line."""
    clock = ManualClock()

    async def work(room):
        async def first():
            await room.go_on.wait()

        async def second():
            room.log.append("second begins")
            await asyncio.Event().wait()

        await asyncio.gather(
            room.ctx.block_concurrency_while(first), room.ctx.block_concurrency_while(second)
        )

    async with Runtime(objects=[Room], clock=clock, slow_ms=0) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        call = asyncio.ensure_future(attempt(begin(stub, work)))
        await until(lambda: clock.pending)
        clock.advance(29)
        room = live_of(stub).instance
        room.go_on.set()
        await until(lambda: room.log)
        clock.advance(29)
        await asyncio.sleep(0)
        assert live_of(stub).state == "running"
        clock.advance(1)
        assert TOO_LONG in str(await call)


@pytest.mark.rows("GATE-15")
async def test_a_section_that_ended_has_no_timeout_left():
    """Its timer is taken back."""
    clock = ManualClock()
    async with an_object(Room, clock=clock, slow_ms=0) as stub:
        await stub.section("s")
        await begin(stub, lambda room: room.ctx.storage.transaction(lambda: asyncio.sleep(0)))
        live = live_of(stub)
        await until(lambda: live.is_idle)
        assert clock.pending == 1  # for the eviction
        clock.advance(9)
        assert live.state == "running"


# --- nesting ----------------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-16", "LIM-15")
@pytest.mark.parametrize("form", ["block", "transaction", "async with"])
async def test_sections_nest_64_deep(form):
    """The 65th is an error, which resets nothing."""

    async def nest(room, depth):
        storage = room.ctx.storage

        async def inner():
            return await nest(room, depth + 1)

        try:
            if form == "block":
                return await room.ctx.block_concurrency_while(inner)
            if form == "transaction":
                return await storage.transaction(inner)
            async with storage.transaction():
                return await inner()
        except StorageError as error:
            return depth, str(error)

    async with an_object(Room) as stub:
        assert await inside(stub, lambda room: nest(room, 0)) == (
            64,
            "block_concurrency_while() calls are nested too deeply.",
        )
        await stub.note("alive")


@pytest.mark.rows("GATE-16")
@on_both_loops
async def test_sections_of_one_level_run_one_after_another():
    """In the order asked for, inside another section too."""

    async def work(room):
        def section(tag, wait_s):
            async def run():
                room.log.append(f"{tag} begins")
                await asyncio.sleep(wait_s)
                room.log.append(f"{tag} ends")

            return room.ctx.block_concurrency_while(run)

        async def outer():
            await asyncio.gather(section("a", 0.004), section("b", 0))

        await room.ctx.block_concurrency_while(outer)
        await asyncio.gather(section("c", 0.004), section("d", 0))

    async with an_object(Room) as stub:
        await inside(stub, work)
        assert await log_of(stub) == [f"{tag} {what}" for tag in "abcd" for what in ("begins", "ends")]


@pytest.mark.rows("GATE-16")
@on_both_loops
async def test_code_of_the_outer_section_waits_for_the_inner_one():
    """A task of the outer section is not the inner one's."""

    async def work(room):
        async def beside():
            await asyncio.sleep(0)
            room.log.append("beside")

        async def inner():
            await asyncio.sleep(0.003)
            room.log.append("inner ends")

        async def outer():
            task = asyncio.create_task(beside())
            await room.ctx.block_concurrency_while(inner)
            await task

        await room.ctx.block_concurrency_while(outer)

    async with an_object(Room) as stub:
        await inside(stub, work)
        assert await log_of(stub) == ["inner ends", "beside"]


@pytest.mark.rows("GATE-16")
@on_both_loops
async def test_a_straggler_of_a_finished_section_goes_on_as_anybody():
    """It is adopted by the section's parent: later sections hold it back, and it can ask for its own."""

    async def work(room):
        async def straggler():
            await room.go_on.wait()
            room.log.append("straggler")
            return await room.ctx.block_concurrency_while(lambda: asyncio.sleep(0, "a section of its own"))

        async def first():
            return asyncio.create_task(straggler())

        async def second():
            room.go_on.set()
            await asyncio.sleep(0.002)
            room.log.append("second ends")

        task = await room.ctx.block_concurrency_while(first)
        await room.ctx.block_concurrency_while(second)
        return await task

    async with an_object(Room) as stub:
        assert await inside(stub, work) == "a section of its own"
        assert await log_of(stub) == ["second ends", "straggler"]


@pytest.mark.rows("GATE-16")
@on_both_loops
async def test_a_section_that_nobody_waited_for_still_runs():
    """Asked for inside another one, whose code ends first."""

    async def work(room):
        def section(tag):
            async def run():
                await asyncio.sleep(0)
                room.log.append(tag)

            return room.ctx.block_concurrency_while(run)

        async def outer():
            section("first")
            section("second")
            room.log.append("outer ends")

        await room.ctx.block_concurrency_while(outer)
        await room.ctx.block_concurrency_while(lambda: None)

    async with an_object(Room) as stub:
        await inside(stub, work)
        assert await log_of(stub) == ["outer ends", "first", "second"]


# --- tasks that an object's code makes ---------------------------------------------------------------------


async def _gather(work):
    await asyncio.gather(work("a"), work("b"))


async def _group(work):
    async with asyncio.TaskGroup() as group:
        group.create_task(work("a"))
        group.create_task(work("b"))


async def _tasks(work):
    tasks = [asyncio.create_task(work("a")), asyncio.ensure_future(work("b"))]
    for task in tasks:
        await task


async def _as_completed(work):
    for done in asyncio.as_completed([work("a"), work("b")]):
        await done


async def _wait(work):
    await asyncio.wait([asyncio.create_task(work(tag)) for tag in "ab"])


@pytest.mark.rows("GATE-02")
@on_both_loops
@pytest.mark.parametrize("start", [_gather, _group, _tasks, _as_completed, _wait])
async def test_tasks_of_an_object_are_held_back_by_a_section(start):
    """However they are made."""

    async def work(room):
        async def part(tag):
            await asyncio.sleep(0)
            room.log.append(tag)

        async def section():
            await asyncio.sleep(0.003)
            room.log.append("section ends")

        room.ctx.block_concurrency_while(section)
        await start(part)

    async with an_object(Room) as stub:
        await inside(stub, work)
        log = await log_of(stub)
        assert log[0] == "section ends"
        assert sorted(log[1:]) == ["a", "b"]


@pytest.mark.rows("GATE-16")
@on_both_loops
@pytest.mark.parametrize("start", [_gather, _group, _tasks, _as_completed, _wait])
async def test_tasks_made_inside_a_section_are_the_sections(start):
    """They run while everything else waits."""

    async def work(room):
        async def part(tag):
            await asyncio.sleep(0)
            room.log.append(tag)

        async def section():
            await start(part)
            room.log.append("section ends")

        await room.ctx.block_concurrency_while(section)

    async with an_object(Room) as stub:
        await asyncio.gather(begin(stub, work), stub.note("event"))
        log = await log_of(stub)
        assert sorted(log[:2]) == ["a", "b"]
        assert log[2:] == ["section ends", "event"]


@on_both_loops
async def test_a_task_that_is_cancelled_before_it_began_leaves_no_warning(recwarn):
    """Its coroutine is closed."""

    async def work(room):
        task = asyncio.create_task(room.note("never"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async with an_object(Room) as stub:
        await inside(stub, work)
        assert await log_of(stub) == []
    gc.collect()
    assert not [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)]


@on_both_loops
async def test_a_timeout_works_while_the_gate_holds_its_task():
    """It is felt at the task's next step."""

    async def waits(room):
        try:
            async with asyncio.timeout(0.002):
                await asyncio.sleep(10)
        except TimeoutError:
            room.log.append("timed out")

    async def blocks(room):
        async def section():
            await asyncio.sleep(0.01)
            room.log.append("section ends")

        await room.ctx.block_concurrency_while(section)

    async with an_object(Room) as stub:
        await asyncio.gather(begin(stub, waits), begin(stub, blocks))
        assert await log_of(stub) == ["section ends", "timed out"]


@on_both_loops
async def test_who_stops_waiting_for_a_section_does_not_end_it():
    """A cancelled await is the waiter's own affair."""

    async def work(room):
        async def section():
            await asyncio.sleep(0.005)
            room.log.append("section ends")

        waiting = asyncio.ensure_future(room.ctx.block_concurrency_while(section))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0)
        room.log.append("went on")

    async with an_object(Room) as stub:
        await inside(stub, work)
        assert await log_of(stub) == ["section ends", "went on"]


# --- transactions are critical sections --------------------------------------------------------------------


@pytest.mark.rows("GATE-17", "TXN-01")
@on_both_loops
@pytest.mark.parametrize("form", ["closure", "block"])
async def test_a_transaction_holds_back_every_other_event(form):
    """Until it has committed or rolled back."""

    async def work(room):
        async def body():
            room.log.append("begins")
            await asyncio.sleep(0.003)
            room.log.append("ends")

        if form == "closure":
            await room.ctx.storage.transaction(lambda txn: body())
        else:
            async with room.ctx.storage.transaction():
                await body()

    async with an_object(Room) as stub:
        await asyncio.gather(begin(stub, work), stub.note("event"))
        assert await log_of(stub) == ["begins", "ends", "event"]


@pytest.mark.rows("GATE-17", "TXN-08", "GATE-15")
@pytest.mark.parametrize("form", ["closure", "block"])
async def test_a_transaction_may_take_30_seconds(form):
    """Then the object is reset, and what it wrote is gone."""
    clock = ManualClock()

    async def work(room):
        storage = room.ctx.storage
        if form == "closure":

            async def body(txn):
                await txn.put("k", 1)
                await asyncio.Event().wait()

            await storage.transaction(body)
        else:
            async with storage.transaction() as txn:
                await txn.put("k", 1)
                await asyncio.Event().wait()

    async with Runtime(objects=[Room], clock=clock, slow_ms=0) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        call = asyncio.ensure_future(attempt(begin(stub, work)))
        await until(lambda: clock.pending)
        clock.advance(CRITICAL_SECTION_TIMEOUT_S)
        assert TOO_LONG in str(await call)
        again = rt.env.ROOM.get_by_name("x")
        assert await inside(again, lambda room: room.ctx.storage.get("k")) is None


@pytest.mark.rows("GATE-17")
@on_both_loops
async def test_a_transaction_block_that_is_cancelled_in_line_gives_up_its_turn():
    """The next in line, and every event, go on."""

    async def work(room):
        async def block(tag):
            async with room.ctx.storage.transaction():
                room.log.append(tag)
                await asyncio.sleep(0.003)

        tasks = [asyncio.create_task(block(tag)) for tag in "abc"]
        asyncio.get_running_loop().call_later(0.001, tasks[1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        return tasks[1].cancelled()

    async with an_object(Room) as stub:
        assert await inside(stub, work)
        await stub.note("event")
        assert await log_of(stub) == ["a", "c", "event"]


@pytest.mark.rows("GATE-17")
@on_both_loops
async def test_a_transaction_inside_a_section_is_nested():
    """And a section inside a transaction."""

    async def work(room):
        ctx = room.ctx

        async def put(txn):
            await txn.put("a", 1)
            await ctx.block_concurrency_while(lambda: ctx.storage.put("b", 2))

        await ctx.block_concurrency_while(lambda: ctx.storage.transaction(put))
        return await ctx.storage.list()

    async with an_object(Room) as stub:
        assert await inside(stub, work) == {"a": 1, "b": 2}
