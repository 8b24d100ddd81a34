"""From a request to a WebSocket: what is granted, what is refused, and what follows the head."""

from __future__ import annotations

import asyncio

import pytest
from http_serving import Client, run, until
from support.inside import inside
from websocket_serving import KEY, TEXT, Echo, Room, accept_key, close, frame, handshake, playing, raw

from perdure import Response, WebSocketPair, WorkerEntrypoint


@pytest.mark.rows("STB-06")
def test_a_handshake_is_answered_with_101_and_the_key():
    """The response's own headers go with it, those of the handshake are the server's."""

    class Named(Room):
        async def fetch(self, request):
            response = await super().fetch(request)
            response.headers.set("x-room", "yes")
            response.headers.set("connection", "close")
            response.headers.set("sec-websocket-accept", "nonsense")
            return response

    async def main():
        async with playing(Named) as app, raw(app.port) as client:
            assert client.fields["sec-websocket-accept"] == accept_key(KEY).lower()
            assert client.fields["connection"] == "upgrade"
            assert client.fields["upgrade"] == "websocket"
            assert client.fields["x-room"] == "yes"
            assert "sec-websocket-extensions" not in client.fields
            assert "content-length" not in client.fields
            (line,) = app.lines
            assert (line.status, line.error) == (101, None)

    run(main())


def test_subprotocols_are_the_handlers_business():
    class Chat(Room):
        async def fetch(self, request):
            assert request.headers.get("sec-websocket-protocol") == "chat.v1, chat.v2"
            client, server = WebSocketPair()
            self.ctx.accept_websocket(server)
            return Response(None, status=101, websocket=client, headers={"sec-websocket-protocol": "chat.v2"})

    async def main():
        async with (
            playing(Chat) as app,
            raw(app.port, sec_websocket_protocol="chat.v1, chat.v2") as client,
        ):
            assert client.fields["sec-websocket-protocol"] == "chat.v2"

    run(main())


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"sec_websocket_version": "8"}, 426, "WebSocket version is not supported: it must be 13"),
        ({"without": ["sec_websocket_version"]}, 426, "version"),
        ({"without": ["sec_websocket_key"]}, 400, "Sec-WebSocket-Key: 16 bytes in base64"),
        ({"sec_websocket_key": "short"}, 400, "Sec-WebSocket-Key"),
        ({"sec_websocket_key": "!" * 24}, 400, "Sec-WebSocket-Key"),
        ({"connection": "keep-alive"}, 400, "Connection: Upgrade"),
        ({"without": ["connection"]}, 400, "Connection: Upgrade"),
    ],
)
def test_a_wrong_handshake_is_refused_before_the_application(changes, status, text):
    """With a text that says what is wrong; 426 names the version."""

    async def main():
        async with playing() as app, Client(app.port) as client:
            await client.say(handshake(**changes))
            answer = await client.answer()
            assert answer.status == status
            assert text in answer.text
            if status == 426:
                assert answer.headers["sec-websocket-version"] == ["13"]
            assert not app.runtime.namespace("Echo")._space.lives

    run(main())


def test_only_get_of_http_1_1_is_upgraded():
    async def main():
        async with playing() as app:
            for changed in (
                handshake().replace(b"GET", b"POST"),
                handshake().replace(b"HTTP/1.1", b"HTTP/1.0"),
            ):
                async with Client(app.port) as client:
                    await client.say(changed)
                    assert (await client.answer()).status == 400

    run(main())


@pytest.mark.rows("STB-06")
def test_a_refused_upgrade_has_status_and_body():
    class Closed(Room):
        async def fetch(self, request):
            return Response("members only", status=403)

    async def main():
        async with playing(Closed) as app, Client(app.port) as client:
            await client.say(handshake())
            answer = await client.answer()
            assert (answer.status, answer.text) == (403, "members only")

    run(main())


@pytest.mark.rows("STB-06")
def test_a_websocket_for_a_plain_request_is_an_error():
    async def main():
        async with playing() as app, Client(app.port) as client:
            await client.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await client.answer()).status == 500
            assert "did not contain the header" in str(app.lines[0].error)

    run(main())


def test_other_upgrades_are_ignored():
    """A client that offers HTTP/2 gets its answer in HTTP/1.1."""

    class Plain(Room):
        async def fetch(self, request):
            return Response("plain")

    async def main():
        async with playing(Plain) as app, Client(app.port) as client:
            await client.say(handshake(upgrade="h2c"))
            assert (await client.answer()).text == "plain"

    run(main())


def test_frames_that_came_with_the_handshake_are_read():
    """Also those that arrive while the handler is not done."""
    go_on = None

    class Slow(Echo):
        async def fetch(self, request):
            await go_on.wait()
            return await super().fetch(request)

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        async with playing(Slow) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
            big = b"x" * 200_000
            writer.write(handshake() + frame(TEXT, b"one")[:3])
            await until(lambda: app.server.hub.requests)
            writer.write(frame(TEXT, b"one")[3:] + frame(TEXT, big))
            go_on.set()
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(5) == b"\x81\x03one"
            assert (await reader.readexactly(10))[1] == 127
            assert await reader.readexactly(len(big)) == big
            writer.close()

    run(main())


def test_a_client_that_leaves_during_the_handshake_leaves_no_socket():
    """The object hears that nobody is there."""
    go_on = None

    class Slow(Room):
        async def fetch(self, request):
            response = await super().fetch(request)
            await go_on.wait()
            return response

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        async with playing(Slow) as app:
            async with Client(app.port) as client:
                await client.say(handshake())
                await until(lambda: app.server.hub.requests)
                client.abort()
            await until(lambda: not app.server.hub.connections)
            go_on.set()
            await until(lambda: not app.server.hub.requests)
            seen = await inside(app.stub(), lambda room: room.seen)
            assert [code for code, *_ in seen] == [1006]
            assert not app.server.hub.sockets

    run(main())


def test_a_worker_may_take_the_socket_itself():
    """With listeners, and no object at all."""

    class Echoing(WorkerEntrypoint):
        async def fetch(self, request):
            client, server = WebSocketPair()
            server.add_event_listener("message", lambda event: server.send(f"echo {event.data}"))
            server.accept()
            return Response(None, status=101, websocket=client)

    async def main():
        async with playing(worker=Echoing) as app, raw(app.port) as client:
            client.say("x")
            await client.hears("echo x")
            client.send(close(1000, b"bye"))
            assert await client.closed_with() == (1000, "bye")
            await client.ends()

    run(main())


def test_a_thousand_unfinished_handshakes_keep_nobody_waiting():
    """Each is a connection without a request; a client beside them is served."""

    async def main():
        async with playing() as app:
            begun = [await asyncio.open_connection("127.0.0.1", app.port) for _ in range(1000)]
            for _, writer in begun:
                writer.write(handshake()[:-2])
            async with raw(app.port) as client:
                client.say("x")
                await client.hears("x")
            assert len(app.server.hub.connections) == 1000
            for _, writer in begun:
                writer.transport.abort()
            await until(lambda: not app.server.hub.connections)

    run(main())
