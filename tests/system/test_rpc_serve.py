"""`perdure.rpc.serve` on real sockets: who may use it, what a batch is, what ends a session."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json

import httpx
import pytest
import websockets
from http_serving import run
from support.held_disk import HeldDisk
from support.sessions import Api
from websocket_serving import playing

from perdure import DurableObject, RpcTarget, WorkerEntrypoint, rpc
from perdure._rpc.session import Session
from perdure.testing.clock import ManualClock

CALL = '["push",["pipeline",0,["add"],[1,2]]]\n["pull",1]'


def worker(make_target=Api, **options):
    class Front(WorkerEntrypoint):
        async def fetch(self, request):
            if request.path.startswith("/object/"):
                return await self.env.ROOM.get_by_name(request.path).fetch(request)
            if request.path.startswith("/stub/"):
                return await rpc.serve(request, self.env.ROOM.get_by_name(request.path), **options)
            return await rpc.serve(request, make_target(), **options)

    return Front


class Hall(DurableObject):
    async def fetch(self, request):
        return await rpc.serve(request, self)

    def add(self, a, b):
        return a + b

    async def write(self, value):
        self.ctx.storage.kv["value"] = value
        return self.ctx.storage.kv["value"]

    async def subscribe(self, listener):
        self.listener = listener.dup()
        return True

    async def tell(self, what):
        return await self.listener(what)

    def raises(self):
        raise KeyError("gone")

    def fall(self):
        self.ctx.abort("fallen")


@contextlib.asynccontextmanager
async def served(make_target=Api, **options):
    async with playing(Hall, worker=worker(make_target, **options)) as app:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}", verify=False) as client:
            yield app, client


def connect(app, path="/", **more):
    return websockets.connect(f"ws://127.0.0.1:{app.port}{path}", **more)


# --- a request that is a session --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/object/a", "/stub/a"])
def test_a_post_is_a_whole_session(path):
    async def main():
        async with served() as (_, client):
            answer = await client.post(path, content=CALL)
            assert (answer.status_code, answer.text) == (200, '["resolve",1,3]')
            assert (await client.post(path, content="")).text == ""

    run(main())


def test_what_is_not_asked_for_is_done_and_not_waited_for():
    called = []

    class Target(RpcTarget):
        def note(self):
            called.append(1)

        async def forever(self):
            await asyncio.Event().wait()

    async def main():
        async with served(Target) as (_, client):
            lines = [
                '["push",["pipeline",0,["forever"],[]]]',
                '["push",["pipeline",0,["note"],[]]]',
                '["pull",2]',
            ]
            answer = await client.post("/", content="\n".join(lines))
            assert answer.text == '["resolve",2,null]'
        assert called == [1]

    run(main())


def test_a_client_of_a_post_cannot_be_called_back():
    """Which fails at once: the method must not wait for ever."""

    async def main():
        async with served() as (_, client):
            answer = await client.post(
                "/", content='["push",["pipeline",0,["call"],[["export",-1]]]]\n["pull",1]'
            )
            assert "single HTTP request" in answer.text

    run(main())


def test_a_stream_that_a_post_does_not_end_ends_with_it():
    async def main():
        async with served() as (_, client):
            lines = [
                '["pipe"]',
                '["push",["pipeline",0,["sum"],[["readable",1]]]]',
                '["stream",["pipeline",1,["write"],[5]]]',
                '["pull",2]',
            ]
            answer = await client.post("/", content="\n".join(lines))
            assert "Batch RPC request ended." in answer.text.splitlines()[-1]
            lines.insert(3, '["stream",["pipeline",1,["close"],[]]]')
            answer = await client.post("/", content="\n".join(lines))
            assert '["resolve",2,5]' in answer.text.splitlines()

    run(main())


def test_a_wrong_message_ends_a_post_with_an_error():
    async def main():
        async with served() as (_, client):
            answer = await client.post("/", content=CALL + '\n["nonsense"]')
            assert (answer.status_code, answer.text) == (500, 'bad RPC message: ["nonsense"]\n')

    run(main())


def test_the_answers_of_one_post_are_bounded(monkeypatch):
    monkeypatch.setattr("perdure._base.limits.CAPNWEB_BATCH_UNITS_MAX", 10_000)

    class Target(RpcTarget):
        def large(self):
            return "x" * 1000

    async def main():
        async with served(Target) as (_, client):
            lines = [f'["push",["pipeline",0,["large"],[]]]\n["pull",{n}]' for n in range(1, 21)]
            answer = await client.post("/", content="\n".join(lines))
            assert answer.status_code == 500
            assert "limited to 10,000 characters" in answer.text

    run(main())


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 400), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 405)]
)
def test_anything_else_is_told_what_is_served_here(method, status):
    async def main():
        async with served() as (_, client):
            answer = await client.request(method, "/")
            assert (answer.status_code, answer.text) == (
                status,
                "This endpoint only accepts POST or WebSocket requests.\n",
            )

    run(main())


# --- pages of others --------------------------------------------------------------------------------------


async def opens(app, origin):
    try:
        async with connect(app, origin=origin):
            return True
    except websockets.InvalidStatus as refused:
        return refused.response.status_code != 403


OTHER = "https://evil.example"


@pytest.mark.parametrize(
    ("origins", "allowed", "refused"),
    [
        ((), ["{own}", None], [OTHER, "null", "http://127.0.0.1:1"]),
        (
            ["https://app.example"],
            ["{own}", "https://app.example", None],
            [OTHER, "http://app.example", "null"],
        ),
        (["null"], ["null"], [OTHER]),
        ("*", [OTHER, "null", None], []),
    ],
)
def test_pages_of_other_sites_may_use_it_only_if_they_are_named(origins, allowed, refused):
    """A browser sends cookies along wherever the page is from; by default only pages of the same host get through."""

    async def main():
        async with served(origins=origins) as (app, client):
            for origin in [*allowed, *refused]:
                origin = origin and origin.format(own=f"http://127.0.0.1:{app.port}")
                expected = origin not in refused
                assert await opens(app, origin) is expected, origin
                answer = await client.post("/", content=CALL, headers={"origin": origin} if origin else {})
                assert answer.status_code == (200 if expected else 403)
                assert answer.headers.get("access-control-allow-origin") == (origin if expected else None)

    run(main())


def test_a_page_may_ask_first():
    """As browsers do before a request with headers of its own."""

    async def main():
        async with served(origins=["https://app.example"]) as (_, client):
            ask = {"origin": "https://app.example", "access-control-request-method": "POST"}
            answer = await client.options("/", headers={**ask, "access-control-request-headers": "x-token"})
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-headers"] == "x-token"
            assert answer.headers["vary"] == "origin"
            assert (await client.options("/", headers={**ask, "origin": OTHER})).status_code == 403

    run(main())


@pytest.mark.parametrize(
    "origins", ["https://app.example", ["app.example"], ["https://app.example/"], [5], 5]
)
def test_origins_that_could_never_match_are_refused(origins):
    async def main():
        from perdure import Request

        with pytest.raises((TypeError, ValueError), match="without a path"):
            await rpc.serve(Request("http://a/", method="POST"), Api(), origins=origins)

    run(main())


# --- a WebSocket that is a session ------------------------------------------------------------------------


async def ask(ws, *lines):
    for line in lines:
        await ws.send(line)
    return json.loads(await asyncio.wait_for(ws.recv(), 5))


@pytest.mark.parametrize("path", ["/", "/object/a", "/stub/a"])
def test_a_websocket_is_a_session_as_long_as_it_is_open(path):
    async def main():
        async with served() as (app, _), connect(app, path) as ws:
            assert await ask(ws, *CALL.splitlines()) == ["resolve", 1, 3]
            assert await ask(ws, '["push",["pipeline",0,["add"],["a","b"]]]', '["pull",2]') == [
                "resolve",
                2,
                "ab",
            ]

    run(main())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('["nonsense"]', 'bad RPC message: ["nonsense"]'),
        (b"binary", "Received a binary message; messages are text."),
        ('["pull",99]', "no such entry on exports table: 99"),
        ('["push",["' + "☃" * 200 + '"]]', None),
    ],
)
def test_a_wrong_message_closes_the_connection_and_no_other(said, reason):
    async def main():
        async with served() as (app, _), connect(app) as bad, connect(app) as good:
            assert await ask(good, *CALL.splitlines()) == ["resolve", 1, 3]
            kind, _ = await ask(bad, said)
            assert kind == "abort"
            await asyncio.wait_for(bad.wait_closed(), 5)
            assert bad.close_code == 3000
            assert len(bad.close_reason.encode()) <= 123
            assert reason is None or bad.close_reason == reason
            assert await ask(good, '["push",["pipeline",0,["add"],[3,4]]]', '["pull",2]') == ["resolve", 2, 7]

    run(main())


def test_an_object_that_is_reset_ends_its_sessions():
    async def main():
        async with served() as (app, _), connect(app, "/object/a") as ws:
            await ws.send('["push",["pipeline",0,["fall"],[]]]')
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(ws.recv(), 5)
            async with connect(app, "/object/a") as again:
                assert await ask(again, *CALL.splitlines()) == ["resolve", 1, 3]

    run(main())


def test_an_answer_waits_for_the_writes_before_it():
    """Also when the object itself holds the session (GATE-08)."""

    async def main():
        disk = HeldDisk()
        async with playing(Hall, worker=worker(), disk=disk) as app, connect(app, "/object/a") as ws:
            assert await ask(ws, *CALL.splitlines()) == ["resolve", 1, 3]
            with disk.held():
                await ws.send('["push",["pipeline",0,["write"],[5]]]')
                await ws.send('["pull",2]')
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(ws.recv(), 0.1)
            assert json.loads(await asyncio.wait_for(ws.recv(), 5)) == ["resolve", 2, 5]

    run(main())


def sessions():
    """Those of this loop that go on."""
    found = [s for s in gc.get_objects() if type(s) is Session and s.ended is None]
    return [s for s in found if s.loop is asyncio.get_running_loop()]


def test_a_client_that_vanishes_ends_its_session():
    async def main():
        async with served() as (app, _):
            ws = await connect(app, "/object/a")
            assert await ask(ws, '["push",["pipeline",0,["subscribe"],[["export",-1]]]]', '["pull",1]') == [
                "resolve",
                1,
                True,
            ]
            assert len(sessions()) == 1
            ws.transport.abort()
            async with asyncio.timeout(5):
                while sessions():
                    await asyncio.sleep(0.01)
            with pytest.raises(Exception, match="Peer closed|disconnected"):
                await app.runtime.env.ROOM.get_by_name("/object/a").tell("hello")

    run(main())


def test_a_client_that_does_not_read_is_cut_off():
    """What waits for it is bounded, as with every WebSocket."""

    class Target(RpcTarget):
        def large(self):
            return "x" * 1_000_000

    async def main():
        async with served(Target) as (app, _):
            ws = await connect(app, max_queue=1)
            ws.transport.pause_reading()
            for n in range(1, 150):
                await ws.send('["push",["pipeline",0,["large"],[]]]')
                await ws.send(f'["pull",{n}]')
            async with asyncio.timeout(10):
                while sessions():
                    await asyncio.sleep(0.01)
            ws.transport.abort()

    run(main())


class Keeper(RpcTarget):
    """Passes a client's function on to an object, which keeps it."""

    def __init__(self, room):
        self._room = room

    async def subscribe(self, listener):
        return await self._room.subscribe(listener)

    def room(self):
        return self._room


def test_an_object_stays_in_memory_while_it_keeps_a_function_of_a_clients():
    """However the client got to it; not after the client has gone (RPC-23)."""

    class Front(WorkerEntrypoint):
        async def fetch(self, request):
            return await rpc.serve(request, Keeper(self.env.ROOM.get_by_name("a")))

    async def main():
        clock = ManualClock()
        async with playing(Hall, worker=Front, clock=clock) as app:
            lives = app.runtime.env.ROOM._space.lives
            async with connect(app) as ws:
                subscribe = '["push",["pipeline",0,["subscribe"],[["export",-1]]]]'
                assert await ask(ws, subscribe, '["pull",1]') == ["resolve", 1, True]
                clock.advance(60)
                await asyncio.sleep(0.01)
                assert len(lives) == 1
                telling = asyncio.ensure_future(app.runtime.env.ROOM.get_by_name("a").tell("hello"))
                assert json.loads(await ws.recv()) == ["push", ["pipeline", -1, [], ["hello"]]]
            with pytest.raises(Exception, match="Peer closed"):
                await telling
            async with asyncio.timeout(5):
                while lives:
                    clock.advance(60)
                    await asyncio.sleep(0.01)

    run(main())


def test_an_error_of_an_object_that_is_served_names_it_once():
    """In the note for development; the error's text is the method's own."""

    async def main():
        async with playing(Hall, worker=worker(), debug=True) as app, connect(app, "/object/a") as ws:
            kind, _, error = await ask(ws, '["push",["pipeline",0,["raises"],[]]]', '["pull",1]')
            assert (kind, error[:3]) == ("reject", ["error", "Error", "'gone'"])
            assert "raised in Hall(/object/a).raises():" in json.dumps(error)

    run(main())


def test_a_stub_of_an_object_that_a_method_returns_can_be_used_and_let_go():
    """Letting it go is not a call of the object's."""

    class Front(WorkerEntrypoint):
        async def fetch(self, request):
            return await rpc.serve(request, Keeper(self.env.ROOM.get_by_name("a")))

    async def main():
        async with playing(Hall, worker=Front) as app, connect(app) as ws:
            lines = '["push",["pipeline",0,["room"],[]]]', '["pull",1]'
            assert await ask(ws, *lines) == ["resolve", 1, ["export", -1]]
            await ws.send('["release",1,1]')
            call = '["push",["pipeline",-1,["add"],[1,2]]]', '["pull",2]'
            assert await ask(ws, *call) == ["resolve", 2, 3]
            await ws.send('["release",-1,1]')
            await asyncio.sleep(0.01)
            assert len(app.runtime.env.ROOM._space.lives) == 1

    run(main())


def test_a_session_keeps_its_object_in_memory():
    """Its end lets it go."""

    async def main():
        clock = ManualClock()
        async with playing(Hall, worker=worker(), clock=clock) as app:
            space = app.runtime.env.ROOM._space
            async with connect(app, "/object/a") as ws:
                assert await ask(ws, *CALL.splitlines()) == ["resolve", 1, 3]
                clock.advance(60)
                await asyncio.sleep(0.01)
                assert len(space.lives) == 1
            async with asyncio.timeout(5):
                while len(space.lives):
                    clock.advance(60)
                    await asyncio.sleep(0.01)

    run(main())
