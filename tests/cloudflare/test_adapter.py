"""How a project's classes are run: constructors, handlers, and what they are given."""

from __future__ import annotations

import asyncio
import dataclasses
import functools

import pytest
from cloudflare.inside import inside

import perdure
from perdure import testing
from perdure._cloudflare import js
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.workers.entrypoints import DurableObject, WorkerEntrypoint
from perdure._cloudflare.workers.response import Response
from perdure._cloudflare.workers.utils import wait_until


async def ask(cls, method, *args, **options):
    """Return what *method* of a new object of *cls* returns."""
    async with inside(cls, **options) as app:
        return await getattr(getattr(app.cf, cls.__name__.upper()).getByName("one"), method)(*args)


@pytest.mark.members("workers.DurableObject")
async def test_a_class_may_skip_the_base_constructor():
    """`super().__init__` is not needed; what the class is given are views all the same."""

    class Skips(DurableObject):
        def __init__(self, state, environment):
            self.state = state
            self.environment = environment

        async def use(self):
            await self.state.storage.put("a", 1)
            return [await self.state.storage.get("a"), self.environment.WORD]

    assert await ask(Skips, "use", vars={"WORD": "hello"}) == [1, "hello"]


async def test_mixins_and_diamonds_are_as_in_python():
    """Any bases, any order; `__init_subclass__` takes keywords."""

    class Named:
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.names = ["named"]

    class Left(DurableObject):
        pass

    class Right(DurableObject):
        pass

    class Diamond(Named, Left, Right, tag="x"):
        async def who(self):
            return [*self.names, self.ctx.id.name]

    assert await ask(Diamond, "who") == ["named", "one"]


@pytest.mark.members("DurableObjectState.blockConcurrencyWhile")
async def test_what_init_blocks_is_done_before_the_first_call():
    """`blockConcurrencyWhile` un-awaited in `__init__`, and as a decorator."""

    class Blocks(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.steps = []
            ctx.blockConcurrencyWhile(self.load)

            @ctx.blockConcurrencyWhile
            async def more():
                self.steps.append("decorated")

        async def load(self):
            await asyncio.sleep(0)
            self.steps.append(await self.ctx.storage.get("missing") or "loaded")

        def seen(self):
            return self.steps

    assert await ask(Blocks, "seen") == ["loaded", "decorated"]


async def test_block_concurrency_while_returns_the_result():
    """Awaited in a method, with a plain function too."""

    class Waits(DurableObject):
        async def go(self):
            async def work():
                return 7

            return [
                await self.ctx.blockConcurrencyWhile(work),
                await self.ctx.blockConcurrencyWhile(lambda: 8),
            ]

    assert await ask(Waits, "go") == [7, 8]


async def test_a_constructor_that_fails_is_told_to_the_caller():
    """As its own class, with its text."""

    class Fails(DurableObject):
        def __init__(self, ctx, env):
            raise LookupError("nothing there")

        async def go(self):
            return 1

    with pytest.raises(JsException, match="nothing there") as caught:
        await ask(Fails, "go")
    assert isinstance(caught.value, LookupError)


@pytest.mark.members("DurableObjectState.abort")
async def test_abort_is_not_swallowed():
    """`except Exception` does not see it; the caller hears the reason, and nothing behind it runs."""
    after = []

    class Aborts(DurableObject):
        async def go(self):
            try:
                self.ctx.abort("enough of this")
            except Exception:
                after.append("swallowed")
            after.append("went on")

    with pytest.raises(JsException, match="enough of this"):
        await ask(Aborts, "go")
    assert after == []


# --- handlers -------------------------------------------------------------------------------------------


async def test_handlers_take_as_much_as_they_like():
    """`fetch(self)`, `alarm(self)`, `webSocketClose(self, ws)` are all right."""
    heard = []

    class Short(DurableObject):
        async def fetch(self):
            return Response("short")

        def alarm(self):
            heard.append("alarm")

    async with inside(Short) as app:
        stub = app.cf.SHORT.getByName("a")
        assert await (await stub.fetch("http://a/")).text() == "short"
        await testing.run_in_durable_object(
            app.env.SHORT.get_by_name("a"), lambda _, ctx: ctx.storage.setAlarm(4_000_000_000_000)
        )
        await testing.run_durable_object_alarm(app.env.SHORT.get_by_name("a"))
    assert heard == ["alarm"]


async def test_a_class_without_an_alarm_handler_may_set_an_alarm_which_fails_when_it_is_due():
    """As on Cloudflare, where every Python class has all handlers; the error names the class and what it lacks."""

    class Deaf(DurableObject):
        async def remind(self):
            await self.ctx.storage.setAlarm(4_000_000_000_000)
            return await self.ctx.storage.getAlarm()

    async with inside(Deaf) as app:
        assert await app.cf.DEAF.getByName("a").remind() == 4_000_000_000_000
        with pytest.raises(TypeError, match=r"Deaf has no alarm\(\) handler, and set an alarm"):
            await testing.run_durable_object_alarm(app.env.DEAF.get_by_name("a"))


@pytest.mark.members("DurableObject.alarm")
async def test_an_alarm_is_told_of_its_runs():
    """`info` has Cloudflare's names, and milliseconds."""
    seen = []

    class Told(DurableObject):
        async def alarm(self, info):
            seen.append((info.retryCount, info["isRetry"], info.scheduledTime, self.ctx.id.name))

        async def set(self):
            await self.ctx.storage.setAlarm(4_000_000_000_000)

    async with inside(Told) as app:
        await app.cf.TOLD.getByName("one").set()
        await testing.run_durable_object_alarm(app.env.TOLD.get_by_name("one"))
    assert seen == [(0, False, 4_000_000_000_000, "one")]


async def test_a_handler_may_be_an_attribute_of_the_instance():
    """What counts is what the instance has; an attribute that is no function is no handler."""

    class Late(DurableObject):
        alarm = None

        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.fetch = lambda request: Response("late")

        async def set(self):
            await self.ctx.storage.setAlarm(4_000_000_000_000)

    async with inside(Late) as app:
        stub = app.cf.LATE.getByName("a")
        assert await (await stub.fetch("http://a/")).text() == "late"
        await stub.set()
        with pytest.raises(TypeError, match=r"Late has no alarm\(\) handler"):
            await testing.run_durable_object_alarm(app.env.LATE.get_by_name("a"))


async def test_a_plain_fetch_may_return_a_coroutine():
    """Whatever can be awaited is."""

    class Plain(DurableObject):
        def fetch(self, request):
            async def answer():
                return Response("plain")

            return answer()

    async with inside(Plain) as app:
        assert await (await app.cf.PLAIN.getByName("a").fetch("http://a/")).text() == "plain"


def decorated(handler):
    @functools.wraps(handler)
    async def with_env_and_ctx(self, request):
        return await handler(self, request, self.env, self.ctx)

    return with_env_and_ctx


class Answers:
    """A handler that is an object."""

    async def __call__(self, request):
        return Response("answer")


def of_property():
    class Thing(DurableObject):
        @property
        def fetch(self):
            return lambda request: Response("answer")

    return Thing


def of_static_method():
    class Thing(DurableObject):
        @staticmethod
        def fetch(request):
            return Response("answer")

    return Thing


def of_class_method():
    class Thing(DurableObject):
        @classmethod
        def fetch(cls, request):
            return Response("answer")

    return Thing


def of_partial():
    class Thing(DurableObject):
        def __init__(self, ctx, env):
            self.fetch = functools.partial(self.say, "answer")

        def say(self, word, request):
            return Response(word)

    return Thing


def of_object():
    class Thing(DurableObject):
        fetch = Answers()

    return Thing


def of_decorator():
    class Thing(DurableObject):
        @decorated
        async def fetch(self, request, env, ctx):
            return Response("answer")

    return Thing


@pytest.mark.parametrize(
    "made", [of_property, of_static_method, of_class_method, of_partial, of_object, of_decorator]
)
async def test_whatever_can_be_called_is_a_handler(made):
    """Found on the instance as Python finds it, and called with as much as it takes."""
    async with inside(made()) as app:
        assert await (await app.cf.THING.getByName("a").fetch("http://a/")).text() == "answer"


def with_slots():
    class Thing(DurableObject):
        __slots__ = ("answer", "ctx", "env")

        def __init__(self, ctx, env):
            self.answer = "answer"

        def go(self):
            return self.answer

    return Thing


def with_metaclass():
    class Tagging(type):
        def __call__(cls, *args, **kwargs):
            made = super().__call__(*args, **kwargs)
            made.answer = "answer"
            return made

    class Thing(DurableObject, metaclass=Tagging):
        def go(self):
            return self.answer

    return Thing


def as_dataclass():
    @dataclasses.dataclass
    class Thing(DurableObject):
        ctx: object
        env: object
        answer: str = "answer"

        def go(self):
            return self.answer

    return Thing


def with_names_of_the_adapters():
    class Thing(DurableObject):
        fetch = alarm = user = user_class = handlers = ctx_view = env_view = "no function"

        def __len__(self):
            return 0  # it is false to `if`

        def go(self):
            return "answer"

    return Thing


@pytest.mark.parametrize("made", [with_slots, with_metaclass, as_dataclass, with_names_of_the_adapters])
async def test_a_class_may_be_made_in_any_way(made):
    """Python's own rules hold; what is no function is no handler."""
    assert await ask(made(), "go") == "answer"


@pytest.mark.parametrize("name", ["fetch", "on_fetch"])
async def test_a_worker_that_asks_for_env_and_ctx_gets_them(name):
    """`fetch(self, request, env, ctx)`, and its old name `on_fetch`."""

    async def handler(self, request, env, ctx):
        ctx.waitUntil(asyncio.sleep(0))
        return Response(env.WORD)

    cls = type("Default", (WorkerEntrypoint,), {name: handler})
    async with inside(cls, vars={"WORD": "hello"}) as app:
        assert await (await app.fetch("/")).text() == "hello"


async def test_a_default_of_fetch_stays_what_it_is():
    """A parameter that has a value of its own is not given env."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request, greeting="hello"):
            return Response(greeting)

    async with inside(Default) as app:
        assert await (await app.fetch("/")).text() == "hello"


@pytest.mark.members("workers.WorkerEntrypoint", "WorkerEntrypoint.fetch")
async def test_each_request_has_an_instance_of_its_own():
    """Attributes of a worker last for one request."""

    class Default(WorkerEntrypoint):
        count = 0

        async def fetch(self, request):
            self.count += 1
            return Response(str(self.count))

    async with inside(Default) as app:
        assert [await (await app.fetch("/")).text() for _ in range(2)] == ["1", "1"]


@pytest.mark.members("workers.wait_until", "workers.waitUntil")
async def test_wait_until_without_ctx_belongs_to_the_event():
    """`workers.wait_until` works in objects and workers, and says when there is no event."""

    class Notes(DurableObject):
        async def go(self):
            wait_until(self.ctx.storage.put("noted", True))
            return await self.ctx.storage.get("noted")

    assert await ask(Notes, "go") is True
    with pytest.raises(RuntimeError, match="outside of an event"):
        wait_until(asyncio.get_running_loop().create_future())


async def test_an_error_that_passes_through_shows_the_way_it_came():
    """The traceback of an error of another object has the project's own lines."""

    class Inner(DurableObject):
        async def fail(self):
            raise RuntimeError("told")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await self.env.INNER.getByName("a").fail()  # this very line

    async with inside(Inner, Default) as app:
        with pytest.raises(RuntimeError, match="told") as caught:
            await app.fetch("/")
    assert any("this very line" in str(entry.statement) for entry in caught.traceback)
    assert not isinstance(caught.value, JsException)


async def test_an_adapter_has_the_name_of_its_class():
    """In logs, errors and the data folder a class is called what the project calls it."""

    class Known(DurableObject):
        async def fail(self):
            raise RuntimeError("told")

    async with inside(Known) as app:
        with pytest.raises(RuntimeError):
            await app.cf.KNOWN.getByName("one").fail()
        assert "Known" in repr(app.env.KNOWN)
        assert isinstance(app.env.KNOWN, perdure.Namespace)


async def test_the_names_in_env_and_in_exports_can_be_listed():
    """`Object.keys(ctx.exports)` asks for none of the values."""

    class Lists(DurableObject):
        async def names(self):
            return [js.Object.keys(self.env), js.Object.keys(self.ctx.exports)]

    async with inside(Lists, vars={"WORD": "x"}) as app:
        assert await app.cf.LISTS.getByName("a").names() == [["WORD", "LISTS"], ["Lists"]]


async def test_a_timer_of_no_time_calls_when_the_call_that_set_it_has_its_answer():
    """So an object can end itself, and say that it will."""

    class Ends(DurableObject):
        async def end(self):
            js.setTimeout(lambda: self.ctx.abort("the end"), 0)
            return "soon"

    async with inside(Ends) as app:
        assert await app.cf.ENDS.getByName("a").end() == "soon"


@pytest.mark.members("DurableObjectState.waitUntil", "DurableObjectState.exports", "DurableObjectState.props")
async def test_what_else_ctx_has():
    """Background work, ways back to the application's classes, and props, which an object has none of."""

    class Knows(DurableObject):
        async def go(self):
            self.ctx.waitUntil(self.later())
            other = await self.ctx.exports.Knows.getByName("two").who()
            return [other, dict(self.ctx.props), self.ctx._ctx is self.ctx, self.env._env is self.env]

        async def later(self):
            await self.ctx.storage.put("later", True)

        def who(self):
            return self.ctx.id.name

        async def was_later(self):
            return await self.ctx.storage.get("later")

    async with inside(Knows) as app:
        stub = app.cf.KNOWS.getByName("one")
        assert await stub.go() == ["two", {}, True, True]
        assert await stub.was_later() is True


@pytest.mark.members(
    "ExecutionContext.waitUntil",
    "ExecutionContext.passThroughOnException",
    "ScheduledController.type",
    "ScheduledController.noRetry",
)
async def test_a_cron_trigger_is_told_of_itself():
    """`scheduled` with the controller alone; its run may ask not to be repeated."""
    seen = []

    class Default(WorkerEntrypoint):
        async def scheduled(self, controller):
            self.ctx.passThroughOnException()
            controller.noRetry()
            seen.append((controller.cron, controller.type))

        async def fetch(self, request):
            return Response("")

    async with inside(Default, crons=["0 3 * * *"]) as app:
        controller = await app.scheduled("0 3 * * *")
        assert controller.retries is False
    assert seen == [("0 3 * * *", "scheduled")]
