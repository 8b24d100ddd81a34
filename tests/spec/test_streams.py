"""Streams between objects and workers: whose code runs, what waits, what is let go."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest
from support.held_disk import HeldDisk
from support.inside import live_of, until

from perdure import DurableObject, Response, Runtime, WorkerEntrypoint

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


class Source(DurableObject):
    closed = False

    async def fetch(self, request) -> Response:
        return Response(getattr(self, request.path[1:])())

    async def writes_before_its_end(self):
        yield b"a"
        self.ctx.storage.kv.put("k", 1)

    async def fails_after_a_write(self):
        yield b"a"
        self.ctx.storage.kv.put("k", 1)
        raise ValueError("in the middle")

    async def endless(self):
        try:
            while True:
                yield b"x"
        finally:
            self.closed = True

    async def was_closed(self) -> bool:
        return self.closed

    async def inside_a_transaction(self):
        async with self.ctx.storage.transaction():
            yield b"a"
            await asyncio.sleep(0)
            yield b"b"

    async def sections(self) -> list[str]:
        request_id.set("mine")
        seen = []

        async def look() -> None:
            seen.append(request_id.get())

        await self.ctx.block_concurrency_while(look)
        await self.ctx.storage.transaction(look)
        return seen

    async def upload_to_worker(self) -> bytes:
        async def body():
            self.ctx.storage.kv.put("sent", 1)
            yield b"piece"

        response = await self.ctx.exports.Default.fetch("http://x/", method="POST", body=body())
        return await response.bytes()

    async def given_up_transaction(self) -> object:
        async def closure() -> None:
            self.ctx.storage.kv.put("k", 1)
            await asyncio.sleep(3600)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await self.ctx.storage.transaction(closure)
        return self.ctx.storage.kv.get("k")


class Default(WorkerEntrypoint):
    started: list[str] = []

    async def fetch(self, request) -> Response:
        return Response(await request.bytes())

    async def note(self) -> None:
        self.started.append("ran")


@pytest.mark.rows("GATE-06")
async def test_the_end_of_a_stream_waits_for_its_writes(tmp_path):
    """The reader does not see the end before what was written before it is durable."""
    disk = HeldDisk()
    async with Runtime([Source], data=tmp_path, disk=disk) as rt:
        stub = rt.namespace(Source).get_by_name("a")
        response = await stub.fetch("http://x/writes_before_its_end")
        pieces = aiter(response.body)
        assert await anext(pieces) == b"a"
        with disk.held():
            end = asyncio.ensure_future(anext(pieces, None))
            done, _ = await asyncio.wait([end], timeout=0.05)
            assert not done
        assert await end is None


@pytest.mark.rows("GATE-08", "ERR-22")
async def test_the_error_of_a_stream_waits_and_is_marked(tmp_path):
    """It arrives as a copy, marked as remote, when the writes before it are durable."""
    disk = HeldDisk()
    async with Runtime([Source], data=tmp_path, disk=disk) as rt:
        response = await rt.namespace(Source).get_by_name("a").fetch("http://x/fails_after_a_write")
        pieces = aiter(response.body)
        await anext(pieces)
        with disk.held():
            failing = asyncio.ensure_future(anext(pieces))
            done, _ = await asyncio.wait([failing], timeout=0.05)
            assert not done
        with pytest.raises(ValueError, match="in the middle") as caught:
            await failing
        assert caught.value.remote


async def test_a_response_that_nobody_reads_lets_its_object_go():
    """Dropped, it ends the generator behind it, whose `finally` runs."""
    async with Runtime([Source]) as rt:
        stub = rt.namespace(Source).get_by_name("a")
        response = await stub.fetch("http://x/endless")
        await anext(aiter(response.body))
        del response
        gc.collect()
        live = live_of(stub)
        await until(lambda: live.is_idle)
        assert await stub.was_closed()


async def test_a_generator_may_hold_a_transaction_over_a_yield():
    """All of it runs in one task, so that blocks around a `yield` work."""
    async with Runtime([Source]) as rt:
        response = await rt.namespace(Source).get_by_name("a").fetch("http://x/inside_a_transaction")
        assert await response.bytes() == b"ab"


async def test_a_body_sent_to_a_worker_is_made_by_its_object():
    """The object's generator runs as the object's code, under its gates (RPC-24)."""
    async with Runtime([Source], worker=Default) as rt:
        assert await rt.namespace(Source).get_by_name("a").upload_to_worker() == b"piece"


@pytest.mark.rows("EP-11")
async def test_an_unawaited_call_of_a_worker_runs():
    """It starts when it is made, as a call of an object does."""

    class Caller(DurableObject):
        async def go(self) -> None:
            self.ctx.exports.Default.note()

    Default.started.clear()
    async with Runtime([Caller], worker=Default) as rt:
        await rt.namespace(Caller).get_by_name("a").go()
        await until(lambda: Default.started == ["ran"])


async def test_sections_see_the_context_variables_of_their_caller():
    """A request id, for instance, goes along into callbacks."""
    async with Runtime([Source]) as rt:
        assert await rt.namespace(Source).get_by_name("a").sections() == ["mine", "mine"]


@pytest.mark.rows("TXN-02")
async def test_a_transaction_that_is_given_up_is_rolled_back():
    """A timeout around it ends the closure too."""
    async with Runtime([Source]) as rt:
        assert await rt.namespace(Source).get_by_name("a").given_up_transaction() is None


@pytest.mark.rows("STB-10", "GATE-02")
async def test_calls_keep_their_order_when_a_section_ends():
    """A call that arrives as the gate opens goes behind those that waited."""

    class Room(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.seen = []

        async def block(self) -> None:
            await self.ctx.block_concurrency_while(lambda: asyncio.sleep(0.005))

        async def note(self, number: int) -> None:
            self.seen.append(number)

        async def all(self) -> list[int]:
            return self.seen

    async with Runtime([Room], slow_ms=0) as rt:
        for turn in range(20):
            stub = rt.namespace(Room).get_by_name(str(turn))
            await stub.all()
            calls = [stub.block()]
            numbers = 0
            while not calls[0].done():
                calls.append(stub.note(numbers))
                numbers += 1
                await asyncio.sleep(0)
            for _ in range(3):
                calls.append(stub.note(numbers))
                numbers += 1
            await asyncio.gather(*calls)
            assert await stub.all() == list(range(numbers))


async def test_a_stop_that_is_given_up_keeps_the_folder_until_all_is_closed(tmp_path):
    """A second runtime never recovers under the first."""
    release = asyncio.Event()

    class Stuck(DurableObject):
        async def wait(self) -> None:
            await release.wait()

    rt = Runtime([Stuck], data=tmp_path)
    await rt.start()
    waiting = rt.namespace(Stuck).get_by_name("a").wait()
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await rt.stop(drain_s=60)
    assert waiting.done()
    async with Runtime([Stuck], data=tmp_path):
        pass
    waiting.exception()
