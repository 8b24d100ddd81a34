"""`ctx`: CTX-01 … CTX-09, CTX-19, CTX-20."""

from __future__ import annotations

import asyncio

import pytest
from support.inside import Plain, an_object, attempt, begin, inside, live_of, until

from perdure import DurableObject, ObjectReset, Response, Runtime, WorkerEntrypoint
from perdure._base.limits import WAIT_UNTIL_OBJECT_S
from perdure._base.observer import Observer
from perdure.errors import StorageError
from perdure.testing.clock import ManualClock


class Watching(Observer):
    def __init__(self):
        self.background = []
        self.evicted = []

    def background_failed(self, label, error):
        self.background.append((label, error))

    def object_evicted(self, live):
        self.evicted.append(live.label)


@pytest.mark.rows("CTX-01")
async def test_the_constructor_runs_before_the_first_event():
    """With `ctx` and `env`, once."""
    log = []

    class Thing(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            log.append(("constructed", ctx.id.name, env.GREETING))

        async def hit(self):
            log.append("hit")

    async with an_object(Thing, "x", env={"GREETING": "hi"}) as stub:
        await stub.hit()
        await stub.hit()
    assert log == [("constructed", "x", "hi"), "hit", "hit"]


@pytest.mark.rows("CTX-01")
async def test_what_the_constructor_writes_is_a_turn_of_its_own():
    """It is there also when the first event fails."""

    class Thing(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (x)")
            ctx.storage.kv["made"] = ctx.storage.kv.get("made", 0) + 1

        async def fail(self):
            self.ctx.storage.kv["made"] = "never"
            self.ctx.abort()

        async def made(self):
            return self.ctx.storage.kv["made"]

    async with Runtime(objects=[Thing]) as rt:
        with pytest.raises(ObjectReset):
            await rt.env.THING.get_by_name("x").fail()
        assert await rt.env.THING.get_by_name("x").made() == 2


@pytest.mark.rows("CTX-02", "CTX-03")
async def test_ctx_has_an_id_and_a_storage():
    """The id is equal to the stub's; the storage has its members."""

    def look(instance):
        ctx = instance.ctx
        assert ctx.id == ctx.id
        members = "get put delete list delete_all sync transaction transaction_sync sql kv".split()
        return ctx.id, [name for name in members if not hasattr(ctx.storage, name)]

    async with an_object(name="home") as stub:
        id, missing = await inside(stub, look)
        assert id == stub.id
        assert id is not stub.id
        assert id.name == "home"
        assert missing == []


@pytest.mark.rows("CTX-04")
async def test_env_is_given_beside_ctx_and_not_in_it():
    """Handlers of an object get neither."""

    class Thing(DurableObject):
        async def fetch(self, request, *more):
            return Response.json([len(more), hasattr(self.ctx, "env"), self.env.GREETING])

    async with an_object(Thing, env={"GREETING": "hi"}) as stub:
        assert await (await stub.fetch("http://x/")).json() == [0, False, "hi"]


@pytest.mark.rows("CTX-05")
async def test_exports_leads_to_the_applications_own_classes():
    """A namespace for an object's class, a stub for the worker."""

    class Other(DurableObject):
        async def hello(self):
            return f"hello from {self.ctx.id.name}"

    class Default(WorkerEntrypoint):
        async def greet(self):
            return "the worker greets"

    class Thing(DurableObject):
        async def ask(self):
            exports = self.ctx.exports
            return [
                sorted(exports),
                await exports.Other.get_by_name("o").hello(),
                await exports["Default"].greet(),
                len(exports),
            ]

    async with Runtime(objects=[Thing, Other], worker=Default) as rt:
        assert await rt.env.THING.get_by_name("x").ask() == [
            ["Default", "Other", "Thing"],
            "hello from o",
            "the worker greets",
            3,
        ]


@pytest.mark.rows("CTX-05")
async def test_an_export_that_is_not_there_is_named():
    """With those that are."""
    async with an_object() as stub:
        with pytest.raises(AttributeError, match="exports no class 'Nope'; it exports Plain"):
            await inside(stub, lambda plain: plain.ctx.exports.Nope)


@pytest.mark.rows("CTX-06")
async def test_props_is_an_empty_dict():
    """Nobody specialises classes yet."""
    async with an_object() as stub:
        assert await inside(stub, lambda plain: plain.ctx.props) == {}


class Working(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.go_on = asyncio.Event()
        self.done = []

    async def start(self):
        self.ctx.wait_until(self.work())
        return "answered"

    async def work(self):
        await self.go_on.wait()
        await self.ctx.storage.put("done", True)
        self.done.append("background")

    async def release(self):
        self.go_on.set()

    async def stored(self):
        return await self.ctx.storage.get("done")

    async def fail_later(self):
        async def fail():
            await self.go_on.wait()
            raise ValueError("in the background")

        self.ctx.wait_until(fail())

    async def exit_later(self):
        async def leave():
            raise SystemExit(3)

        self.ctx.wait_until(leave())


@pytest.mark.rows("CTX-07")
async def test_wait_until_delays_no_answer():
    """The work goes on after it."""
    async with an_object(Working) as stub:
        assert await stub.start() == "answered"
        await stub.release()
        await until(lambda: not live_of(stub).tasks)
        assert await stub.stored() is True


@pytest.mark.rows("CTX-07", "LIFE-07")
async def test_wait_until_keeps_the_object_in_memory():
    """Idle time counts from its end."""
    clock = ManualClock()
    async with an_object(Working, clock=clock, slow_ms=0) as stub:
        await stub.start()
        live = live_of(stub)
        await until(lambda: not live.events)
        clock.advance(60)
        assert live.state == "running"
        await stub.release()
        await until(lambda: live.is_idle)
        clock.advance(9)
        assert live.state == "running"
        clock.advance(2)
        assert live.state == "evicted"


@pytest.mark.rows("CTX-07", "LIFE-07")
async def test_wait_until_keeps_the_object_15_minutes_at_most():
    """Then it goes with its work; the next event makes a new instance."""
    clock = ManualClock()
    async with an_object(Working, clock=clock, slow_ms=0) as stub:
        await stub.start()
        live = live_of(stub)
        await until(lambda: not live.events)
        clock.advance(WAIT_UNTIL_OBJECT_S - 1)
        assert live.state == "running"
        clock.advance(12)
        assert live.state == "evicted"
        await until(lambda: not live.tasks)
        assert await stub.stored() is None


@pytest.mark.rows("LIFE-07")
async def test_a_new_operation_restarts_the_15_minutes():
    """There is no bound on the whole."""
    clock = ManualClock()
    async with an_object(Working, clock=clock, slow_ms=0) as stub:
        await stub.start()
        live = live_of(stub)
        await until(lambda: not live.events)
        for _ in range(3):
            clock.advance(WAIT_UNTIL_OBJECT_S - 60)
            await stub.start()
            await until(lambda: not live.events)
        assert live.state == "running"
        clock.advance(WAIT_UNTIL_OBJECT_S + 12)
        assert live.state == "evicted"


@pytest.mark.rows("CTX-07", "LIFE-17", "ERR-23")
async def test_what_wait_until_raises_is_told_to_the_operator_only():
    """Neither the caller nor the object is touched."""
    observer = Watching()
    async with an_object(Working, "x", observer=observer) as stub:
        await stub.fail_later()
        await stub.release()
        await until(lambda: observer.background)
        label, error = observer.background[0]
        assert label == "Working(x)"
        assert str(error) == "in the background"
        await stub.exit_later()
        await until(lambda: len(observer.background) == 2)
        assert "SystemExit" in str(observer.background[1][1])
        assert await stub.stored() is None


@pytest.mark.rows("CTX-07")
async def test_wait_until_takes_any_awaitable():
    """A task, a future, a call to another object, what a storage method returned."""

    async def many(instance):
        ctx = instance.ctx
        ctx.wait_until(asyncio.create_task(asyncio.sleep(0)))
        ctx.wait_until(asyncio.ensure_future(asyncio.sleep(0)))
        ctx.wait_until(ctx.storage.put("k", 1))
        ctx.wait_until(ctx.exports.Plain.get_by_name("other").anything())

    async with an_object() as stub:
        await inside(stub, many)
        await until(lambda: not live_of(stub).tasks)


@pytest.mark.rows("CTX-08")
async def test_block_concurrency_while_gives_the_callbacks_result():
    """Whether the callback is `async` or not."""

    async def work(instance):
        ctx = instance.ctx

        async def section():
            await asyncio.sleep(0)
            return "result"

        return await ctx.block_concurrency_while(section), await ctx.block_concurrency_while(lambda: "plain")

    async with an_object() as stub:
        assert await inside(stub, work) == ("result", "plain")


@pytest.mark.rows("CTX-08")
@pytest.mark.parametrize("callback", [None, 1, "x"])
async def test_block_concurrency_while_takes_a_function(callback):
    """A coroutine that has begun cannot be held back."""
    async with an_object() as stub:
        with pytest.raises(TypeError, match="parameter 1 is not of type 'function'"):
            await inside(stub, lambda plain: plain.ctx.block_concurrency_while(callback))


@pytest.mark.rows("CTX-09")
async def test_code_after_abort_never_runs():
    """`except Exception` does not stop it; `finally` blocks run, without storage."""
    log = []

    class Thing(DurableObject):
        async def run(self):
            try:
                self.ctx.abort("now")
                log.append("after")
            except Exception:
                log.append("caught")
            finally:
                log.append("finally")
                try:
                    self.ctx.storage.kv["k"] = 1
                except StorageError as error:
                    log.append(str(error))
            log.append("end")

    async with an_object(Thing) as stub:
        with pytest.raises(ObjectReset, match="now"):
            await stub.run()
    assert log == ["finally", "Durable Object storage is no longer accessible."]


@pytest.mark.rows("CTX-09")
async def test_who_catches_the_abort_gets_no_further_than_the_next_await():
    """The object's state decides; `except BaseException` gains nothing."""
    log = []

    class Thing(DurableObject):
        async def run(self):
            try:
                self.ctx.abort("now")
            except BaseException:
                log.append("caught")
            await asyncio.sleep(0)
            log.append("after an await")

    async with an_object(Thing) as stub:
        assert isinstance(await attempt(stub.run()), ObjectReset)
        for _ in range(10):
            await asyncio.sleep(0)
    assert log == ["caught"]


@pytest.mark.rows("CTX-09")
@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (None, "Application called abort() to reset Durable Object."),
        ("why", "why"),
        ("", ""),
        (5, "5"),
        (ValueError("bad"), "ValueError: bad"),
    ],
)
async def test_the_reason_is_what_callers_are_told(reason, text):
    """With the flag; never as retryable or overloaded."""
    async with an_object() as stub:
        error = await attempt(begin(stub, lambda plain: plain.ctx.abort(reason)))
        assert type(error) is ObjectReset
        assert str(error) == text
        assert error.durable_object_reset
        assert not error.retryable
        assert not error.overloaded


@pytest.mark.rows("CTX-09")
async def test_abort_drops_what_the_turn_wrote():
    """What was committed before stays."""

    async def work(instance):
        storage = instance.ctx.storage
        await storage.put("kept", 1)
        await asyncio.sleep(0)
        await storage.put("lost", 1)
        storage.sql.exec("CREATE TABLE lost (x)")
        instance.ctx.abort()

    def look(instance):
        tables = instance.ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'lost'").to_list()
        return dict(instance.ctx.storage.kv.list()), tables

    async with Runtime(objects=[Plain]) as rt:
        assert isinstance(await attempt(begin(rt.env.PLAIN.get_by_name("x"), work)), ObjectReset)
        assert await inside(rt.env.PLAIN.get_by_name("x"), look) == ({"kept": 1}, [])


@pytest.mark.rows("CTX-09")
async def test_the_first_of_two_aborts_counts():
    """The second finds the object gone."""

    def work(instance):
        try:
            instance.ctx.abort("first")
        finally:
            instance.ctx.abort("second")

    async with an_object() as stub:
        assert str(await attempt(begin(stub, work))) == "first"


async def test_abort_from_another_thread_is_refused():
    """It would touch the loop from outside; the text says what to do."""

    async def work(instance):
        with pytest.raises(RuntimeError, match="another thread"):
            await asyncio.to_thread(instance.ctx.abort)
        with pytest.raises(RuntimeError, match="another thread"):
            await asyncio.to_thread(instance.ctx.block_concurrency_while, lambda: None)
        with pytest.raises(RuntimeError, match="another thread"):
            await asyncio.to_thread(instance.ctx.wait_until, instance.ctx.storage.put("k", 1))
        return "alive"

    async with an_object() as stub:
        assert await inside(stub, work) == "alive"


@pytest.mark.rows("CTX-19")
async def test_handlers_are_looked_up_on_the_instance():
    """One that the constructor set counts."""

    class Thing(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)

            async def answer(request):
                return Response("from the instance")

            self.fetch = answer

    async with an_object(Thing) as stub:
        assert await (await stub.fetch("http://x/")).text() == "from the instance"


@pytest.mark.rows("CTX-20", "LIFE-08")
async def test_attributes_last_until_eviction_or_reset():
    """Then a new instance begins."""

    class Thing(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.n = 0

        async def hit(self):
            self.n += 1
            return self.n

        async def abort(self):
            self.ctx.abort()

    async with Runtime(objects=[Thing]) as rt:
        stub = rt.env.THING.get_by_name("x")
        assert [await stub.hit(), await stub.hit()] == [1, 2]
        assert await rt.env.THING.get_by_name("y").hit() == 1
        live_of(stub).evict()
        assert await stub.hit() == 1
        with pytest.raises(ObjectReset):
            await stub.abort()
        assert await rt.env.THING.get_by_name("x").hit() == 1


async def test_ctx_shows_whose_it_is():
    """For people who print it."""
    async with an_object(name="home") as stub:
        assert await inside(stub, lambda plain: repr(plain.ctx)) == "<ctx of Plain(home)>"
