"""Async generators over calls: RPC-13."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace

import pytest
from support.held_disk import HeldDisk
from support.inside import an_object, attempt, inside, live_of, until

from perdure import DataCloneError, DurableObject, ObjectReset
from perdure._base.handover import Handover

ENDED: list[str] = []


class Source(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.made = 0
        self.closed = False

    async def count(self, to):
        try:
            for n in range(to):
                self.made += 1
                yield {"n": n}
        finally:
            self.closed = True

    async def writes(self):
        self.ctx.storage.kv.put("k", 1)
        yield "written"

    async def fails(self):
        yield 1
        raise ValueError("in the middle")

    async def functions(self):
        for n in range(2):
            yield lambda n=n: n

    async def bad(self):
        yield object()

    async def waits(self):
        try:
            await asyncio.sleep(3600)
            yield 1
        finally:
            ENDED.append(self.ctx.id.name)

    async def reads_its_own(self):
        async for _ in self.waits():
            pass

    def sync(self):
        return (n for n in range(2))

    async def sum(self, numbers):
        return sum([n async for n in numbers])

    def through(self, items):
        return items

    def hidden(self):
        return {"deep": [self.count(2)]}

    def abort(self):
        self.ctx.abort("reset")


@pytest.mark.rows("RPC-13")
async def test_a_generator_arrives_as_a_stream():
    async with an_object(Source) as stub:
        assert [item async for item in await stub.count(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert [item async for item in (await stub.hidden())["deep"][0]] == [{"n": 0}, {"n": 1}]


@pytest.mark.rows("RPC-13")
async def test_nothing_is_made_before_it_is_asked_for():
    """Flow control: the reader's pace is the maker's."""
    async with an_object(Source) as stub:
        stream = await stub.count(1000)
        await asyncio.sleep(0.01)
        assert live_of(stub).instance.made == 0
        assert await anext(stream) == {"n": 0}
        await asyncio.sleep(0.01)
        assert live_of(stub).instance.made == 1


@pytest.mark.rows("RPC-13")
@pytest.mark.parametrize("how", ["aclose", "dispose", "drop", "with"])
async def test_a_reader_that_goes_ends_the_maker(how):
    """Its `finally` blocks run, and the object may go idle."""
    async with an_object(Source) as stub:
        stream = await stub.count(1000)
        await anext(stream)
        match how:
            case "aclose":
                await stream.aclose()
            case "dispose":
                stream.dispose()
            case "with":
                async with stream:
                    pass
        del stream
        live = live_of(stub)
        await until(lambda: live.instance.closed)
        await until(lambda: live.is_idle)


@pytest.mark.rows("RPC-13")
async def test_an_item_waits_for_the_writes_before_it():
    disk = HeldDisk()
    async with an_object(Source, disk=disk) as stub:
        stream = await stub.writes()
        with disk.held():
            item = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.02)
            assert not item.done()
        assert await item == "written"


@pytest.mark.rows("RPC-13")
async def test_an_error_of_the_maker_is_the_readers():
    async with an_object(Source) as stub:
        stream = await stub.fails()
        assert await anext(stream) == 1
        error = await attempt(anext(stream))
        assert (type(error), str(error), error.remote) == (ValueError, "in the middle", True)
        bad = await stub.bad()
        assert isinstance(await attempt(anext(bad)), DataCloneError)


@pytest.mark.rows("RPC-13")
async def test_items_cross_as_results_do():
    async with an_object(Source) as stub:
        assert [await function() async for function in await stub.functions()] == [0, 1]


@pytest.mark.rows("RPC-13")
async def test_a_generator_is_an_argument_too():
    async def numbers():
        yield 1
        yield 2

    async with an_object(Source) as stub:
        assert await stub.sum(numbers()) == 3
        assert [n async for n in await stub.through(numbers())] == [1, 2]


@pytest.mark.rows("RPC-13")
async def test_a_reset_breaks_a_stream():
    async with an_object(Source) as stub:
        stream = await stub.count(1000)
        await anext(stream)
        await attempt(stub.abort())
        assert isinstance(await attempt(anext(stream)), ObjectReset)


async def test_a_reader_is_told_of_a_maker_that_ends_before_it_has_begun():
    """A reset ends its task without one step of its code, which would have told; the reader waited for ever."""

    async def numbers():
        yield 1

    handover = Handover(numbers(), None, asyncio.get_running_loop())
    reading = handover.next()
    waits_for = reading.send(None)  # it waits before the maker's task has its first step
    handover._task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert waits_for.done()
    with pytest.raises(ConnectionError, match="its maker is gone"):
        reading.send(None)


async def test_a_piece_of_an_object_that_is_reset_before_the_reader_takes_it_does_not_leave():
    """Its write may be lost, and then the output gate waits for it no more (GATE-08)."""

    async def numbers():
        yield 1

    maker = SimpleNamespace(broken=None, used_store=None)
    handover = Handover(numbers(), maker, asyncio.get_running_loop())
    reading = handover.next()
    waits_for = reading.send(None)
    while not waits_for.done():
        await asyncio.sleep(0)
    maker.broken = ObjectReset("a write was lost")
    with pytest.raises(ObjectReset, match="a write was lost"):
        reading.send(None)


@pytest.mark.parametrize("of_a_stream", [True, False])
async def test_a_reset_ends_a_generator_in_the_middle_of_its_code(of_a_stream):
    """
    There and then, as all code of the object.

    It was left to the garbage collector, whose hook had it closed by a task of whatever object ran then, and in vain.
    """
    ENDED.clear()
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with an_object(Source) as stub:
        stream = await stub.waits() if of_a_stream else None
        reading = asyncio.ensure_future(anext(stream) if of_a_stream else stub.reads_its_own())
        await asyncio.sleep(0.01)
        await attempt(stub.abort())
        assert isinstance(await attempt(reading), ObjectReset)
        del stream, reading
        gc.collect()
        await asyncio.sleep(0.01)
        assert len(ENDED) == 1
    assert problems == []


@pytest.mark.rows("RPC-08")
async def test_a_plain_generator_does_not_cross():
    async with an_object(Source) as stub:
        with pytest.raises(DataCloneError, match="generator"):
            await stub.sync()


async def test_a_stream_keeps_its_object():
    async with an_object(Source) as stub:
        stream = await stub.count(2)
        assert not live_of(stub).is_idle
        assert await inside(stub, lambda source: source.made) == 0
        await stream.aclose()


async def test_a_stream_has_one_reader_at_a_time():
    """A second one is told so, and the first gets what it waits for."""
    async with an_object(Source) as stub:
        stream = await stub.count(3)
        first, second = await asyncio.gather(anext(stream), anext(stream), return_exceptions=True)
        assert (first, type(second)) == ({"n": 0}, RuntimeError)
        assert [item async for item in stream] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("when", ["before it is made", "before its writes are durable"])
async def test_a_reader_that_is_cancelled_misses_nothing(when):
    disk = HeldDisk()
    async with an_object(Source, disk=disk) as stub:
        stream = await stub.writes()
        with disk.held():
            reader = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            if when == "before its writes are durable":
                await until(
                    lambda: live_of(stub).used_store is not None and not live_of(stub).used_store.gate.is_open
                )
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
        assert [item async for item in stream] == ["written"]


async def test_a_stream_that_was_passed_on_is_the_receivers():
    """It can be read there only, and what becomes of the sender's does not matter."""
    async with an_object(Source) as stub:
        mine = await stub.count(3)
        theirs = await stub.through(mine)
        with pytest.raises(TypeError, match="passed on"):
            await anext(mine)
        await mine.aclose()
        del mine
        assert [item async for item in theirs] == [{"n": 0}, {"n": 1}, {"n": 2}]
        live = live_of(stub)
        await until(lambda: live.is_idle)
