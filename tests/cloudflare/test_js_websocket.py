"""`js.WebSocket`: connections that code of a project opens; sockets that a fetched response carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import serve

from perdure._cloudflare import js
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.pyodide.ffi import create_proxy

NOWHERE = "ws://127.0.0.1:9/"


async def echo(connection: Any) -> None:
    """Send everything back, and end at "drop"."""
    async for message in connection:
        if message == "drop":
            connection.transport.abort()
        else:
            await connection.send(message)


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[str]:
    async with serve(echo, "127.0.0.1", 0, **options) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def events_of(ws: Any) -> asyncio.Queue[Any]:
    """Return a queue of the socket's events."""
    events: asyncio.Queue[Any] = asyncio.Queue()
    for type in ("open", "message", "error", "close"):
        ws.addEventListener(type, create_proxy(events.put_nowait))
    return events


@pytest.mark.members("js.WebSocket.new", "WebSocket.protocol", "WebSocket.url", "WebSocket.CONNECTING")
async def test_a_connection_opens_talks_and_closes():
    async with serving(subprotocols=["chat"]) as address:
        ws = js.WebSocket.new("http://" + address, ["chat"])
        assert ws.readyState == js.WebSocket.CONNECTING == 0
        events = events_of(ws)
        assert (await events.get()).type == "open"
        assert (ws.readyState, ws.url, ws.protocol) == (js.WebSocket.OPEN, "ws://" + address, "chat")
        ws.accept()
        ws.send("text")
        ws.send(js.Uint8Array.new([1, 2]))
        assert (await events.get()).data == "text"
        data = (await events.get()).data
        assert (data, data.to_bytes()) == (b"\1\2", b"\1\2")
        ws.close(1000, "done")
        end = await events.get()
        assert (end.type, end.code, end.wasClean, end.target is ws) == ("close", 1000, True, True)
        assert ws.readyState == js.WebSocket.CLOSED


@pytest.mark.members("WebSocket.onopen", "WebSocket.onmessage", "WebSocket.onclose", "WebSocket.onerror")
async def test_handlers_are_set_as_attributes_and_may_be_async():
    async with serving() as address:
        ws = js.WebSocket.new("ws://" + address)
        assert ws.onmessage is None
        got: asyncio.Queue[Any] = asyncio.Queue()

        async def on_message(event: Any) -> None:
            await got.put(event.data)

        ws.onopen = lambda event: ws.send("hello")
        ws.onmessage = on_message
        assert await got.get() == "hello"
        ws.onclose = create_proxy(got.put_nowait)
        ws.send("drop")
        end = await got.get()
        assert (end.code, end.wasClean) == (1006, False)


async def test_a_connection_that_cannot_be_made_is_an_error_and_a_close():
    ws = js.WebSocket.new(NOWHERE)
    events = events_of(ws)
    error, end = await events.get(), await events.get()
    assert (error.type, error.error.name) == ("error", "Error")
    assert "127.0.0.1:9" in error.message
    assert (end.type, end.code, end.wasClean) == ("close", 1006, False)
    assert ws.readyState == js.WebSocket.CLOSED
    ws.send("to nobody")


async def test_a_connection_is_given_up_while_it_is_made():
    ws = js.WebSocket.new(NOWHERE)
    events = events_of(ws)
    ws.close()
    assert "closed before the connection was established" in (await events.get()).message
    assert (await events.get()).type == "close"
    ws.close()
    assert events.empty()


async def test_nothing_is_sent_before_the_connection_is_open():
    ws = js.WebSocket.new(NOWHERE)
    with pytest.raises(
        JsException, match='InvalidStateError.*still connecting: wait for its event "open" first'
    ):
        ws.send("early")
    ws.close()


@pytest.mark.parametrize("url", ["ftp://a/", "localhost", "ws://a/#b", 5], ids=str)
async def test_what_is_no_address_of_a_websocket_is_refused(url: Any):
    with pytest.raises(JsException, match="SyntaxError: WebSocket takes a ws: or wss: URL"):
        js.WebSocket.new(url)


def test_a_connection_needs_a_handler():
    with pytest.raises(RuntimeError, match=r"within global scope: new WebSocket\(\)"):
        js.WebSocket.new(NOWHERE)


@pytest.mark.members("js.WebSocketPair.new", "js.WebSocket")
async def test_the_sockets_of_clients_are_websockets_too():
    client, server = js.WebSocketPair.new().object_values()
    assert isinstance(client, js.WebSocket)
    assert not isinstance(5, js.WebSocket)
    server.accept()


@pytest.mark.members("js.fetch")
async def test_a_fetch_that_asks_for_an_upgrade_gets_the_socket():
    async with serving() as address:
        response = await js.fetch("http://" + address, headers={"Upgrade": "websocket"})
        ws = response.webSocket
        ws.accept()
        got: asyncio.Queue[Any] = asyncio.Queue()
        ws.addEventListener("message", create_proxy(got.put_nowait))
        ws.send("hello")
        assert (await got.get()).data == "hello"
        ws.close()
    assert js.Response.new("text").webSocket is None
