"""What leaves an object waits for its writes: GATE-06 … GATE-11. The turn's writes are one: GATE-18."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from support.held_disk import HeldDisk
from support.inside import Plain, an_object, attempt, begin, inside, live_of, until
from support.loops import on_both_loops

import perdure
from perdure import DurableObject, ObjectReset, Response, Runtime, StorageFailed, StorageReset


class Writer(DurableObject):
    async def put(self, value, **options):
        await self.ctx.storage.put("k", value, **options)
        return value

    async def get(self):
        return await self.ctx.storage.get("k")

    async def put_in_transaction(self, txn):
        await txn.put("t", 1)

    async def fail(self):
        await self.ctx.storage.put("k", "failed")
        raise ValueError("after the write")

    async def fetch(self, request):
        await self.ctx.storage.put("k", "fetched")
        if request.url.endswith("/fail"):
            raise ValueError("after the write")
        if request.url.endswith("/stream"):
            return Response(self.stream())
        return Response("fetched")

    async def stream(self):
        yield b"first "
        await self.ctx.storage.put("k", "streamed")
        yield b"second"

    async def tell(self, name):
        await self.ctx.storage.put("k", "told")
        return await self.env.LISTENER.get_by_name(name).hear()

    async def tell_by_fetch(self, name):
        async def body():
            yield b"a"
            await self.ctx.storage.put("k", "in the body")
            yield b"b"

        listener = self.env.LISTENER.get_by_name(name)
        return await (await listener.fetch("http://x/", method="POST", body=body())).text()

    async def violate(self, name):
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE p (id PRIMARY KEY)")
        sql.exec("CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        sql.exec("INSERT INTO c VALUES (1)")
        return await self.env.LISTENER.get_by_name(name).hear()


class Listener(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.heard = []

    async def hear(self):
        self.heard.append("a call")
        return "heard"

    async def fetch(self, request):
        async for chunk in request.body:
            self.heard.append(chunk)
        return Response(b"+".join(self.heard))

    async def all(self):
        return self.heard


async def ticks(count=30):
    for _ in range(count):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def held(*classes):
    """A runtime on a disk that holds, once its first objects are there."""
    disk = HeldDisk()
    async with Runtime(objects=classes or [Writer], disk=disk) as rt:
        stub = rt.env.WRITER.get_by_name("w")
        await stub.put("before")
        with disk.held():
            yield rt, stub, disk


# --- what waits -------------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-06")
@on_both_loops
@pytest.mark.parametrize(
    "use",
    [
        lambda stub: stub.put(1),
        lambda stub: stub.fetch("http://x/"),
        lambda stub: inside(stub, lambda writer: writer.ctx.storage.sql.exec("CREATE TABLE t (x)")),
        lambda stub: inside(stub, lambda writer: writer.ctx.storage.kv.put("a", 1)),
        lambda stub: inside(stub, lambda writer: writer.ctx.storage.delete("k")),
        lambda stub: inside(stub, lambda writer: writer.ctx.storage.delete_all()),
        lambda stub: inside(stub, lambda writer: writer.ctx.storage.transaction(writer.put_in_transaction)),
    ],
    ids=["call", "fetch", "sql", "kv", "delete", "delete_all", "transaction"],
)
async def test_a_result_leaves_when_the_writes_before_it_are_durable(use):
    """Whatever wrote."""
    async with held() as (_, stub, disk):
        call = asyncio.ensure_future(use(stub))
        await ticks()
        assert not call.done()
        disk.release()
        await call


@pytest.mark.rows("GATE-08")
@on_both_loops
@pytest.mark.parametrize(
    "use", [lambda stub: stub.fail(), lambda stub: stub.fetch("http://x/fail")], ids=["call", "fetch"]
)
async def test_an_error_waits_like_a_result(use):
    """It tells of the writes before it, too."""
    async with held() as (_, stub, disk):
        call = asyncio.ensure_future(attempt(use(stub)))
        await ticks()
        assert not call.done()
        disk.release()
        assert str(await call) == "after the write"
        assert await stub.get() in ("failed", "fetched")


@pytest.mark.rows("GATE-08")
async def test_who_cancels_the_handlers_own_task_cannot_let_an_error_out():
    """The wait for the disk is not the handler's."""

    async def work(writer):
        await writer.ctx.storage.put("k", 1)
        asyncio.current_task().cancel()
        raise ValueError("early?")

    async with held() as (_, stub, disk):
        call = asyncio.ensure_future(attempt(begin(stub, work)))
        await ticks()
        assert not call.done()
        disk.release()
        assert "early?" in str(await call)


@pytest.mark.rows("GATE-06", "RPC-24")
@on_both_loops
async def test_a_call_to_another_object_waits():
    """The other one hears nothing before."""
    async with held(Writer, Listener) as (rt, stub, disk):
        call = stub.tell("l")
        await ticks()
        assert not rt.namespace(Listener)._space.lives
        disk.release()
        assert await call == "heard"


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_a_streamed_request_body_waits_piece_by_piece():
    """What was written between two pieces holds back the second."""
    async with held(Writer, Listener) as (rt, stub, disk):
        call = asyncio.ensure_future(stub.tell_by_fetch("l"))
        lives = rt.namespace(Listener)._space.lives
        await until(lambda: any(live.instance and live.instance.heard for live in lives.values()))
        await ticks()
        (listener,) = lives.values()
        assert listener.instance.heard == [b"a"]
        assert not call.done()
        disk.release()
        assert await call == "a+b"


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_a_streamed_response_waits_piece_by_piece():
    """The head waits for the writes before it, a piece for those before it."""
    async with held() as (_, stub, disk):
        call = asyncio.ensure_future(stub.fetch("http://x/stream"))
        await ticks()
        assert not call.done()
        disk.let_one()
        chunks = aiter((await call).body)
        assert await anext(chunks) == b"first "
        second = asyncio.ensure_future(anext(chunks))
        await ticks()
        assert not second.done()
        disk.release()
        assert await second == b"second"


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_a_request_to_the_outside_waits():
    """Not even a connection is made before."""
    connected = asyncio.Event()

    async def answer(reader, writer):
        connected.set()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(writer):
        await writer.ctx.storage.put("k", 1)
        response = await perdure.fetch(f"http://127.0.0.1:{port}/")
        return await response.text()

    async with held() as (_, stub, disk):
        call = begin(stub, ask)
        await ticks()
        assert not connected.is_set()
        disk.release()
        assert await call == "ok"
    server.close()


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_code_goes_on_while_its_output_waits():
    """The object runs, and takes events."""
    async with held() as (_, stub, disk):
        first = stub.put("first")
        second = stub.put("second")
        await until(lambda: not live_of(stub).open_turn and live_of(stub).events)
        await ticks()
        assert live_of(stub).instance.ctx is not None
        seen = []
        reading = begin(stub, lambda writer: seen.append(writer.ctx.storage.kv["k"]))
        await until(lambda: seen)
        assert seen == ["second"]
        assert not any(call.done() for call in (first, second, reading))
        disk.release()
        assert await asyncio.gather(first, second) == ["first", "second"]
        await reading


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_what_wrote_nothing_still_waits_for_what_was_written_before():
    """It may tell of it."""
    async with held() as (_, stub, disk):
        writing = stub.put("new")
        reading = stub.get()
        await ticks()
        assert not reading.done()
        disk.release()
        assert await reading == "new"
        await writing


@pytest.mark.rows("GATE-06", "LIFE-15")
@on_both_loops
async def test_the_next_instances_output_waits_for_the_one_befores_writes():
    """The gate is the store's, not the instance's."""
    async with held() as (rt, stub, disk):

        async def write_and_abort(writer):
            writer.ctx.storage.kv["k"] = "committed before the abort"
            await asyncio.sleep(0)
            writer.ctx.abort("now")

        aborted = await attempt(begin(stub, write_and_abort))
        assert isinstance(aborted, ObjectReset)
        reading = rt.env.WRITER.get_by_name("w").get()
        await ticks()
        assert not reading.done()
        disk.release()
        assert await reading == "committed before the abort"


# --- what does not wait ------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-07")
@on_both_loops
async def test_an_output_waits_only_for_the_writes_before_it():
    """A later write never delays it."""
    async with held() as (_, stub, disk):
        first = stub.put("first")
        reading = stub.get()
        await ticks()
        later = stub.put("later")
        await ticks()
        disk.let_one()
        assert await first == "first"
        assert await reading == "first"
        assert not later.done()
        disk.release()
        assert await later == "later"


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_reading_waits_for_nothing():
    """No write, no wait."""
    async with held() as (_, stub, _disk):
        assert await stub.get() == "before"


@pytest.mark.rows("GATE-06")
@on_both_loops
async def test_one_objects_writes_do_not_hold_back_another_one():
    """Each has a gate of its own."""
    async with held() as (rt, stub, disk):
        writing = stub.put(1)
        await ticks()
        assert await rt.env.WRITER.get_by_name("other").get() is None
        disk.release()
        await writing


@pytest.mark.rows("GATE-10")
@on_both_loops
async def test_an_unconfirmed_write_holds_back_nothing():
    """It is seen at once, and becomes durable all the same."""
    async with held() as (_, stub, disk):
        assert await stub.put("quick", allow_unconfirmed=True) == "quick"
        assert await stub.get() == "quick"
        syncing = begin(stub, lambda writer: writer.ctx.storage.sync())
        await ticks()
        assert not syncing.done()
        disk.release()
        await syncing


@pytest.mark.rows("GATE-10")
@on_both_loops
@pytest.mark.parametrize("confirmed_first", [True, False])
async def test_one_confirmed_write_closes_the_gate_for_its_whole_turn(confirmed_first):
    """In whichever order."""

    async def work(writer):
        await writer.ctx.storage.put("a", 1, allow_unconfirmed=not confirmed_first)
        await writer.ctx.storage.put("b", 1, allow_unconfirmed=confirmed_first)

    async with held() as (_, stub, disk):
        call = begin(stub, work)
        await ticks()
        assert not call.done()
        disk.release()
        await call


@pytest.mark.rows("GATE-11")
@on_both_loops
async def test_storage_operations_never_hold_the_input_gate():
    """They are done when they return: there is nothing that could take 30 seconds."""
    async with held() as (_, stub, disk):
        awaitables = []

        def use(writer):
            storage = writer.ctx.storage
            awaitables.extend([storage.put("a", 1), storage.get("a"), storage.list(), storage.delete("a")])

        begin(stub, use)
        await until(lambda: len(awaitables) == 4)
        for awaitable in awaitables:
            with pytest.raises(StopIteration):
                awaitable.send(None)
        assert live_of(stub).gate.active is None
        disk.release()


# --- failure ----------------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-09", "LIFE-15")
@on_both_loops
async def test_nobody_sees_an_effect_of_writes_that_were_lost():
    """The call that waited is never sent, every caller gets the error, and the object begins anew."""
    async with Runtime(objects=[Writer, Listener]) as rt:
        stub = rt.env.WRITER.get_by_name("w")
        await stub.put("before")
        calls = [stub.violate("l"), stub.get()]
        for error in await asyncio.gather(*map(attempt, calls)):
            assert isinstance(error, StorageReset)
            assert "constraints were violated" in str(error)
        assert await rt.env.LISTENER.get_by_name("l").all() == []
        again = rt.env.WRITER.get_by_name("w")
        assert await again.get() == "before"


@pytest.mark.rows("GATE-09", "GATE-10")
@on_both_loops
async def test_nothing_leaves_any_more_once_the_disk_has_failed():
    """Waiting outputs and later calls get the error; so does whoever wrote unconfirmed."""
    disk = HeldDisk()
    told = []
    async with Runtime(objects=[Writer, Listener], disk=disk, on_failure=told.append) as rt:
        stub = rt.env.WRITER.get_by_name("w")
        with disk.held():
            assert await stub.put("quick", allow_unconfirmed=True) == "quick"
            calls = [asyncio.ensure_future(attempt(call)) for call in (stub.put("x"), stub.tell("l"))]
            await ticks()
            disk.broken = True
        for error in await asyncio.gather(*calls):
            assert isinstance(error, StorageFailed)
        assert isinstance(await attempt(stub.get()), StorageFailed)
        assert isinstance(await attempt(rt.env.WRITER.get_by_name("new").get()), StorageFailed)
        assert not rt.namespace(Listener)._space.lives
        assert len(told) == 1


# --- turns ------------------------------------------------------------------------------------------------


async def nothing_to_wait_for():
    return None


async def numbers():
    yield 1
    yield 2


@contextlib.asynccontextmanager
async def block():
    yield


async def each_number():
    return [number async for number in numbers()]


async def in_block():
    async with block():
        pass


async def done_task():
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return await future


SPLITS = {
    "sleep(0)": lambda ctx: asyncio.sleep(0),
    "a timer": lambda ctx: asyncio.sleep(0.001),
    "a thread": lambda ctx: asyncio.to_thread(int),
    "gather": lambda ctx: asyncio.gather(ctx.storage.get("a"), ctx.storage.get("b")),
    "a task": lambda ctx: asyncio.create_task(nothing_to_wait_for()),
    "sync": lambda ctx: ctx.storage.sync(),
    "a section": lambda ctx: ctx.block_concurrency_while(nothing_to_wait_for),
    "a transaction": lambda ctx: ctx.storage.transaction(lambda txn: txn.put("in the transaction", 1)),
    "a call": lambda ctx: attempt(ctx.exports.Plain.get_by_name("other").nothing()),
}
KEEPS = {
    "get": lambda ctx: ctx.storage.get("a"),
    "put": lambda ctx: ctx.storage.put("b", 1),
    "list": lambda ctx: ctx.storage.list(),
    "delete": lambda ctx: ctx.storage.delete("nothing"),
    "a coroutine": lambda ctx: nothing_to_wait_for(),
    "a done future": lambda ctx: done_task(),
    "async for": lambda ctx: each_number(),
    "async with": lambda ctx: in_block(),
}


@pytest.mark.rows("GATE-18")
@on_both_loops
@pytest.mark.parametrize("what", [*SPLITS, *KEEPS])
async def test_a_turn_ends_where_the_code_really_waits(what):
    """Not at an await of something that is there already."""

    async def work(plain):
        ctx = plain.ctx
        await ctx.storage.put("before", 1)
        await (SPLITS | KEEPS)[what](ctx)
        await ctx.storage.put("after", 1)
        ctx.abort()

    async with Runtime(objects=[Plain]) as rt:
        assert isinstance(await attempt(begin(rt.env.PLAIN.get_by_name("x"), work)), ObjectReset)
        kept = await inside(rt.env.PLAIN.get_by_name("x"), lambda plain: plain.ctx.storage.kv.get("before"))
        assert kept == (1 if what in SPLITS else None)


@pytest.mark.rows("GATE-18")
async def test_all_writes_of_a_turn_are_one_commit():
    """Of keys, of SQL, of both interfaces."""
    async with an_object() as stub:
        await inside(stub, lambda plain: plain.ctx.storage.sql.exec("CREATE TABLE t (x)") and None)
        store = live_of(stub).used_store
        before = store.number

        async def work(plain):
            storage = plain.ctx.storage
            await storage.put("a", 1)
            storage.kv["b"] = 2
            storage.sql.exec("INSERT INTO t VALUES (1)")
            await storage.put({"c": 3, "d": 4})
            with storage.transaction_sync():
                storage.kv["e"] = 5

        await inside(stub, work)
        assert store.number == before + 1


@pytest.mark.rows("GATE-18", "LIFE-16")
async def test_what_was_written_before_an_error_stays():
    """An ordinary error undoes nothing."""
    async with an_object(Writer) as stub:
        with pytest.raises(ValueError):
            await stub.fail()
        assert await stub.get() == "failed"


@pytest.mark.rows("GATE-18")
@on_both_loops
@pytest.mark.parametrize("how", ["call_soon", "call_later", "done callback", "thread"])
async def test_a_write_in_a_loop_callback_is_committed_soon(how):
    """It belongs to no step; a turn of its own ends with the loop's round."""

    async def work(plain):
        loop = asyncio.get_running_loop()

        def write():
            plain.ctx.storage.kv["from a callback"] = 1
            plain.ctx.storage.kv["and again"] = 1

        if how == "call_soon":
            loop.call_soon(write)
        elif how == "call_later":
            loop.call_later(0.001, write)
        elif how == "thread":
            await asyncio.to_thread(loop.call_soon_threadsafe, write)
        else:
            future = loop.create_future()
            future.add_done_callback(lambda _: write())
            future.set_result(None)

    async with Runtime(objects=[Plain]) as rt:
        stub = rt.env.PLAIN.get_by_name("x")
        await inside(stub, work)
        live = live_of(stub)
        await until(lambda: live.used_store is not None and live.used_store.number)
        assert not live.open_turn
        await attempt(begin(stub, lambda plain: plain.ctx.abort()))
        again = rt.env.PLAIN.get_by_name("x")
        assert sorted(await inside(again, lambda plain: list(plain.ctx.storage.kv))) == [
            "and again",
            "from a callback",
        ]


@pytest.mark.rows("GATE-01")
@pytest.mark.parametrize(
    "use",
    [
        lambda ctx: ctx.storage.get("k"),
        lambda ctx: ctx.storage.put("k", 1),
        lambda ctx: ctx.storage.list(),
        lambda ctx: ctx.storage.sync(),
        lambda ctx: ctx.storage.delete_all(),
        lambda ctx: ctx.storage.kv.get("k"),
        lambda ctx: ctx.storage.kv.list(),
        lambda ctx: ctx.storage.sql.exec("SELECT 1"),
        lambda ctx: ctx.storage.transaction(lambda: None),
        lambda ctx: ctx.storage.transaction_sync(lambda: None),
        lambda ctx: ctx.storage.sql.database_size,
    ],
)
async def test_storage_is_refused_to_other_threads(use):
    """With whose it is and what to do; the object goes on."""

    async def work(plain):
        with pytest.raises(RuntimeError, match=r"Storage of Plain\(one\) was used from another thread"):
            await asyncio.to_thread(use, plain.ctx)
        await plain.ctx.storage.put("k", 1)
        return await plain.ctx.storage.get("k")

    async with an_object() as stub:
        assert await inside(stub, work) == 1
