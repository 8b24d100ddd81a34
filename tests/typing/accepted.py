"""What type checkers must take, and what they must make of it. Read by test_typing; never run."""

from __future__ import annotations

import asyncio
import datetime
import enum
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, assert_type

import msgspec

import perdure
from perdure import (
    DurableObject,
    DurableObjectId,
    DurableObjectState,
    DurableObjectStorage,
    DurableObjectTransaction,
    ExecutionContext,
    Namespace,
    ObjectList,
    Request,
    Response,
    Row,
    Runtime,
    RuntimeThread,
    ScheduledObject,
    SqlCursor,
    SyncNamespace,
    SyncStub,
    WebSocket,
    WebSocketPair,
    WorkerEntrypoint,
    value,
)
from perdure.rpc import RpcTarget, pipeline, rpc
from perdure.testing import evict_durable_object
from perdure.web import Address


@value
@dataclass
class Seat:
    row: int
    taken_by: str | None = None


class Point(msgspec.Struct):
    x: int


class Colour(enum.Enum):
    RED = "red"


class AppEnv(Protocol):
    """How an application says what its env has."""

    COUNTER: Namespace[Counter]
    GREETING: str


class Counter(DurableObject):
    env: AppEnv

    def __init__(self, ctx: DurableObjectState, env: AppEnv) -> None:
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS hits (name TEXT PRIMARY KEY, n INTEGER NOT NULL)")

        @ctx.block_concurrency_while
        async def prepare() -> None:
            await ctx.storage.get("k")

    async def hit(self, name: str, by: int = 1) -> int:
        n: int = self.sql.exec("SELECT n FROM hits WHERE name = ?", name).one().n
        return n + by

    async def seats(self, *rows: int, free: bool = True) -> list[Seat]:
        return [Seat(row) for row in rows]

    @property
    async def size(self) -> int:
        return 5

    async def count(self, to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    async def fetch(self, request: Request) -> Response:
        assert_type(request.client, Address | None)
        assert_type(request.url, str)
        assert_type(await request.text(), str)
        other = self.env.COUNTER.get_by_name(self.env.GREETING)
        return Response.json({"n": await other.hit("x")}, status=201)


class Room(DurableObject["AppEnv"]):
    async def fetch(self, request: Request) -> Response:
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server, ["tag"])
        return Response(None, status=101, websocket=client)

    def websocket_message(self, ws: WebSocket, message: str | bytes) -> None:
        for other in self.ctx.get_websockets("tag"):
            assert_type(other, WebSocket)
            other.send(message)

    async def greeting(self) -> str:
        assert_type(self.env.COUNTER, Namespace[Counter])
        return self.env.GREETING

    async def listen(self, url: str) -> None:
        async for n in self.env.COUNTER.get_by_name("a").count(3):
            assert_type(n, int)
        async for message in await perdure.connect_websocket(url, protocols=["v1"]):
            assert_type(message, str | bytes)


class Member(RpcTarget):
    async def say(self, text: str) -> str:
        return text

    def dispose(self) -> None:
        pass


class Hall(DurableObject):
    @rpc
    def read(self, name: str = "x", *, by: int = 1) -> int:
        return by

    @rpc
    async def slow(self, n: int) -> str:
        return str(n)

    @property
    @rpc
    def size(self) -> int:
        return 5

    @rpc
    def enter(self, name: str) -> Member:
        return Member()

    async def inside(self) -> int:
        assert_type(await self.read("a"), int)
        return await self.size + await self.read(by=2)


async def plain_methods(stub: Hall, rt: Runtime) -> None:
    assert_type(await stub.read(), int)
    assert_type(await stub.read("a", by=2), int)
    assert_type(await stub.slow(1), str)
    assert_type(await stub.size, int)
    assert_type(rt.run(lambda: stub.read("a")), int)
    assert_type(asyncio.create_task(stub.read()), asyncio.Task[int])
    with await stub.enter("a") as member:
        assert_type(member, Member)
        assert_type(await member.say("x"), str)
    assert_type(await pipeline(stub.enter("a")).say("x"), str)


class Untyped(DurableObject):
    def __init__(self, ctx, env):  # type: ignore[no-untyped-def]
        super().__init__(ctx, env)

    async def hit(self) -> int:
        stub = self.env.COUNTER.get_by_name("x")  # env is Any where nobody says more
        result: int = await stub.hit("x")
        return result


class Jobs(ScheduledObject["AppEnv"]):
    async def greeting(self) -> str:
        return self.env.GREETING


class Auth(WorkerEntrypoint["AppEnv"]):
    async def hits(self, name: str) -> int:
        return await self.env.COUNTER.get_by_name(name).hit(name)


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        assert_type(self.ctx, ExecutionContext)
        self.ctx.wait_until(self.later())
        if request.method == "POST":
            return await perdure.fetch(request)
        return Response("ok", status=200, headers={"x": "y"})

    async def later(self) -> None:
        await perdure.confirmed()

    async def stream(self) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"x"

        return Response(body())


async def stubs(ns: Namespace[Counter], rt: Runtime) -> None:
    stub = ns.get_by_name("x")
    assert_type(stub, Counter)
    assert_type(await stub.hit("a"), int)
    assert_type(await stub.hit("a", by=2), int)
    assert_type(await stub.seats(1, 2, free=False), list[Seat])
    assert_type(await stub.size, int)
    assert_type(await stub.fetch(Request("http://x/")), Response)
    assert_type(rt.namespace(Counter), Namespace[Counter])
    assert_type(rt.namespace(Counter).get_by_name("x"), Counter)
    assert_type(rt.namespace("Counter"), Namespace[Any])
    id = ns.id_from_name("x")
    assert_type(id, DurableObjectId)
    assert_type(id.name, str | None)
    assert_type(ns.get(id), Counter)
    assert_type(ns.get(ns.id_from_string(str(id))), Counter)
    assert_type(ns.new_unique_id(), DurableObjectId)
    assert_type(ns.jurisdiction(None), Namespace[Counter])
    assert_type(id == ns.id_from_name("y"), bool)
    assert_type({id: 1}, dict[DurableObjectId, int])
    await evict_durable_object(stub)


async def keys_and_values(storage: DurableObjectStorage) -> None:
    assert_type(await storage.get("k"), Any)
    assert_type(await storage.get("k", 0), Any)
    assert_type(await storage.get("k", type=Seat), Seat | None)
    assert_type(await storage.get("k", Seat(1), type=Seat), Seat)
    assert_type(await storage.get("k", None, type=Seat), Seat | None)
    assert_type(await storage.get("k", type=Point), Point | None)
    assert_type(await storage.get("k", type=Colour), Colour | None)
    assert_type(await storage.get("k", type=datetime.date), datetime.date | None)
    assert_type(await storage.get(["a", "b"]), dict[str, Any])
    await storage.put("k", Seat(1))
    await storage.put("k", {"any": [1, None]}, allow_unconfirmed=True)
    await storage.put({"a": 1, "b": Seat(2)})
    assert_type(await storage.delete("k"), bool)
    assert_type(await storage.delete(["a", "b"]), int)
    assert_type(await storage.list(prefix="a", limit=10, reverse=True), dict[str, Any])
    await storage.delete_all()
    await storage.sync()
    storage.put("k", 1)  # needs no await


def synchronous(storage: DurableObjectStorage) -> None:
    kv = storage.kv
    kv["k"] = 1
    assert_type(kv["k"], Any)
    assert_type(kv.get("k"), Any)
    assert_type(kv.get("k", type=Seat), Seat | None)
    assert_type(kv.get("k", Seat(1), type=Seat), Seat)
    assert_type(kv.delete("k"), bool)
    assert_type(kv.list(), Iterator[tuple[str, Any]])
    assert_type("k" in kv, bool)
    assert_type(len(kv), int)
    assert_type(list(kv), list[str])
    del kv["k"]


def sql(storage: DurableObjectStorage) -> None:
    cursor = storage.sql.exec("SELECT ?, ?, ?, ?", 1, "a", b"x", None)
    assert_type(cursor, SqlCursor)
    for row in cursor:
        assert_type(row, Row)
        assert_type(row["a"], Any)
        assert_type(row.a, Any)
    assert_type(cursor.one(), Row)
    assert_type(cursor.to_list(), list[Row])
    for values in cursor.raw():
        assert_type(values, tuple[Any, ...])
    assert_type(cursor.rows_written, int)
    assert_type(storage.sql.database_size, int)


async def transactions(storage: DurableObjectStorage) -> None:
    async def with_txn(txn: DurableObjectTransaction) -> int:
        await txn.put("k", 1)
        txn.rollback()
        return 5

    async def without() -> str:
        return "x"

    def sync() -> bytes:
        return b"x"

    assert_type(await storage.transaction(with_txn), int)
    assert_type(await storage.transaction(without), str)
    async with storage.transaction() as txn:
        assert_type(txn, DurableObjectTransaction)
    assert_type(storage.transaction_sync(sync), bytes)
    with storage.transaction_sync():
        pass


async def state(ctx: DurableObjectState) -> None:
    async def section() -> int:
        return 5

    assert_type(await ctx.block_concurrency_while(section), int)
    assert_type(ctx.id, DurableObjectId)
    assert_type(ctx.storage, DurableObjectStorage)
    ctx.wait_until(section())
    other = ctx.exports.Counter.get_by_name("x")
    await other.hit("x")


def never_returns(ctx: DurableObjectState) -> int:
    ctx.abort("why")


async def embedded() -> None:
    async with Runtime(objects=[Counter, Untyped], worker=Default, data="data", env={"GREETING": "hi"}) as rt:
        assert_type(rt, Runtime)
        assert_type(await rt.handle(Request("http://x/")), Response)
        assert_type(await rt.namespace(Counter).get_by_name("x").hit("x"), int)
        rt.env.COUNTER.get_by_name("x")
    rt = Runtime(bindings={"A": Counter})
    await rt.start()
    await rt.stop(drain_s=1)


def from_threads(rt: Runtime, stub: Counter) -> None:
    async def work() -> bytes:
        return b"x"

    assert_type(rt.run(lambda: stub.hit("x", by=2)), int)
    assert_type(rt.run(lambda: stub.seats(1), timeout_s=5), list[Seat])
    assert_type(rt.run(lambda: stub.size), int)
    assert_type(rt.run(work), bytes)
    assert_type(rt.run(work(), timeout_s=None), bytes)
    assert_type(rt.run(lambda: rt.namespace(Counter).list()), ObjectList)
    objects = rt.sync(timeout_s=5)
    assert_type(objects.run(work), bytes)
    counters = objects.namespace(Counter)
    assert_type(counters, SyncNamespace[Counter])
    assert_type(counters.get_by_name("x"), SyncStub[Counter])
    assert_type(counters.list(prefix="x"), ObjectList)
    assert_type([info.id for info in counters], list[DurableObjectId])
    assert_type(counters.get(counters.id_from_name("x")).hit("x"), Any)
    assert_type(counters.get_by_name("x").fetch("http://x/"), Response)
    assert_type(objects.run(lambda: counters.get_by_name("x").awaitable.hit("x")), int)
    with Runtime(objects=[Counter]).in_thread() as running:
        assert_type(running, Runtime)
    thread = rt.in_thread()
    assert_type(thread, RuntimeThread)
    assert_type(thread.start(), Runtime)
    thread.stop(drain_s=1)
