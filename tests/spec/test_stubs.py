"""Stubs: STB-01 … STB-15, but for fetching, which has tests of its own."""

from __future__ import annotations

import asyncio
import copy
import pickle
from contextlib import suppress

import pytest
from support.inside import Plain, an_object, begin, inside, live_of, until

from perdure import DurableObject, ObjectReset, Response, Runtime
from perdure.errors import PerdureError, StorageReset


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.seen = []
        self.go_on = asyncio.Event()

    async def note(self, tag):
        self.seen.append(tag)
        return len(self.seen)

    async def log(self):
        return self.seen

    async def wait(self):
        self.seen.append("waits")
        await self.go_on.wait()
        await self.ctx.storage.put("finished", True)
        self.seen.append("went on")

    async def release(self):
        self.go_on.set()

    async def abort(self):
        self.ctx.abort("enough")

    async def give_up_a_call(self):
        """Make a call behind a write, by a stub of an object that was reset, and wait for no answer."""
        other = self.env.ROOM.get_by_name("other")
        with suppress(ObjectReset):
            await other.abort()
        self.ctx.storage.kv["k"] = 1
        other.note("a").cancel()

    async def violate(self):
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE p (id PRIMARY KEY)")
        sql.exec("CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        sql.exec("INSERT INTO c VALUES (1)")

    async def id(self):
        return "never reached"


@pytest.mark.rows("STB-01", "STB-02")
async def test_a_stub_shows_the_id_and_the_name_it_was_made_with():
    """The same id object, and its name."""
    async with Runtime(objects=[Room]) as rt:
        id = rt.env.ROOM.id_from_name("x")
        stub = rt.env.ROOM.get(id)
        assert stub.id is id
        assert stub.name == "x"
        assert rt.env.ROOM.get(rt.env.ROOM.new_unique_id()).name is None


@pytest.mark.rows("STB-02")
async def test_methods_called_id_or_name_cannot_be_reached():
    """On the stub these two are the stub's own."""
    async with an_object(Room) as stub:
        with pytest.raises(TypeError, match="not callable"):
            await stub.id()


@pytest.mark.rows("STB-01")
async def test_an_attribute_set_on_a_stub_shadows_the_method():
    """Locally: on this stub alone."""
    async with Runtime(objects=[Room]) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        stub.note = "mine"
        assert stub.note == "mine"
        assert await rt.env.ROOM.get_by_name("x").note("a") == 1
        del stub.note
        assert await stub.note("b") == 2


@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, pickle.dumps, iter, len, bool, repr, hash, dir])
async def test_pythons_own_protocols_are_no_calls(use):
    """`__anything__` is never sent to the object."""
    async with an_object(Room) as stub:
        try:
            use(stub)
        except (TypeError, AttributeError, pickle.PicklingError):
            pass
        await asyncio.sleep(0)
        assert not stub.id._space.lives


@pytest.mark.rows("STB-07")
async def test_fetch_without_a_fetch_handler_is_an_error():
    """The class has none."""
    async with an_object(Plain) as stub:
        with pytest.raises(PerdureError, match=r"Handler does not export a fetch\(\) function\."):
            await stub.fetch("http://x/")


@pytest.mark.rows("STB-07", "CTX-19")
async def test_a_fetch_handler_that_is_no_function_counts_as_absent():
    """A field of that name holding a value."""

    class Odd(DurableObject):
        fetch = "not a function"

    async with an_object(Odd) as stub:
        with pytest.raises(PerdureError, match=r"Handler does not export a fetch\(\) function\."):
            await stub.fetch("http://x/")


@pytest.mark.rows("STB-10")
async def test_calls_through_one_stub_arrive_in_the_order_made():
    """Also when nobody awaits them, and fetches and calls alike."""
    async with an_object(Room) as stub:
        calls = [stub.note(n) for n in range(100)]
        assert await calls[-1] == 100
        assert await stub.log() == list(range(100))


@pytest.mark.rows("STB-10", "RPC-24")
async def test_calls_made_before_and_after_a_write_keep_their_order():
    """A call that waits for the caller's write is not overtaken by a later one."""

    class Caller(DurableObject):
        async def run(self):
            stub = self.env.ROOM.get_by_name("x")
            calls = [stub.note("before")]
            await self.ctx.storage.put("k", 1)
            calls.append(stub.note("held back"))
            await self.ctx.storage.sync()
            calls.append(stub.note("after"))
            await asyncio.gather(*calls)
            return await stub.log()

    async with Runtime(objects=[Caller, Room]) as rt:
        assert await rt.env.CALLER.get_by_name("c").run() == ["before", "held back", "after"]


@pytest.mark.rows("STB-11", "CTX-09")
async def test_a_stub_that_saw_its_object_reset_is_broken():
    """Every further call through it fails with the original error; a new stub reaches the next instance."""
    async with Runtime(objects=[Room]) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        assert await stub.note("a") == 1
        for call in (stub.abort, stub.log, stub.log):
            with pytest.raises(ObjectReset, match="enough") as caught:
                await call()
            assert caught.value.durable_object_reset
        with pytest.raises(ObjectReset, match="enough"):
            await stub.fetch("http://x/")
        assert await rt.env.ROOM.get_by_name("x").log() == []


@pytest.mark.rows("STB-11")
async def test_a_stub_that_was_not_used_before_the_reset_is_not_broken():
    """It has seen nothing."""
    async with Runtime(objects=[Room]) as rt:
        used, unused = rt.env.ROOM.get_by_name("x"), rt.env.ROOM.get_by_name("x")
        with pytest.raises(ObjectReset):
            await used.abort()
        assert await unused.note("a") == 1


@pytest.mark.rows("STB-11", "LIFE-15")
async def test_a_stub_is_broken_after_writes_were_lost_too():
    """Constraints violated at commit."""
    async with Runtime(objects=[Room]) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        for _ in range(2):
            with pytest.raises(StorageReset, match="constraints were violated"):
                await stub.violate()
        assert await rt.env.ROOM.get_by_name("x").log() == []


@pytest.mark.rows("STB-11", "LIFE-08")
async def test_eviction_does_not_break_a_stub():
    """The next call through it reaches the next instance."""
    async with an_object(Room) as stub:
        await stub.note("a")
        live_of(stub).evict()
        assert await stub.log() == []


@pytest.mark.rows("STB-11")
async def test_an_ordinary_error_does_not_break_a_stub():
    """The object goes on."""
    async with an_object(Room) as stub:
        await stub.note("a")
        with pytest.raises(TypeError):
            await stub.note()
        assert await stub.log() == ["a"]


@pytest.mark.rows("STB-15")
async def test_a_caller_that_goes_away_interrupts_nothing():
    """The object's running code goes on, and what it writes is there."""
    async with an_object(Room) as stub:
        caller = asyncio.ensure_future(asyncio.wait_for(stub.wait(), 60))
        await until(lambda: stub.id._space.lives and live_of(stub).instance and live_of(stub).instance.seen)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await stub.release()
        await until(lambda: not live_of(stub).events)
        assert await stub.log() == ["waits", "went on"]
        assert await inside(stub, lambda room: room.ctx.storage.get("finished")) is True


@pytest.mark.rows("STB-13")
async def test_a_stub_can_be_used_wherever_its_loop_runs():
    """In later events of the object that made it, in other objects, outside."""
    async with Runtime(objects=[Room, Plain]) as rt:
        plain, other = rt.env.PLAIN.get_by_name("p"), rt.env.PLAIN.get_by_name("q")

        def make(instance):
            instance.kept = instance.env.ROOM.get_by_name("x")
            return instance.kept

        stub = await inside(plain, make)
        assert await inside(plain, lambda instance: instance.kept.note("a")) == 1
        assert await inside(other, lambda instance: stub.note("b")) == 2
        assert await stub.note("c") == 3


@pytest.mark.rows("STB-15")
async def test_a_call_that_nobody_awaits_runs():
    """It started when it was made."""
    async with an_object(Room) as stub:
        stub.note("a")
        assert await stub.log() == ["a"]


async def test_a_call_can_be_a_task_or_one_of_many():
    """`create_task`, `gather`, `wait_for`, `TaskGroup` and `shield` take what a call returns."""
    async with an_object(Room) as stub:
        assert await asyncio.create_task(stub.note(1)) == 1
        assert await asyncio.wait_for(stub.note(2), 5) == 2
        assert await asyncio.gather(stub.note(3), stub.note(4)) == [3, 4]
        assert await asyncio.shield(stub.note(5)) == 5
        async with asyncio.TaskGroup() as group:
            task = group.create_task(stub.note(6))
        assert task.result() == 6


async def test_a_call_can_be_awaited_again():
    """It happened once; a fetch gives the same response."""

    class Pages(DurableObject):
        hits = 0

        async def hit(self):
            Pages.hits += 1
            return [Pages.hits]

        async def fetch(self, request):
            if request.url.endswith("/fail"):
                raise ValueError("bad")
            return Response(str(await self.hit()))

    async with an_object(Pages) as stub:
        call = stub.hit()
        assert await call is await call
        fetching = stub.fetch("http://x/")
        first, second = await asyncio.gather(fetching, fetching)
        assert first is second is await fetching
        assert await first.text() == "[2]"
        failing = stub.fetch("http://x/fail")
        for _ in range(2):
            with pytest.raises(ValueError, match="bad"):
                await failing


async def test_a_call_from_another_thread_is_refused():
    """With the way to do it."""
    async with an_object(Room) as stub:
        for call in (lambda: stub.note("a"), lambda: stub.fetch("http://x/"), lambda: stub.seen.__await__()):
            with pytest.raises(RuntimeError, match="thread other than the event loop's.*rt.run"):
                await asyncio.to_thread(call)
        assert not stub.id._space.lives


async def test_a_call_is_made_from_another_thread_through_the_loop():
    """As the error says."""
    async with an_object(Room) as stub:
        loop = asyncio.get_running_loop()

        async def call():
            return await stub.note("a")

        future = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(call(), loop).result())
        assert future == 1


async def test_a_stub_shows_what_it_is():
    """For people who print it."""
    async with an_object(Room, "home") as stub:
        assert repr(stub) == "<stub of Room home>"
        assert repr(stub.note) == "<note of Room home>"


async def test_a_broken_live_object_takes_no_event():
    """Its stub answers; the engine never delivers to it."""
    async with an_object(Room) as stub:
        await stub.note("a")
        live = live_of(stub)
        with pytest.raises(ObjectReset):
            await stub.abort()
        assert live.state == "broken"
        assert not live.events
        assert begin(stub, lambda room: room) is not None


async def test_a_call_that_was_given_up_before_it_left_is_refused_without_a_word():
    """It waited for the caller's write, and then there was no object that could have taken it."""
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    async with an_object(Room) as stub:
        await stub.give_up_a_call()
    assert not failures
