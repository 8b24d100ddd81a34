"""Standard WebSockets, taken with `accept()`: WS-02, WS-14 … WS-17, and how Python reads them."""

from __future__ import annotations

import asyncio
import enum
import logging

import pytest
from support.inside import Plain, an_object, attempt, inside
from support.talking import UPGRADE, Client, Room, connect, settle

from perdure import Response, WebSocket, WebSocketPair
from perdure.websockets import CloseEvent, MessageEvent


def accepted():
    """Both ends of a pair, accepted."""
    one, other = WebSocketPair()
    one.accept()
    other.accept()
    return one, other


# --- accept -----------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-02")
async def test_accepting_twice_is_nothing():
    one, other = accepted()
    one.accept()
    client = Client(other)
    one.send("once")
    await client.gets("once")


@pytest.mark.rows("WS-02", "WS-33")
async def test_a_socket_that_was_used_otherwise_is_not_accepted():
    client, server = WebSocketPair()
    Response(None, status=101, websocket=client)
    with pytest.raises(
        TypeError, match=r"^Can't accept\(\) WebSocket that was already used in a response\.$"
    ):
        client.accept()

    def hibernatable(room):
        _client, server = WebSocketPair()
        room.ctx.accept_websocket(server)
        with pytest.raises(TypeError, match=r"^Can't accept\(\) WebSocket after enabling hibernation\.$"):
            server.accept()

    async with an_object(Plain) as stub:
        await inside(stub, hibernatable)
    del server


@pytest.mark.rows("WS-15")
async def test_a_socket_is_taken_before_it_is_used():
    one, _other = WebSocketPair()
    text = r"^You must call one of accept\(\) or state.accept_websocket\(\) on this WebSocket before sending"
    with pytest.raises(TypeError, match=text):
        one.send("x")
    with pytest.raises(TypeError, match=text):
        one.close()
    with pytest.raises(TypeError, match=text):
        aiter(one)
    assert one.ready_state == WebSocket.OPEN


def test_a_websocket_has_no_constructor():
    with pytest.raises(TypeError, match=r"WebSocketPair\(\), or by connect_websocket"):
        WebSocket()


# --- what is sent -----------------------------------------------------------------------------------------


@pytest.mark.rows("WS-15")
@pytest.mark.parametrize("message", ["", "text", "☃ 😀", b"", b"\0\xff", bytearray(b"x"), memoryview(b"y")])
async def test_text_and_bytes_are_sent(message):
    one, other = WebSocketPair()
    client = Client(other)
    one.accept()
    one.send(message)
    await client.gets(message if isinstance(message, str) else bytes(message))


@pytest.mark.rows("WS-15")
@pytest.mark.parametrize("message", [5, None, {}, ["x"], 1.5])
async def test_anything_else_is_refused_with_a_way_out(message):
    one, _other = accepted()
    with pytest.raises(TypeError, match=r"got (int|NoneType|dict|list|float). For JSON send json.dumps"):
        one.send(message)


async def test_half_of_a_surrogate_pair_is_refused():
    """Text goes as UTF-8, and nothing is changed in silence."""
    one, _other = accepted()
    for say in (one.send, lambda text: one.close(1000, text)):
        with pytest.raises(ValueError, match="surrogate pair at position 1"):
            say("x\ud800")
    assert one.ready_state == one.OPEN


async def test_a_text_of_a_class_of_its_own_is_sent_as_what_it_holds():
    """Such as an Enum of texts, which calls itself by its name."""
    one, other = accepted()
    client = Client(other)
    one.send(enum.Enum("Kind", {"JOINED": "joined"}, type=str).JOINED)
    await client.gets("joined")


# --- close ------------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-16", "LIM-10")
@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 5000, 65535])
async def test_a_code_that_no_close_can_have_is_refused(code):
    one, _other = accepted()
    with pytest.raises(ValueError, match=f"^Invalid WebSocket close code: {code}.$"):
        one.close(code)
    assert one.ready_state == WebSocket.OPEN


@pytest.mark.rows("WS-16")
@pytest.mark.parametrize("code", [1000, 1001, 1011, 1016, 2999, 3000, 4999])
async def test_any_other_code_is_sent(code):
    one, other = WebSocketPair()
    client = Client(other)
    one.accept()
    one.close(code)
    assert (await client.closes()).code == code


@pytest.mark.rows("WS-16", "LIM-10")
async def test_a_reason_has_a_code_and_at_most_123_bytes():
    one, _other = accepted()
    with pytest.raises(
        ValueError, match="If you specify a WebSocket close reason, you must also specify a code"
    ):
        one.close(None, "why")
    with pytest.raises(ValueError, match="must not be longer than 123 bytes when UTF-8 encoded"):
        one.close(1000, "é" * 62)
    with pytest.raises(TypeError):
        one.close("1000")
    with pytest.raises(TypeError):
        one.close(1000, b"why")
    one.close(1000, "é" * 61)


@pytest.mark.rows("WS-12", "WS-17")
async def test_a_close_is_answered_by_itself():
    """The listener sees the socket closed."""
    one, other = accepted()
    states = []
    other.add_event_listener("close", lambda event: states.append((event, other.ready_state)))
    one.close(4000, "bye")
    assert one.ready_state == WebSocket.CLOSING
    await settle()
    assert states == [(CloseEvent(4000, "bye", was_clean=True), WebSocket.CLOSED)]
    assert one.ready_state == WebSocket.CLOSED


@pytest.mark.rows("WS-02", "WS-12")
async def test_a_half_open_socket_answers_when_its_code_does():
    one, other = WebSocketPair()
    client = Client(other)
    one.accept(allow_half_open=True)
    heard = asyncio.Event()
    one.add_event_listener("close", lambda event: heard.set())
    other.close(1000)
    await heard.wait()
    assert one.ready_state == WebSocket.CLOSING
    one.send("last words")
    await client.gets("last words")
    one.close(4002, "now")
    assert (await client.closes()).code == 4002


# --- listeners --------------------------------------------------------------------------------------------


async def test_listeners_are_added_once_and_removed():
    one, other = accepted()
    heard = []
    listener = heard.append
    other.add_event_listener("message", listener)
    other.add_event_listener("message", lambda event: heard.append("once"), once=True)
    one.send("1")
    one.send("2")
    await settle()
    assert heard == [MessageEvent("1"), "once", MessageEvent("2")]
    other.remove_event_listener("message", listener)
    one.send("3")
    await settle()
    assert len(heard) == 3


async def test_a_listener_may_be_async():
    one, other = accepted()
    heard = asyncio.Event()

    async def listener(event):
        await asyncio.sleep(0)
        heard.set()

    other.add_event_listener("message", listener)
    one.send("x")
    await asyncio.wait_for(heard.wait(), 5)


async def test_an_unknown_event_is_refused():
    one, _other = WebSocketPair()
    with pytest.raises(ValueError, match="message, close, error, open; got 'massage'"):
        one.add_event_listener("massage", print)
    with pytest.raises(TypeError, match="called with the event; got str"):
        one.add_event_listener("message", "print")


async def test_a_listener_that_raises_at_a_message_ends_the_connection(caplog):
    """The other listeners have their chance first; what comes after is not heard. Outside of objects it is logged."""
    one, other = accepted()
    client, heard, errors = Client(one), [], []
    other.add_event_listener("error", lambda event: errors.append((event.error, other.ready_state)))
    other.add_event_listener("message", lambda event: 1 / 0)
    other.add_event_listener("message", heard.append)
    with caplog.at_level(logging.ERROR, "perdure"):
        one.send("x")
        one.send("y")
        await settle()
    assert [event.data for event in heard] == ["x"]
    assert [(type(error), state) for error, state in errors] == [(ZeroDivisionError, other.CLOSED)]
    assert (await client.closes()).code == 1006
    other.send("to nobody, and no error")
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


async def test_a_listener_that_fails_while_it_awaits_is_logged(caplog):
    """The connection goes on."""
    one, other = accepted()
    client = Client(one)

    async def listener(event):
        other.send(event.data)
        await asyncio.sleep(0)
        raise LookupError

    other.add_event_listener("message", listener)
    with caplog.at_level(logging.ERROR, "perdure"):
        one.send("x")
        await settle()
        one.send("y")
        await client.gets("x", "y")
        await settle()
    assert [record.exc_info[0] for record in caplog.records] == [LookupError, LookupError]


@pytest.mark.rows("WS-17")
async def test_the_state_changes_when_a_close_is_told():
    """Not before: of a Close that has just been sent, the other end knows nothing."""
    one, other = accepted()
    told = []
    other.add_event_listener("close", lambda event: told.append(other.ready_state))
    one.close(4000)
    assert (one.ready_state, other.ready_state) == (one.CLOSING, one.OPEN)
    await settle()
    assert told == [one.CLOSED]  # it was answered
    assert one.ready_state == one.CLOSED


async def test_a_message_that_nobody_heard_yet_is_for_the_first_listener():
    """Whether it came before the listener, or after one that wanted one event only."""
    one, other = accepted()
    one.send("1")
    one.send("2")
    await settle()
    loop = asyncio.get_running_loop()
    heard = []
    for _ in range(2):
        future = loop.create_future()
        other.add_event_listener("message", future.set_result, once=True)
        heard.append((await asyncio.wait_for(future, 5)).data)
    assert heard == ["1", "2"]


@pytest.mark.rows("WS-14")
async def test_events_of_a_hibernatable_socket_never_come_to_listeners():
    heard = []
    async with an_object(Room) as stub:
        client = await connect(stub)
        await inside(
            stub,
            lambda room: room.ctx.get_websockets()[0].add_event_listener("message", heard.append),
        )
        client.ws.send("x")
        await settle()
        assert await inside(stub, lambda room: room.seen) == ["x"]
    assert heard == []


@pytest.mark.rows("WS-02")
async def test_listeners_of_an_object_run_as_its_code():
    """Under its gates, and what they say waits for its writes."""

    class Listening(Plain):
        async def fetch(self, request):
            client, server = WebSocketPair()

            def heard(event):
                self.ctx.storage.kv.put("last", event.data)
                server.send(self.ctx.storage.kv.get("last"))

            server.add_event_listener("message", heard)
            server.accept()
            return Response(None, status=101, websocket=client)

    async with an_object(Listening) as stub:
        client = await connect(stub)
        go_on = asyncio.Event()
        block = asyncio.ensure_future(inside(stub, lambda room: room.ctx.block_concurrency_while(go_on.wait)))
        await settle()
        client.ws.send("x")
        await settle()
        assert client.got == []
        go_on.set()
        await block
        await client.gets("x")


# --- async for --------------------------------------------------------------------------------------------


async def test_messages_are_read_with_async_for_until_the_close():
    """Those of before it began, too."""
    one, other = accepted()
    one.send("1")
    one.send(b"2")
    await settle()
    one.close()
    assert [message async for message in other] == ["1", b"2"]
    assert [message async for message in other] == []


async def test_a_reader_goes_on_where_the_one_before_stopped():
    one, other = accepted()
    for text in "123":
        one.send(text)
    assert await anext(aiter(other)) == "1"
    one.close()
    assert [message async for message in other] == ["2", "3"]


async def test_a_reader_waits_for_the_next_message():
    one, other = accepted()
    reading = asyncio.ensure_future(anext(aiter(other)))
    await settle()
    one.send("late")
    assert await asyncio.wait_for(reading, 5) == "late"


async def test_an_object_reads_its_socket_with_async_for():
    """In a task that keeps running after the response."""

    class Reading(Plain):
        async def fetch(self, request):
            client, server = WebSocketPair()
            server.accept()
            self.task = asyncio.create_task(self.read(server))
            return Response(None, status=101, websocket=client)

        async def read(self, ws):
            async for message in ws:
                ws.send(f"echo {message}")

    async with an_object(Reading) as stub:
        client = await connect(stub)
        client.ws.send("1")
        client.ws.send("2")
        await client.gets("echo 1", "echo 2")


async def test_a_hibernatable_socket_is_not_read():
    async with an_object(Room) as stub:
        await connect(stub)
        error = await attempt(inside(stub, lambda room: aiter(room.ctx.get_websockets()[0])))
        assert isinstance(error, TypeError)
        assert "come to websocket_message()" in str(error)


async def test_what_nobody_reads_is_kept_up_to_two_megabytes(caplog):
    """The rest is dropped, and the log says so once."""
    one, other = accepted()
    with caplog.at_level(logging.WARNING, "perdure"):
        for _ in range(8):
            one.send("x" * 400_000)
    one.close()
    assert [len(message) async for message in other] == [400_000] * 6
    assert len(caplog.records) == 1
    assert "has no message listener and is not read" in caplog.text


async def test_the_response_of_a_fetch_that_nobody_takes_ends_the_connection():
    """An object is not left with a socket whose other end was thrown away."""
    async with an_object(Room) as stub:
        await stub.fetch("http://do/", headers=UPGRADE)
        await settle()
        assert await inside(stub, lambda room: room.ctx.get_websockets()) == []
