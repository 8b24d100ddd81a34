"""What stays of an object's sockets while it is not in memory, and what a reset ends: WS-18 … WS-28."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from support.inside import an_object, attempt, inside, live_of, until
from support.talking import UPGRADE, Client, Room, connect, settle

from perdure import Response, Runtime, WebSocket, WebSocketPair, WebSocketRequestResponsePair, value
from perdure._base import limits
from perdure.errors import DataCloneError, PerdureError
from perdure.testing import evict_all_durable_objects, evict_durable_object
from perdure.testing.clock import ManualClock


class Counting(Room):
    """Answers with how many messages this instance has had."""

    made = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        type(self).made += 1
        self.messages = 0

    async def websocket_message(self, ws, message):
        self.messages += 1
        ws.send(f"{message} {self.messages}")


def counting():
    return type("Counting", (Counting,), {"made": 0})


# --- attachments ------------------------------------------------------------------------------------------


@value
@dataclass
class Person:
    name: str
    since: datetime


@pytest.mark.rows("WS-18", "WS-19", "LIM-10")
async def test_an_attachment_is_a_copy_of_at_most_16384_bytes():
    """It is None before, replaced by the next, and unharmed by one that is refused."""
    async with an_object(Room) as stub:
        await connect(stub)

        def use(room):
            (ws,) = room.ctx.get_websockets()
            assert ws.deserialize_attachment() is None
            value = {"n": [1]}
            ws.serialize_attachment(value)
            value["n"].append(2)
            copy = ws.deserialize_attachment()
            copy["n"].append(3)
            assert ws.deserialize_attachment() == {"n": [1]}
            person = Person("ada", datetime(2026, 1, 1, tzinfo=UTC))
            ws.serialize_attachment(person)
            assert ws.deserialize_attachment() == person
            ws.serialize_attachment(b"x" * 16_380)
            with pytest.raises(PerdureError) as caught:
                ws.serialize_attachment(b"x" * 16_381)
            assert str(caught.value) == (
                "A WebSocket 'attachment' cannot be larger than 16384 bytes.'attachment' was 16385 bytes."
            )
            with pytest.raises(DataCloneError):
                ws.serialize_attachment(lambda: 1)
            assert len(ws.deserialize_attachment()) == 16_380

        await inside(stub, use)


@pytest.mark.rows("WS-19")
async def test_a_standard_socket_has_an_attachment_too():
    _client, server = WebSocketPair()
    server.accept()
    server.serialize_attachment("s")
    assert server.deserialize_attachment() == "s"


@pytest.mark.rows("WS-19")
async def test_an_attachment_is_not_given_away_with_its_end():
    """Whoever gets the end in a response starts without one."""

    class Careless(Room):
        async def fetch(self, request):
            client, server = WebSocketPair()
            self.ctx.accept_websocket(server)
            client.serialize_attachment("secret")
            return Response(None, status=101, websocket=client)

    async with an_object(Careless) as stub:
        response = await stub.fetch("http://do/", headers=UPGRADE)
        assert response.websocket.deserialize_attachment() is None


@pytest.mark.rows("WS-18", "WS-24", "WS-26", "WS-27")
async def test_sockets_tags_and_attachments_survive_hibernation():
    """The next message makes a new instance, whose constructor has run before the handler."""
    cls = counting()
    async with an_object(cls) as stub:
        cls.tags = ["kept"]
        client = await connect(stub)
        await inside(stub, lambda room: room.ctx.get_websockets()[0].serialize_attachment("mine"))
        client.ws.send("a")
        await client.gets("a 1")
        await evict_durable_object(stub)
        client.ws.send("b")
        await client.gets("b 1")
        assert cls.made == 2

        def look(room):
            (ws,) = room.ctx.get_websockets("kept")
            return room.ctx.get_tags(ws), ws.deserialize_attachment()

        assert await inside(stub, look) == (["kept"], "mine")


# --- hibernation ------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-26", "LIFE-04")
async def test_an_object_with_idle_hibernatable_sockets_leaves_memory_after_ten_seconds():
    """Its client does not notice."""
    clock, cls = ManualClock(), counting()
    async with an_object(cls, clock=clock) as stub:
        client = await connect(stub)
        live = live_of(stub)
        await until(lambda: live.is_idle)
        clock.advance(9)
        assert live.instance is not None
        clock.advance(2)
        assert live.instance is None
        assert client.end is None
        client.ws.send("wake")
        await client.gets("wake 1")


@pytest.mark.rows("WS-02", "LIFE-05")
async def test_an_object_with_a_standard_socket_stays_in_memory():
    """For hours; when the last one closes, ten seconds more."""
    clock = ManualClock()

    async def fetch(self, request):
        client, server = WebSocketPair()
        server.accept()
        return Response(None, status=101, websocket=client)

    async with an_object(type("Standard", (Room,), {"fetch": fetch}), clock=clock) as stub:
        client = await connect(stub)
        live = live_of(stub)
        await settle()
        for _ in range(20):
            clock.advance(3600)
        assert live.instance is not None
        client.ws.close()
        await client.closes()
        await until(lambda: live.is_idle)
        clock.advance(9)
        assert live.instance is not None
        clock.advance(11)
        assert live.instance is None


@pytest.mark.rows("WS-27")
async def test_a_close_wakes_the_object():
    cls = counting()
    async with an_object(cls) as stub:
        client = await connect(stub)
        await evict_durable_object(stub)
        client.ws.close(1000, "bye")
        await settle()
        assert cls.made == 2
        assert await inside(stub, lambda room: room.seen) == [(1000, "bye", True)]


@pytest.mark.rows("WS-27", "ALM-10")
async def test_an_alarm_that_wakes_the_object_reaches_its_sockets():
    """As in a game whose rounds end while all its players only watch."""
    clock = ManualClock()

    async def alarm(self):
        for ws in self.ctx.get_websockets():
            ws.send("the round is over")

    async with an_object(type("Game", (Room,), {"alarm": alarm}), clock=clock) as stub:
        clients = [await connect(stub) for _ in range(2)]
        await inside(stub, lambda room: room.ctx.storage.set_alarm(60.0 + clock.time_s()))
        await until(lambda: live_of(stub).is_idle)
        live = live_of(stub)
        clock.advance(20)
        assert live.instance is None
        clock.advance(50)
        for client in clients:
            await client.gets("the round is over")


@pytest.mark.rows("WS-24")
async def test_the_object_knows_its_name_when_a_message_wakes_it():
    async def message(self, ws, message):
        ws.send(self.ctx.id.name)

    async with an_object(type("Named", (Room,), {"websocket_message": message}), name="the name") as stub:
        client = await connect(stub)
        await evict_durable_object(stub)
        client.ws.send("who?")
        await client.gets("the name")


async def test_objects_without_sockets_are_forgotten_whole():
    """Nothing of an object stays when its last socket has gone and it leaves memory."""
    async with an_object(Room) as stub:
        client = await connect(stub)
        client.ws.close()
        await client.closes()
        await settle()
        await evict_durable_object(stub)
        assert stub.id._space.rosters == {}


@pytest.mark.rows("WS-24")
async def test_settings_of_an_object_without_sockets_are_kept_within_a_bound(monkeypatch):
    """The auto-response and the event timeout are there for the next socket, of so many sleeping objects."""
    monkeypatch.setattr(limits, "WEBSOCKET_SETTINGS_MAX", 2)

    def settings(room):
        pair = room.ctx.get_websocket_auto_response()
        return pair and pair.request, room.ctx.get_hibernatable_websocket_event_timeout()

    async with Runtime(objects=[Room]) as runtime:
        found = []
        for name in "abc":
            stub = runtime.namespace(Room).get_by_name(name)
            pair = WebSocketRequestResponsePair("ping", "pong")
            await inside(stub, lambda room, pair=pair: room.ctx.set_websocket_auto_response(pair))
            await inside(stub, lambda room: room.ctx.set_hibernatable_websocket_event_timeout(50))
            await evict_durable_object(stub)
            found.append(await inside(stub, settings))
        assert found == [("ping", 50), ("ping", 50), (None, None)]


@pytest.mark.rows("LIFE-05", "WS-26")
async def test_every_object_of_a_runtime_can_hibernate():
    async with Runtime(objects=[counting()]) as runtime:
        stubs = [runtime.namespace("Counting").get_by_name(str(i)) for i in range(3)]
        clients = [await connect(stub) for stub in stubs]
        await evict_all_durable_objects(runtime)
        for client in clients:
            client.ws.send("x")
            await client.gets("x 1")


# --- the auto-response ------------------------------------------------------------------------------------


@pytest.mark.rows("WS-20", "WS-21", "WS-22", "WS-24")
async def test_the_auto_response_answers_without_waking_the_object():
    """Text that is equal to the letter; the time of it is kept."""
    cls, clock = counting(), ManualClock(1_700_000_000)
    async with an_object(cls, clock=clock) as stub:
        client = await connect(stub)
        pair = WebSocketRequestResponsePair("ping", "pong")
        await inside(stub, lambda room: room.ctx.set_websocket_auto_response(pair))
        await evict_durable_object(stub)
        client.ws.send("ping")
        await client.gets("pong")
        assert cls.made == 1
        client.ws.send("ping ")
        client.ws.send(b"ping")
        await client.gets("ping  1", "b'ping' 2")
        assert cls.made == 2

        def look(room):
            (ws,) = room.ctx.get_websockets()
            found = room.ctx.get_websocket_auto_response()
            return found.request, found.response, room.ctx.get_websocket_auto_response_timestamp(ws)

        at = datetime.fromtimestamp(1_700_000_000, UTC)
        assert await inside(stub, look) == ("ping", "pong", at)


@pytest.mark.rows("WS-20", "WS-22")
async def test_an_auto_response_is_for_sockets_of_before_and_after_until_it_is_taken_away():
    """The time stays when the pair has gone."""
    async with an_object(counting()) as stub:
        first = await connect(stub)
        pair = WebSocketRequestResponsePair("q", "a")
        await inside(stub, lambda room: room.ctx.set_websocket_auto_response(pair))
        second = await connect(stub)
        for client in (first, second):
            client.ws.send("q")
            await client.gets("a")
        await inside(stub, lambda room: room.ctx.set_websocket_auto_response())
        first.ws.send("q")
        await first.gets("q 1")

        def look(room):
            times = map(room.ctx.get_websocket_auto_response_timestamp, room.ctx.get_websockets())
            return room.ctx.get_websocket_auto_response(), [time is not None for time in times]

        assert await inside(stub, look) == (None, [True, True])


@pytest.mark.rows("WS-22")
async def test_without_a_pair_there_is_none_to_get():
    async with an_object(Room) as stub:
        await connect(stub)

        def look(room):
            (ws,) = room.ctx.get_websockets()
            room.ctx.set_websocket_auto_response(None)
            return (
                room.ctx.get_websocket_auto_response(),
                room.ctx.get_websocket_auto_response_timestamp(ws),
            )

        assert await inside(stub, look) == (None, None)


@pytest.mark.rows("WS-20")
async def test_an_auto_response_can_be_set_before_the_first_socket():
    def init(self, ctx, env):
        Room.__init__(self, ctx, env)
        ctx.set_websocket_auto_response(WebSocketRequestResponsePair("q", "a"))

    async with an_object(type("Early", (Room,), {"__init__": init})) as stub:
        client = await connect(stub)
        client.ws.send("q")
        await client.gets("a")


@pytest.mark.rows("WS-21", "LIM-10")
def test_the_texts_of_an_auto_response_have_2048_bytes():
    """Counted in UTF-8; they cannot be changed."""
    pair = WebSocketRequestResponsePair("x" * 2048, "y" * 2048)
    with pytest.raises(
        ValueError, match="^Request cannot be larger than 2048 bytes. A request of size 2050 was"
    ):
        WebSocketRequestResponsePair("é" * 1025, "y")
    with pytest.raises(
        ValueError, match="^Response cannot be larger than 2048 bytes. A response of size 2049"
    ):
        WebSocketRequestResponsePair("x", "y" * 2049)
    with pytest.raises(TypeError):
        WebSocketRequestResponsePair("x", b"y")
    with pytest.raises(ValueError, match="surrogate pair at position 0"):  # it could not be sent
        WebSocketRequestResponsePair("x", "\ud800")
    with pytest.raises(AttributeError):
        pair.request = "z"


@pytest.mark.rows("WS-20")
async def test_an_auto_response_is_a_pair():
    async with an_object(Room) as stub:
        error = await attempt(inside(stub, lambda room: room.ctx.set_websocket_auto_response("text")))
        assert isinstance(error, TypeError)
        assert "parameter 1 is not of type 'WebSocketRequestResponsePair'" in str(error)


@pytest.mark.rows("WS-23")
async def test_an_object_that_has_closed_answers_nothing_any_more():
    async with an_object(Room) as stub:
        response = await stub.fetch("http://do/", headers=UPGRADE)
        client = Client(response.websocket, allow_half_open=True)
        pair = WebSocketRequestResponsePair("q", "a")

        def close(room):
            room.ctx.set_websocket_auto_response(pair)
            room.ctx.get_websockets()[0].close(1000)

        await inside(stub, close)
        await client.closes()
        client.ws.send("q")
        await settle()
        assert client.got == []


# --- the time limit of a handler --------------------------------------------------------------------------


@pytest.mark.rows("WS-25", "LIM-10")
async def test_an_event_timeout_is_set_read_and_cleared():
    async with an_object(Room) as stub:

        def use(room):
            ctx = room.ctx
            found = [ctx.get_hibernatable_websocket_event_timeout()]
            for ms in (1000, 0, 604_800_000, None):
                ctx.set_hibernatable_websocket_event_timeout(ms)
                found.append(ctx.get_hibernatable_websocket_event_timeout())
            with pytest.raises(PerdureError, match=r"^Event timeout should not exceed 604800000 ms\.$"):
                ctx.set_hibernatable_websocket_event_timeout(604_800_001)
            with pytest.raises(TypeError, match="negative"):
                ctx.set_hibernatable_websocket_event_timeout(-1)
            with pytest.raises(TypeError, match="int of milliseconds; got float"):
                ctx.set_hibernatable_websocket_event_timeout(1.5)
            return found

        assert await inside(stub, use) == [None, 1000, None, 604_800_000, None]


@pytest.mark.rows("WS-25", "LIFE-15")
async def test_a_handler_that_takes_too_long_resets_the_object():
    """Its sockets are cut off; it is set once and survives hibernation."""
    clock = ManualClock()

    async def message(self, ws, message):
        if message == "forever":
            await asyncio.Event().wait()
        ws.send(message)

    async with an_object(type("Slow", (Room,), {"websocket_message": message}), clock=clock) as stub:
        client = await connect(stub)
        await inside(stub, lambda room: room.ctx.set_hibernatable_websocket_event_timeout(2000))
        await evict_durable_object(stub)
        client.ws.send("quick")
        await client.gets("quick")
        clock.advance(5)
        assert client.end is None
        client.ws.send("forever")
        await settle()
        clock.advance(2)
        end = await client.closes()
        assert (end.code, end.was_clean) == (1006, False)
        assert await inside(stub, lambda room: room.ctx.get_websockets()) == []


# --- resets -----------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-28", "ERR-10", "LIFE-15")
async def test_a_reset_cuts_every_socket_off():
    """Hibernatable and standard ones; pair, tags and attachments are gone with them."""

    async def fetch(self, request):
        if request.path != "/standard":
            return await Room.fetch(self, request)
        client, server = WebSocketPair()
        server.accept()
        return Response(None, status=101, websocket=client)

    async with an_object(type("Both", (Room,), {"fetch": fetch})) as stub:
        clients = [await connect(stub)]
        response = await stub.fetch("http://do/standard", headers=UPGRADE)
        clients.append(Client(response.websocket))
        pair = WebSocketRequestResponsePair("q", "a")
        await inside(stub, lambda room: room.ctx.set_websocket_auto_response(pair))
        await attempt(inside(stub, lambda room: room.ctx.abort("enough")))
        for client in clients:
            end = await client.closes()
            assert (end.code, end.reason, end.was_clean) == (
                1006,
                "Durable Object connection closed because the object was reset.",
                False,
            )

        def look(room):
            return room.ctx.get_websockets(), room.ctx.get_websocket_auto_response(), room.seen

        assert await inside(stub, look) == ([], None, [])


@pytest.mark.rows("WS-28")
async def test_messages_on_their_way_to_an_object_that_is_reset_are_lost():
    async def message(self, ws, message):
        self.ctx.abort("enough")

    async with an_object(type("Aborting", (Room,), {"websocket_message": message})) as stub:
        client = await connect(stub)
        client.ws.send("1")
        client.ws.send("2")
        await client.closes()
        assert await inside(stub, lambda room: room.seen) == []


@pytest.mark.rows("WS-28")
async def test_delete_all_leaves_the_sockets_alone():
    async with an_object(counting()) as stub:
        client = await connect(stub)
        await inside(stub, lambda room: room.ctx.storage.delete_all())
        client.ws.send("still there")
        await client.gets("still there 1")


async def test_stopping_closes_every_socket_with_1012():
    """The objects are not told: they end, too."""
    cls = counting()
    async with Runtime(objects=[cls]) as runtime:
        stub = runtime.namespace(cls).get_by_name("x")
        client = await connect(stub)
        sleeping = await connect(runtime.namespace(cls).get_by_name("y"))
        await evict_durable_object(runtime.namespace(cls).get_by_name("y"))
        made = cls.made
    for each in (client, sleeping):
        end = await each.closes()
        assert (end.code, end.reason) == (1012, "The server is restarting. Connect again.")
    assert cls.made == made


async def test_a_handler_that_is_in_progress_when_the_runtime_stops_ends_as_ever():
    """What it still says goes to nobody, and is no error; what it writes is kept."""
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    class Late(Room):
        async def websocket_message(self, ws, message):
            begun.set()
            await go_on.wait()
            ws.send("too late")
            done.append(ws.ready_state)

    async with Runtime(objects=[Late]) as runtime:
        client = await connect(runtime.namespace(Late).get_by_name("x"))
        client.ws.send("x")
        await begun.wait()
        asyncio.get_running_loop().call_later(0.01, go_on.set)
    assert done == [WebSocket.OPEN]
    assert ((await client.closes()).code, client.got) == (1012, [])


# --- overload ---------------------------------------------------------------------------------------------


@pytest.mark.rows("ERR-13")
async def test_a_message_that_an_overloaded_object_refuses_closes_its_socket():
    """Nothing is lost in silence: the client is told with 1013, the object hears of it later."""
    clock, go_on = ManualClock(), asyncio.Event()
    async with an_object(Room, clock=clock, queue_events=2) as stub:
        client = await connect(stub)
        block = inside(stub, lambda room: room.ctx.block_concurrency_while(go_on.wait))
        blocked = asyncio.ensure_future(block)
        await settle()
        for text in ("1", "2", "3"):
            client.ws.send(text)
        end = await client.closes()
        assert (end.code, end.reason) == (1013, "Durable Object is overloaded. Too many requests queued.")
        go_on.set()
        await blocked
        clock.advance(1)
        await settle()
        assert await inside(stub, lambda room: room.seen) == ["1", "2", (1013, end.reason, True)]
