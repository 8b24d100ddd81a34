"""A process that is called by another: `python rpc_process.py FOLDER`; and the classes that both know."""

from __future__ import annotations

import asyncio
import dataclasses
import sys

from perdure import RpcTarget
from perdure._base.registry import Registry
from perdure._rpc.transport import Listener, listen_unix
from perdure.rpc_server import capability_of

NAME = "rpc.sock"
REGISTRY = Registry(["rpc_process"])


@dataclasses.dataclass(frozen=True)
class Order:
    number: int
    items: tuple[str, ...]


class OutOfStock(Exception):
    """Of the application's own."""

    def __init__(self, item: str, left: int) -> None:
        super().__init__(item, left)
        self.item = item
        self.left = left


class Shelf(RpcTarget):
    def __init__(self, name: str) -> None:
        self._name = name

    def order(self, number: int) -> Order:
        return Order(number, (self._name,))


class Shop(RpcTarget):
    listener: Listener

    def shelf(self, name: str) -> Shelf:
        return Shelf(name)

    def buy(self, item: str) -> None:
        raise OutOfStock(item, left=0)

    async def tell(self, listener, count: int):
        """Call back, and let what comes back be called."""
        return [await (await listener(number))(number) for number in range(count)]

    async def total(self, orders):
        return sum([order.number async for order in orders])

    async def send(self, listener, to: int):
        async def orders():
            for number in range(to):
                yield Order(number, ())

        return await listener(orders())

    def counts(self):
        return [connection.session.counts for connection in self.listener.connections]

    async def wait(self):
        await asyncio.Event().wait()


async def main(folder: str) -> None:
    shop = Shop()
    shop.listener = await listen_unix(folder, NAME, lambda: capability_of(shop), REGISTRY)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import rpc_process  # its classes have names there

    asyncio.run(rpc_process.main(sys.argv[1]))
