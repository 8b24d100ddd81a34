"""An hour of a busy application leaves memory, file descriptors, tasks and tables as they were after its first minutes."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest

from perdure import DurableObject, Response, RpcTarget, WebSocketPair, WorkerEntrypoint, rpc
from perdure.testing import run_simulation

WARM_MINUTES = 12
MINUTES = 60
BYTES_A_MINUTE = 4096
NOT_THE_TEST = [  # nor what the simulated disk keeps, as a disk would
    tracemalloc.Filter(False, pattern)
    for pattern in (__file__, "*/perdure/testing/*", "*/linecache.py", tracemalloc.__file__)
]
CALL = [
    '["push",["pipeline",0,["greet"],["ann"]]]',
    '["push",["pipeline",0,["call_back"],[["export",-1]]]]',
    '["pull",1]',
]
KEPT: list[object] = []  # leaked, on purpose


@pytest.fixture(autouse=True)
def no_logs():
    """pytest keeps each record, with its error."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Greeting(RpcTarget):
    def __init__(self, name):
        self.name = name

    def text(self):
        return f"hello {self.name}"


class Room(DurableObject):
    async def add(self, count):
        for _ in range(count):
            self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS note (n INTEGER PRIMARY KEY, text)")
            self.ctx.storage.sql.exec("INSERT OR REPLACE INTO note VALUES (?, ?)", count, "x" * 100)
        self.ctx.storage.kv["n"] = self.ctx.storage.kv.get("n", 0) + count
        return self.ctx.storage.kv["n"]

    async def fetch(self, request):
        if request.path.startswith("/rpc"):
            return await rpc.serve(request, self)
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server, ["all"])
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, ws, message):
        for each in self.ctx.get_websockets("all"):
            each.send(message)

    def greet(self, name):
        return Greeting(name)

    async def call_back(self, listener):
        await listener("hear")
        return "heard"

    async def later(self):
        self.ctx.storage.set_alarm(timedelta(seconds=20))

    async def alarm(self):
        await self.add(1)

    async def background(self):
        self.ctx.wait_until(asyncio.sleep(1))

    async def fail(self):
        raise ValueError("told to")

    async def reset(self):
        self.ctx.abort("told to")

    async def stream(self):
        for number in range(5):
            yield number

    async def forget(self):
        await self.ctx.storage.delete_all()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.ROOM.get_by_name(request.path.rpartition("/")[2]).fetch(request)


async def a_minute(sim, number, leak=lambda: None):
    """Objects are made, called, reset, forgotten and evicted; clients come, are woken for, and leave or are lost."""
    rooms = [sim.env.ROOM.get_by_name(f"room-{room}") for room in range(6)]
    new = sim.env.ROOM.get_by_name(f"new in minute {number}")
    await asyncio.gather(*(room.add(2) for room in [*rooms, new]))
    for failing in (new.fail, rooms[0].reset):
        with pytest.raises(Exception, match="told to"):
            await failing()
    await rooms[1].background()
    await rooms[2].later()
    with await rooms[3].greet("bob") as greeting:
        assert await greeting.text() == "hello bob"
    assert [chunk async for chunk in await rooms[3].stream()] == list(range(5))
    await new.forget()

    assert (
        await sim.fetch("/rpc/room-4", body='["push",["pipeline",0,["add"],[1]]]\n["pull",1]')
    ).status == 200
    for leaves in (True, False):  # in order, or lost with a stub and a callback in its tables
        session = await sim.websocket("/rpc/room-4")
        for line in CALL:
            await session.send(line)
        heard = [json.loads(await session.receive()) for _ in range(2)]
        assert {message[0] for message in heard} & {"push", "resolve"}
        await (session.close() if leaves else drop(session))

    sockets = [await sim.websocket("/room-5") for _ in range(3)]
    await sockets[0].send("hello")
    assert [await ws.receive() for ws in sockets] == ["hello"] * 3
    await sim.advance(seconds=15)  # the object is evicted, the sockets stay
    await sockets[1].send("again")
    assert [await ws.receive() for ws in sockets] == ["again"] * 3
    await sockets[0].close()
    await drop(sockets[1])
    await sim.advance(seconds=15)
    await sockets[2].close()
    leak()
    await sim.advance(seconds=30)


async def drop(ws):
    ws.drop()


@dataclass
class Look:
    """What there is, once nothing is in progress."""

    kinds: Counter[str]
    figures: dict[str, int]

    @classmethod
    def at(cls, sim):
        sim._news.entries.clear()  # what the kit keeps for the test to look at
        sim._peers.clear()
        for _ in range(3):  # finalizers of stubs make garbage of their own
            gc.collect()
        host = sim.runtime._running()
        figures = {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "tasks": len(asyncio.all_tasks()),
            "background": len(host.background),
            "live objects": sum(len(space.lives) for space in host.spaces.values()),
            "known stores": len(host.storage._stores),
            "bytes": sum(
                trace.size for trace in tracemalloc.take_snapshot().filter_traces(NOT_THE_TEST).traces
            ),
        }
        return cls(Counter(map(kind, gc.get_objects())), figures)


def kind(thing):
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def growth(leak=lambda: None, warm_minutes=WARM_MINUTES, minutes=MINUTES):
    """Return what has grown between the first minutes and the last: by one or more, or 4 KiB, for each minute."""

    async def run(sim):
        tracemalloc.start()
        try:
            for number in range(warm_minutes):
                await a_minute(sim, number)
            Look.at(
                sim
            )  # the first look leaves something itself: Counter asks whether a map is a Mapping, and all of these remember
            before = Look.at(sim)
            for number in range(warm_minutes, minutes):
                await a_minute(sim, number, leak)
            return before, Look.at(sim)
        finally:
            tracemalloc.stop()

    before, after = run_simulation(run, Room, Default, seed=1)
    lasted = minutes - warm_minutes
    more = {name: count - before.kinds[name] for name, count in after.kinds.items()}
    more |= {name: figure - before.figures[name] for name, figure in after.figures.items()}
    return {
        name: by for name, by in more.items() if by >= lasted * (BYTES_A_MINUTE if name == "bytes" else 1)
    }


def test_an_hour_of_work_leaves_everything_as_it_was():
    """Not one Python object of any kind, task, descriptor or store more for each minute."""
    assert growth() == {}


@pytest.mark.parametrize(
    ("leak", "found"),
    [
        (lambda: KEPT.append(Greeting("ann")), f"{__name__}.Greeting"),
        (lambda: KEPT.append(asyncio.ensure_future(asyncio.sleep(10**6))), "tasks"),
        (lambda: KEPT.append(open(os.devnull)), "descriptors"),
        (lambda: KEPT.append(json.dumps("x" * BYTES_A_MINUTE)), "bytes"),
    ],
    ids=["an object", "a task", "a descriptor", "memory"],
)
def test_a_leak_is_found(leak, found):
    """One thing a minute: else the test above would say nothing."""
    try:
        assert found in growth(leak, warm_minutes=2, minutes=5)
    finally:
        for thing in KEPT:
            if hasattr(thing, "close"):
                thing.close()
        KEPT.clear()
