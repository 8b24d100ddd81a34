"""WebSockets that code of ours opens to servers: `connect_websocket`, `fetch` with an Upgrade header. WS-32."""

from __future__ import annotations

import asyncio

import pytest
from http_serving import run, until
from support.held_disk import HeldDisk
from support.inside import an_object, attempt, begin, inside, live_of
from support.talking import Client, settle
from websocket_serving import Echo, Room, close, playing, raw
from websockets.asyncio.server import serve

from perdure import Response, WebSocket, WebSocketPair, WorkerEntrypoint, connect_websocket, fetch
from perdure._http.limits import HttpLimits, WebSocketLimits
from perdure.errors import Disconnected, PerdureError
from perdure.testing.clock import ManualClock

MIB = 1 << 20


def serving_outside(handler, **options):
    """A server of the `websockets` library, on a free port."""
    return serve(handler, "127.0.0.1", 0, **options)


def url_of(server, path="/"):
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"


async def echoing(connection):
    async for message in connection:
        await connection.send(message)


async def closing(connection):
    await connection.recv()
    await connection.close(4001, "enough")


async def test_a_connection_is_open_and_talks():
    """In text and bytes; a Close is told with code and reason."""
    async with serving_outside(closing) as server:
        ws = await connect_websocket(url_of(server))
        assert ws.ready_state == WebSocket.OPEN
        assert ws.url == url_of(server)
        client = Client(ws)
        ws.send("go")
        end = await client.closes()
        assert (end.code, end.reason, end.was_clean) == (4001, "enough", True)
    async with serving_outside(echoing) as server:
        ws = await connect_websocket(url_of(server))
        ws.send("text")
        ws.send(b"\0\xff")
        messages = aiter(ws)
        assert [await anext(messages), await anext(messages)] == ["text", b"\0\xff"]
        client = Client(ws)
        ws.close(1000, "done")
        assert (await client.closes()).code == 1000


async def test_a_subprotocol_is_offered_and_chosen():
    async with serving_outside(echoing, subprotocols=["v2"]) as server:
        ws = await connect_websocket(url_of(server), protocols=["v1", "v2"])
        assert ws.protocol == "v2"
        ws.close()


async def test_headers_go_with_the_handshake():
    found = []

    async def handler(connection):
        found.append(connection.request.headers["x-token"])
        found.append(connection.request.headers["user-agent"])

    async with serving_outside(handler) as server:
        ws = await connect_websocket(url_of(server), headers={"x-token": "secret"})
        await Client(ws).closes()
    assert found == ["secret", "perdure"]


async def test_a_refusal_is_told_with_its_status():
    def refuse(connection, request):
        return connection.respond(403, "members only\n")

    async with serving_outside(echoing, process_request=refuse) as server:
        with pytest.raises(
            PerdureError, match="status code 101 .switching protocols., but received 403 instead"
        ):
            await connect_websocket(url_of(server))
        url = url_of(server).replace("ws:", "http:")
        response = await fetch(url, headers={"upgrade": "websocket"})
        assert (response.status, response.websocket) == (403, None)
        assert await response.text() == "members only\n"


async def test_a_server_that_is_not_there_is_a_disconnect():
    async with serving_outside(echoing) as server:
        url = url_of(server)
    with pytest.raises(Disconnected, match="Network connection lost: ws://127.0.0.1"):
        await connect_websocket(url)


@pytest.mark.parametrize("url", ["http://h/", "/path", "ws://", "ws://h/#x", 5, "wss:x"])
async def test_only_the_url_of_a_websocket_is_taken(url):
    with pytest.raises(ValueError, match="absolute ws: or wss: URL"):
        await connect_websocket(url)


async def test_a_connection_that_breaks_is_1006():
    async def breaking(connection):
        connection.transport.abort()

    async with serving_outside(breaking) as server:
        client = Client(await connect_websocket(url_of(server)))
        end = await client.closes()
        assert (end.code, end.was_clean) == (1006, False)


@pytest.mark.rows("WS-32")
async def test_fetch_with_an_upgrade_header_gives_the_socket():
    """It is accepted as any other that came with a response."""
    async with serving_outside(echoing) as server:
        url = url_of(server).replace("ws:", "http:")
        response = await fetch(url, headers={"Upgrade": "websocket"})
        assert response.status == 101
        client = Client(response.websocket)
        client.ws.send("x")
        await client.gets("x")
        client.ws.close()
        await client.closes()


@pytest.mark.rows("WS-32")
async def test_a_connection_keeps_its_object_in_memory_for_fifteen_minutes():
    """Then the object goes, and the connection with it."""
    clock = ManualClock()
    gone = asyncio.Event()

    async def handler(connection):
        await connection.wait_closed()
        gone.set()

    async with serving_outside(handler) as server, an_object(Room, clock=clock) as stub:

        async def connect(room):
            room.ws = await connect_websocket(url_of(server))

        await inside(stub, connect)
        live = live_of(stub)
        clock.advance(14 * 60)
        await settle()
        assert live.instance is not None
        clock.advance(2 * 60)
        assert live.instance is None
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.rows("WS-28", "WS-32")
async def test_a_reset_ends_the_objects_connections():
    gone = asyncio.Event()

    async def handler(connection):
        await connection.wait_closed()
        gone.set()

    async with serving_outside(handler) as server, an_object(Room) as stub:

        async def connect(room):
            room.ws = await connect_websocket(url_of(server))

        await inside(stub, connect)
        await attempt(inside(stub, lambda room: room.ctx.abort("enough")))
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_connection_is_not_made_before_the_writes_that_went_before_are_durable():
    """Nor does a message leave."""
    heard = []

    async def handler(connection):
        heard.append("connected")
        async for message in connection:
            heard.append(message)

    disk = HeldDisk()
    async with serving_outside(handler) as server, an_object(Room, disk=disk) as stub:

        async def connect(room):
            room.ctx.storage.kv.put("k", 1)
            ws = await connect_websocket(url_of(server))
            room.ctx.storage.kv.put("k", 2)
            ws.send("after the second")

        with disk.held():
            connecting = begin(stub, connect)
            await asyncio.sleep(0.05)
            assert heard == []
        await connecting
        await until(lambda: heard == ["connected", "after the second"])


def test_a_worker_passes_a_servers_socket_on():
    """Client and server talk through it, and it sees nothing of it."""

    class Proxy(WorkerEntrypoint):
        async def fetch(self, request):
            return await fetch(self.env.URL, headers={"upgrade": "websocket"})

    async def main():
        async with (
            serving_outside(closing) as server,
            playing(Echo, worker=Proxy, env={"URL": url_of(server).replace("ws:", "http:")}) as app,
            raw(app.port) as client,
        ):
            client.say("go")
            assert await client.closed_with() == (4001, "enough")
            client.send(close(4001))
            await client.ends()

    run(main())


def test_a_worker_relays_messages_of_its_own():
    """It takes the client's socket and a server's, and changes what goes by."""

    class Relay(WorkerEntrypoint):
        async def fetch(self, request):
            client, server = WebSocketPair()
            upstream = await connect_websocket(self.env.URL)
            server.add_event_listener("message", lambda event: upstream.send(event.data.upper()))
            upstream.add_event_listener("message", lambda event: server.send(event.data + "!"))
            server.add_event_listener("close", lambda event: upstream.close())
            server.accept()
            return Response(None, status=101, websocket=client)

    async def main():
        async with (
            serving_outside(echoing) as server,
            playing(Echo, worker=Relay, env={"URL": url_of(server)}) as app,
            raw(app.port) as client,
        ):
            client.say("hello")
            await client.hears("HELLO!")

    run(main())


def test_a_connection_that_is_passed_on_waits_for_its_slower_side(monkeypatch):
    """In both directions: neither side is closed for being fast, and nothing is lost."""
    monkeypatch.setattr("perdure._sockets.carrier.WEBSOCKET_BUFFER_BYTES", MIB)
    monkeypatch.setattr("perdure._sockets.carrier.WEBSOCKET_BUFFER_S", 0.01)
    monkeypatch.setattr("perdure._http.websocket.WEBSOCKET_BUFFER_S", 0.01)
    go_on, total = None, 60

    class Proxy(WorkerEntrypoint):
        async def fetch(self, request):
            return await fetch(self.env.URL, headers={"upgrade": "websocket"})

    async def slow(connection):
        async with asyncio.timeout(5):
            await go_on.wait()
        for n in range(total):
            assert (await connection.recv())[:2] == b"%02d" % n
        for n in range(total):
            await connection.send(b"%02d" % n + b"x" * MIB)

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        async with (
            serving_outside(slow, max_size=None, max_queue=1, compression=None) as server,
            playing(
                Echo,
                worker=Proxy,
                env={"URL": url_of(server).replace("ws:", "http:")},
                limits=HttpLimits(websocket=WebSocketLimits(buffer_bytes=MIB)),
            ) as app,
            raw(app.port) as client,
        ):
            sending = asyncio.ensure_future(send(client))
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert not sending.done()
            go_on.set()
            async with asyncio.timeout(20):
                await sending
            client.writer.transport.pause_reading()
            for _ in range(50):
                await asyncio.sleep(0.002)
            client.writer.transport.resume_reading()
            for n in range(total):
                assert (await client.frame())[1][:2] == b"%02d" % n

    async def send(client):
        for n in range(total):
            client.say(b"%02d" % n + b"x" * MIB)
            await client.writer.drain()

    run(main())


def test_a_server_that_stops_ends_the_connections_that_it_passed_on():
    """Nobody is left at their other end."""
    gone = []

    async def handler(connection):
        await connection.wait_closed()
        gone.append(connection.close_code)

    class Proxy(WorkerEntrypoint):
        async def fetch(self, request):
            return await fetch(self.env.URL, headers={"upgrade": "websocket"})

    async def main():
        async with serving_outside(handler) as server:
            url = url_of(server).replace("ws:", "http:")
            async with playing(Echo, worker=Proxy, env={"URL": url}) as app, raw(app.port) as client:
                app.server.stop()
                assert (await client.closed_with())[0] == 1012
                await until(lambda: gone == [1011])

    run(main())
