"""The same WebSockets under ASGI servers that are not ours: uvicorn with its own implementations, hypercorn."""

from __future__ import annotations

import asyncio
import contextlib

import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn
import websockets
from http_serving import run, until
from support.inside import Unsynced, attempt, inside
from websocket_serving import Echo, Front

from perdure import Response, Runtime, WebSocketPair
from perdure._http.server import bind
from perdure.testing import evict_durable_object

SERVERS = ["uvicorn websockets-sansio", "uvicorn wsproto", "hypercorn"]
on_each = pytest.mark.parametrize("server", SERVERS)


@contextlib.asynccontextmanager
async def under_uvicorn(app, sock, ws):
    server = uvicorn.Server(uvicorn.Config(app, ws=ws, log_config=None, lifespan="off"))
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)


@contextlib.asynccontextmanager
async def under_hypercorn(app, sock):
    sock.listen()  # until hypercorn does
    config, over = hypercorn.config.Config(), asyncio.Event()
    config.bind = [f"fd://{sock.fileno()}"]
    config.graceful_timeout = 1
    config.errorlog = config.accesslog = None
    task = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=over.wait))
    try:
        yield
    finally:
        over.set()
        await asyncio.wait_for(task, 10)
        sock.detach()  # hypercorn has closed it


@contextlib.asynccontextmanager
async def playing(server, cls=Echo):
    """Serve objects of *cls* under *server*; give the runtime and the address."""
    (sock,) = bind("127.0.0.1", 0)
    url = f"ws://127.0.0.1:{sock.getsockname()[1]}/room"
    name, _, ws = server.partition(" ")
    async with Runtime(worker=Front, bindings={"ROOM": cls}, disk=Unsynced()) as runtime:
        under = (
            under_uvicorn(runtime.asgi, sock, ws)
            if name == "uvicorn"
            else under_hypercorn(runtime.asgi, sock)
        )
        async with under:
            yield runtime.env.ROOM.get_by_name("room"), url


async def seen_in_time(stub, *expected):
    async with asyncio.timeout(5):
        while len(found := await inside(stub, lambda room: room.seen)) < len(expected):
            await asyncio.sleep(0.001)
    assert found == list(expected)


@on_each
def test_messages_go_both_ways_while_the_object_comes_and_goes(server):
    """Text and bytes, of any size that the server lets through."""

    async def main():
        async with playing(server) as (stub, url), websockets.connect(url, max_size=None) as client:
            for message in ("text ☃", b"\0\xff", "", "x" * 200_000):
                await evict_durable_object(stub)
                await client.send(message)
                assert await client.recv() == message

    run(main())


@on_each
def test_a_close_of_the_client_is_told(server):
    async def main():
        async with playing(server) as (stub, url):
            client = await websockets.connect(url)
            await client.close(4001, "bye")
            async with asyncio.timeout(5):
                while not (found := await inside(stub, lambda room: room.seen)):
                    await asyncio.sleep(0.001)
            ((code, _reason, was_clean),) = found
            told = (1006, False) if server == "hypercorn" else (4001, True)  # which keeps the code to itself
            assert (code, was_clean) == told
            assert await inside(stub, lambda room: room.ctx.get_websockets()) == []

    run(main())


@on_each
def test_a_client_that_vanishes_is_told(server):
    async def main():
        async with playing(server) as (stub, url):
            client = await websockets.connect(url)
            client.transport.abort()
            async with asyncio.timeout(5):
                while not (found := await inside(stub, lambda room: room.seen)):
                    await asyncio.sleep(0.001)
            assert found[0][0] in (1005, 1006)  # servers tell it so or so

    run(main())


@on_each
def test_a_close_of_the_object_reaches_the_client(server):
    async def main():
        async with playing(server) as (stub, url), websockets.connect(url) as client:
            await inside(stub, lambda room: room.ctx.get_websockets()[0].close(4000, "enough"))
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (4000, "enough")

    run(main())


@on_each
def test_a_reset_closes_with_1011(server):
    """ASGI has no way to say nothing."""

    async def main():
        async with playing(server) as (stub, url), websockets.connect(url) as client:
            await attempt(inside(stub, lambda room: room.ctx.abort("enough")))
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (
                1011,
                "Durable Object connection closed because the object was reset.",
            )

    run(main())


@on_each
def test_a_subprotocol_and_headers_are_the_responses(server):
    class Named(Echo):
        async def fetch(self, request):
            assert request.headers.get("upgrade") == "websocket"
            assert request.headers.get("sec-websocket-protocol") == "v1, v2"
            assert request.url.startswith("http://")
            client, server = WebSocketPair()
            self.ctx.accept_websocket(server)
            headers = {"sec-websocket-protocol": "v2", "x-room": "yes"}
            return Response(None, status=101, websocket=client, headers=headers)

    async def main():
        async with (
            playing(server, Named) as (_stub, url),
            websockets.connect(url, subprotocols=["v1", "v2"]) as client,
        ):
            assert client.subprotocol == "v2"
            assert client.response.headers["x-room"] == "yes"

    run(main())


@on_each
def test_a_refusal_is_told(server):
    """With its status and body where the server can say that."""

    class Closed(Echo):
        async def fetch(self, request):
            return Response("members only", status=401)

    async def main():
        async with playing(server, Closed) as (_stub, url):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url)
            assert refused.value.response.status_code == 401
            assert refused.value.response.body == b"members only"

    run(main())


@on_each
def test_a_failing_handler_refuses_with_500(server):
    class Failing(Echo):
        async def fetch(self, request):
            raise ValueError("mistake")

    async def main():
        async with playing(server, Failing) as (_stub, url):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url)
            assert refused.value.response.status_code == 500

    run(main())


@on_each
def test_a_client_that_sends_faster_than_the_object_works_loses_nothing(server):
    async def main():
        async with playing(server) as (stub, url), websockets.connect(url) as client:

            async def send():
                for n in range(300):
                    await client.send(str(n))

            sending = asyncio.ensure_future(send())
            assert [await client.recv() for _ in range(300)] == [str(n) for n in range(300)]
            await sending
            assert len(await inside(stub, lambda room: room.seen)) == 300

    run(main())


def test_a_client_that_never_reads_is_closed_with_1013():
    """What it does not take waits here up to the same bound."""

    async def main():
        async with playing("uvicorn websockets-sansio") as (stub, url):
            client = await websockets.connect(url, max_queue=1)

            def say_much(room):
                for _ in range(1200):
                    for ws in room.ctx.get_websockets():
                        ws.send(b"x" * 65_536)

            await inside(stub, say_much)
            ((code, reason, was_clean),) = await inside(stub, lambda room: room.seen)
            assert (code, was_clean) == (1013, False)
            assert "wait for the client to take them" in reason
            client.transport.abort()

    run(main())
