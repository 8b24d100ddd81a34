"""What a test answers to the application's outgoing requests."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from support.kit_app import Counter

from perdure import Disconnected, PerdureError, Response, fetch, testing

PRICE = "https://api.example.com/price"


def an_app() -> testing.Perdure:
    return testing.runtime(Counter)


def counter(app: testing.Perdure) -> Any:
    return app.env.COUNTER.get_by_name("a")


async def test_the_network_is_refused_and_the_error_says_what_to_do():
    async with an_app() as app:
        app.outbound.get("https://other.example/").respond()
        with pytest.raises(PerdureError) as refused:
            await counter(app).price()
        text = str(refused.value)
        assert "GET https://api.example.com/price was not sent" in text
        assert "Routes: GET https://other.example/." in text
        assert f'outbound.get("{PRICE}").respond(...)' in text
        with pytest.raises(PerdureError, match=re.escape('outbound.route("PURGE", "https://')):
            await counter(app).price(method="PURGE")
        assert app.outbound.refused == [f"GET {PRICE}", f"PURGE {PRICE}"]


async def test_a_mock_answers_and_remembers_what_was_asked():
    async with an_app() as app:
        route = app.outbound.post(PRICE).respond(201, json={"eur": 12}, headers={"x-a": "b"})
        answer = await counter(app).price(
            method="POST", body='{"of": "tea"}', headers={"authorization": "me"}
        )
        assert answer == (201, '{"eur":12}')
        (call,) = route.calls
        assert (call.method, call.url, call.json(), call.headers["authorization"]) == (
            "POST",
            PRICE,
            {"of": "tea"},
            "me",
        )
        assert app.outbound.calls == [call]


async def test_several_answers_come_in_turn_and_the_last_one_stays():
    async with an_app() as app:
        app.outbound.get(PRICE).fail(Disconnected("no route")).respond(503).respond(body="12")
        with pytest.raises(Disconnected, match="no route"):
            await counter(app).price()
        assert [await counter(app).price() for _ in range(3)] == [(503, ""), (200, "12"), (200, "12")]


async def test_a_handler_answers_outside_of_the_object():
    """As a server would: the object's gates have nothing to do with it."""
    async with an_app() as app:

        async def answer(request: Any) -> Response:
            body = await request.text()
            await counter(app).hit()  # the object that asks can be asked
            return Response(body.upper())

        app.outbound.post(PRICE).answer(answer)
        assert await counter(app).price(method="POST", body="tea") == (200, "TEA")
        assert await counter(app).hit() == 2


@pytest.mark.parametrize(
    ("url", "matches"),
    [
        (PRICE, True),
        ("HTTPS://API.example.com:443/price", True),
        ("https://api.example.com/*", True),
        ("*", True),
        (re.compile(r"https://api\..*/price"), True),
        (re.compile(r"https://api\."), False),
        ("https://api.example.com/price?x=1", False),
        ("https://api.example.com/pric?", False),
    ],
)
async def test_a_url_is_exact_or_has_a_star_or_is_an_expression(url: Any, matches: bool):
    async with an_app() as app:
        app.outbound.route("*", url).respond()
        if matches:
            assert await counter(app).price() == (200, "")
        else:
            with pytest.raises(PerdureError):
                await counter(app).price()


async def test_the_route_made_last_is_asked_first():
    async with an_app() as app:
        app.outbound.get("*").respond(body="any")
        app.outbound.get(PRICE).respond(body="12")
        assert await counter(app).price() == (200, "12")
        assert await counter(app).price("https://elsewhere.example/") == (200, "any")


async def test_a_redirect_of_a_mock_is_followed():
    async with an_app() as app:
        app.outbound.get(PRICE).respond(302, headers={"location": "/new"})
        app.outbound.get("https://api.example.com/new").respond(body="12")
        assert await counter(app).price() == (200, "12")


async def test_the_tests_own_requests_are_mocked_too():
    async with an_app() as app:
        app.outbound.get(PRICE).respond(body="12")
        assert await (await fetch(PRICE)).text() == "12"


async def test_a_mistake_in_a_mock_is_told_where_it_is_made():
    async with an_app() as app:
        with pytest.raises(ValueError, match="200 to 599"):
            app.outbound.get(PRICE).respond(99)
        with pytest.raises(TypeError, match="json or body, not both"):
            app.outbound.get(PRICE).respond(json=1, body="1")
        app.outbound.get(PRICE)
        with pytest.raises(PerdureError, match=r"has no answer: add \.respond"):
            await counter(app).price()
        app.outbound.get(PRICE).answer(lambda request: "12")
        with pytest.raises(TypeError, match="returned str, not a perdure.Response"):
            await counter(app).price()


async def test_what_is_allowed_reaches_the_network():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nreal")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, an_app() as app:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        app.outbound.allow(f"{url}*")
        assert await counter(app).price(url) == (200, "real")
        with pytest.raises(PerdureError):
            await counter(app).price()


async def test_the_test_is_the_server_of_outgoing_websockets():
    async with an_app() as app:
        feed = app.outbound.websocket("wss://feed.example.com/*", protocol="ticks")
        listening = asyncio.ensure_future(counter(app).listen("wss://feed.example.com/prices"))
        server = await feed.connection()
        assert await server.receive() == "hello"
        await server.send("12")
        await server.send("13")
        await server.close()
        assert await listening == ["ticks", "12", "13"]


async def test_a_websocket_to_the_network_is_refused():
    async with an_app() as app:
        with pytest.raises(PerdureError, match=re.escape('outbound.websocket("wss://feed.example.com/")')):
            await counter(app).listen("wss://feed.example.com/")
        route = app.outbound.websocket("wss://nobody.example/")
        route._receive_s = 0.01
        with pytest.raises(TimeoutError, match="nobody connected to WebSocket wss://nobody.example/"):
            await route.connection()
