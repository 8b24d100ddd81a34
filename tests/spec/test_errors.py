"""What callers are told: ERR-01 … ERR-06, ERR-21 … ERR-23, RPC-25, RPC-26."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest
from support.inside import Plain, an_object, attempt, begin, inside, live_of, until

from perdure import (
    ConfigError,
    DataFolderError,
    Disconnected,
    DurableObject,
    ObjectReset,
    Overloaded,
    RemoteError,
    Response,
    Runtime,
    StorageReset,
    WorkerEntrypoint,
)
from perdure._base.observer import Observer
from perdure._http.asgi import HttpApp
from perdure.errors import PerdureError
from perdure.testing.clock import ManualClock

FLAGS = ("remote", "retryable", "overloaded", "durable_object_reset")


def flags(error):
    return {flag for flag in FLAGS if getattr(error, flag, False)}


class Own(ValueError):
    """An exception of the application's own."""


class Stubborn(Exception):
    """One that takes no attributes."""

    __slots__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(f"no {name} here")


class Silent(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Fixed(Exception):
    @property
    def remote(self):
        return "mine"


class Room(DurableObject):
    async def fail(self, kind):
        raise ERRORS[kind]()

    async def fetch(self, request):
        raise ERRORS[request.url.rpartition("/")[2]]()

    async def fail_below(self, name, kind):
        return await self.env.ROOM.get_by_name(name).fail(kind)

    async def hit(self):
        return "alive"


def _deep():
    def sink():
        return sink()

    return sink()


ERRORS = {
    "value": lambda: ValueError("bad"),
    "own": lambda: Own("bad"),
    "perdure": lambda: PerdureError("bad"),
    "exit": lambda: SystemExit("bad"),
    "interrupt": lambda: KeyboardInterrupt("bad"),
    "cancelled": lambda: asyncio.CancelledError("bad"),
    "generator exit": lambda: GeneratorExit("bad"),
    "stop": lambda: StopIteration("bad"),
    "stop async": lambda: StopAsyncIteration("bad"),
    "recursion": _deep,
    "memory": lambda: MemoryError("bad"),
    "group": lambda: ExceptionGroup("bad", [ValueError("a"), ExceptionGroup("b", [Own("c")])]),
    "base group": lambda: BaseExceptionGroup("bad", [SystemExit(1)]),
    "stubborn": lambda: Stubborn("bad"),
    "silent": Silent,
    "fixed": lambda: Fixed("bad"),
    "own base": lambda: type("Odd", (BaseException,), {})("bad"),
    "no exception": lambda: "just a text",
}


@pytest.mark.rows("ERR-01", "RPC-25", "RPC-26")
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("how", ["call", "fetch"])
async def test_whatever_a_handler_raises_its_caller_is_told_and_everything_goes_on(kind, how):
    """As an Exception, marked as one of the other side."""
    async with an_object(Room) as stub:
        error = await attempt(stub.fail(kind) if how == "call" else stub.fetch(f"http://x/{kind}"))
        assert isinstance(error, Exception)
        assert error.remote
        assert not error.__traceback__ or "tests/spec" not in str(error.__traceback__.tb_frame.f_back)
        assert await stub.hit() == "alive"


@pytest.mark.rows("ERR-01", "ERR-07")
@pytest.mark.parametrize(
    ("kind", "cls", "text"),
    [
        ("value", ValueError, "bad"),
        ("own", Own, "bad"),
        ("perdure", PerdureError, "bad"),
        ("memory", MemoryError, "bad"),
        ("exit", RemoteError, "bad"),
        ("interrupt", RemoteError, "bad"),
        ("cancelled", RemoteError, "bad"),
        ("stop", RuntimeError, "coroutine raised StopIteration"),
        ("recursion", RecursionError, "maximum recursion depth exceeded"),
        ("group", ExceptionGroup, "bad (2 sub-exceptions)"),
        ("base group", RemoteError, "bad (1 sub-exception)"),
        ("stubborn", RemoteError, "bad"),
        ("no exception", TypeError, "exceptions must derive from BaseException"),
    ],
)
async def test_an_exception_arrives_as_its_class_if_that_can_be(kind, cls, text):
    """What would end the caller's task or process comes as a RemoteError that names it."""
    async with an_object(Room) as stub:
        error = await attempt(stub.fail(kind))
        assert type(error) is cls
        assert text in str(error)


@pytest.mark.rows("ERR-01")
async def test_an_ordinary_error_has_no_other_flag():
    """Neither retryable nor overloaded, and nothing was reset."""
    async with an_object(Room) as stub:
        assert flags(await attempt(stub.fail("value"))) == {"remote"}


@pytest.mark.rows("ERR-05", "RPC-26")
async def test_an_error_tells_which_object_it_comes_from():
    """The one that raised it, however many passed it on."""
    async with Runtime(objects=[Room]) as rt:
        stub = rt.env.ROOM.get_by_name("above")
        below = str(rt.env.ROOM.id_from_name("below"))
        assert (await attempt(stub.fail("value"))).durable_object_id == str(stub.id)
        assert (await attempt(stub.fail_below("below", "value"))).durable_object_id == below


@pytest.mark.rows("ERR-02")
async def test_what_a_stop_broke_off_is_retryable():
    """A call that was still running, and one that comes too late."""
    async with Runtime(objects=[Plain]) as rt:
        stub = rt.env.PLAIN.get_by_name("x")
        running = begin(stub, lambda plain: asyncio.Event().wait())
        await asyncio.sleep(0)
        await rt.stop(drain_s=0)
        for error in (await attempt(running), await attempt(stub.anything())):
            assert isinstance(error, Disconnected)
            assert flags(error) == {"retryable"}


@pytest.mark.rows("ERR-03")
def test_overloaded_and_retryable_never_come_together():
    """One says to wait, the other to try."""
    assert flags(Overloaded("x")) == {"overloaded"}
    assert flags(Disconnected("x")) == {"retryable"}


@pytest.mark.rows("ERR-03", "ERR-04")
async def test_a_section_that_took_too_long_is_overload():
    """And a reset."""
    clock = ManualClock()
    async with an_object(clock=clock, slow_ms=0) as stub:
        work = begin(stub, lambda plain: plain.ctx.block_concurrency_while(asyncio.Event().wait))
        await until(lambda: clock.pending)
        clock.advance(30)
        assert flags(await attempt(work)) == {"overloaded", "durable_object_reset"}


@pytest.mark.rows("ERR-04")
async def test_errors_of_a_reset_say_so():
    """An abort, a failed section, a failed constructor; lost writes have a class of their own."""

    class Broken(DurableObject):
        def __init__(self, ctx, env):
            raise ValueError("cannot start")

    def fail():
        raise ValueError("in the section")

    def violate(plain):
        sql = plain.ctx.storage.sql
        sql.exec("CREATE TABLE p (id PRIMARY KEY)")
        sql.exec("CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        sql.exec("INSERT INTO c VALUES (1)")

    async with Runtime(objects=[Plain, Broken]) as rt:
        ns = rt.env.PLAIN
        aborted = await attempt(begin(ns.get_by_name("a"), lambda plain: plain.ctx.abort()))
        section = await attempt(
            begin(ns.get_by_name("b"), lambda plain: plain.ctx.block_concurrency_while(fail))
        )
        constructor = await attempt(rt.env.BROKEN.get_by_name("c").hit())
        lost = await attempt(begin(ns.get_by_name("d"), violate))
    assert type(aborted) is ObjectReset
    assert [flags(error) for error in (aborted, section, constructor)] == [{"durable_object_reset"}] * 3
    assert type(lost) is StorageReset
    assert flags(lost) == set()


@pytest.mark.rows("ERR-06")
async def test_a_visitor_sees_a_reference_and_the_operator_what_failed(caplog):
    """Nothing of the inside leaves by HTTP."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            raise ValueError("the secret inside")

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "scheme": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
    }
    async with Runtime(worker=Default) as rt:
        assert isinstance(rt.asgi, HttpApp)
        with caplog.at_level(logging.ERROR, "perdure.http"):
            await rt.asgi(scope, receive, send)
    assert sent[0]["status"] == 500
    body = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    assert "secret" not in body
    (record,) = [record for record in caplog.records if record.name == "perdure.http"]
    reference = record.getMessage().rpartition("reference ")[2].rstrip(")")
    assert reference
    assert reference in body
    assert "the secret inside" in str(record.exc_info[1])


@pytest.mark.rows("ERR-21")
async def test_a_class_that_is_missing_is_told_at_the_start(tmp_path):
    """Its objects are in the data folder; no event is served without it."""
    async with Runtime(objects=[Room, Plain], data=tmp_path) as rt:
        await inside(rt.env.PLAIN.get_by_name("x"), lambda plain: plain.ctx.storage.put("k", 1))
    with pytest.raises((ConfigError, DataFolderError, Exception), match="Plain"):
        await Runtime(objects=[Room], data=tmp_path).start()
    async with Runtime(objects=[Room, Plain], data=tmp_path) as rt:
        assert await inside(rt.env.PLAIN.get_by_name("x"), lambda plain: plain.ctx.storage.get("k")) == 1


@pytest.mark.rows("ERR-21")
async def test_a_class_that_the_runtime_does_not_have_has_no_namespace():
    """The text lists those that it has."""
    async with Runtime(objects=[Room]) as rt:
        for which in ("Nope", Plain, type("Room", (DurableObject,), {})):
            with pytest.raises(ConfigError, match="is not one of this runtime's object classes; it has Room"):
                rt.namespace(which)


@pytest.mark.rows("ERR-22")
async def test_an_error_in_a_stream_cuts_it():
    """After the head nothing else can be told."""

    class Streams(DurableObject):
        async def fetch(self, request):
            async def body():
                yield b"first"
                raise ValueError("half way")

            return Response(body())

    async with an_object(Streams) as stub:
        response = await stub.fetch("http://x/")
        assert response.status == 200
        chunks = aiter(response.body)
        assert await anext(chunks) == b"first"
        with pytest.raises(ValueError, match="half way"):
            await anext(chunks)


@pytest.mark.rows("ERR-23")
async def test_an_error_in_a_loop_callback_is_logged(caplog):
    """By asyncio; the object goes on."""

    def work(plain):
        def fail():
            raise ValueError("in a callback")

        asyncio.get_running_loop().call_soon(fail)

    async with an_object(Room) as stub:
        with caplog.at_level(logging.ERROR, "asyncio"):
            await inside(stub, work)
            await asyncio.sleep(0)
        assert "in a callback" in caplog.text
        assert await stub.hit() == "alive"


def at_depth(levels, use):
    """Call *use* that deep in the stack."""
    return at_depth(levels - 1, use) if levels else use()


AT_THE_END_OF_THE_STACK = {
    "put": lambda ctx: ctx.storage.put("a", [1]),
    "kv": lambda ctx: ctx.storage.kv.put("a", 1),
    "get": lambda ctx: ctx.storage.get("a"),
    "delete": lambda ctx: ctx.storage.delete("a"),
    "sql": lambda ctx: ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (x)"),
    "transaction": lambda ctx: ctx.storage.transaction(lambda: ctx.storage.kv.put("b", 1)),
    "transaction_sync": lambda ctx: ctx.storage.transaction_sync(lambda: ctx.storage.kv.put("b", 1)),
    "delete_all": lambda ctx: ctx.storage.delete_all(),
    "section": lambda ctx: ctx.block_concurrency_while(lambda: None),
    "wait_until": lambda ctx: ctx.wait_until(asyncio.sleep(0)),
    "task": lambda ctx: asyncio.ensure_future(asyncio.sleep(0)),
    "call": lambda ctx: ctx.exports.Room.get_by_name("other").hit(),
}


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("what", AT_THE_END_OF_THE_STACK)
async def test_nothing_stops_half_way_when_the_stack_ends(what):
    """Wherever in Perdure the recursion is stopped, the object and its storage go on."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # tasks that could not be made say so
    limit = sys.getrecursionlimit()

    async def work(room, levels):
        try:
            result = at_depth(levels, lambda: AT_THE_END_OF_THE_STACK[what](room.ctx))
            if hasattr(result, "__await__"):
                await result
        except RecursionError:
            return False
        return True

    async def check(room):
        room.ctx.storage.kv["n"] = n = room.ctx.storage.kv.get("n", 0) + 1
        await asyncio.sleep(0)
        return n

    async with an_object(Room, slow_ms=0) as stub:
        ended = []
        for levels in range(limit - 90, limit - 10, 2):
            ended.append(
                await asyncio.wait_for(begin(stub, lambda room, levels=levels: work(room, levels)), 5)
            )
            assert await asyncio.wait_for(begin(stub, check), 5) >= 1
        live = live_of(stub)
        assert False in ended
        assert (live.open_turn, live.used_store.in_turn, live.used_store.depth) == (False, False, 0)
        assert live.gate.active is None


async def test_an_abort_at_the_end_of_the_stack_does_all_or_nothing():
    """It is refused, as any call is there."""
    limit = sys.getrecursionlimit()
    seen = set()
    async with Runtime(objects=[Room], slow_ms=0) as rt:
        for levels in range(limit - 160, limit - 10, 3):
            stub = rt.env.ROOM.get_by_name("x")
            abort = begin(stub, lambda room, levels=levels: at_depth(levels, lambda: room.ctx.abort("now")))
            seen.add(type(await asyncio.wait_for(attempt(abort), 5)))
            assert await rt.env.ROOM.get_by_name("x").hit() == "alive"
    assert seen == {ObjectReset, RecursionError}


async def test_an_exception_that_takes_no_notes_is_told_in_development_too():
    """There the place where it was raised is added, if that can be."""

    class Unnotable(Exception):
        def add_note(self, note):
            raise TypeError("no notes")

    class Raises(DurableObject):
        async def fail(self):
            raise Unnotable("bad")

    async with an_object(Raises, debug=True) as stub:
        assert str(await asyncio.wait_for(attempt(stub.fail()), 5)) == "bad"


async def test_an_observer_that_fails_keeps_no_answer_back():
    """Watching must not break what is watched."""

    class Fails(Observer):
        def event_failed(self, live, event, error):
            raise RuntimeError("the observer failed")

        def object_reset(self, live, error):
            raise RuntimeError("the observer failed")

        def construct_failed(self, live, error):
            raise RuntimeError("the observer failed")

    class Broken(DurableObject):
        def __init__(self, ctx, env):
            raise ValueError("cannot start")

    async with Runtime(objects=[Room, Broken], observer=Fails()) as rt:
        assert str(await asyncio.wait_for(attempt(rt.env.ROOM.get_by_name("x").fail("value")), 5)) == "bad"
        assert str(await asyncio.wait_for(attempt(rt.env.BROKEN.get_by_name("x").hit()), 5)) == "cannot start"
        aborting = begin(rt.env.ROOM.get_by_name("x"), lambda room: room.ctx.abort("now"))
        assert str(await asyncio.wait_for(attempt(aborting), 5)) == "now"


async def test_the_log_survives_an_exception_without_a_text(caplog):
    """What is said of it is its class."""
    async with an_object(Room) as stub:
        with caplog.at_level(logging.INFO, "perdure"):
            await attempt(stub.fail("silent"))
        assert "raised Silent: " in caplog.text
        assert "observer failed" not in caplog.text
