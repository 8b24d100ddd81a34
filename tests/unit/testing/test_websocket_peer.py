"""The test's side of a WebSocket, in memory."""

from __future__ import annotations

import asyncio

import pytest
from support.kit_app import Counter, Default, Room

from perdure import testing


def an_app() -> testing.Perdure:
    return testing.runtime(Counter, Room, Default)


async def test_messages_go_both_ways_in_order():
    async with an_app() as app, app.websocket("/room/a") as ws:
        for message in ("one", b"two", "three"):
            await ws.send(message)
        await ws.send_json({"four": 4})
        assert [await ws.receive() for _ in range(3)] == ["one", b"two", "three"]
        assert await ws.receive_json() == {"four": 4}


async def test_several_clients_hear_each_other():
    async with (
        an_app() as app,
        app.websocket("/room/a") as one,
        app.websocket("ws://localhost/room/a") as other,
    ):
        await one.send("hello")
        assert await one.receive() == await other.receive() == "hello"
        assert one.received() == []


async def test_the_subprotocol_is_the_one_that_was_chosen():
    async with an_app() as app:
        async with app.websocket("/room/a", protocols=["other", "chat"]) as ws:
            assert ws.protocol == "chat"
        async with app.websocket("/room/a") as ws:
            assert ws.protocol == ""


async def test_a_refused_handshake_tells_the_answer():
    async with an_app() as app:
        with pytest.raises(
            testing.WebSocketRefused, match=r"http://localhost/ answered .* with status 200"
        ) as refused:
            await app.websocket("/")
        assert (await refused.value.response.json())["method"] == "GET"


async def test_the_end_of_the_block_closes_and_the_object_hears_it():
    async with an_app() as app:
        async with app.websocket("/room/a") as ws:
            await ws.close(4001, "done")
        closed = await testing.run_in_durable_object(
            app.env.ROOM.get_by_name("a"), lambda _, ctx: ctx.storage.kv.get("closed")
        )
        assert closed == [4001, "done", True]
        with pytest.raises(testing.WebSocketClosed):
            await ws.send("too late")


async def test_a_close_of_the_server_ends_what_can_be_received():
    async with an_app() as app, app.websocket("/room/a") as ws:
        await ws.send("last words")
        await ws.send("close")
        assert [message async for message in ws] == ["last words"]
        with pytest.raises(testing.WebSocketClosed, match="4000 as you wish") as closed:
            await ws.receive()
        assert (closed.value.code, closed.value.reason) == (4000, "as you wish")
        assert await ws.wait_closed() == (4000, "as you wish")


async def test_a_dropped_connection_is_a_loss_for_the_object():
    async with an_app() as app:
        ws = await app.websocket("/room/a")
        ws.drop()
        room = app.env.ROOM.get_by_name("a")
        async with asyncio.timeout(5):
            while not (
                closed := await testing.run_in_durable_object(
                    room, lambda _, ctx: ctx.storage.kv.get("closed")
                )
            ):
                await asyncio.sleep(0)
        assert (closed[0], closed[2]) == (1006, False)


async def test_a_reset_of_the_object_breaks_the_connection_off():
    async with an_app() as app:
        ws = await app.websocket("/room/a")
        await ws.send("fail")
        assert await ws.wait_closed() == (1006, "")


async def test_a_client_that_waits_in_vain_is_told():
    async with an_app() as app:
        ws = await app.websocket("/room/a")
        ws._receive_s = 0.01
        with pytest.raises(TimeoutError, match="nothing was received within 0.01 s"):
            await ws.receive()


async def test_what_no_message_is_is_refused_at_once():
    async with an_app() as app, app.websocket("/room/a") as ws:
        with pytest.raises(TypeError, match=r"str or bytes; got dict.*send_json"):
            await ws.send({"a": 1})
        with pytest.raises(ValueError, match="surrogate"):
            await ws.send("\ud800")
