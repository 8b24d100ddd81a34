"""Hibernatable WebSockets of an object, within one process: WS-03 … WS-12, WS-15, WS-23, WS-33 … WS-35."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from support.held_disk import HeldDisk
from support.inside import Plain, an_object, attempt, begin, inside, live_of, until
from support.talking import UPGRADE, Client, Room, connect, settle

from perdure import Response, Runtime, WebSocket, WebSocketPair, WebSocketRequestResponsePair
from perdure._base import limits
from perdure.errors import PerdureError
from perdure.testing import evict_durable_object


def room(**members):
    """A `Room` with these members instead of its own."""
    return type("Room", (Room,), members)


async def in_an_object(fn):
    """Run `fn(ctx)` in an object without handlers, and return what it returns."""
    async with an_object(Plain) as stub:
        return await inside(stub, lambda instance: fn(instance.ctx))


async def text_of(fn):
    """The class and text of the error that `fn(ctx)` raises."""
    error = await attempt(in_an_object(fn))
    assert isinstance(error, Exception), error
    return type(error), str(error)


# --- taking a socket --------------------------------------------------------------------------------------


@pytest.mark.rows("WS-01")
async def test_a_pair_is_two_ends_of_one_connection():
    """It is unpacked, indexed and counted; what one says the other hears."""
    pair = WebSocketPair()
    one, other = pair
    assert (pair[0], pair[1], len(pair)) == (one, other, 2)
    client = Client(one)
    other.accept()
    other.send("hello")
    await client.gets("hello")


@pytest.mark.rows("WS-03", "WS-09", "CTX-11")
async def test_messages_of_a_taken_socket_come_to_the_class():
    """Text as str, binary as bytes."""
    async with an_object(Room) as stub:
        client = await connect(stub)
        client.ws.send("text")
        client.ws.send(bytearray(b"\0\xff"))
        await settle()
        assert await inside(stub, lambda room: room.seen) == ["text", b"\0\xff"]


@pytest.mark.rows("WS-09")
async def test_a_class_without_handlers_drops_what_comes():
    async with an_object(room(websocket_message=None, websocket_close=None)) as stub:
        client = await connect(stub)
        client.ws.send("anyone?")
        client.ws.close()
        await settle()
        assert await inside(stub, lambda room: room.ctx.get_websockets()) == []


@pytest.mark.rows("WS-03")
async def test_a_socket_is_taken_once():
    """An end that was accepted, taken, or whose other end was used, cannot be taken."""

    def accepted(ctx):
        _client, server = WebSocketPair()
        server.accept()
        ctx.accept_websocket(server)

    def taken(ctx):
        _client, server = WebSocketPair()
        ctx.accept_websocket(server)
        ctx.accept_websocket(server)

    def peer_accepted(ctx):
        client, server = WebSocketPair()
        client.accept()
        ctx.accept_websocket(server)

    def returned(ctx):
        client, server = WebSocketPair()
        Response(None, status=101, websocket=client)
        ctx.accept_websocket(client)

    assert await text_of(accepted) == (
        PerdureError,
        "Cannot call `accept_websocket()` if the WebSocket was already accepted via `accept()`",
    )
    assert await text_of(taken) == await text_of(accepted)  # workerd's one text for both
    assert await text_of(peer_accepted) == (
        PerdureError,
        "Cannot call `accept_websocket()` on this WebSocket because its pair has already been accepted or used in a "
        "Response.",
    )
    assert "already used in a response" in (await text_of(returned))[1]


@pytest.mark.rows("WS-03")
async def test_only_a_websocket_is_taken():
    assert await text_of(lambda ctx: ctx.accept_websocket("socket")) == (
        TypeError,
        "Failed to execute 'accept_websocket' on 'DurableObjectState': parameter 1 is not of type 'WebSocket'.",
    )


@pytest.mark.rows("WS-04", "WS-08", "LIM-10")
async def test_tags_are_ten_of_256_bytes():
    """Repeats are dropped, but nothing may follow the tenth."""

    def tags(ctx, tags):
        _client, server = WebSocketPair()
        ctx.accept_websocket(server, tags)
        return ctx.get_tags(server)

    ten = [f"t{i}" for i in range(10)]
    assert await in_an_object(lambda ctx: tags(ctx, ["b", "a", "b"])) == ["b", "a"]
    assert await in_an_object(lambda ctx: tags(ctx, ten)) == ten
    for more in ([*ten, "x"], [*ten, "t1"]):
        assert await text_of(lambda ctx, more=more: tags(ctx, more)) == (
            PerdureError,
            "a Hibernatable WebSocket cannot have more than 10 tags",
        )
    assert await in_an_object(lambda ctx: tags(ctx, ["é" * 128])) == ["é" * 128]
    assert await text_of(lambda ctx: tags(ctx, ["é" * 129])) == (
        PerdureError,
        f'"{"é" * 129}" is longer than the max tag length (256 characters).',
    )
    assert (await text_of(lambda ctx: tags(ctx, "text")))[0] is TypeError
    assert (await text_of(lambda ctx: tags(ctx, [5])))[0] is TypeError


@pytest.mark.rows("WS-05", "LIM-10")
async def test_an_object_holds_32768_sockets():
    """One more is refused with the limit; the others stay."""

    def fill(ctx):
        clients = []
        for _ in range(32_768):
            client, server = WebSocketPair()
            ctx.accept_websocket(server)
            clients.append(client)
        _client, server = WebSocketPair()
        with pytest.raises(
            PerdureError,
            match="only 32768 websockets can be accepted on a single Durable Object instance",
        ):
            ctx.accept_websocket(server)
        return len(ctx.get_websockets()), server.ready_state

    assert await in_an_object(fill) == (32_768, WebSocket.OPEN)


@pytest.mark.rows("WS-08")
async def test_tags_are_those_of_hibernatable_sockets_only():
    def standard(ctx):
        _client, server = WebSocketPair()
        server.accept()
        return ctx.get_tags(server)

    assert await text_of(lambda ctx: ctx.get_tags(WebSocketPair()[0])) == (
        PerdureError,
        "you must call 'accept_websocket()' before attempting to access the tags of a WebSocket.",
    )
    assert await text_of(standard) == (PerdureError, "only hibernatable websockets can have tags.")


# --- listing ----------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-06")
async def test_sockets_are_listed_newest_first_and_those_of_a_tag_oldest_first():
    async with an_object(Room) as stub:
        clients = []
        for tags in (["a"], ["b"], ["a", "b"]):
            await inside(stub, lambda room, tags=tags: setattr(room, "tags", tags))
            clients.append(await connect(stub))

        def tags(room, *tag):
            return [room.ctx.get_tags(ws) for ws in room.ctx.get_websockets(*tag)]

        assert await inside(stub, tags) == [["a", "b"], ["b"], ["a"]]
        assert await inside(stub, lambda room: tags(room, "a")) == [["a"], ["a", "b"]]
        assert await inside(stub, lambda room: tags(room, "A")) == []


@pytest.mark.rows("WS-06", "WS-08")
async def test_a_closing_socket_is_listed_until_its_handler_has_taken_a_step():
    """With its tags; after the first await it is gone."""

    async def close(self, ws, code, reason, was_clean):
        self.seen.append((len(self.ctx.get_websockets()), len(self.ctx.get_websockets("t"))))
        await asyncio.sleep(0)
        self.seen.append((len(self.ctx.get_websockets()), self.ctx.get_tags(ws)))

    async with an_object(room(websocket_close=close, tags=["t"])) as stub:
        (await connect(stub)).ws.close()
        await settle()
        assert await inside(stub, lambda room: room.seen) == [(1, 1), (0, ["t"])]


@pytest.mark.rows("WS-07")
async def test_a_socket_is_the_same_object_as_long_as_the_instance_lives():
    async with an_object(room(websocket_message=lambda self, ws, message: self.seen.append(ws))) as stub:
        client = await connect(stub)
        client.ws.send("x")
        await settle()
        (ws,) = await inside(stub, lambda room: room.seen)
        assert await inside(stub, lambda room: room.ctx.get_websockets()) == [ws]
        await evict_durable_object(stub)
        (later,) = await inside(stub, lambda room: room.ctx.get_websockets())
        assert later is not ws


# --- order ------------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-10")
async def test_a_message_waits_for_the_first_step_of_the_one_before_only():
    """Handlers begin in order; one that waits keeps nobody."""

    async def message(self, ws, message):
        self.seen.append(f"{message} begins")
        await asyncio.sleep(0)
        self.seen.append(f"{message} ends")

    async with an_object(room(websocket_message=message)) as stub:
        client = await connect(stub)
        client.ws.send("1")
        client.ws.send("2")
        await settle()
        assert await inside(stub, lambda room: room.seen) == [
            "1 begins",
            "2 begins",
            "1 ends",
            "2 ends",
        ]


@pytest.mark.rows("WS-10")
async def test_a_critical_section_in_a_handler_keeps_the_next_message():
    async def message(self, ws, message):
        async def work():
            self.seen.append(f"{message} begins")
            await asyncio.sleep(0)
            self.seen.append(f"{message} ends")

        await self.ctx.block_concurrency_while(work)

    async with an_object(room(websocket_message=message)) as stub:
        client = await connect(stub)
        client.ws.send("1")
        client.ws.send("2")
        await settle()
        assert await inside(stub, lambda room: room.seen) == [
            "1 begins",
            "1 ends",
            "2 begins",
            "2 ends",
        ]


# --- closing ----------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-11", "WS-17")
async def test_a_close_is_told_once_with_code_and_reason():
    async with an_object(Room) as stub:
        client = await connect(stub)
        client.ws.close(4321, "custom")
        client.ws.close(1000)
        await settle()
        assert await inside(stub, lambda room: room.seen) == [(4321, "custom", True)]


@pytest.mark.rows("WS-11")
async def test_a_close_without_a_code_is_1005():
    async with an_object(Room) as stub:
        (await connect(stub)).ws.close()
        await settle()
        assert await inside(stub, lambda room: room.seen) == [(1005, "", True)]


@pytest.mark.rows("WS-12", "WS-17")
async def test_the_object_answers_a_close_itself():
    """It is CLOSING in the handler, CLOSED after the answer, which the client gets."""

    def close(self, ws, code, reason, was_clean):
        self.seen.append(ws.ready_state)
        ws.close(4001, f"answer to {reason}")
        self.seen.append(ws.ready_state)

    async with an_object(room(websocket_close=close)) as stub:
        client = await connect(stub)
        client.ws.close(1000, "bye")
        assert client.ws.ready_state == WebSocket.CLOSING
        end = await client.closes()
        assert (end.code, end.reason, end.was_clean) == (4001, "answer to bye", True)
        assert client.ws.ready_state == WebSocket.CLOSED
        assert await inside(stub, lambda room: room.seen) == [WebSocket.CLOSING, WebSocket.CLOSED]


@pytest.mark.rows("WS-12")
async def test_the_runtime_answers_a_close_that_the_object_does_not():
    """With the same code, after half a second."""
    async with an_object(Room) as stub:
        client = await connect(stub)
        client.ws.close(4001, "bye")
        end = await client.closes()
        assert (end.code, end.reason, end.was_clean) == (4001, "bye", True)


async def test_a_close_handler_that_fails_leaves_no_socket_behind():
    def close(self, ws, code, reason, was_clean):
        raise ValueError("mistake")

    async with an_object(room(websocket_close=close)) as stub:
        client = await connect(stub)
        client.ws.close()
        await settle()
        assert await inside(stub, lambda room: room.ctx.get_websockets()) == []


@pytest.mark.rows("WS-16")
async def test_the_object_closes_and_hears_of_the_answer():
    """Sending after that is an error; closing again is nothing."""

    def message(self, ws, message):
        ws.close(4000, "as you wish")
        ws.close(1000)
        with pytest.raises(TypeError, match=r"^Can't call WebSocket send\(\) after close\(\)\.$"):
            ws.send("late")

    async with an_object(room(websocket_message=message)) as stub:
        client = await connect(stub)
        client.ws.send("x")
        end = await client.closes()
        assert (end.code, end.reason) == (4000, "as you wish")
        await settle()
        assert await inside(stub, lambda room: room.seen) == [(4000, "as you wish", True)]


@pytest.mark.rows("WS-15")
async def test_a_close_of_the_other_side_forbids_no_sending():
    async def close(self, ws, code, reason, was_clean):
        ws.send("last words")
        ws.close()

    async with an_object(room(websocket_close=close)) as stub:
        client = await connect(stub)
        client.ws.close()
        await client.closes()
        assert client.got == ["last words"]


@pytest.mark.rows("WS-15")
async def test_what_is_sent_to_nobody_is_dropped():
    async with an_object(Room) as stub:
        response = await stub.fetch("http://do/", headers=UPGRADE)
        (ws,) = await inside(stub, lambda room: room.ctx.get_websockets())
        del response
        await settle()
        assert await inside(stub, lambda room: room.seen) == [
            (1006, "WebSocket disconnected without sending Close frame.", False)
        ]
        await inside(stub, lambda room: ws.send("anyone?"))


# --- the output gate --------------------------------------------------------------------------------------


@pytest.mark.rows("WS-15")
async def test_a_message_leaves_when_the_writes_before_it_are_durable():
    """In the order in which it was said, with a close after it."""

    def message(self, ws, message):
        ws.send("before")
        self.ctx.storage.kv.put("k", message)
        data = bytearray(b"after")
        ws.send(data)
        data[:] = b"later"
        ws.close(1000, "done")

    disk = HeldDisk()
    async with an_object(room(websocket_message=message), disk=disk) as stub:
        client = await connect(stub)
        with disk.held():
            client.ws.send("x")
            await settle()
            assert client.got == ["before"]
            assert client.end is None
        await client.gets("before", b"after")
        assert (await client.closes()).reason == "done"


@pytest.mark.rows("WS-23")
async def test_an_auto_response_comes_after_what_was_said_before():
    """Though that still waits for its writes."""

    def message(self, ws, message):
        self.ctx.storage.kv.put("k", message)
        ws.send("said")

    disk = HeldDisk()
    async with an_object(room(websocket_message=message), disk=disk) as stub:
        client = await connect(stub)
        pair = WebSocketRequestResponsePair("ping", "pong")
        await inside(stub, lambda room: room.ctx.set_websocket_auto_response(pair))
        with disk.held():
            client.ws.send("x")
            await settle()
            client.ws.send("ping")
            await settle()
            assert client.got == []
        await client.gets("said", "pong")


@pytest.mark.rows("WS-12", "WS-15")
async def test_a_close_that_the_runtime_answers_comes_after_what_was_said_before():
    """However long the disk takes."""

    def closed(self, ws, code, reason, was_clean):
        self.ctx.storage.kv.put("k", code)
        ws.send("farewell")

    disk = HeldDisk()
    async with an_object(room(websocket_close=closed), disk=disk) as stub:
        client = await connect(stub, allow_half_open=True)
        with disk.held():
            client.ws.close(1000, "bye")
            await asyncio.sleep(limits.WEBSOCKET_CLOSE_GRACE_S + 0.1)
            assert (client.got, client.end) == ([], None)
        await client.gets("farewell")
        assert (await client.closes()).code == 1000


@pytest.mark.rows("WS-15", "WS-28")
async def test_a_message_after_writes_that_are_lost_never_leaves():
    def message(self, ws, message):
        self.ctx.storage.kv.put("k", message)
        ws.send("promise")
        self.ctx.abort("enough")

    async with an_object(room(websocket_message=message)) as stub:
        client = await connect(stub)
        client.ws.send("x")
        await client.closes()
        assert client.got == []


@pytest.mark.rows("WS-34")
async def test_what_a_constructor_says_waits_for_its_end():
    """And for the writes that it made."""

    def init(self, ctx, env):
        Room.__init__(self, ctx, env)
        for ws in ctx.get_websockets():
            ws.send("back again")
            assert seen == []
        ctx.storage.kv.put("started", True)

    seen: list = []
    async with an_object(room(__init__=init)) as stub:
        client = await connect(stub)
        client.ws.add_event_listener("message", lambda event: seen.append(event.data))
        await evict_durable_object(stub)
        client.ws.send("wake")
        await client.gets("back again")


@pytest.mark.rows("WS-34", "WS-28")
async def test_what_a_constructor_says_that_fails_is_dropped():
    def init(self, ctx, env):
        Room.__init__(self, ctx, env)
        for ws in ctx.get_websockets():
            ws.send("never heard")
            raise ValueError("woken badly")

    async with an_object(room(__init__=init)) as stub:
        client = await connect(stub)
        await evict_durable_object(stub)
        client.ws.send("wake")
        await client.closes()
        assert client.got == []
        assert await inside(stub, lambda room: room.ctx.get_websockets()) == []


# --- failures ---------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-35", "LIFE-16")
async def test_a_handler_that_fails_is_logged_and_harms_nobody(caplog):
    """The log has its traceback; the socket and the object go on."""

    def message(self, ws, message):
        if message == "bad":
            raise ValueError("the handler's mistake")
        ws.send(message)

    async with an_object(room(websocket_message=message)) as stub:
        client = await connect(stub)
        with caplog.at_level(logging.ERROR, "perdure"):
            client.ws.send("bad")
            client.ws.send("good")
            await client.gets("good")
        (record,) = caplog.records
        assert record.getMessage() == "Room(one).websocket_message() failed, and nobody waits for it"
        assert record.exc_info[0] is ValueError


# --- in responses -----------------------------------------------------------------------------------------


@pytest.mark.rows("WS-33")
async def test_only_an_unused_end_is_returned():
    def used(ctx, use):
        client, server = WebSocketPair()
        use(ctx, client, server)
        Response(None, status=101, websocket=client)

    def returned(ctx, client, server):
        Response(None, status=101, websocket=client)

    text = "Can't return WebSocket"
    assert await text_of(lambda ctx: used(ctx, lambda ctx, client, server: client.accept())) == (
        TypeError,
        f"{text} in a Response after calling accept().",
    )
    assert await text_of(lambda ctx: used(ctx, lambda ctx, client, server: ctx.accept_websocket(client))) == (
        TypeError,
        f"{text} in a Response after calling accept_websocket().",
    )
    assert await text_of(lambda ctx: used(ctx, returned)) == (
        TypeError,
        f"{text} that was already used in a response.",
    )


@pytest.mark.rows("STB-06")
async def test_a_response_with_a_websocket_has_status_101():
    client, _server = WebSocketPair()
    with pytest.raises(ValueError, match=r"^Responses with a WebSocket must have status code 101\.$"):
        Response(None, websocket=client)
    with pytest.raises(ValueError, match="200 to 599"):
        Response(None, status=101)


@pytest.mark.rows("STB-06")
async def test_a_websocket_is_only_for_who_asked_for_one():
    """The caller of a plain request is told, and the object hears that nobody is there."""
    async with an_object(Room) as stub:
        error = await attempt(stub.fetch("http://do/"))
        assert isinstance(error, TypeError)
        assert str(error).startswith("Worker tried to return a WebSocket in a response to a request which")
        await settle()
        assert [seen[0] for seen in await inside(stub, lambda room: room.seen)] == [1006]


@pytest.mark.rows("STB-06")
async def test_a_refused_upgrade_is_an_ordinary_response():
    async def fetch(self, request):
        return Response("members only", status=403)

    async with an_object(room(fetch=fetch)) as stub:
        response = await stub.fetch("http://do/", headers=UPGRADE)
        assert (response.status, response.websocket, await response.text()) == (403, None, "members only")


async def test_a_response_with_a_websocket_cannot_be_cloned():
    client, _server = WebSocketPair()
    with pytest.raises(TypeError, match="Cannot clone a response to a WebSocket handshake"):
        Response(None, status=101, websocket=client).clone()


@pytest.mark.rows("STB-06", "WS-33")
async def test_a_websocket_goes_through_several_objects():
    """An object passes on what another one answered; the ends talk to each other, and to nobody between."""

    class Front(Plain):
        async def fetch(self, request):
            return await self.env.ROOM.get_by_name("inner").fetch(request)

    echo = room(websocket_message=lambda self, ws, message: ws.send(f"echo {message}"))
    async with Runtime(objects=[Front, echo]) as runtime:
        front = runtime.namespace(Front).get_by_name("outer")
        client = await connect(front)
        await evict_durable_object(front)
        client.ws.send("x")
        await client.gets("echo x")


async def test_what_came_before_accept_is_not_lost():
    async def fetch(self, request):
        response = await Room.fetch(self, request)
        self.ctx.get_websockets()[0].send("welcome")
        return response

    async with an_object(room(fetch=fetch)) as stub:
        response = await stub.fetch("http://do/", headers=UPGRADE)
        await settle()
        await Client(response.websocket).gets("welcome")


async def test_a_sender_has_to_wait_while_too_many_messages_are_handled():
    """256 of one socket, or a megabyte; then its client is held back until half of them are done."""

    class Held:
        peer = None
        held = 0

        def __getattr__(self, name):
            return lambda *said: None

        def hold(self):
            self.held += 1

        def go_on(self):
            self.held -= 1

    async def message(self, ws, message):
        await go_on.wait()

    go_on, wire = asyncio.Event(), Held()
    async with an_object(room(websocket_message=message)) as stub:
        response = await stub.fetch("http://do/", headers=UPGRADE)
        response.websocket._end.couple(wire)
        for _ in range(255):
            wire.peer.take("x")
        assert wire.held == 0
        wire.peer.take("x")
        assert wire.held == 1
        go_on.set()
        await until(lambda: wire.held == 0)
        go_on.clear()
        await settle()
        wire.peer.take("x" * 2_000_000)
        assert wire.held == 1
        go_on.set()
        await until(lambda: wire.held == 0)


@pytest.mark.parametrize("taken", [True, False])
async def test_what_waits_within_the_process_has_a_bound(monkeypatch, taken):
    """Nobody can be held back there: beyond it both sides are told 1013, and what came before is heard."""
    monkeypatch.setattr(limits, "WEBSOCKET_UNHEARD_BYTES_MAX", 1000)
    one, other = WebSocketPair()
    one.accept()
    ends = []
    one.add_event_listener("close", lambda event: ends.append((event.code, event.was_clean)))
    if taken:
        other.accept()
        messages = aiter(other)
    for _ in range(5):
        one.send("x" * 400)
    await settle()
    assert ends == [(1013, False)]
    if not taken:
        other.accept()
        messages = aiter(other)
    assert [message async for message in messages] == ["x" * 400] * 3


async def test_an_event_of_another_object_is_not_kept_by_a_slow_socket():
    """Handlers that wait are not in anybody's way."""
    go_on = asyncio.Event()

    async def message(self, ws, message):
        await go_on.wait()

    async with an_object(room(websocket_message=message)) as stub:
        client = await connect(stub)
        client.ws.send("x")
        await settle()
        assert await begin(stub, lambda room: "answered") == "answered"
        assert not live_of(stub).is_idle
        go_on.set()
        await until(lambda: live_of(stub).is_idle)


@pytest.mark.rows("WS-15")
@pytest.mark.parametrize("what", ["send", "close"])
async def test_a_socket_belongs_to_the_loops_thread(what):
    """Its use in another one is refused, says what to do, and leaves the socket as it was."""
    async with an_object(Room) as stub:
        client = await connect(stub)

        async def use(room):
            (ws,) = room.ctx.get_websockets()
            error = await attempt(asyncio.to_thread(lambda: ws.send("x") if what == "send" else ws.close()))
            ws.send("still open")
            return error

        error = await inside(stub, use)
        assert isinstance(error, RuntimeError)
        assert "was used from another thread" in str(error)
        await client.gets("still open")


@pytest.mark.parametrize("what", ["send", "close"])
async def test_a_socket_is_not_used_in_a_thread_that_knows_nothing_of_its_object(what):
    """Such as one of a library's own, which has no context."""
    async with an_object(Room) as stub:
        client = await connect(stub)
        (ws,) = await inside(stub, lambda room: room.ctx.get_websockets())
        errors = []

        def use():
            try:
                ws.send("x") if what == "send" else ws.close()
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert "loop.call_soon_threadsafe(ws.send, message)" in errors[0]
        assert (client.got, ws.ready_state) == ([], ws.OPEN)


async def test_a_socket_is_not_taken_in_another_thread():
    """The list of an object's sockets is the loop's."""

    async def take(ctx):
        _client, server = WebSocketPair()
        return await attempt(asyncio.to_thread(ctx.accept_websocket, server))

    assert "was used from another thread" in str(await in_an_object(take))
