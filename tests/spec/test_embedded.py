"""The runtime in a program of one's own: start, stop, folders, loops, ASGI."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
from support.inside import Plain, attempt, begin, inside, live_of, until
from support.loops import on_both_loops

import perdure
from perdure import (
    ConfigError,
    DataFolderInUse,
    Disconnected,
    DurableObject,
    Request,
    Response,
    Runtime,
    WorkerEntrypoint,
)
from perdure.errors import PerdureError
from perdure.testing.clock import ManualClock

NOT_RUNNING = "The runtime is not running"


class Counter(DurableObject):
    async def hit(self):
        n = await self.ctx.storage.get("n", 0) + 1
        await self.ctx.storage.put("n", n)
        return n

    async def wait(self, event):
        await self.env.EVENTS[event].wait()
        return "done"


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(str(await self.env.COUNTER.get_by_name("home").hit()))


# --- start and stop ---------------------------------------------------------------------------------------


@on_both_loops
async def test_a_runtime_runs_for_the_time_of_its_block(tmp_path):
    """Data outlives it."""
    for expected in (1, 2):
        async with Runtime(objects=[Counter], data=tmp_path) as rt:
            assert await rt.namespace(Counter).get_by_name("home").hit() == expected
            assert await rt.env.COUNTER.get_by_name(f"other {expected}").hit() == 1


async def test_start_and_stop_do_the_same_as_the_block(tmp_path):
    """For programs with a start and an end of their own."""
    rt = Runtime(objects=[Counter], data=tmp_path)
    await rt.start()
    assert await rt.env.COUNTER.get_by_name("x").hit() == 1
    await rt.stop()
    assert (tmp_path / "journal").exists()


async def test_starting_twice_is_an_error():
    """One after the other, and both at once; the first one runs on."""
    rt = Runtime(objects=[Counter])
    results = await asyncio.gather(rt.start(), rt.start(), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), PerdureError]
    with pytest.raises(PerdureError, match="has been started already"):
        await rt.start()
    assert await rt.env.COUNTER.get_by_name("x").hit() == 1
    await rt.stop()


async def test_stopping_twice_is_harmless():
    """Also both at once, and before any start."""
    rt = Runtime(objects=[Counter])
    await rt.stop()
    await rt.start()
    await asyncio.gather(rt.stop(), rt.stop())
    await rt.stop()


async def test_a_runtime_can_be_started_again(tmp_path):
    """On the same folder, with the same data and namespaces."""
    rt = Runtime(objects=[Counter], data=tmp_path)
    namespace = rt.namespace(Counter)
    for expected in (1, 2, 3):
        async with rt:
            assert await namespace.get_by_name("x").hit() == expected
            assert rt.env.COUNTER is namespace


async def test_without_a_start_nothing_works_and_the_text_says_why():
    """`env`, `handle` and namespaces want a running one."""
    rt = Runtime(objects=[Counter], worker=Default)
    for use in (lambda: rt.env, lambda: rt.namespace(Counter).get_by_name("x").hit):
        with pytest.raises(PerdureError, match=NOT_RUNNING):
            use()
    with pytest.raises(PerdureError, match=NOT_RUNNING):
        await rt.handle(Request("http://x/"))


async def test_a_failed_start_leaves_nothing_behind(tmp_path):
    """The folder is free, and the runtime can be started when the reason is gone."""
    async with Runtime(objects=[Counter, Plain], data=tmp_path) as rt:
        await rt.env.COUNTER.get_by_name("x").hit()
    threads = threading.active_count()
    broken = Runtime(objects=[Plain], data=tmp_path)
    for _ in range(2):
        with pytest.raises(Exception, match="Counter"):
            await broken.start()
    assert threading.active_count() == threads
    assert await _hit(tmp_path) == 2


@on_both_loops
async def test_nothing_of_a_stopped_runtime_is_left(tmp_path):
    """No task, no thread, no factory of tasks, no open folder."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory(), asyncio.all_tasks(), set(threading.enumerate())
    async with Runtime(objects=[Counter], data=tmp_path) as rt:
        await asyncio.gather(*[rt.env.COUNTER.get_by_name(str(n)).hit() for n in range(20)])
        assert loop.get_task_factory() is not None
    await asyncio.sleep(0)
    assert (loop.get_task_factory(), asyncio.all_tasks(), set(threading.enumerate())) == before


# --- draining ---------------------------------------------------------------------------------------------


async def test_calls_in_progress_finish_before_the_end():
    """And calls that they make, to objects that were not awake."""
    go_on = asyncio.Event()

    async def work(plain):
        await go_on.wait()
        return await plain.ctx.exports.Counter.get_by_name("late").hit()

    rt = Runtime(objects=[Counter, Plain])
    await rt.start()
    call = begin(rt.namespace(Plain).get_by_name("x"), work)
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(rt.stop())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert await call == 1


async def test_calls_that_do_not_finish_are_broken_off():
    """After `drain_s`, as disconnected; what they had committed is kept."""
    clock = ManualClock()
    log = []

    async def work(plain):
        await plain.ctx.storage.put("k", 1)
        try:
            await asyncio.Event().wait()
        finally:
            log.append("finally")

    rt = Runtime(objects=[Plain], clock=clock, slow_ms=0)
    await rt.start()
    call = asyncio.ensure_future(attempt(begin(rt.namespace(Plain).get_by_name("x"), work)))
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(rt.stop(drain_s=5))
    for _ in range(10):
        await asyncio.sleep(0)
    clock.advance(4.9)
    await asyncio.sleep(0)
    assert not call.done()
    clock.advance(0.1)
    await stopping
    error = await call
    assert isinstance(error, Disconnected)
    assert error.retryable
    assert log == ["finally"]


async def test_a_stop_without_drain_breaks_off_at_once(tmp_path):
    """Every commit is confirmed all the same."""

    async def work(plain):
        plain.ctx.storage.kv["k"] = 1
        await asyncio.Event().wait()

    rt = Runtime(objects=[Plain], data=tmp_path)
    await rt.start()
    call = begin(rt.namespace(Plain).get_by_name("x"), work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await rt.stop(drain_s=0)
    assert isinstance(await attempt(call), Disconnected)
    async with Runtime(objects=[Plain], data=tmp_path) as rt:
        assert await inside(rt.env.PLAIN.get_by_name("x"), lambda plain: plain.ctx.storage.kv["k"]) == 1


async def test_a_call_after_the_end_is_told_so():
    """On a stub that was used, one that was not, and by fetch."""
    async with Runtime(objects=[Counter]) as rt:
        used, unused = rt.env.COUNTER.get_by_name("x"), rt.env.COUNTER.get_by_name("y")
        await used.hit()
    for call in (used.hit, unused.hit, lambda: used.fetch("http://x/")):
        error = await attempt(call())
        assert isinstance(error, Disconnected)
        assert "shutting down" in str(error)


async def test_a_task_of_an_object_cannot_hold_up_the_end():
    """Only events and `wait_until` are waited for."""

    async def work(plain):
        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass

        plain.task = asyncio.create_task(stubborn())

    async with Runtime(objects=[Plain]) as rt:
        await inside(rt.env.PLAIN.get_by_name("x"), work)
        task = live_of(rt.env.PLAIN.get_by_name("x")).instance.task
    assert task.done()


# --- folders and loops -------------------------------------------------------------------------------------


async def test_without_a_folder_everything_is_temporary():
    """The folder is gone with the runtime; the next one begins empty."""
    rt = Runtime(objects=[Counter])
    folders = []
    for _ in range(2):
        async with rt:
            assert await rt.env.COUNTER.get_by_name("x").hit() == 1
            folders.append(Path(rt._folder.path))
            assert folders[-1].exists()
        assert not folders[-1].exists()
    assert folders[0] != folders[1]


async def test_two_runtimes_cannot_share_a_folder(tmp_path):
    """The second is refused, in this process too; the first one goes on."""
    async with Runtime(objects=[Counter], data=tmp_path) as rt:
        with pytest.raises(DataFolderInUse, match=str(tmp_path)):
            await Runtime(objects=[Counter], data=tmp_path).start()
        assert await rt.env.COUNTER.get_by_name("x").hit() == 1
    assert await _hit(tmp_path) == 2


@on_both_loops
async def test_two_runtimes_with_two_folders_run_in_one_process(tmp_path):
    """On one loop, each with its own objects; either may stop first."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    async def value():
        await asyncio.sleep(0)
        return "a task"

    for first_to_stop in (0, 1):
        rts = [Runtime(objects=[Counter, Plain], data=tmp_path / str(n), name=f"app{n}") for n in range(2)]
        for rt in rts:
            await rt.start()

        async def both(plain, rts=rts):
            async def hit(rt):
                await asyncio.sleep(0)
                return await rt.env.COUNTER.get_by_name("x").hit()

            return await asyncio.gather(*[asyncio.create_task(hit(rt)) for rt in rts])

        so_far = 2 * first_to_stop
        assert await inside(rts[0].env.PLAIN.get_by_name("p"), both) == [so_far + 1] * 2
        assert await inside(rts[1].env.PLAIN.get_by_name("p"), both) == [so_far + 2] * 2
        await rts[first_to_stop].stop()
        other = rts[1 - first_to_stop]
        assert (
            await inside(other.env.PLAIN.get_by_name("p"), lambda plain: asyncio.create_task(value()))
            == "a task"
        )
        await other.stop()
        assert loop.get_task_factory() is before


def test_two_runtimes_on_two_loops_in_two_threads(tmp_path):
    """Each belongs to its own loop."""
    hits = {}

    def work(n):
        async def main():
            async with Runtime(objects=[Counter], data=tmp_path / str(n)) as rt:
                for _ in range(20):
                    hits[n] = await rt.env.COUNTER.get_by_name("x").hit()

        asyncio.run(main())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hits == {0: 20, 1: 20}


async def test_a_task_factory_of_ones_own_goes_on_making_the_tasks():
    """The runtime's is put on top of it."""
    loop = asyncio.get_running_loop()
    made = []

    def factory(loop, coro, **options):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    async with Runtime(objects=[Plain]) as rt:
        made.clear()
        await inside(rt.env.PLAIN.get_by_name("x"), lambda plain: asyncio.create_task(asyncio.sleep(0, 5)))
        assert len(made) == 1
    assert loop.get_task_factory() is factory


async def test_tasks_of_the_program_itself_are_not_driven():
    """Only code of objects is."""
    async with Runtime(objects=[Plain]) as rt:
        task = asyncio.create_task(asyncio.sleep(0, "as it is"))
        assert task.get_coro().__name__ == "sleep"
        assert await task == "as it is"
        assert repr(rt).startswith("<Runtime 'app' running: Plain")


async def test_an_object_of_one_runtime_may_call_one_of_another(tmp_path):
    """A stub is a value like any other for the program that made both."""

    async def call(plain):
        return await counter.hit()

    async with Runtime(objects=[Plain]) as one, Runtime(objects=[Counter]) as two:
        counter = two.env.COUNTER.get_by_name("x")
        assert await inside(one.env.PLAIN.get_by_name("p"), call) == 1


async def test_the_runtime_that_stops_leaves_the_others_connections_alone():
    """Outgoing requests of the loop share a client until the last one ends."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await more.wait()
        writer.write(b"3\r\nend\r\n0\r\n\r\n")
        writer.close()

    more = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with Runtime(objects=[Plain]) as rt:
        async with Runtime(objects=[Counter]):
            response = await inside(rt.env.PLAIN.get_by_name("x"), lambda plain: perdure.fetch(url))
        more.set()
        assert await response.text() == "okend"
    server.close()


# --- what it is given --------------------------------------------------------------------------------------


def test_objects_are_bound_under_their_names_in_capitals():
    """Unless other bindings are given."""

    class ChatRoom(DurableObject):
        pass

    async def names(**options):
        async with Runtime(**options) as rt:
            return list(rt.env)

    assert asyncio.run(names(objects=[ChatRoom])) == ["CHAT_ROOM"]
    assert asyncio.run(names(bindings={"A": ChatRoom, "B": ChatRoom})) == ["A", "B"]


@pytest.mark.parametrize("wrong", [Counter.__new__(Counter), "Counter", None, Counter.hit])
def test_objects_are_classes(wrong):
    """The runtime makes the instances."""
    with pytest.raises(TypeError, match="given classes, and makes the instances itself"):
        Runtime(objects=[wrong])


def test_two_classes_of_one_name_are_refused():
    """Their objects could not be told apart."""
    other = type("Counter", (DurableObject,), {"__module__": "elsewhere"})
    with pytest.raises(
        ConfigError, match=r"Two classes are called Counter: .*test_embedded.Counter and elsewhere.Counter"
    ):
        Runtime(objects=[Counter, other])
    Runtime(objects=[Counter, Counter], bindings={"A": Counter})


def test_importing_perdure_has_no_effect():
    """No thread, no loop, no file, no signal handler, and none of its heavy parts."""
    code = """
import os, signal, sys, threading
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), len(os.listdir("/proc/self/fd"))
import perdure
after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), len(os.listdir("/proc/self/fd"))
assert before == after, (before, after)
assert threading.active_count() == 1
assert "apsw" not in sys.modules and "uvicorn" not in sys.modules
from perdure import *
assert threading.active_count() == 1
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(Path(perdure.__file__).parents[1])}
    )


# --- ASGI -------------------------------------------------------------------------------------------------


class Lifespan:
    """A server's side of an application's lifespan."""

    def __init__(self, app):
        self.sent = asyncio.Queue()
        self.told = asyncio.Queue()
        self.task = asyncio.ensure_future(app({"type": "lifespan", "asgi": {}}, self.told.get, self.sent.put))

    async def tell(self, step):
        await self.told.put({"type": f"lifespan.{step}"})
        return await asyncio.wait_for(self.sent.get(), 5)


async def get(app, path="/"):
    """One GET request; status and body."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "scheme": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def test_the_asgi_lifespan_starts_and_stops_the_runtime(tmp_path):
    """As a server's own application."""
    rt = Runtime(objects=[Counter], worker=Default, data=tmp_path)
    app = rt.asgi
    for expected in (b"1", b"2"):
        lifespan = Lifespan(app)
        assert await lifespan.tell("startup") == {"type": "lifespan.startup.complete"}
        assert await get(app) == (200, expected)
        assert await lifespan.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
        await lifespan.task
        with pytest.raises(PerdureError, match=NOT_RUNNING):
            rt.env  # noqa: B018


async def test_a_runtime_that_runs_already_is_left_alone_by_the_lifespan():
    """Who started it stops it."""
    async with Runtime(objects=[Counter], worker=Default) as rt:
        lifespan = Lifespan(rt.asgi)
        await lifespan.tell("startup")
        assert await get(rt.asgi) == (200, b"1")
        await lifespan.tell("shutdown")
        assert await get(rt.asgi) == (200, b"2")


async def test_a_start_that_fails_is_told_to_the_server(tmp_path):
    """With the reason; so `uvicorn --workers 4` says what is wrong."""
    async with Runtime(objects=[Counter], data=tmp_path):
        lifespan = Lifespan(Runtime(objects=[Counter], worker=Default, data=tmp_path).asgi)
        answer = await lifespan.tell("startup")
        assert answer["type"] == "lifespan.startup.failed"
        assert "DataFolderInUse" in answer["message"]
        await lifespan.task


async def test_many_runtimes_one_after_another_leave_no_memory_behind():
    """Each is garbage when it has stopped."""

    async def once():
        rt = Runtime(objects=[Counter])
        async with rt:
            await rt.env.COUNTER.get_by_name("x").hit()
            host = weakref.ref(rt._host)
        return host

    hosts = [await once() for _ in range(3)]
    await until(lambda: gc.collect() is not None and not any(host() for host in hosts), timeout_s=5)


async def _hit(path):
    async with Runtime(objects=[Counter, Plain], data=path) as rt:
        return await rt.env.COUNTER.get_by_name("x").hit()
