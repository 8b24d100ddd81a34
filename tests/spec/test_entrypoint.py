"""The worker in front of the objects: EP-01, EP-05, EP-06, EP-11, EP-13, EP-15, EP-16."""

from __future__ import annotations

import asyncio

import pytest
from support.held_disk import HeldDisk
from support.inside import attempt, inside, live_of, until

import perdure
from perdure import ConfigError, DataCloneError, DurableObject, Request, Response, Runtime, WorkerEntrypoint
from perdure._base.observer import Observer
from perdure._web.request import make_request
from perdure.errors import PerdureError
from perdure.testing.clock import ManualClock
from perdure.web import Address, Headers


class Watching(Observer):
    def __init__(self):
        self.background = []

    def background_failed(self, label, error):
        self.background.append((label, error))


class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        self.go_on = asyncio.Event()

    async def note(self, tag):
        self.log.append(tag)
        return len(self.log)

    async def wait(self):
        self.log.append("waits")
        await self.go_on.wait()
        self.log.append("went on")

    async def release(self):
        self.go_on.set()

    async def ask_worker(self, path="ask"):
        return await (await self.ctx.exports.Default.fetch(f"http://x/{path}")).text()

    async def call_worker(self, value):
        return await self.ctx.exports.Default.echo(value)

    async def call_worker_with_write(self):
        await self.ctx.storage.put("k", 1)
        return await self.ctx.exports.Default.echo("written")

    async def call_hidden(self, name):
        return await getattr(self.ctx.exports.Default, name)()


class Default(WorkerEntrypoint):
    made = 0
    seen: list = []

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        Default.made += 1
        self.n = 0

    async def fetch(self, request):
        self.n += 1
        match request.url.rpartition("/")[2]:
            case "room":
                return Response(str(await self.env.ROOM.get_by_name("x").note("n")))
            case "fail":
                raise ValueError("from the worker")
            case "nothing":
                return None
            case "background":
                self.ctx.wait_until(self.background())
            case "fails-after":
                self.ctx.wait_until(self.fail())
                self.ctx.wait_until(self.background())
            case "exit":
                raise SystemExit(3)
        return Response(f"{self.n} {request.method}")

    async def background(self):
        Default.seen.append("began")
        await self.env.GO_ON.wait()
        Default.seen.append("ended")

    async def fail(self):
        raise ValueError("in the background")

    async def echo(self, value):
        return value

    def _private(self):
        return 1


def runtime(**options):
    Default.seen = []
    return Runtime(objects=[Room], worker=Default, env={"GO_ON": asyncio.Event()}, **options)


@pytest.mark.rows("EP-01")
async def test_every_request_has_an_instance_of_its_own():
    """Nothing is kept between two."""
    Default.made = 0
    async with runtime() as rt:
        for _ in range(3):
            assert await (await rt.handle(Request("http://x/"))).text() == "1 GET"
        assert Default.made == 3


@pytest.mark.rows("EP-01")
async def test_an_objects_class_cannot_be_the_worker():
    """The text says what can."""
    with pytest.raises(TypeError, match="entrypoint name Room refers to a Durable Object class"):
        Runtime(worker=Room)


@pytest.mark.rows("EP-01")
async def test_a_worker_without_fetch_is_an_error():
    """As of an object without one."""

    class Empty(WorkerEntrypoint):
        pass

    async with Runtime(worker=Empty) as rt:
        with pytest.raises(PerdureError, match=r"Handler does not export a fetch\(\) function\."):
            await rt.handle(Request("http://x/"))


async def test_a_runtime_without_a_worker_says_what_to_define():
    """A request to it is a mistake of the program."""
    async with Runtime(objects=[Room]) as rt:
        with pytest.raises(ConfigError, match=r"class Default\(WorkerEntrypoint\)"):
            await rt.handle(Request("http://x/"))


async def test_a_worker_must_answer_with_a_response():
    """None is none."""
    async with runtime() as rt:
        with pytest.raises(TypeError, match=r"fetch\(\) of Default returned NoneType"):
            await rt.handle(Request("http://x/nothing"))


@pytest.mark.rows("EP-05")
async def test_a_workers_ctx_has_wait_until_exports_and_props():
    """Each request has its own."""
    seen = []

    class Looks(WorkerEntrypoint):
        async def fetch(self, request):
            seen.append(self.ctx)
            return Response.json([sorted(self.ctx.exports), self.ctx.props, callable(self.ctx.wait_until)])

    async with Runtime(objects=[Room], worker=Looks) as rt:
        for _ in range(2):
            assert await (await rt.handle(Request("http://x/"))).json() == [["Looks", "Room"], {}, True]
        assert seen[0] is not seen[1]


@pytest.mark.rows("EP-06")
async def test_wait_until_runs_on_after_the_response():
    """It delays nothing."""
    async with runtime() as rt:
        assert (await rt.handle(Request("http://x/background"))).ok
        await until(lambda: Default.seen)
        assert Default.seen == ["began"]
        rt.env.GO_ON.set()
        await until(lambda: Default.seen == ["began", "ended"])


@pytest.mark.rows("EP-06")
async def test_wait_until_has_30_seconds_after_the_response():
    """Then it is cancelled, and the operator told."""
    clock, observer = ManualClock(), Watching()
    async with runtime(clock=clock, observer=observer, slow_ms=0) as rt:
        await rt.handle(Request("http://x/background"))
        await until(lambda: Default.seen)
        clock.advance(29.9)
        assert not observer.background
        clock.advance(0.2)
        (label, error), *more = observer.background
        assert label == "worker"
        assert "30 seconds after the response" in str(error)
        assert not more
        await asyncio.sleep(0)
        rt.env.GO_ON.set()
        await asyncio.sleep(0)
        assert Default.seen == ["began"]


@pytest.mark.rows("EP-06")
async def test_the_30_seconds_do_not_begin_before_the_response():
    """A slow handler's background work is not cut short."""
    clock, observer = ManualClock(), Watching()
    answer = asyncio.Event()

    class Slow(WorkerEntrypoint):
        async def fetch(self, request):
            self.ctx.wait_until(self.env.GO_ON.wait())
            await answer.wait()
            return Response("late")

    async with Runtime(
        worker=Slow, env={"GO_ON": asyncio.Event()}, clock=clock, observer=observer, slow_ms=0
    ) as rt:
        handling = asyncio.ensure_future(rt.handle(Request("http://x/")))
        await asyncio.sleep(0)
        clock.advance(100)
        answer.set()
        await handling
        clock.advance(29)
        assert not observer.background
        rt.env.GO_ON.set()
        await until(lambda: not clock.pending)


@pytest.mark.rows("EP-06", "ERR-23")
async def test_one_failure_does_not_stop_the_others():
    """It is told to the operator."""
    observer = Watching()
    async with runtime(observer=observer) as rt:
        rt.env.GO_ON.set()
        await rt.handle(Request("http://x/fails-after"))
        await until(lambda: observer.background and "ended" in Default.seen)
        assert [(label, str(error)) for label, error in observer.background] == [
            ("worker", "in the background")
        ]


@pytest.mark.rows("EP-06")
async def test_the_end_of_the_runtime_waits_for_background_work():
    """Of workers, and of objects."""
    async with runtime() as rt:
        await rt.handle(Request("http://x/background"))
        stub = rt.env.ROOM.get_by_name("x")
        await inside(stub, lambda room: room.ctx.wait_until(room.wait()))
        room = live_of(stub).instance
        await until(lambda: Default.seen and room.log)
        stopping = asyncio.ensure_future(rt.stop())
        await asyncio.sleep(0.01)
        assert not stopping.done()
        rt._vars["GO_ON"].set()
        room.go_on.set()
        await stopping
        assert Default.seen == ["began", "ended"]
        assert room.log == ["waits", "went on"]


@pytest.mark.rows("EP-11")
async def test_an_object_reaches_the_worker_through_exports():
    """By request and by call."""
    async with runtime() as rt:
        stub = rt.env.ROOM.get_by_name("x")
        assert await stub.ask_worker() == "1 GET"
        assert await stub.call_worker({"a": [1]}) == {"a": [1]}


@pytest.mark.rows("EP-11")
async def test_values_to_and_from_the_worker_are_copies():
    """As on any stub; what cannot travel is refused."""

    async def ask(room):
        value = [1]
        back = await room.ctx.exports.Default.echo(value)
        with pytest.raises(DataCloneError):
            room.ctx.exports.Default.echo(object())
        return back == value, back is value

    async with runtime() as rt:
        assert await inside(rt.env.ROOM.get_by_name("x"), ask) == (True, False)


@pytest.mark.rows("EP-11", "RPC-02", "RPC-03")
@pytest.mark.parametrize("name", ["_private", "nothing", "n", "env", "ctx"])
async def test_only_public_methods_of_the_worker_can_be_called(name):
    """As of an object."""
    async with runtime() as rt:
        with pytest.raises(TypeError, match="does not implement the method"):
            await rt.env.ROOM.get_by_name("x").call_hidden(name)


@pytest.mark.rows("EP-11", "ERR-01")
@pytest.mark.parametrize("path", ["fail", "exit", "nothing"])
async def test_an_error_of_the_worker_is_remote_to_the_object(path):
    """Whatever it is."""
    async with runtime() as rt:
        error = await attempt(inside(rt.env.ROOM.get_by_name("x"), lambda room: room.ask_worker(path)))
        assert error.remote
        assert isinstance(error, Exception)


@pytest.mark.rows("EP-11", "GATE-06", "RPC-24")
async def test_a_call_to_the_worker_waits_for_the_objects_writes():
    """It leaves the object."""
    disk = HeldDisk()
    Default.made = 0
    async with runtime(disk=disk) as rt:
        with disk.held():
            calling = rt.env.ROOM.get_by_name("x").call_worker_with_write()
            for _ in range(20):
                await asyncio.sleep(0)
            assert Default.made == 0
            disk.release()
            assert await calling == "written"


async def test_the_workers_code_is_not_the_objects_that_called_it():
    """It runs while the object's gate is closed to everybody else."""

    class Calls(DurableObject):
        async def call(self):
            async def section():
                return await self.ctx.exports.Asks.who()

            return await self.ctx.block_concurrency_while(section)

    class Asks(WorkerEntrypoint):
        async def who(self):
            await asyncio.sleep(0)
            return perdure._base.current.current_label()

    async with Runtime(objects=[Calls], worker=Asks) as rt:
        assert await rt.env.CALLS.get_by_name("x").call() == ""


@pytest.mark.rows("EP-13")
async def test_nothing_reaches_an_object_but_through_a_stub():
    """No address leads to one."""
    async with runtime() as rt:
        for path in ("", "ROOM/x", "Room/x/note", "?class=Room&name=x"):
            await rt.handle(Request(f"http://x/{path}"))
        assert not rt.namespace(Room)._space.lives
        assert await (await rt.handle(Request("http://x/room"))).text() == "1"


@pytest.mark.rows("EP-15", "STB-15")
async def test_a_request_that_is_given_up_cancels_the_worker_and_not_the_object():
    """The object's event goes on to its end."""

    class Waits(WorkerEntrypoint):
        async def fetch(self, request):
            try:
                await self.env.ROOM.get_by_name("x").wait()
            finally:
                Default.seen.append("worker ended")
            return Response("")

    Default.seen = []
    async with Runtime(objects=[Room], worker=Waits) as rt:
        handling = asyncio.ensure_future(rt.handle(Request("http://x/")))
        lives = rt.namespace(Room)._space.lives
        await until(lambda: any(live.instance and live.instance.log for live in lives.values()))
        handling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handling
        assert Default.seen == ["worker ended"]
        (live,) = lives.values()
        assert live.events
        await rt.env.ROOM.get_by_name("x").release()
        await until(lambda: not live.events)
        assert live.instance.log == ["waits", "went on"]


@pytest.mark.rows("EP-16")
def test_the_public_names_are_pythons():
    """One spelling: snake_case, and capitals for constants."""
    for name in perdure.__all__:
        thing = getattr(perdure, name)
        if isinstance(thing, type):
            assert "_" not in name
            assert [member for member in vars(thing) if member not in (member.lower(), member.upper())] == []
        else:
            assert name == name.lower()


async def test_an_object_hears_who_sent_the_request_that_is_forwarded_to_it():
    """As on Cloudflare, where a header says it."""

    class Room(DurableObject):
        async def fetch(self, request):
            return Response(f"{request.client.host} {request.client.port}")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await self.env.ROOM.get_by_name("a").fetch(request)

    async with Runtime(objects=[Room], worker=Default) as rt:
        request = make_request("http://h/", "GET", Headers(), None, client=Address("10.0.0.1", 5))
        assert await (await rt.handle(request)).text() == "10.0.0.1 5"
