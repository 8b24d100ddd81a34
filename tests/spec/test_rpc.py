"""Calls: what can be reached, in what form, and what comes back. RPC-01 … RPC-05, RPC-15, RPC-24 … RPC-29."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest
from support.held_disk import HeldDisk
from support.inside import an_object, attempt, live_of, until

from perdure import DurableObject, ObjectReset, Response, Runtime
from perdure._base.limits import MIB
from perdure._rpc import reach
from perdure.errors import PerdureError
from perdure.testing.clock import ManualClock


class Mixin:
    def from_mixin(self):
        return "mixin"


class Base(DurableObject):
    def inherited(self):
        return "inherited"


class Thing(Mixin, Base):
    CONSTANT = 1

    class Nested:
        pass

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.field = "a field"
        self.function = lambda: "a function in a field"
        self.calls = 0

    async def add(self, a, b=1, *rest, scale=1, **named):
        return (a + b + sum(rest)) * scale, named

    def plain(self):
        return "from a plain function"

    def an_awaitable(self):
        return asyncio.sleep(0, "awaited")

    @property
    def size(self):
        return 42

    @property
    async def later(self):
        await asyncio.sleep(0)
        return "later"

    @property
    def doubled(self):
        return lambda n: 2 * n

    @functools.cached_property
    def kept(self):
        self.calls += 1
        return self.calls

    @staticmethod
    def static():
        return "static"

    @classmethod
    def of_class(cls):
        return cls.__name__

    def _private(self):
        return "private"

    def __hidden(self):
        return "hidden"

    async def fetch(self, request):
        return Response("fetched")

    async def alarm(self, info=None):
        pass

    async def connect(self):
        pass

    async def websocket_message(self, ws, message):
        pass

    def dup(self):
        return "dup"


class WithoutBase:
    def __init__(self, ctx, env):
        self.ctx = ctx

    async def fetch(self, request):
        return Response("served all the same")

    async def hit(self):
        return 1


@pytest.mark.rows("RPC-01")
async def test_a_class_without_the_base_serves_fetch_but_no_calls():
    """The error says what to extend."""
    async with an_object(WithoutBase) as stub:
        assert await (await stub.fetch("http://x/")).text() == "served all the same"
        with pytest.raises(TypeError, match="does not support RPC, because its class was not declared with"):
            await stub.hit()
        with pytest.raises(TypeError, match="does not support RPC"):
            await stub.hit


@pytest.mark.rows("RPC-01")
async def test_the_base_keeps_ctx_and_env():
    """`self.ctx` and `self.env` are what the constructor was given."""

    class Looks(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.same = self.ctx is ctx and self.env is env

        async def look(self):
            return self.same

    async with an_object(Looks) as stub:
        assert await stub.look()


@pytest.mark.rows("RPC-01", "CTX-01")
async def test_the_base_wants_a_ctx():
    """Somebody who makes an instance by hand is told."""
    with pytest.raises(TypeError, match="constructor parameter 1 is not of type 'DurableObjectState'"):
        Thing(None, None)


@pytest.mark.rows("RPC-02")
@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("plain", "from a plain function"),
        ("inherited", "inherited"),
        ("from_mixin", "mixin"),
        ("an_awaitable", "awaited"),
        ("static", "static"),
        ("of_class", "Thing"),
    ],
)
async def test_methods_of_the_class_and_its_bases_can_be_called(name, result):
    """`async` or not; a plain one that returns an awaitable too."""
    async with an_object(Thing) as stub:
        assert await getattr(stub, name)() == result


@pytest.mark.rows("RPC-02")
async def test_arguments_by_position_and_by_name_arrive_as_given():
    """Python's keyword arguments are real."""
    async with an_object(Thing) as stub:
        assert await stub.add(1, 2, 3, scale=10, x="y") == (60, {"x": "y"})
        assert await stub.add(b=5, a=1) == (6, {})


@pytest.mark.rows("RPC-02")
@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "field",
        "function",
        "ctx",
        "env",
        "_private",
        "_Thing__hidden",
        "CONSTANT",
        "Nested",
        "calls",
    ],
)
async def test_what_is_no_method_of_the_class_cannot_be_called(name):
    """Fields of the instance, private names, constants, and what is not there at all, look the same."""
    async with an_object(Thing) as stub:
        with pytest.raises(TypeError) as caught:
            await getattr(stub, name)()
        assert str(caught.value) == f'The RPC receiver does not implement the method "{name}".'
        assert caught.value.remote


@pytest.mark.rows("RPC-02", "RPC-05")
@pytest.mark.parametrize("name", ["nothing", "field", "ctx", "env", "_private", "CONSTANT"])
async def test_what_is_no_property_of_the_class_cannot_be_read(name):
    """The same text."""
    async with an_object(Thing) as stub:
        with pytest.raises(TypeError, match=f'does not implement the method "{name}"'):
            await getattr(stub, name)


@pytest.mark.rows("RPC-02")
async def test_methods_of_the_base_class_itself_cannot_be_called():
    """Nothing of `DurableObject` or `object` is reachable."""
    async with an_object(Thing) as stub:
        await stub.plain()
        instance = live_of(stub).instance
        for name in ("__init__", "__class__", "__reduce__", "__dict__", "_Thing__hidden"):
            with pytest.raises(TypeError, match="does not implement"):
                reach.call(instance, name, (), {})


@pytest.mark.rows("RPC-03")
@pytest.mark.parametrize(
    "name",
    ["connect", "alarm", "websocket_message", "websocket_close", "websocket_error", "dup", "constructor"],
)
async def test_handlers_and_reserved_names_cannot_be_called(name):
    """Whether the class has them or not."""
    async with an_object(Thing) as stub:
        for use in (lambda: getattr(stub, name)(), lambda: getattr(stub, name)):
            with pytest.raises(
                TypeError, match=f"'{name}' is a reserved method and cannot be called over RPC."
            ):
                await use()


@pytest.mark.rows("RPC-03")
async def test_fetch_is_never_a_call():
    """On a stub it has the meaning of fetch."""
    async with an_object(Thing) as stub:
        assert isinstance(await stub.fetch("http://x/"), Response)


@pytest.mark.rows("RPC-04")
async def test_a_call_is_asynchronous_also_when_the_method_is_not():
    """Nothing of the object has run when the call returns its awaitable."""
    async with an_object(Thing) as stub:
        call = stub.plain()
        assert inspect.isawaitable(call)
        assert not call.done()
        assert live_of(stub).instance is None
        assert await call == "from a plain function"
        assert await call == "from a plain function"


@pytest.mark.rows("RPC-05")
async def test_awaiting_an_attribute_reads_a_property():
    """A property, an async one, a cached one."""
    async with an_object(Thing) as stub:
        assert await stub.size == 42
        assert await stub.later == "later"
        assert [await stub.kept, await stub.kept] == [1, 1]


@pytest.mark.rows("RPC-05")
async def test_nothing_is_sent_until_a_property_is_awaited():
    """Naming it does nothing."""
    async with an_object(Thing) as stub:
        stub.size  # noqa: B018
        await asyncio.sleep(0)
        assert not stub.id._space.lives


@pytest.mark.rows("RPC-05")
async def test_a_property_that_holds_a_function_can_be_called():
    """The getter's value is called with the arguments."""
    async with an_object(Thing) as stub:
        assert await stub.doubled(21) == 42


@pytest.mark.rows("RPC-05")
async def test_calling_a_property_that_is_no_function_is_an_error():
    """`"<name>" is not a function.`"""
    async with an_object(Thing) as stub:
        with pytest.raises(TypeError, match='"size" is not a function.'):
            await stub.size()


async def test_wrong_arguments_are_the_callers_type_error():
    """Python's own text, with the flag."""
    async with an_object(Thing) as stub:
        with pytest.raises(TypeError, match="missing 1 required positional argument") as caught:
            await stub.add()
        assert caught.value.remote


@pytest.mark.rows("RPC-15", "LIM-09")
async def test_arguments_and_results_are_limited_to_32_mib():
    """Counted in bytes; the object goes on."""

    class Big(DurableObject):
        async def take(self, data):
            return len(data)

        async def give(self, size):
            return b"x" * size

    async with an_object(Big) as stub:
        assert await stub.take(b"x" * (32 * MIB - 100)) == 32 * MIB - 100
        text = (
            "Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: "
        )
        with pytest.raises(PerdureError, match=text + r"\d+ bytes"):
            await stub.take(b"x" * (32 * MIB))
        with pytest.raises(PerdureError, match=text + r"\d+ bytes") as caught:
            await stub.give(32 * MIB)
        assert caught.value.remote
        assert len(await stub.give(100)) == 100


@pytest.mark.rows("RPC-24")
async def test_a_result_waits_for_the_callees_writes():
    """It leaves when they are durable."""

    class Writer(DurableObject):
        async def put(self):
            await self.ctx.storage.put("k", 1)
            return "stored"

    disk = HeldDisk()
    async with an_object(Writer, disk=disk) as stub:
        with disk.held():
            call = stub.put()
            await until(lambda: live_of(stub).instance and not live_of(stub).open_turn)
            await _ticks()
            assert not call.done()
            disk.release()
            assert await call == "stored"


@pytest.mark.rows("RPC-24", "GATE-06")
async def test_a_call_to_another_object_waits_for_the_callers_writes():
    """The other one sees it only when they are durable."""

    class Sender(DurableObject):
        async def run(self):
            await self.ctx.storage.put("k", 1)
            return await self.env.RECEIVER.get_by_name("r").hear()

    class Receiver(DurableObject):
        async def hear(self):
            return "heard"

    disk = HeldDisk()
    async with Runtime(objects=[Sender, Receiver], disk=disk) as rt:
        with disk.held():
            call = rt.env.SENDER.get_by_name("s").run()
            await until(lambda: rt.namespace(Sender)._space.lives)
            await _ticks()
            assert not rt.namespace(Receiver)._space.lives
            disk.release()
            assert await call == "heard"


class Ping(DurableObject):
    async def ping(self, depth):
        if depth == 0:
            return []
        below = await self.env.PONG.get_by_name("b").pong(depth - 1)
        return [f"ping {depth}", *below]

    async def in_section(self):
        async def call():
            return await self.env.PONG.get_by_name("b").back()

        return await self.ctx.block_concurrency_while(call)

    async def hello(self):
        return "hello"


class Pong(DurableObject):
    async def pong(self, depth):
        if depth == 0:
            return []
        below = await self.env.PING.get_by_name("a").ping(depth - 1)
        return [f"pong {depth}", *below]

    async def back(self):
        return await self.env.PING.get_by_name("a").hello()


@pytest.mark.rows("RPC-28", "GATE-05")
async def test_two_objects_may_call_each_other():
    """Awaiting a call does not hold the input gate."""
    async with Runtime(objects=[Ping, Pong]) as rt:
        assert await rt.env.PING.get_by_name("a").ping(4) == ["ping 4", "pong 3", "ping 2", "pong 1"]


@pytest.mark.rows("RPC-28")
async def test_an_object_may_call_itself():
    """Through a stub, as anybody."""

    class Self(DurableObject):
        async def count(self, n):
            return 0 if n == 0 else 1 + await self.ctx.exports.Self.get(self.ctx.id).count(n - 1)

    async with an_object(Self) as stub:
        assert await stub.count(5) == 5


@pytest.mark.rows("RPC-28", "GATE-15")
async def test_a_cycle_through_a_critical_section_ends_with_its_timeout():
    """The call back waits for the section, which waits for the call: 30 seconds, then a reset."""
    clock = ManualClock()
    async with Runtime(objects=[Ping, Pong], clock=clock) as rt:
        call = asyncio.ensure_future(attempt(rt.env.PING.get_by_name("a").in_section()))
        await until(lambda: any(live.events for live in rt.namespace(Pong)._space.lives.values()))
        await _ticks()
        clock.advance(29)
        await _ticks()
        assert not call.done()
        clock.advance(1)
        error = await call
        assert "waited for too long" in str(error)
        assert error.overloaded


@pytest.mark.rows("RPC-29")
async def test_a_call_in_progress_ends_with_the_abort_error():
    """Not with a cancellation."""

    class Doomed(DurableObject):
        async def wait(self):
            await asyncio.Event().wait()

        async def abort(self):
            self.ctx.abort("the reason")

    async with an_object(Doomed) as stub:
        calls = [stub.wait() for _ in range(3)]
        await asyncio.sleep(0)
        aborting = stub.abort()
        for call in (*calls, aborting):
            with pytest.raises(ObjectReset, match="the reason"):
                await call


@pytest.mark.rows("RPC-29")
async def test_a_call_passed_on_ends_with_the_same_error():
    """The caller in the middle gets it from its own callee, and goes on."""

    class Middle(DurableObject):
        async def pass_on(self):
            try:
                await self.env.DOOMED.get_by_name("d").abort()
            except ObjectReset as error:
                return f"caught {error}"

    class Doomed(DurableObject):
        async def abort(self):
            self.ctx.abort("the reason")

    async with Runtime(objects=[Middle, Doomed]) as rt:
        assert await rt.env.MIDDLE.get_by_name("m").pass_on() == "caught the reason"


async def _ticks(count=20):
    for _ in range(count):
        await asyncio.sleep(0)
