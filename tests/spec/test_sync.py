"""Objects asked from other threads: `Runtime.run`, `Runtime.sync`, and a runtime in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.inside import Unsynced, attempt, live_of, until

from perdure import (
    Disconnected,
    DurableObject,
    PerdureError,
    RemoteError,
    Request,
    Response,
    Runtime,
    TimedOut,
)


class Counter(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.open = asyncio.Event()

    async def hit(self, by=1):
        n = self.ctx.storage.kv.get("n", 0) + by
        self.ctx.storage.kv.put("n", n)
        return n

    async def wait(self):
        await self.open.wait()
        return "waited"

    async def go_on(self):
        self.open.set()

    async def fail(self):
        raise LookupError("nothing there")

    async def hit_by_thread(self):
        """Call another object from a thread, in the middle of a section of this one."""
        rt = self.env.RT[0]

        async def section():
            return await asyncio.to_thread(rt.run, lambda: rt.env.COUNTER.get_by_name("other").hit())

        return await self.ctx.block_concurrency_while(section)

    @property
    def kind(self):
        return "counter"

    async def fetch(self, request: Request) -> Response:
        return Response(f"{request.method} {await request.text()}")


@contextlib.asynccontextmanager
async def a_runtime(**options):
    async with Runtime(objects=[Counter], disk=Unsynced(), **options) as rt:
        yield rt


async def in_a_thread(work):
    return await asyncio.to_thread(work)


# --- run ----------------------------------------------------------------------------------------------


async def test_a_thread_waits_for_what_it_has_the_loop_do():
    """A function is called on the loop; a coroutine is awaited there."""
    async with a_runtime() as rt:

        async def work():
            return [await rt.env.COUNTER.get_by_name("x").hit(), threading.get_ident()]

        loop_thread = threading.get_ident()
        assert await in_a_thread(lambda: rt.run(work())) == [1, loop_thread]
        assert await in_a_thread(lambda: rt.run(work)) == [2, loop_thread]
        assert await in_a_thread(lambda: rt.run(lambda: rt.env.COUNTER.get_by_name("x").hit(3))) == 5
        assert await in_a_thread(lambda: rt.run(lambda: rt.env.COUNTER.get_by_name("x").kind)) == "counter"


async def test_an_error_reaches_the_thread_as_it_is():
    """With the flags of a call."""
    async with a_runtime() as rt:
        error = await attempt(in_a_thread(lambda: rt.run(lambda: rt.env.COUNTER.get_by_name("x").fail())))
        assert type(error) is LookupError
        assert error.remote


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
async def test_what_would_end_the_loop_ends_only_the_work(error):
    """As in an object."""

    def work():
        raise error("the end")

    async with a_runtime() as rt:
        told = await attempt(in_a_thread(lambda: rt.run(work)))
        assert type(told) is RemoteError
        assert told.name == error.__name__
        assert await rt.env.COUNTER.get_by_name("x").hit() == 1


async def test_a_thread_that_gives_up_cancels_its_work_and_no_event():
    """What an object has begun goes on (STB-15)."""
    async with a_runtime() as rt:
        stub = rt.env.COUNTER.get_by_name("x")
        ended = []

        async def work():
            try:
                await stub.wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        error = await attempt(in_a_thread(lambda: rt.run(work, timeout_s=0.05)))
        assert type(error) is TimedOut
        assert isinstance(error, TimeoutError)
        assert str(error).startswith("run() waited 0.05 seconds and gave up.")
        await until(lambda: ended)
        (event,) = live_of(stub).events
        await stub.go_on()
        await until(event.task.done)
        assert event.future.done()


async def test_a_time_limit_of_the_work_is_its_own():
    """A TimeoutError that it raises is not that of `run`."""

    async def work():
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async with a_runtime() as rt:
        error = await attempt(in_a_thread(lambda: rt.run(work, timeout_s=20)))
        assert type(error) is TimeoutError


async def test_on_the_loops_own_thread_it_is_an_error():
    """It would wait for itself; no coroutine is left behind that nobody awaited."""
    async with a_runtime() as rt:
        with pytest.raises(RuntimeError, match="on the event loop's own thread.*`await`"):
            rt.run(asyncio.sleep(0))


async def test_a_runtime_that_does_not_run_says_so():
    """Before the start, and after the stop."""
    rt = Runtime(objects=[Counter], disk=Unsynced())
    for _ in range(2):
        error = await attempt(in_a_thread(lambda: rt.run(lambda: None)))
        assert type(error) is PerdureError
        assert "not running" in str(error)
        await rt.start()
        await rt.stop()


async def test_whoever_waits_when_the_runtime_stops_is_told():
    """After the time to drain, as the caller of an event."""
    async with a_runtime() as rt:
        waiting = asyncio.ensure_future(in_a_thread(lambda: rt.run(asyncio.Event().wait)))
        await until(lambda: rt._host.background)
        await rt.stop(drain_s=0)
        assert type(await attempt(waiting)) is Disconnected


async def test_the_end_of_the_runtime_waits_for_threads():
    """As for events: what they do is done in the time to drain."""
    async with a_runtime() as rt:
        open_ = asyncio.Event()

        async def work():
            await open_.wait()
            return await rt.namespace(Counter).get_by_name("x").hit()

        waiting = asyncio.ensure_future(in_a_thread(lambda: rt.run(work)))
        await until(lambda: rt._host.background)
        stopping = asyncio.ensure_future(rt.stop())
        await until(lambda: not rt._host)
        open_.set()
        assert await waiting == 1
        await stopping


async def test_a_thread_may_stop_the_runtime():
    """It does not wait for itself."""
    async with a_runtime() as rt:
        await asyncio.wait_for(in_a_thread(lambda: rt.run(rt.stop)), 5)
        assert rt._host is None


async def test_a_thread_of_an_object_speaks_for_the_object():
    """It was started with the object's context: what it asks inside a critical section is of the section."""
    box = []
    async with a_runtime(env={"RT": box}) as rt:
        box.append(rt)
        assert await rt.env.COUNTER.get_by_name("x").hit_by_thread() == 1


async def test_nothing_is_left_of_a_call():
    """However it ended."""
    async with a_runtime() as rt:
        for work in (lambda: rt.env.COUNTER.get_by_name("x").hit(), lambda: 1 / 0):
            await attempt(in_a_thread(lambda: rt.run(work)))  # noqa: B023
        await until(lambda: not rt._host.background)


# --- sync ---------------------------------------------------------------------------------------------


async def test_a_sync_stub_returns_what_await_would():
    """By name, by id, with its errors."""
    async with a_runtime() as rt:

        def work():
            counters = rt.sync().namespace(Counter)
            home = counters.get_by_name("home")
            assert home.hit() == 1
            assert home.hit(by=2) == 3
            assert counters.get(counters.id_from_name("home")).hit() == 4
            assert counters.get(counters.id_from_string(str(home.id))).hit() == 5
            assert counters.get(counters.new_unique_id()).hit() == 1
            assert home.name == "home"
            assert home.kind == "counter"
            assert repr(home) == "<sync <stub of Counter home>>"
            with pytest.raises(LookupError):
                home.fail()
            with pytest.raises(TypeError, match='does not implement the method "nothing"'):
                home.nothing()
            assert rt.sync().namespace("Counter").get_by_name("home").hit() == 6
            return rt.sync().run(lambda: home.awaitable.kind)

        assert await in_a_thread(work) == "counter"


async def test_a_sync_namespace_lists_its_objects():
    """All of them, page by page, or those with a prefix."""
    async with a_runtime() as rt:
        for name in ("b", "a1", "a2"):
            await rt.env.COUNTER.get_by_name(name).hit()

        def work():
            counters = rt.sync().namespace(Counter)
            page = counters.list(limit=2)
            more = counters.list(limit=2, cursor=page.cursor)
            assert [info.id.name for info in [*page.objects, *more.objects]] == ["a1", "a2", "b"]
            return [
                [info.id.name for info in counters],
                [info.id.name for info in counters.list(prefix="a").objects],
                rt.run(lambda: rt.namespace(Counter).list(prefix="b")).objects[0].id.name,
            ]

        assert await in_a_thread(work) == [["a1", "a2", "b"], ["a1", "a2"], "b"]


async def test_a_sync_stub_sends_requests():
    """The body is read on the loop, where it may be a stream."""
    async with a_runtime() as rt:

        def work():
            response = (
                rt.sync().namespace(Counter).get_by_name("x").fetch("http://x/", method="POST", body="hello")
            )
            return response.status, rt.run(response.text)

        assert await in_a_thread(work) == (200, "POST hello")


async def test_all_calls_of_it_have_its_time_limit():
    """It is given once."""
    async with a_runtime() as rt:

        def work():
            with pytest.raises(TimedOut):
                rt.sync(timeout_s=0.05).namespace(Counter).get_by_name("x").wait()

        await in_a_thread(work)
        await rt.env.COUNTER.get_by_name("x").go_on()


async def test_many_threads_may_call_at_once():
    """Each gets its own answer."""
    async with a_runtime() as rt:

        def work():
            counter = rt.sync().namespace(Counter).get_by_name("x")
            with ThreadPoolExecutor(8) as threads:
                return sorted(threads.map(lambda _: counter.hit(), range(200)))

        assert await in_a_thread(work) == list(range(1, 201))


# --- in a thread --------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    """Tell which threads of runtimes began since the test did."""
    before = set(threading.enumerate())
    return lambda: {
        thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("perdure")
    }


def test_a_runtime_may_have_a_thread_of_its_own(tmp_path, threads):
    """For the time of the block; state is there the next time."""
    for n in (1, 2):
        with Runtime(objects=[Counter], data=tmp_path, disk=Unsynced()).in_thread() as rt:
            assert "perdure-loop" in threads()
            assert rt.sync().namespace(Counter).get_by_name("x").hit() == n
        assert not threads()
        with pytest.raises(PerdureError, match="not running"):
            rt.sync().namespace(Counter).get_by_name("x").hit()


def test_start_and_stop_do_the_same_and_may_be_said_twice(threads):
    """Each request of a web application may start it."""
    thread = Runtime(objects=[Counter], disk=Unsynced()).in_thread()
    rt = thread.start()
    assert thread.start() is rt
    assert rt.sync().namespace(Counter).get_by_name("x").hit() == 1
    thread.stop()
    thread.stop()
    assert not threads()
    assert thread.start().sync().namespace(Counter).get_by_name("x").hit() == 1
    thread.stop()


def test_many_threads_may_start_it_at_once():
    """One of them does."""
    thread = Runtime(objects=[Counter], disk=Unsynced()).in_thread()
    with ThreadPoolExecutor(8) as callers:
        found = set(callers.map(lambda _: thread.start(), range(16)))
    assert len(found) == 1
    thread.stop()


def test_what_hinders_the_start_is_raised_there(tmp_path, threads):
    """And nothing is left running."""
    with Runtime(objects=[Counter], data=tmp_path, disk=Unsynced()).in_thread():
        with pytest.raises(PerdureError, match="in use"):
            Runtime(objects=[Counter], data=tmp_path, disk=Unsynced()).in_thread().start()
    assert not threads()


def test_stopping_lets_callers_finish():
    """Those of other threads, too."""
    thread = Runtime(objects=[Counter], disk=Unsynced()).in_thread()
    rt = thread.start()
    began = threading.Event()

    async def work():
        began.set()
        await until(lambda: rt._host is None)  # it stops
        return await rt.namespace(Counter).get_by_name("x").hit()

    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(rt.run, work)
        assert began.wait(10)
        thread.stop()
        assert waiting.result() == 1


def test_it_cannot_be_stopped_on_its_own_thread():
    """It would wait for its own end."""
    thread = Runtime(objects=[Counter], disk=Unsynced()).in_thread()
    with thread as rt:

        async def work():
            thread.stop()

        with pytest.raises(RuntimeError, match="await rt.stop"):
            rt.run(work)


def test_a_runtime_that_was_stopped_by_a_call_may_be_left(threads):
    """`with` then only ends the thread."""
    with Runtime(objects=[Counter], disk=Unsynced()).in_thread() as rt:
        rt.run(rt.stop)
    assert not threads()


async def test_ctrl_c_before_the_work_was_handed_over_leaves_no_trace(monkeypatch, recwarn):
    """Not even a warning that a coroutine was never awaited."""

    def interrupted(coro, loop):
        raise KeyboardInterrupt

    def call():
        try:
            rt.run(rt.env.COUNTER.list)
        except KeyboardInterrupt:
            return "interrupted"

    async with Runtime(objects=[Counter], disk=Unsynced()) as rt:
        monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
        assert await asyncio.to_thread(call) == "interrupted"
        gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
