"""`perdure.confirmed`: wait for the object's writes before anything that Perdure does not hold back itself."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from support.held_disk import HeldDisk
from support.inside import an_object, attempt, begin, inside
from support.loops import on_both_loops

import perdure
from perdure import StorageReset

pytestmark = pytest.mark.rows("GATE-06")


async def ticks(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_outside_of_objects_there_is_nothing_to_wait_for():
    """It returns at once."""
    await asyncio.wait_for(perdure.confirmed(), 1)


async def test_without_writes_there_is_nothing_to_wait_for():
    """Whether the storage was read or never used."""
    async with an_object() as stub:
        await inside(stub, lambda plain: perdure.confirmed())
        await inside(stub, lambda plain: plain.ctx.storage.get("k"))
        await inside(stub, lambda plain: perdure.confirmed())


@on_both_loops
async def test_it_returns_when_the_writes_before_it_are_durable():
    """In the object, and in its tasks."""
    disk, log = HeldDisk(), []

    async def work(plain):
        await plain.ctx.storage.put("k", 1)
        task = asyncio.create_task(perdure.confirmed())
        log.append("written")
        await perdure.confirmed()
        log.append("confirmed")
        await task
        log.append("confirmed in the task")

    async with an_object(disk=disk) as stub:
        await inside(stub, lambda plain: plain.ctx.storage.put("before", 1))
        with disk.held():
            working = begin(stub, work)
            await ticks()
            assert log == ["written"]
            disk.release()
            await working
        assert log == ["written", "confirmed", "confirmed in the task"]


async def test_it_does_not_wait_for_unconfirmed_writes():
    """Nobody asked that they be held back."""
    disk, log = HeldDisk(), []

    async def work(plain):
        await plain.ctx.storage.put("k", 1, allow_unconfirmed=True)
        await perdure.confirmed()
        log.append("went on")

    async with an_object(disk=disk) as stub:
        await inside(stub, lambda plain: plain.ctx.storage.put("before", 1))
        with disk.held():
            working = begin(stub, work)
            await ticks()
            assert log == ["went on"]
            disk.release()
        await working


async def test_nothing_after_it_happens_when_the_writes_are_lost():
    """The object is reset instead."""
    log = []

    async def work(plain):
        sql = plain.ctx.storage.sql
        sql.exec("CREATE TABLE p (id PRIMARY KEY)")
        sql.exec("CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        sql.exec("INSERT INTO c VALUES (1)")
        await perdure.confirmed()
        log.append("mail sent")

    async with an_object() as stub:
        assert isinstance(await attempt(begin(stub, work)), StorageReset)
        await ticks()
        assert log == []


async def test_it_takes_any_arguments():
    """So it can be a hook as it is."""
    await perdure.confirmed(1, two=3)


@on_both_loops
async def test_it_is_a_hook_of_httpx():
    """The request leaves when the writes are durable."""
    disk = HeldDisk()
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, text="ok")

    async def work(plain):
        await plain.ctx.storage.put("k", 1)
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(answer), event_hooks={"request": [perdure.confirmed]}
        ) as client:
            return (await client.get("http://x/")).text

    async with an_object(disk=disk) as stub:
        await inside(stub, lambda plain: plain.ctx.storage.put("before", 1))
        with disk.held():
            working = begin(stub, work)
            await ticks()
            assert not sent
            disk.release()
            assert await working == "ok"
