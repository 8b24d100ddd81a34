"""An operator's event: inside the object, without its code."""

from __future__ import annotations

import asyncio

import pytest
from support.inside import an_object, live_of, until

from perdure import DurableObject
from perdure._engine import lifecycle
from perdure._engine.events import DataEvent
from perdure.testing.clock import ManualClock


def look(live):
    return live.call(
        DataEvent, "look", lambda instance: (instance, live.store().open()), lambda result: result
    )


class Broken(DurableObject):
    def __init__(self, ctx, env):
        raise RuntimeError("cannot be made")

    async def hello(self):
        return "hello"


def test_no_instance_is_made_for_it():
    """So it reaches the data of an object that cannot be made."""

    async def run():
        async with an_object(Broken) as stub:
            live = live_of(stub)
            assert (await look(live))[0] is None
            assert live.state is lifecycle.STARTING
            with pytest.raises(RuntimeError, match="cannot be made"):
                await stub.hello()

    asyncio.run(run())


class Slow(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.gate = asyncio.Event()
        ctx.block_concurrency_while(self.gate.wait)


def test_it_waits_for_a_critical_section():
    """As every event does."""

    async def run():
        async with an_object(Slow) as stub:
            live = live_of(stub)
            call = asyncio.ensure_future(stub.nothing())
            await until(lambda: live.instance is not None)
            looking = look(live)
            for _ in range(10):
                await asyncio.sleep(0)
            assert not looking.done()
            live.instance.gate.set()
            assert (await looking)[0] is live.instance
            with pytest.raises(TypeError):
                await call

    asyncio.run(run())


def test_an_entry_without_an_instance_is_evicted_when_it_is_idle():
    """It would stay for ever."""

    async def run():
        clock = ManualClock()
        async with an_object(Broken, clock=clock) as stub:
            live = live_of(stub)
            await look(live)
            clock.advance(11)
            await until(lambda: live.state is lifecycle.EVICTED)

    asyncio.run(run())
