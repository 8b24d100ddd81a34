"""What type checkers must refuse: every line that says so, and no other. Read by test_typing; never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from perdure import (
    DurableObject,
    DurableObjectState,
    DurableObjectStorage,
    Namespace,
    Request,
    Response,
    Runtime,
)
from perdure.rpc import RpcTarget, pipeline, rpc


@dataclass
class Seat:
    row: int


class Counter(DurableObject):
    async def hit(self, name: str, by: int = 1) -> int:
        return by


class AppEnv(Protocol):
    COUNTER: Namespace[Counter]
    GREETING: str


class Room(DurableObject["AppEnv"]):
    async def read(self) -> int:
        self.env.NOTHING  # refused: no such binding
        await self.env.COUNTER.get_by_name("x").hit(1)  # refused: an argument of another type
        return self.env.GREETING  # refused: a variable of another type


async def stubs(ns: Namespace[Counter], rt: Runtime) -> None:
    stub = ns.get_by_name("x")
    await stub.hit(1)  # refused: an argument of another type
    await stub.hit()  # refused: an argument is missing
    await stub.hit("a", by="b")  # refused: a keyword argument of another type
    await stub.hit("a", wrong=1)  # refused: no such keyword
    await stub.nothing()  # refused: no such method
    text: str = await stub.hit("a")  # refused: the result is of another type
    number: int = stub.hit("a")  # refused: the result must be awaited
    ns.get_by_name(1)  # refused: a name is text
    ns.get_by_name()  # refused: a name is needed
    ns.get_by_name("x", "weur")  # refused: options are keywords
    ns.get("x")  # refused: an id is no text
    ns.id_from_string(5)  # refused: an id's text is text
    rt.namespace(5)  # refused: a class or a name
    other: Namespace[Counter] = rt.namespace(Seat)  # refused: the namespace of another class
    print(text, number, other)


class Member(RpcTarget):
    async def say(self, text: str) -> str:
        return text


class Hall(DurableObject):
    @rpc
    def read(self, name: str = "x") -> int:
        return 1

    @rpc
    def enter(self) -> Member:
        return Member()

    async def inside(self) -> int:
        return self.read()  # refused: the result must be awaited


async def plain_methods(stub: Hall) -> None:
    await stub.read(1)  # refused: an argument of another type
    await stub.read(wrong=1)  # refused: no such keyword
    number: int = stub.read()  # refused: the result must be awaited
    text: str = await stub.read()  # refused: the result is of another type
    stub.enter().say("x")  # refused: a call that was not awaited has no methods
    await pipeline(stub.enter()).say(1)  # refused: an argument of another type
    await pipeline(stub.enter()).nothing()  # refused: no such method
    print(number, text)


async def keys_and_values(storage: DurableObjectStorage) -> None:
    await storage.get(1)  # refused: a key is text
    await storage.get()  # refused: a key is needed
    (await storage.get("k", type=Seat)).row  # refused: there may be none
    text: str = await storage.get("k", type=Seat)  # refused: converted to another type
    await storage.get("k", wrong=True)  # refused: no such option
    await storage.put("k")  # refused: a value is needed
    await storage.put(1, 2)  # refused: a key is text
    flag: bool = await storage.delete(["a", "b"])  # refused: a count
    await storage.list("prefix")  # refused: options are keywords
    await storage.list(limit="x")  # refused: a limit is a number
    storage.kv.get(1)  # refused: a key is text
    storage.kv[1] = 2  # refused: a key is text
    print(text, flag)


async def code(storage: DurableObjectStorage, ctx: DurableObjectState) -> None:
    def plain() -> int:
        return 5

    async def slow() -> int:
        return 5

    await storage.transaction(5)  # refused: no function
    storage.transaction_sync(5)  # refused: no function
    text: str = storage.transaction_sync(plain)  # refused: the result is of another type
    number: str = await storage.transaction(slow)  # refused: the result is of another type
    await ctx.block_concurrency_while(5)  # refused: no function
    await ctx.block_concurrency_while(slow())  # refused: the function, not what it returned
    ctx.id = None  # refused: an id
    print(text, number)


async def outside() -> None:
    Request()  # refused: a URL is needed
    Response(5)  # refused: a body is text, bytes or a stream
    Response("x", 200)  # refused: options are keywords
    Runtime(Counter)  # refused: several classes
    Runtime(objects=[Counter("ctx")])  # refused: classes, not instances
    Runtime(objects=[Counter], workers=4)  # refused: no such option


def from_threads(rt: Runtime, stub: Counter) -> None:
    rt.run(lambda: stub.hit(5))  # refused: an argument of another type
    text: str = rt.run(lambda: stub.hit("x"))  # refused: the result is of another type
    rt.run(5)  # refused: no work
    rt.run(lambda: stub.hit("x"), 5)  # refused: options are keywords
    rt.sync(5)  # refused: options are keywords
    rt.sync().namespace(Counter).get_by_name(5)  # refused: a name is text
    rt.in_thread().hit("x")  # refused: the runtime is what start() returns
    print(text)
