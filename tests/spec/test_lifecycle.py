"""The life of an object: start, failure to start, eviction, what keeps it, what resets it. LIFE-01 … LIFE-17."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest
from support.held_disk import HeldDisk
from support.inside import Plain, an_object, attempt, begin, inside, live_of, until

from perdure import DurableObject, ObjectReset, Response, Runtime
from perdure._base.observer import Observer
from perdure.errors import PerdureError, StorageError
from perdure.testing import evict_all_durable_objects, evict_durable_object
from perdure.testing.clock import ManualClock


class Watching(Observer):
    def __init__(self):
        self.evicted = []
        self.reset = []
        self.constructing = []
        self.events = []

    def object_evicted(self, live):
        self.evicted.append(live.label)

    def object_reset(self, live, error):
        self.reset.append((live.label, str(error)))

    def construct_failed(self, live, error):
        self.constructing.append((live.label, str(error)))

    def event_failed(self, live, event, error):
        self.events.append((live.label, event.method, str(error)))


class Thing(DurableObject):
    made = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        Thing.made += 1
        self.hits = 0
        self.go_on = asyncio.Event()

    async def hit(self):
        self.hits += 1
        return self.hits

    async def put(self, value):
        await self.ctx.storage.put("k", value)

    async def get(self):
        return await self.ctx.storage.get("k")

    async def fail(self):
        raise ValueError("an ordinary error")

    async def wait(self):
        await self.go_on.wait()

    async def release(self):
        self.go_on.set()

    async def fetch(self, request):
        async def stream():
            yield b"first"
            await self.go_on.wait()
            yield b"second"

        return Response(stream())


async def ticks(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


# --- start ------------------------------------------------------------------------------------------------


@pytest.mark.rows("LIFE-01", "LIFE-02")
async def test_an_object_is_made_by_its_first_event():
    """Before, nothing is there."""
    Thing.made = 0
    async with an_object(Thing) as stub:
        assert not stub.id._space.lives
        assert await stub.hit() == 1
        assert live_of(stub).state == "running"
        assert Thing.made == 1


@pytest.mark.rows("LIFE-02")
async def test_concurrent_first_events_share_one_construction():
    """Through one stub or many."""
    Thing.made = 0
    async with Runtime(objects=[Thing]) as rt:
        hits = await asyncio.gather(*[rt.env.THING.get_by_name("x").hit() for _ in range(50)])
        assert sorted(hits) == list(range(1, 51))
        assert Thing.made == 1


class Fragile(DurableObject):
    failures = 0
    made = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        Fragile.made += 1
        ctx.storage.kv["attempts"] = ctx.storage.kv.get("attempts", 0) + 1
        if Fragile.failures:
            Fragile.failures -= 1
            raise ValueError("cannot start")

    async def hit(self):
        return "alive", self.ctx.storage.kv["attempts"]

    async def fetch(self, request):
        return Response("alive")


@pytest.mark.rows("LIFE-03", "CTX-01")
async def test_a_failing_constructor_fails_every_waiting_event():
    """With its error; what it wrote is gone, and the next event tries again."""
    Fragile.failures, Fragile.made = 1, 0
    observer = Watching()
    async with Runtime(objects=[Fragile], observer=observer) as rt:
        stubs = [rt.env.FRAGILE.get_by_name("x") for _ in range(5)]
        for error in await asyncio.gather(*[attempt(stub.hit()) for stub in stubs]):
            assert type(error) is ValueError
            assert str(error) == "cannot start"
            assert error.durable_object_reset
        assert Fragile.made == 1
        assert observer.constructing == [("Fragile(x)", "cannot start")]
        assert not rt.namespace(Fragile)._space.lives
        assert await rt.env.FRAGILE.get_by_name("x").hit() == ("alive", 1)


@pytest.mark.rows("LIFE-03", "STB-11")
async def test_a_stub_that_saw_the_constructor_fail_is_broken():
    """As after any reset."""
    Fragile.failures = 1
    async with an_object(Fragile) as stub:
        for _ in range(2):
            with pytest.raises(ValueError, match="cannot start"):
                await stub.hit()


@pytest.mark.rows("LIFE-03")
async def test_fetch_is_told_that_a_failed_start_is_remote():
    """As of any error of the other side."""
    Fragile.failures = 1
    async with an_object(Fragile) as stub:
        error = await attempt(stub.fetch("http://x/"))
        assert error.remote
        assert error.durable_object_reset


@pytest.mark.rows("LIFE-03")
@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, RecursionError, MemoryError]
)
async def test_a_constructor_may_raise_anything(error):
    """Its callers are told; everything else goes on."""

    class Raises(DurableObject):
        def __init__(self, ctx, env):
            raise error("in the constructor")

        async def hit(self):
            pass

    async with Runtime(objects=[Raises, Plain]) as rt:
        told = await attempt(rt.env.RAISES.get_by_name("x").hit())
        assert "in the constructor" in str(told)
        assert isinstance(told, Exception)
        assert await inside(rt.env.PLAIN.get_by_name("y"), lambda plain: "alive") == "alive"


@pytest.mark.rows("LIFE-03")
async def test_an_abort_in_the_constructor_that_is_caught_there_still_counts():
    """No instance comes of it."""

    class Stubborn(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            try:
                ctx.abort("in the constructor")
            except BaseException:
                pass

        async def hit(self):
            return "alive"

    async with an_object(Stubborn) as stub:
        with pytest.raises(ObjectReset, match="in the constructor"):
            await stub.hit()


# --- eviction ---------------------------------------------------------------------------------------------


@pytest.mark.rows("LIFE-04", "LIFE-08", "LIM-17", "LIFE-01")
async def test_an_idle_object_is_evicted_after_10_seconds():
    """Its memory is gone, its data is not; the next event makes a new instance."""
    clock, observer = ManualClock(), Watching()
    async with an_object(Thing, "x", clock=clock, observer=observer, slow_ms=0) as stub:
        await stub.put("kept")
        assert await stub.hit() == 1
        live = live_of(stub)
        await until(lambda: live.is_idle)
        clock.advance(9.9)
        assert live.state == "running"
        clock.advance(0.2)
        assert live.state == "evicted"
        assert observer.evicted == ["Thing(x)"]
        assert not stub.id._space.lives
        assert await stub.hit() == 1
        assert await stub.get() == "kept"


@pytest.mark.rows("LIFE-04")
async def test_every_event_starts_the_10_seconds_anew():
    """They count from the end of the last one."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        for _ in range(5):
            await stub.hit()
            await ticks()
            clock.advance(7)
        assert await stub.hit() == 6
        await ticks()
        clock.advance(10.2)
        assert await stub.hit() == 1


@pytest.mark.rows("LIFE-06")
async def test_a_stub_in_somebodys_hands_does_not_keep_the_object():
    """It goes after its 10 seconds; nothing waits for 70."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        live = live_of(stub)
        await stub.hit()
        await ticks()
        clock.advance(10.2)
        assert live.state == "evicted"


async def _event(stub):
    return stub.wait(), None


async def _task(stub):
    await begin(stub, lambda thing: asyncio.ensure_future(thing.go_on.wait()) and None)
    return None, None


async def _wait_until(stub):
    await begin(stub, lambda thing: thing.ctx.wait_until(thing.go_on.wait()))
    return None, None


async def _section(stub):
    await begin(stub, lambda thing: thing.ctx.block_concurrency_while(thing.go_on.wait) and None)
    return None, None


async def _stream(stub):
    response = await stub.fetch("http://x/")
    chunks = aiter(response.body)
    await anext(chunks)
    return asyncio.ensure_future(anext(chunks)), None


async def _unread_stream(stub):
    response = await stub.fetch("http://x/")
    return None, response


@pytest.mark.rows("LIFE-05", "LIFE-07", "CTX-07")
@pytest.mark.parametrize("keep", [_event, _task, _wait_until, _stream, _unread_stream])
async def test_work_in_progress_keeps_the_object(keep):
    """An event, a task, what `wait_until` was given, a response that is being read or will be."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        await stub.hit()
        working, response = await keep(stub)
        live = live_of(stub)
        await ticks()
        clock.advance(30)
        await ticks()
        clock.advance(30)
        assert live.state == "running"
        await stub.release()
        if working is not None:
            await working
        if response is not None:
            assert await response.bytes() == b"firstsecond"
        await until(lambda: live.is_idle)
        clock.advance(20)
        assert live.state == "evicted"


@pytest.mark.rows("LIFE-05")
async def test_an_open_critical_section_keeps_the_object():
    """Until its own 30 seconds end it."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        await _section(stub)
        live = live_of(stub)
        await ticks()
        clock.advance(25)
        assert live.state == "running"
        live.instance.go_on.set()
        await until(lambda: live.is_idle)
        clock.advance(20)
        assert live.state == "evicted"


@pytest.mark.rows("LIFE-05")
async def test_a_commit_on_its_way_keeps_the_object():
    """An unconfirmed one, too."""
    clock, disk = ManualClock(), HeldDisk()
    async with an_object(Thing, clock=clock, disk=disk, slow_ms=0) as stub:
        await stub.hit()
        with disk.held():
            await begin(stub, lambda thing: thing.ctx.storage.put("k", 1, allow_unconfirmed=True) and None)
            live = live_of(stub)
            await ticks()
            clock.advance(30)
            assert live.state == "running"
        await until(lambda: live.is_idle)
        clock.advance(20)
        assert live.state == "evicted"
        assert await stub.get() == 1


@pytest.mark.rows("LIFE-05")
async def test_a_bare_timer_of_the_loop_does_not_keep_the_object():
    """Nobody can see whose it is; what it does to the storage later is refused."""
    clock = ManualClock()
    errors = []

    def set_timer(thing):
        def late():
            try:
                thing.ctx.storage.kv["late"] = 1
            except StorageError as error:
                errors.append(str(error))

        asyncio.get_running_loop().call_later(0.005, late)

    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        await begin(stub, set_timer)
        live = live_of(stub)
        await ticks()
        clock.advance(11)
        assert live.state == "evicted"
        await until(lambda: errors)
        assert errors == ["Durable Object storage is no longer accessible."]


@pytest.mark.rows("LIFE-07")
async def test_code_of_an_evicted_object_never_goes_on():
    """A task that ran its 15 minutes ends where it stands; its `finally` blocks run."""
    clock = ManualClock()
    log = []

    async def background(go_on):
        try:
            await go_on.wait()
            log.append("went on")
        finally:
            log.append("finally")

    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        await begin(stub, lambda thing: thing.ctx.wait_until(background(thing.go_on)))
        live = live_of(stub)
        await ticks()
        clock.advance(16 * 60)
        assert live.state == "evicted"
        await until(lambda: log)
        assert log == ["finally"]


@pytest.mark.rows("LIFE-07")
async def test_the_reader_of_an_evicted_objects_stream_is_told():
    """After 15 minutes without a read."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        response = await stub.fetch("http://x/")
        chunks = aiter(response.body)
        assert await anext(chunks) == b"first"
        live = live_of(stub)
        await ticks()
        clock.advance(16 * 60)
        assert live.state == "evicted"
        with pytest.raises(PerdureError, match="freed due to inactivity"):
            await anext(chunks)


@pytest.mark.rows("LIFE-04")
async def test_many_idle_objects_are_all_evicted():
    """Each in its time."""
    clock, observer = ManualClock(), Watching()
    async with Runtime(objects=[Thing], clock=clock, observer=observer, slow_ms=0) as rt:
        for n in range(20):
            await rt.env.THING.get_by_name(str(n)).hit()
            await ticks(3)
            clock.advance(0.5)
        clock.advance(4.9)
        assert 0 < len(observer.evicted) < 20
        clock.advance(5.2)
        assert observer.evicted == [f"Thing({n})" for n in range(20)]
        assert not rt.namespace(Thing)._space.lives


@pytest.mark.rows("LIFE-08")
async def test_an_evicted_object_is_garbage():
    """Nothing holds on to the instance."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        await stub.put(1)
        await stub.hit()
        live = live_of(stub)
        instance = weakref.ref(live.instance)
        await until(lambda: live.is_idle)
        clock.advance(11)
        await ticks()
        gc.collect()
        assert instance() is None


@pytest.mark.rows("TEST-05")
async def test_a_test_can_evict_an_object():
    """Memory goes, data stays."""
    async with an_object(Thing) as stub:
        await stub.put("kept")
        assert [await stub.hit(), await stub.hit()] == [1, 2]
        await evict_durable_object(stub)
        assert await stub.hit() == 1
        assert await stub.get() == "kept"


@pytest.mark.rows("TEST-05")
async def test_an_object_that_is_not_running_cannot_be_evicted():
    """It was never called, or is evicted already."""
    async with an_object(Thing) as stub:
        text = "Cannot evict Durable Object: it is not currently running."
        with pytest.raises(PerdureError, match=text):
            await evict_durable_object(stub)
        await stub.hit()
        await evict_durable_object(stub)
        with pytest.raises(PerdureError, match=text):
            await evict_durable_object(stub)


@pytest.mark.rows("TEST-05")
async def test_eviction_waits_for_what_is_in_progress():
    """The call ends as it would."""
    async with an_object(Thing) as stub:
        waiting = stub.wait()
        await stub.hit()
        evicting = asyncio.ensure_future(evict_durable_object(stub))
        await ticks()
        assert not evicting.done()
        await stub.release()
        await evicting
        await waiting
        assert await stub.hit() == 1


@pytest.mark.rows("TEST-05")
async def test_eviction_waits_30_seconds_at_most():
    """Then it is an error, and the object goes on."""
    clock = ManualClock()
    async with an_object(Thing, clock=clock, slow_ms=0) as stub:
        waiting = stub.wait()
        await stub.hit()
        evicting = asyncio.ensure_future(evict_durable_object(stub))
        await ticks()
        clock.advance(30)
        with pytest.raises(PerdureError, match="Timed out waiting to evict Durable Object"):
            await evicting
        assert await stub.hit() == 2
        await stub.release()
        await waiting


@pytest.mark.rows("TEST-05")
async def test_a_test_can_evict_every_object():
    """Those that are in memory."""
    async with Runtime(objects=[Thing, Plain]) as rt:
        stubs = [rt.env.THING.get_by_name(str(n)) for n in range(3)]
        for stub in stubs:
            await stub.hit()
        await evict_all_durable_objects(rt)
        assert not rt.namespace(Thing)._space.lives
        assert [await stub.hit() for stub in stubs] == [1, 1, 1]


# --- errors that reset nothing -----------------------------------------------------------------------------


@pytest.mark.rows("LIFE-16")
async def test_an_uncaught_exception_fails_that_event_only():
    """The instance and its memory survive; the operator is told."""
    observer = Watching()
    async with an_object(Thing, "x", observer=observer) as stub:
        assert await stub.hit() == 1
        with pytest.raises(ValueError, match="an ordinary error"):
            await stub.fail()
        assert await stub.hit() == 2
        assert observer.events == [("Thing(x)", "fail", "an ordinary error")]
        assert not observer.reset


@pytest.mark.rows("LIFE-17")
async def test_an_exception_that_nobody_awaits_is_logged(caplog):
    """Of a task that an object started; it harms nobody."""

    async def start(thing):
        async def fail():
            raise ValueError("nobody awaits me")

        asyncio.create_task(fail())  # noqa: RUF006

    async with an_object(Thing) as stub:
        with caplog.at_level(logging.ERROR, "asyncio"):
            await inside(stub, start)
            await ticks()
            gc.collect()
            await ticks()
        assert "nobody awaits me" in caplog.text
        assert await stub.hit() == 1


@pytest.mark.rows("LIFE-17")
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_a_task_of_an_object_may_raise_anything(error):
    """What would stop the loop stops the task."""

    async def start(thing):
        async def fail():
            raise error("from a task")

        await asyncio.wait([asyncio.create_task(fail())])
        return "went on"

    async with an_object(Thing) as stub:
        assert await inside(stub, start) == "went on"


# --- resets -----------------------------------------------------------------------------------------------


def _in_handler(thing):
    thing.ctx.abort("now")


async def _after_await(thing):
    await asyncio.sleep(0)
    thing.ctx.abort("now")


async def _in_section(thing):
    async def section():
        await asyncio.sleep(0)
        thing.ctx.abort("now")

    await thing.ctx.block_concurrency_while(section)


async def _in_nested_section(thing):
    async def inner():
        thing.ctx.abort("now")

    await thing.ctx.block_concurrency_while(lambda: thing.ctx.block_concurrency_while(inner))


async def _beside_a_section(thing):
    asyncio.get_running_loop().call_later(0.001, lambda: _quietly(thing))
    await thing.ctx.block_concurrency_while(asyncio.Event().wait)


async def _in_transaction(thing):
    async def closure(txn):
        await txn.put("k", "lost")
        await asyncio.sleep(0)
        thing.ctx.abort("now")

    await thing.ctx.storage.transaction(closure)


async def _in_transaction_block(thing):
    async with thing.ctx.storage.transaction() as txn:
        await txn.put("k", "lost")
        await asyncio.sleep(0)
        thing.ctx.abort("now")


async def _in_nested_transaction(thing):
    async def closure(txn):
        await txn.put("k", "lost")
        async with thing.ctx.storage.transaction():
            await txn.put("k", "lost twice")
            thing.ctx.abort("now")

    await thing.ctx.storage.transaction(closure)


def _in_sync_transaction(thing):
    def callback():
        thing.ctx.storage.kv["k"] = "lost"
        thing.ctx.abort("now")

    thing.ctx.storage.transaction_sync(callback)


def _in_sync_block(thing):
    with thing.ctx.storage.transaction_sync():
        thing.ctx.storage.kv["k"] = "lost"
        thing.ctx.abort("now")


async def _in_task(thing):
    async def task():
        thing.ctx.abort("now")

    await asyncio.create_task(task())


async def _in_group(thing):
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        group.create_task(_after_await(thing))


async def _in_wait_until(thing):
    thing.ctx.wait_until(_after_await(thing))
    await asyncio.Event().wait()


async def _in_callback(thing):
    asyncio.get_running_loop().call_soon(_quietly, thing)
    await asyncio.Event().wait()


async def _while_a_call_is_out(thing):
    other = thing.ctx.exports.Thing.get_by_name("other")
    asyncio.get_running_loop().call_later(0.001, _quietly, thing)
    await other.wait()


async def _while_iterating(thing):
    sql = thing.ctx.storage.sql
    for _ in sql.exec(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT i FROM n"
    ):
        thing.ctx.abort("now")


def _with_a_write(thing):
    thing.ctx.storage.kv["k"] = "lost"
    thing.ctx.storage.sql.exec("CREATE TABLE lost (x)")
    thing.ctx.abort("now")


async def _in_finally(thing):
    try:
        await asyncio.sleep(0)
    finally:
        thing.ctx.abort("now")


async def _with_a_stubborn_finally(thing):
    try:
        thing.ctx.abort("now")
    finally:
        await asyncio.Event().wait()  # no code of a broken object waits for anything


def _quietly(thing):
    """In a callback of the loop nobody catches what ends the object's code."""
    try:
        thing.ctx.abort("now")
    except BaseException:
        pass


POSITIONS = [
    _in_handler,
    _after_await,
    _in_section,
    _in_nested_section,
    _beside_a_section,
    _in_transaction,
    _in_transaction_block,
    _in_nested_transaction,
    _in_sync_transaction,
    _in_sync_block,
    _in_task,
    _in_group,
    _in_wait_until,
    _in_callback,
    _while_a_call_is_out,
    _while_iterating,
    _with_a_write,
    _in_finally,
    _with_a_stubborn_finally,
]


@pytest.mark.rows("LIFE-15", "CTX-09", "STB-11")
@pytest.mark.parametrize("abort", POSITIONS)
async def test_an_abort_ends_the_instance_wherever_it_happens(abort):
    """Every call in progress gets the reason, what was committed stays, what was not is gone, nothing is left."""
    observer = Watching()
    async with Runtime(objects=[Thing], observer=observer) as rt:
        tasks_before = asyncio.all_tasks()
        stub, beside = rt.env.THING.get_by_name("x"), rt.env.THING.get_by_name("x")
        await stub.put("kept")
        waiting = [beside.wait(), beside.wait()]
        await ticks(3)
        live = live_of(stub)
        instance = weakref.ref(live.instance)
        told = await asyncio.gather(*[attempt(call) for call in (begin(stub, abort), *waiting)])
        for error in told:
            assert type(error) is ObjectReset
            assert str(error) == "now"
            assert error.durable_object_reset
        assert observer.reset == [("Thing(x)", "now")]
        assert live.state == "broken"
        assert rt.namespace(Thing)._space.lives.get(stub.id._bytes) is None

        again = rt.env.THING.get_by_name("x")
        assert await again.get() == "kept"
        assert await again.hit() == 1
        tables = await inside(again, lambda thing: thing.ctx.storage.sql.exec("PRAGMA table_list").to_list())
        assert "lost" not in [table["name"] for table in tables]
        for old in (stub, beside):
            assert str(await attempt(old.hit())) == "now"

        await rt.env.THING.get_by_name("other").release()
        await until(lambda: asyncio.all_tasks() == tasks_before)
        assert not live.tasks
        assert not live.events
        assert live.used_store.owner is not live
        del told, error
        await ticks()
        gc.collect()
        assert instance() is None, "somebody holds on to the instance"


@pytest.mark.rows("LIFE-15")
async def test_a_reset_ends_the_streams_of_the_object():
    """A reader that waits, and one that comes later, get the reason."""
    async with Runtime(objects=[Thing]) as rt:
        stub = rt.env.THING.get_by_name("x")
        responses = [await stub.fetch("http://x/") for _ in range(3)]
        chunks = [aiter(response.body) for response in responses]
        assert await anext(chunks[0]) == b"first"
        assert await anext(chunks[1]) == b"first"
        waiting = asyncio.ensure_future(attempt(anext(chunks[0])))
        await ticks()
        await attempt(begin(stub, _in_handler))
        for error in (await waiting, await attempt(anext(chunks[1])), await attempt(anext(chunks[2]))):
            assert isinstance(error, ObjectReset)
            assert str(error) == "now"


@pytest.mark.rows("LIFE-15")
async def test_a_reader_that_is_cancelled_while_the_object_is_reset_is_cancelled():
    """Its own cancellation comes first."""
    async with an_object(Thing) as stub:
        response = await stub.fetch("http://x/")
        chunks = aiter(response.body)
        await anext(chunks)
        reader = asyncio.ensure_future(anext(chunks))
        await ticks()
        aborting = begin(stub, _in_handler)
        reader.cancel()
        await attempt(aborting)
        with pytest.raises(asyncio.CancelledError):
            await reader


@pytest.mark.rows("LIFE-15")
async def test_an_abort_while_other_events_wait_for_the_gate_fails_them_too():
    """They never run."""
    async with Runtime(objects=[Thing]) as rt:
        stub = rt.env.THING.get_by_name("x")
        await stub.hit()
        calls = [begin(stub, _in_section), stub.hit(), stub.put("never")]
        for error in await asyncio.gather(*map(attempt, calls)):
            assert str(error) == "now"
        assert await rt.env.THING.get_by_name("x").get() is None
