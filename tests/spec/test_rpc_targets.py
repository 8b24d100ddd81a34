"""Targets, callbacks and stubs between objects, workers and the code around a runtime. RPC-06 … RPC-31, STB-12."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from support.held_disk import HeldDisk
from support.inside import an_object, attempt, inside, live_of, settled, until

from perdure import (
    DataCloneError,
    DurableObject,
    PerdureError,
    Request,
    Response,
    RpcStub,
    RpcTarget,
    Runtime,
    WebSocketPair,
    WorkerEntrypoint,
)
from perdure._base.observer import Observer
from perdure.rpc import dispose
from perdure.testing.clock import ManualClock

GONE = "The execution context which hosts this callback is no longer running."
DISPOSED = "RPC stub used after being disposed."


class Counter(RpcTarget):
    def __init__(self, room):
        self.room = room

    def count(self):
        self.room.n += 1
        return self.room.n

    async def store(self, value):
        await self.room.ctx.storage.put("v", value)
        return value

    async def hang(self):
        await asyncio.Event().wait()

    def abort(self):
        self.room.ctx.abort("by target")

    def fail(self):
        raise ValueError("from a target")

    def dispose(self):
        self.room.log.append("disposed")


class BadlyDisposed(RpcTarget):
    def dispose(self):
        raise ValueError("in a disposer")


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.n = 0
        self.log = []
        self.block = asyncio.Event()

    def counter(self):
        return Counter(self)

    async def write_and_give(self):
        await self.ctx.storage.put("v", 1)
        return Counter(self)

    def bad(self):
        return BadlyDisposed()

    def count(self):
        self.n += 1
        return self.n

    async def count_on(self, counter):
        return await counter.count()

    def whoami(self):
        return self.ctx.id.name

    async def call(self, function, *args):
        return await function(*args)

    async def call_later(self, function):
        self.function = function.dup()

    def keep_in_a_cycle(self, target):
        self.kept = [self, target.dup()]

    async def call_later_without_dup(self, function):
        self.function = function

    async def use(self, *args):
        return await self.function(*args)

    async def give_callback_to(self, name):
        await self.env.ROOM.get_by_name(name).call_later(lambda x: (self.ctx.id.name, x))

    def other(self, name):
        return self.env.ROOM.get_by_name(name)

    async def ask(self, stub):
        return await stub.whoami(), hasattr(stub, "__dict__") and "id" in stub.__dict__

    def hold(self):
        self.ctx.block_concurrency_while(self.block.wait)

    def release(self):
        self.block.set()

    async def keep(self, value):
        await self.ctx.storage.put("k", value)

    def abort(self):
        self.ctx.abort("reset")

    def numbers(self):
        return {"list": [1, 2], "counter": Counter(self)}


class Door(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/keep":
            await self.env.ROOM.get_by_name("k").call_later(lambda x: f"called {x}")
            return Response(await self.env.ROOM.get_by_name("k").use("now"))
        if request.path == "/later":
            self.ctx.wait_until(asyncio.sleep(0.05))
            await self.env.ROOM.get_by_name("l").call_later(lambda x: f"called {x}")
        if request.path == "/ws":
            client, server = WebSocketPair()
            server.accept()
            await self.env.ROOM.get_by_name("w").call_later(lambda x: f"socket {x}")
            return Response(None, status=101, websocket=client)
        if request.path == "/stream":

            async def body():
                yield await self.env.ROOM.get_by_name("s").call(lambda: "piece")

            return Response(body())
        return Response("kept")

    def target(self):
        return WorkerTarget()

    def fail(self):
        raise ValueError("in a worker")

    async def call(self, function):
        return await function("from the worker")


class WorkerTarget(RpcTarget):
    def who(self):
        return "worker"

    def fail(self):
        raise ValueError("in a worker's target")


class Silent(Observer):
    def __init__(self):
        self.failed = []

    def event_failed(self, live, event, error):
        self.failed.append((event.method, error))


def runtime(**options):
    return Runtime(objects=[Room], worker=Door, **options)


@pytest.mark.rows("RPC-09")
async def test_code_of_a_target_is_the_objects():
    """It sees the object's memory and storage."""
    async with an_object(Room) as stub:
        with await stub.counter() as counter:
            assert await counter.count() == 1
            assert await stub.count() == 2
            assert await counter.store("x") == "x"
            assert await inside(stub, lambda room: room.ctx.storage.get("v")) == "x"


@pytest.mark.rows("RPC-23")
async def test_a_call_of_a_target_waits_for_the_input_gate():
    """It is an event of the object."""
    async with an_object(Room) as stub:
        counter = await stub.counter()
        live = live_of(stub)
        await inside(stub, lambda room: room.hold())
        await until(lambda: live.gate.active is not None)
        call = asyncio.ensure_future(counter.count())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not call.done()
        live.instance.release()
        assert await call == 1


@pytest.mark.rows("RPC-24")
async def test_what_a_target_returns_waits_for_its_objects_writes():
    disk = HeldDisk()
    async with an_object(Room, disk=disk) as stub:
        counter = await stub.counter()
        with disk.held():
            call = asyncio.ensure_future(counter.store("x"))
            await asyncio.sleep(0.02)
            assert not call.done()
        assert await call == "x"


@pytest.mark.rows("RPC-06", "RPC-24")
async def test_a_pipelined_call_to_the_same_object_does_not_wait_for_the_disk():
    """It begins when the first is done; the result of neither leaves before both are durable."""
    disk = HeldDisk()
    async with an_object(Room, disk=disk) as stub:
        await stub.count()
        with disk.held():
            call = asyncio.ensure_future(stub.write_and_give().count())
            live = live_of(stub)
            await until(lambda: live.instance.n == 2)
            await asyncio.sleep(0.02)
            assert not call.done()
        assert await call == 2


@pytest.mark.rows("RPC-06")
async def test_calls_are_pipelined():
    """Through methods, dicts and lists, to other objects."""
    async with an_object(Room, "one") as stub:
        assert await stub.counter().count() == 1
        assert await stub.numbers().counter.count() == 2
        assert await stub.numbers().list[1] == 2
        assert await stub.other("two").whoami() == "two"
        assert await stub.other("two").other("three").whoami() == "three"
        with pytest.raises(TypeError, match="does not implement the method"):
            await stub.count().nothing()


@pytest.mark.rows("RPC-10", "RPC-28")
async def test_functions_are_called_back():
    """Also while the object itself waits, and by way of the object that is called."""
    async with runtime() as rt:
        stub = rt.env.ROOM.get_by_name("x")
        assert await stub.call(lambda a, b: a + b, 1, 2) == 3
        assert await stub.call(lambda: stub.count()) == 1
        error = await attempt(stub.call(lambda: 1 / 0))
        assert isinstance(error, ZeroDivisionError)
        assert error.remote


@pytest.mark.rows("RPC-10")
async def test_a_callback_of_an_object_is_code_of_that_object():
    async with runtime() as rt:
        one = rt.env.ROOM.get_by_name("one")
        two = rt.env.ROOM.get_by_name("two")

        async def lend(room):
            return await two.call(room.count)

        assert await inside(one, lend) == 1
        assert await inside(one, lend) == 2
        assert await inside(two, lambda room: room.n) == 0


@pytest.mark.rows("STB-12")
async def test_an_object_stub_arrives_as_a_plain_service_stub():
    """It can be called and fetched, and has no id or name."""
    async with runtime() as rt:
        stub = rt.env.ROOM.get_by_name("x")
        assert await stub.ask(rt.env.ROOM.get_by_name("three")) == ("three", False)
        other = await stub.other("two")
        assert await other.whoami() == "two"
        with pytest.raises(TypeError, match='does not implement the method "id"'):
            await other.id


@pytest.mark.rows("RPC-18", "RPC-21")
async def test_a_target_is_told_when_its_last_stub_is_gone():
    async with an_object(Room) as stub:
        counter = await stub.counter()
        other = counter.dup()
        counter.dispose()
        assert await other.count() == 1
        assert await inside(stub, lambda room: list(room.log)) == []
        other.dispose()
        await until(lambda: live_of(stub).instance.log == ["disposed"])


@pytest.mark.rows("RPC-21")
async def test_a_disposer_that_fails_is_reported_on_its_side():
    observer = Silent()
    async with an_object(Room, observer=observer) as stub:
        (await stub.bad()).dispose()
        await until(lambda: observer.failed)
        assert observer.failed[0][0] == "BadlyDisposed.dispose"
        assert await stub.count() == 1


@pytest.mark.rows("RPC-19")
async def test_a_callback_ends_with_the_call_unless_it_is_dupd():
    async with runtime() as rt:
        stub = rt.env.ROOM.get_by_name("x")
        await stub.call_later_without_dup(lambda x: x)
        with pytest.raises(PerdureError, match=DISPOSED):
            await stub.use(1)
        await stub.call_later(lambda x: ("dup", x))
        assert await stub.use(1) == ("dup", 1)


@pytest.mark.rows("RPC-23")
async def test_an_object_is_not_evicted_while_somebody_has_a_stub_of_its_code():
    clock = ManualClock()
    async with an_object(Room, clock=clock) as stub:
        counter = await stub.counter()
        live = live_of(stub)
        clock.advance(100)
        await until(lambda: not live.events)
        assert live.state == "running"
        assert await counter.count() == 1
        counter.dispose()
        await until(lambda: live.is_idle)
        clock.advance(11)
        await until(lambda: live.state == "evicted")


@pytest.mark.rows("RPC-23")
async def test_an_object_is_not_evicted_while_it_keeps_a_stub_of_somebody_elses():
    """It would forget whom it has to call."""
    clock = ManualClock()
    async with an_object(Room, clock=clock) as stub:
        await stub.call_later(lambda what: what)
        live = live_of(stub)
        clock.advance(100)
        await until(lambda: not live.events)
        assert live.state == "running"
        assert await stub.use("still there") == "still there"
        await inside(stub, lambda room: room.function.dispose())
        await until(lambda: live.is_idle)
        clock.advance(11)
        await until(lambda: live.state == "evicted")


@pytest.mark.rows("RPC-29")
async def test_a_reset_fails_calls_under_way_with_its_error_and_later_ones_for_good():
    async with an_object(Room) as stub:
        counter = await stub.counter()
        hanging = asyncio.ensure_future(counter.hang())
        pipelined = asyncio.ensure_future(stub.counter().hang())
        await counter.count()
        await attempt(stub.abort())
        for call in (hanging, pipelined):
            error = await attempt(call)
            assert str(error) == "reset"
            assert error.durable_object_reset
            assert error.remote
        with pytest.raises(PerdureError, match=GONE):
            await counter.count()
        with pytest.raises(PerdureError, match=GONE):
            await counter.dup().count()


@pytest.mark.rows("RPC-29")
async def test_on_broken_tells_of_a_reset():
    async with an_object(Room) as stub:
        counter = await stub.counter()
        heard = []
        counter.on_broken(heard.append)
        await attempt(counter.abort())
        await until(lambda: heard)
        assert str(heard[0]) == "by target"


@pytest.mark.rows("RPC-22")
async def test_a_reset_disposes_the_stubs_that_the_object_kept():
    """The cycle that its code made of them is no reason to wait for the garbage collector."""
    log = []

    class Heard(RpcTarget):
        def dispose(self):
            log.append("let go")

    gc.disable()
    try:
        async with runtime() as rt:
            stub = rt.env.ROOM.get_by_name("x")
            await stub.keep_in_a_cycle(Heard())
            live_of(stub).abort(PerdureError("reset"))
            await until(lambda: log == ["let go"])
    finally:
        gc.enable()


@pytest.mark.rows("RPC-29")
async def test_a_reset_frees_targets_that_others_still_hold():
    """A handle to what is gone keeps nothing of it in memory."""
    async with an_object(Room) as stub:
        counter = await stub.counter()
        room = weakref.ref(live_of(stub).instance)
        live_of(stub).abort(PerdureError("reset"))
        await until(lambda: room() is None)
        with pytest.raises(PerdureError, match=GONE):
            await counter.count()


async def test_a_stub_that_was_disposed_tells_of_nothing():
    """Nor does one that was dropped; the object keeps no list of them."""
    told = []
    async with an_object(Room) as stub:
        counter, dropped = await stub.counter(), await stub.counter()
        counter.on_broken(told.append)
        dropped.on_broken(told.append)
        counter.dispose()
        del dropped
        await until(lambda: not live_of(stub).watchers)
        live_of(stub).abort(PerdureError("reset"))
    assert told == []


async def test_disposing_a_value_does_not_call_the_objects_in_it():
    """A stub of an object has nothing to give up, and `dispose` might be a method of the object."""
    async with runtime() as rt:
        other = await rt.env.ROOM.get_by_name("x").other("never used")
        dispose([other])
        await settled(rt)
        assert [live.name for space in rt._host.spaces.values() for live in space.lives.values()] == ["x"]


@pytest.mark.rows("RPC-29")
async def test_callbacks_of_an_object_that_was_reset_are_gone():
    async with runtime() as rt:
        one, two = rt.env.ROOM.get_by_name("one"), rt.env.ROOM.get_by_name("two")
        await one.give_callback_to("two")
        assert await two.use(1) == ("one", 1)
        await attempt(one.abort())
        with pytest.raises(PerdureError, match=GONE):
            await two.use(2)


@pytest.mark.rows("RPC-22", "RPC-23", "EP-15")
async def test_callbacks_of_a_request_end_with_it():
    async with runtime() as rt:
        assert await (await rt.handle(Request("http://x/keep"))).text() == "called now"
        error = await attempt(rt.env.ROOM.get_by_name("k").use("later"))
        assert str(error) == GONE


@pytest.mark.rows("RPC-23")
async def test_background_work_keeps_the_callbacks_of_a_request():
    async with runtime() as rt:
        await rt.handle(Request("http://x/later"))
        stub = rt.env.ROOM.get_by_name("l")
        assert await stub.use("x") == "called x"
        await asyncio.gather(*rt._running().background)
        error = await attempt(stub.use("y"))
        assert str(error) == GONE


@pytest.mark.rows("RPC-23")
async def test_a_streamed_response_keeps_the_callbacks_of_its_request():
    async with runtime() as rt:
        assert await (await rt.handle(Request("http://x/stream"))).text() == "piece"


@pytest.mark.rows("RPC-23", "EP-11")
async def test_a_target_that_a_worker_returned_keeps_its_run():
    async with runtime() as rt:

        async def ask(room):
            target = await room.ctx.exports.Door.target()
            return await target.who(), await room.ctx.exports.Door.target().who()

        assert await inside(rt.env.ROOM.get_by_name("x"), ask) == ("worker", "worker")


@pytest.mark.rows("RPC-10", "EP-11")
async def test_a_worker_calls_back_into_an_object():
    async with runtime() as rt:

        async def ask(room):
            return await room.ctx.exports.Door.call(lambda text: (room.ctx.id.name, text))

        assert await inside(rt.env.ROOM.get_by_name("x"), ask) == ("x", "from the worker")


@pytest.mark.rows("RPC-27")
async def test_a_stub_of_one_object_can_be_given_to_another():
    async with runtime() as rt:
        one, two = rt.env.ROOM.get_by_name("one"), rt.env.ROOM.get_by_name("two")
        counter = await one.counter()
        assert await two.count_on(counter) == 1
        assert await counter.count() == 2


@pytest.mark.rows("RPC-31")
async def test_stubs_are_not_stored():
    async with an_object(Room) as stub:
        for value, noun in (
            (RpcStub(lambda: 1), "RpcStub"),
            (stub, "ServiceStub"),
        ):
            error = await attempt(stub.keep(value))
            assert isinstance(error, DataCloneError)
            assert str(error).startswith(f"{noun} cannot be serialized in this context.")


async def test_an_error_of_a_target_is_the_callers_with_where_it_was_raised():
    """As on the object itself; the place only for development."""
    async with an_object(Room, debug=True) as stub:
        error = await attempt(stub.counter().fail())
        assert (type(error), str(error)) == (ValueError, "from a target")
        assert error.remote
        assert "raise ValueError" in "".join(error.__notes__)
    async with an_object(Room) as stub:
        error = await attempt(stub.counter().fail())
        assert not hasattr(error, "__notes__")


async def test_an_error_of_a_worker_or_its_callback_tells_where_for_development():
    """As that of an object."""
    async with runtime(debug=True) as rt:

        async def ask(room):
            return await attempt(room.ctx.exports.Door.fail()), await attempt(
                room.ctx.exports.Door.target().fail()
            )

        for error in await inside(rt.env.ROOM.get_by_name("x"), ask):
            assert "raise ValueError" in "".join(error.__notes__)


@pytest.mark.rows("RPC-23")
async def test_a_websocket_that_a_worker_took_keeps_its_run():
    """What it lent can be called for as long as it is connected."""
    async with runtime() as rt:
        response = await rt.handle(Request("http://x/ws", headers={"upgrade": "websocket"}))
        client = response.websocket
        client.accept()
        stub = rt.env.ROOM.get_by_name("w")
        assert await stub.use("x") == "socket x"
        client.close(1000)
        await until(lambda: client.ready_state == 3)
        for _ in range(10):
            await asyncio.sleep(0)
        assert str(await attempt(stub.use("y"))) == GONE


async def test_nothing_is_left_of_calls_that_passed_functions():
    """Objects go idle, and their targets are freed."""
    async with an_object(Room) as stub:
        for _ in range(10):
            await stub.call(lambda: 1)
            await stub.counter().count()
        live = live_of(stub)
        await until(lambda: live.handles == 0)
        gc.collect()
        assert not [found for found in gc.get_objects() if type(found) is Counter]
