"""`perdure.client` against a server of ours: over a WebSocket, over HTTP, and from code without an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading

import pytest
from http_serving import run
from support.sessions import Api, Room
from websocket_serving import playing

from perdure import DurableObject, RpcTarget, WorkerEntrypoint, rpc
from perdure.client import SyncRpcStub, connect, connect_sync
from perdure.errors import Disconnected, PerdureError, TimedOut
from perdure.rpc import UNDEFINED, Blob, RpcStub, WritableStream


class Front(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/closed":
            from perdure import Response

            return Response("closed on mondays", status=403)
        return await rpc.serve(request, Page() if request.path == "/page" else Api(), origins="*")


class Page(RpcTarget):
    """Counts how often it was made: once for each session."""

    made = 0

    def __init__(self):
        Page.made += 1

    def number(self):
        return Page.made

    def ask(self):
        return rpc.UNDEFINED


@contextlib.asynccontextmanager
async def served():
    async with playing(worker=Front) as app:
        yield app


@contextlib.asynccontextmanager
async def talking(path="/", **options):
    async with served() as app, connect(f"ws://127.0.0.1:{app.port}{path}", **options) as api:
        yield api


# --- a session that lasts ---------------------------------------------------------------------------------


def test_calls_callbacks_stubs_and_streams():
    """The whole list is played by two sessions back to back; here it goes over a socket."""

    async def numbers():
        for number in range(1000):
            yield number

    class Sink:
        got = []

        def write(self, chunk):
            self.got.append(chunk)

    async def main():
        async with talking() as api:
            assert await api.add(1, b=2) == 3
            assert await api.call(lambda value: value * 2, 21) == 42
            assert await api.room("a").messages() == ["in a", "bye"]
            with api.rooms("a", "b") as rooms:
                assert await rooms.map(lambda room: room.name) == ["a", "b"]
            assert await api.sum(numbers()) == 499_500
            assert await api.pour(WritableStream(Sink()), 3) == "poured"
            assert len(Sink.got) == 3
            assert await api.echo(Blob(b"x" * 300_000, "a/b")) == Blob(b"x" * 300_000, "a/b")
            with pytest.raises(ValueError, match="out of range"):
                await api.raises("range")

    run(main())


def test_the_server_may_call_the_clients_main_object():
    async def main():
        class Mine(RpcTarget):
            def title(self):
                return "mine"

        async with talking(main=Mine()) as api:
            assert await api.add(1) == 2

    run(main())


def test_the_end_of_the_block_ends_the_session():
    async def main():
        async with served() as app:
            async with connect(f"ws://127.0.0.1:{app.port}/") as api:
                room = await api.room("a")
                Room.disposed.clear()
            with pytest.raises(PerdureError, match="shut down"):
                await room.name
            async with asyncio.timeout(5):
                while Room.disposed != ["a"]:
                    await asyncio.sleep(0.01)
            left = [t for t in asyncio.all_tasks() if "Outside" in repr(t)]
            assert left == []

    run(main())


def test_a_server_that_goes_fails_what_waits():
    async def main():
        async with contextlib.AsyncExitStack() as stack:
            app = await stack.enter_async_context(served())
            api = await stack.enter_async_context(connect(f"ws://127.0.0.1:{app.port}/"))
            broken = asyncio.Event()
            api.on_broken(lambda error: broken.set())
            waiting = asyncio.ensure_future(api.call(asyncio.Event().wait))
            await asyncio.sleep(0.05)
            app.server.stop()
            with pytest.raises(Disconnected):
                await asyncio.wait_for(waiting, 10)
            await asyncio.wait_for(broken.wait(), 5)

    run(main())


def test_undefined_is_told_from_none_if_that_is_asked_for():
    async def main():
        async with talking("/page", strict_undefined=True) as api:
            assert await api.ask() is UNDEFINED
        async with talking("/page") as api:
            assert await api.ask() is None

    run(main())


def test_errors_may_be_replaced_before_they_are_sent():
    def fails():
        raise ValueError("with a secret in it")

    async def main():
        async with talking(on_send_error=lambda error: PerdureError("sorry")) as api:
            with pytest.raises(PerdureError, match="sorry"):
                await api.call(fails)

    run(main())


@pytest.mark.parametrize("url", ["ftp://a/", "a", "", 5, None])
def test_a_url_of_another_kind_is_refused(url):
    with pytest.raises(ValueError, match="ws:, wss:, http: or https:"):
        connect(url)


def test_who_refuses_or_is_not_there_is_told():
    async def main():
        async with served() as app:
            with pytest.raises(PerdureError, match="403"):
                async with connect(f"ws://127.0.0.1:{app.port}/closed"):
                    pass
            with pytest.raises(PerdureError, match="403 closed on mondays"):
                async with connect(f"http://127.0.0.1:{app.port}/closed") as api:
                    await api.add(1)
        with pytest.raises(Disconnected):
            async with connect(f"ws://127.0.0.1:{app.port}/"):
                pass

    run(main())


class Caller(DurableObject):
    async def ask(self, url):
        self.ctx.storage.kv["asked"] = True
        async with connect(url) as api:
            return await api.add(1, 2), await api.call(lambda value: value + 1, 1)


def test_an_object_may_be_a_client():
    async def main():
        async with served() as app, playing(Caller) as other:
            asked = await other.stub().ask(f"ws://127.0.0.1:{app.port}/")
            assert asked == (3, 2)
            live = next(iter(other.runtime.env.ROOM._space.lives.values()))
            async with asyncio.timeout(5):
                while not live.is_idle:
                    await asyncio.sleep(0.01)

    run(main())


# --- one request at a time --------------------------------------------------------------------------------


def test_over_http_what_is_called_up_to_an_await_is_one_request():
    async def main():
        async with served() as app:
            async with connect(f"http://127.0.0.1:{app.port}/") as api:
                room = api.room("z")
                found = await asyncio.gather(room.messages(), room.name, api.add(2, 3), api.echo({"a": [1]}))
                assert found == [["in z", "bye"], "z", 5, {"a": [1]}]
                assert len(app.lines) == 1
                with api.rooms("a", "b") as rooms:
                    assert await rooms.map(lambda room: room.name) == ["a", "b"]
                assert len(app.lines) == 2
                assert await api.blob("text") == Blob(b"text", "text/plain")
                with pytest.raises(ValueError, match="out of range"):
                    await api.raises("range")

    run(main())


def test_over_http_each_request_is_a_session_of_its_own():
    async def main():
        async with served() as app, connect(f"http://127.0.0.1:{app.port}/page") as api:
            first = await api.number()
            assert await api.number() == first + 1

    run(main())


def test_over_http_nothing_of_a_request_is_left_for_the_next():
    async def main():
        async with served() as app, connect(f"http://127.0.0.1:{app.port}/") as api:
            room = await api.room("a")
            with pytest.raises(PerdureError, match="Batch RPC request ended"):
                await room.name
            with pytest.raises(Exception, match="single HTTP request"):
                await api.call(lambda: 1)

    run(main())


def test_over_http_what_was_not_awaited_is_sent_at_the_end():
    async def main():
        async with served() as app:
            before = Page.made
            async with connect(f"http://127.0.0.1:{app.port}/page") as api:
                api.number()
            assert Page.made == before + 1
            with pytest.raises(ValueError, match="cannot call back over HTTP"):
                connect("http://a/", main=Page())

    run(main())


# --- without an event loop --------------------------------------------------------------------------------


@contextlib.contextmanager
def served_in_thread():
    """A server with a loop of its own."""
    ready, over = threading.Event(), threading.Event()
    found = []

    async def main():
        async with served() as app:
            found.append(app.port)
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: run(main()))
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_calls_wait_for_their_results(scheme):
    with served_in_thread() as port, connect_sync(f"{scheme}://127.0.0.1:{port}/") as api:
        assert api.add(1, b=2) == 3
        assert api.echo({"a": [1, b"x"]}) == {"a": [1, b"x"]}
        with pytest.raises(ValueError, match="out of range"):
            api.raises("range")
        assert api.run(lambda api: api.room("a").messages()) == ["in a", "bye"]
        assert api.run(lambda api: asyncio.gather(api.add(1), api.add(2))) == [2, 3]


def test_a_stub_that_waits_is_not_iterable():
    """Items by index would have no end."""
    with served_in_thread() as port, connect_sync(f"ws://127.0.0.1:{port}/") as api:
        with pytest.raises(TypeError, match="not iterable"):
            list(api.messages)


def test_stubs_in_results_wait_too():
    async def numbers():
        yield 1
        yield 2

    with served_in_thread() as port, connect_sync(f"ws://127.0.0.1:{port}/") as api:
        room = api.room("a")
        assert isinstance(room, SyncRpcStub)
        assert room.messages() == ["in a", "bye"]
        assert room.run(lambda room: room.name) == "a"
        assert room.me()["room"].messages() == ["in a", "bye"]
        with api.echo(room) as again:
            assert again.messages() == ["in a", "bye"]
        room.dispose()
        assert api.call(lambda value: value + 1, 1) == 2
        assert list(api.run(lambda api: api.echo(numbers()))) == [1, 2]


def test_a_call_that_takes_too_long_is_given_up():
    with served_in_thread() as port, connect_sync(f"ws://127.0.0.1:{port}/", timeout_s=0.2) as api:
        with pytest.raises(TimedOut, match=r"0\.2 seconds"):
            api.call(asyncio.Event().wait)
        assert api.add(1) == 2


def test_a_callback_that_would_wait_for_itself_is_told():
    with served_in_thread() as port, connect_sync(f"ws://127.0.0.1:{port}/") as api:
        with pytest.raises(RuntimeError, match="connection's own thread"):
            api.call(lambda: api.add(1))


def test_a_connection_that_fails_or_was_closed_leaves_no_thread():
    with pytest.raises(Disconnected), connect_sync("ws://127.0.0.1:1/"):
        pass
    with served_in_thread() as port:
        with connect_sync(f"ws://127.0.0.1:{port}/") as api:
            assert api.add(1) == 2
        with pytest.raises(Disconnected, match="closed"):
            api.add(1)
    gc.collect()
    assert [t.name for t in threading.enumerate() if t.name == "perdure-client"] == []
    assert not isinstance(api, RpcStub)
