"""WebSockets under Cloudflare's names: pairs, hibernation, listeners."""

from __future__ import annotations

import asyncio

import pytest
from cloudflare.inside import inside, within

import perdure
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsBytes, JsDate, create_proxy, jsnull, to_js
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.websocket_view import WebSocketPair, WebSocketRequestResponsePair
from perdure._cloudflare.workers.entrypoints import DurableObject, WorkerEntrypoint
from perdure._cloudflare.workers.response import Response


class Room(DurableObject):
    """Does with a socket what the test puts into `plan`."""

    heard: list = []

    async def fetch(self, request):
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server, to_js(["tag", "other"]))
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, ws, message):
        self.heard.append((ws, message))
        ws.send(message)

    async def webSocketClose(self, ws, code, reason, wasClean):
        self.heard.append((code, reason, wasClean))


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.ROOM.getByName("a").fetch(request)


@pytest.mark.members("js.WebSocketPair", "js.WebSocketPair.new")
def test_a_pair_is_taken_apart_in_every_way():
    """`object_values()`, unpacking, `[0]`, `["1"]`, `getattr`; the ends stay the same."""

    async def work():
        pair = WebSocketPair.new()
        one, other = pair.object_values()
        assert [one, other] == [*pair] == [pair[0], pair["1"]] == [getattr(pair, "0"), pair[1]]
        assert one != other
        assert len(pair) == 2
        assert list(pair.object_keys()) == ["0", "1"]
        assert pair.typeof == "object"
        with pytest.raises(AttributeError, match="WebSocketPair has no 'client'; it has 0, 1"):
            pair.client

    asyncio.run(work())


async def test_an_object_hears_and_answers():
    """Text is str, bytes have JavaScript's members too; a close is told with code, reason and whether it was clean."""
    Room.heard = []
    async with inside(Room, Default) as app:
        async with app.websocket("/") as ws:
            await ws.send("text")
            assert await ws.receive() == "text"
            await ws.send(b"\x01\x02")
            assert await ws.receive() == b"\x01\x02"
            await ws.close(4001, "bye")
            await ws.wait_closed()
    (one, text), (again, data), close = Room.heard
    assert one == again
    assert {one: 1}[again] == 1
    assert text == "text"
    assert isinstance(data, JsBytes)
    assert bytes(data.to_py()) == b"\x01\x02"
    assert close == (4001, "bye", True)


@pytest.mark.members(
    "DurableObjectState.getWebSocketAutoResponse",
    "DurableObjectState.setHibernatableWebSocketEventTimeout",
    "DurableObjectState.getHibernatableWebSocketEventTimeout",
    "WebSocketRequestResponsePair.request",
    "WebSocketRequestResponsePair.response",
    "js.WebSocketRequestResponsePair",
)
async def test_what_ctx_tells_of_sockets():
    """Sockets by tag, tags, the auto-response and when it was given, the timeout of events."""

    async def work(self):
        ctx = self.ctx
        one, _ = WebSocketPair.new()
        two, _ = WebSocketPair.new()
        ctx.acceptWebSocket(one, ["a"])
        ctx.acceptWebSocket(two)
        assert ctx.getWebSockets("a") == [one]
        assert set(ctx.getWebSockets()) == {one, two}
        assert ctx.getWebSockets(jsnull).length == 2
        assert ctx.getTags(one) == ["a"]
        assert ctx.getTags(one).to_py() == ["a"]
        assert ctx.getWebSocketAutoResponse() is None
        ctx.setWebSocketAutoResponse(WebSocketRequestResponsePair.new("ping", "pong"))
        pair = ctx.getWebSocketAutoResponse()
        assert (pair.request, pair.response) == ("ping", "pong")
        assert ctx.getWebSocketAutoResponseTimestamp(one) is None
        ctx.setWebSocketAutoResponse()
        assert ctx.getWebSocketAutoResponse() is None
        ctx.setHibernatableWebSocketEventTimeout(500)
        assert ctx.getHibernatableWebSocketEventTimeout() == 500
        with pytest.raises(TypeError, match="Failed to execute 'acceptWebSocket'"):
            ctx.acceptWebSocket("no socket")
        return True

    assert await within(work)


@pytest.mark.members("DurableObjectState.getWebSocketAutoResponseTimestamp")
async def test_an_answered_ping_is_told_by_its_time():
    """`getWebSocketAutoResponseTimestamp` gives a Date."""

    class Pinged(Room):
        async def fetch(self, request):
            self.ctx.setWebSocketAutoResponse(WebSocketRequestResponsePair.new("ping", "pong"))
            return await super().fetch(request)

        async def at(self):
            (ws,) = self.ctx.getWebSockets()
            when = self.ctx.getWebSocketAutoResponseTimestamp(ws)
            assert isinstance(when, JsDate)
            return when.getTime()

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await self.env.PINGED.getByName("a").fetch(request)

    async with inside(Pinged, Default) as app, app.websocket("/") as ws:
        await ws.send("ping")
        assert await ws.receive() == "pong"
        assert await app.cf.PINGED.getByName("a").at() > 1_700_000_000_000


@pytest.mark.parametrize(
    "value", ["text", 5, None, {"name": "ann", "seen": [1, 2]}, to_js({"name": "ann"}), b"bytes"], ids=repr
)
async def test_an_attachment_is_kept(value):
    """Whatever can be stored; unset it is None; what comes back has `to_py()` where JavaScript's has."""

    async def work(self):
        ws, _ = WebSocketPair.new()
        self.ctx.acceptWebSocket(ws)
        assert ws.deserializeAttachment() is None
        ws.serializeAttachment(value)
        return ws.deserializeAttachment()

    kept = await within(work)
    assert kept == value
    if isinstance(value, dict):
        assert kept.name == "ann"
        assert kept.to_py() == value


async def test_a_wrong_use_says_so_in_cloudflares_names():
    """Errors are JsExceptions."""

    async def work(self):
        ws, _ = WebSocketPair.new()
        with pytest.raises(
            JsException, match=r"You must call one of accept\(\) or state.acceptWebSocket\(\)"
        ):
            ws.send("early")
        self.ctx.acceptWebSocket(ws)
        with pytest.raises(TypeError, match="not of type"):
            ws.send({"a": 1})
        ws.send(5)
        ws.close()
        with pytest.raises(TypeError, match="after close"):
            ws.send("late")
        with pytest.raises(AttributeError, match="WebSocket has no 'ping' here"):
            ws.ping
        return True

    assert await within(work)


class Listens(WorkerEntrypoint):
    """Answers what its listeners hear."""

    how = "addEventListener"

    async def fetch(self, request):
        client, server = WebSocketPair.new()
        server.accept()
        events = []

        def message(event):
            events.append((event.type, event.target == server))
            server.send(f"heard {event.data if isinstance(event.data, str) else bytes(event.data)}")

        async def closed(event):
            self.ended.append((*events, event.code, event.reason, event.wasClean))

        if self.how == "addEventListener":
            server.addEventListener("message", create_proxy(message))
            server.addEventListener("message", message, {"once": True})
            server.removeEventListener("message", message)
            server.addEventListener("message", message)
            server.addEventListener("open", message)
            server.addEventListener("pong", message)
            server.addEventListener("close", closed)
        else:
            server.onmessage = lambda event: server.send("not this one")
            server.onmessage = message
            server.onclose = closed
            assert server.onmessage is message
        return JsResponse.new(None, status=101, webSocket=client)

    ended: list = []


@pytest.mark.members(
    "WebSocket.addEventListener",
    "WebSocket.removeEventListener",
    "WebSocket.onmessage",
    "WebSocket.onclose",
    "WebSocket.onopen",
    "WebSocket.onerror",
)
@pytest.mark.parametrize("how", ["addEventListener", "onmessage"])
async def test_listeners_hear_a_socket(how):
    """Plain or async, wrapped by `create_proxy` or not; what was removed or replaced hears no more."""

    class Default(Listens):
        ended: list = []

    Default.how = how
    async with inside(Default) as app:
        async with app.websocket("/") as ws:
            await ws.send("text")
            assert await ws.receive() == "heard text"
            await ws.send(b"\x01")
            assert await ws.receive() == "heard b'\\x01'"
            await ws.close(4002, "over")
            await ws.wait_closed()
    assert Default.ended == [(("message", True), ("message", True), 4002, "over", True)]


@pytest.mark.members("DurableObject.webSocketError")
async def test_a_failure_of_the_other_side_is_told():
    """`webSocketError` gets the socket and an error with a message."""
    told = []

    class Told(Room):
        async def webSocketError(self, ws, error):
            told.append((ws in self.ctx.getWebSockets(), error.name, error.message))

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await self.env.TOLD.getByName("a").fetch(request)

    async with inside(Told, Default) as app, app.websocket("/") as ws:
        ws.peer.take_error(perdure.WebSocketError(1002, "not the protocol"))
        async with asyncio.timeout(30):
            while not told:
                await asyncio.sleep(0)
        ws.drop()  # no Close comes from an end that has failed
    ((was_listed, name, message),) = told
    assert was_listed
    assert name == "Error"
    assert "not the protocol" in message


@pytest.mark.members(
    "WebSocket.OPEN",
    "WebSocket.CLOSING",
    "WebSocket.CLOSED",
    "WebSocket.CONNECTING",
    "WebSocket.READY_STATE_CONNECTING",
    "WebSocket.READY_STATE_OPEN",
    "WebSocket.READY_STATE_CLOSING",
    "WebSocket.READY_STATE_CLOSED",
    "WebSocket.binaryType",
    "WebSocket.extensions",
    "WebSocket.protocol",
    "WebSocket.url",
)
async def test_a_socket_tells_its_state():
    """`readyState` is one of the numbers that the socket has by name."""

    async def work(self):
        ws, other = WebSocketPair.new()
        assert (ws.CONNECTING, ws.OPEN, ws.CLOSING, ws.CLOSED) == (0, 1, 2, 3)
        assert ws.READY_STATE_OPEN == ws.OPEN
        assert ws.READY_STATE_CLOSED == ws.CLOSED
        assert (ws.READY_STATE_CONNECTING, ws.READY_STATE_CLOSING) == (0, 2)
        ws.binaryType = "arraybuffer"
        assert (ws.binaryType, ws.extensions, ws.protocol, ws.url) == ("arraybuffer", "", "", None)
        self.ctx.acceptWebSocket(ws)
        assert ws.readyState == ws.OPEN
        ws.close(1000, "done")
        assert ws.readyState == ws.CLOSING
        return True

    assert await within(work)
