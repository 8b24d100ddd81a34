"""Two processes with a session between them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import rpc_process
from rpc_process import NAME, REGISTRY, Order, OutOfStock

from perdure._rpc.transport import connect_unix
from perdure.errors import Disconnected


class Other:
    """Another process, and the connection to it."""

    def __init__(self, folder):
        self._folder = str(folder)

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, rpc_process.__file__, self._folder,
            stdout=asyncio.subprocess.PIPE, cwd=Path(rpc_process.__file__).parent,
        )  # fmt: skip
        assert await asyncio.wait_for(self.process.stdout.readline(), 30) == b"ready\n"
        self.connection = await connect_unix(self._folder, NAME, registry=REGISTRY)
        self.shop = self.connection.session.main
        return self

    async def __aexit__(self, *exception):
        await self.connection.close()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def test_two_processes_call_each_other_and_nothing_is_left(tmp_path):
    async def orders():
        for number in range(50):
            yield Order(number, ("a", "b"))

    async def take(stream):
        return tuple([order.number async for order in stream])

    async with Other(tmp_path) as other:
        shop = other.shop
        assert await shop.shelf("pears").order(7) == Order(7, ("pears",))
        assert await shop.tell(lambda number: lambda value: (number, value), 20) == [
            (n, n) for n in range(20)
        ]
        assert await shop.total(orders()) == 1225
        assert await shop.send(take, 30) == tuple(range(30))
        with pytest.raises(OutOfStock) as caught:
            await shop.buy("pears")
        assert (caught.value.item, caught.value.left) == ("pears", 0)
        async with asyncio.timeout(10):
            # The call that asks is run when it comes, and an export there only when it has its outcome.
            while await shop.counts() != [(1, 1)] or other.connection.session.counts != (1, 1):
                await asyncio.sleep(0.001)


async def test_a_process_that_is_killed_fails_what_waits(tmp_path):
    async with Other(tmp_path) as other:

        async def wait():
            await other.shop.wait()

        waiting = asyncio.ensure_future(wait())
        assert await other.shop.shelf("a").order(1) == Order(1, ("a",))
        other.process.kill()
        with pytest.raises(Disconnected):
            await waiting
        assert other.connection.session.counts == (0, 0)
