"""An answer that a write holds back: its event is over, and in progress all the same."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from support.held_disk import HeldDisk
from support.inside import attempt, live_of, until
from support.loops import on_both_loops

from perdure import DurableObject, ObjectReset, Runtime, StorageFailed


class Counter(DurableObject):
    async def hit(self) -> int:
        kv = self.ctx.storage.kv
        kv["n"] = n = kv.get("n", 0) + 1
        return n

    async def abort(self) -> None:
        self.ctx.abort("enough")


@asynccontextmanager
async def a_counter():
    """Give a runtime, its disk, and a counter that was hit once."""
    disk = HeldDisk()
    async with Runtime([Counter], disk=disk) as rt:
        stub = rt.namespace(Counter).get_by_name("a")
        await stub.hit()
        yield rt, disk, stub


async def held_back(stub):
    """Return a call whose method has returned, and whose answer waits for the disk."""
    call = stub.hit()
    (event,) = live_of(stub).events
    await until(event.task.done)
    assert not call.done()
    return call


@on_both_loops
async def test_a_stop_waits_for_it():
    """What is confirmed at the end of a runtime is durable."""
    async with a_counter() as (rt, disk, stub):
        with disk.held():
            call = await held_back(stub)
            stopping = asyncio.ensure_future(rt.stop(drain_s=60.0))
            done, _ = await asyncio.wait([stopping], timeout=0.05)
            assert not done
            assert not call.done()
        assert await call == 2
        await asyncio.wait_for(stopping, 10)


@on_both_loops
async def test_a_reset_fails_it():
    """At once, and the object it belonged to is gone."""
    async with a_counter() as (rt, disk, stub):
        live = live_of(stub)
        with disk.held():
            call = await held_back(stub)
            assert type(await attempt(stub.abort())) is ObjectReset
            assert type(await attempt(call)) is ObjectReset
            assert not live.events
        assert await rt.namespace(Counter).get_by_name("a").hit() == 3


@on_both_loops
async def test_a_disk_that_fails_fails_it():
    """Nothing is answered whose write is lost."""
    async with a_counter() as (_, disk, stub):
        with disk.held():
            call = await held_back(stub)
            disk.broken = True
        assert type(await attempt(call)) is StorageFailed


@on_both_loops
async def test_its_caller_may_go_away():
    """The object is idle when the write is durable."""
    async with a_counter() as (_, disk, stub):
        live = live_of(stub)
        with disk.held():
            call = await held_back(stub)
            call.cancel()
            assert live.events
        await until(lambda: not live.events)
        assert await stub.hit() == 3
