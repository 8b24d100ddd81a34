"""WebSocket connections on real sockets: talking, closing, being slow, breaking rules, vanishing."""

from __future__ import annotations

import asyncio
import logging
import random
import zlib

import pytest
from http_serving import run, until
from hypothesis import given, settings
from hypothesis import strategies as st
from support.held_disk import HeldDisk
from support.inside import attempt, inside, live_of
from websocket_serving import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Front,
    Room,
    close,
    frame,
    playing,
    raw,
)

from perdure import Response, WebSocket, WebSocketPair, WebSocketRequestResponsePair, WorkerEntrypoint
from perdure._http.limits import HttpLimits, WebSocketLimits
from perdure.testing import evict_durable_object

MIB = 1 << 20


def limits(**changes):
    return HttpLimits(websocket=WebSocketLimits(**changes))


async def seen(app, name="room"):
    """What the handlers of the object were told, errors as (code, reason)."""
    found = await inside(app.stub(name), lambda room: room.seen)
    return [(each.code, each.reason) if isinstance(each, Exception) else each for each in found]


async def seen_in_time(app, *expected):
    """Wait until the object's handlers have been told exactly this."""
    async with asyncio.timeout(5):
        while len(await seen(app)) < len(expected):
            await asyncio.sleep(0.001)
    assert await seen(app) == list(expected)


# --- talking ----------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-09", "WS-30")
def test_messages_of_any_size_go_both_ways():
    """Up to 32 MiB; text and binary, whole or in fragments."""

    async def main():
        async with playing() as app, raw(app.port) as client:
            for message in ("", "☃ 😀", b"", b"\0\xff", "x" * 70_000, b"y" * 300_000, b"z" * (32 * MIB)):
                client.say(message)
                await client.hears(message)
            client.send(frame(TEXT, b"in ", fin=False), frame(CONTINUATION, b"two"))
            await client.hears("in two")

    run(main())


@pytest.mark.rows("WS-29")
def test_a_ping_is_answered_without_waking_the_object():
    """With what it holds, between the fragments of a message too; a pong means nothing."""

    async def main():
        async with playing() as app, raw(app.port) as client:
            await evict_durable_object(app.stub())
            client.send(frame(PING, b"?"), frame(PONG, b"!"), frame(TEXT, b"a", fin=False), frame(PING))
            assert await client.frame() == (PONG, b"?")
            assert await client.frame() == (PONG, b"")
            assert not app.runtime.namespace("Echo")._space.lives
            client.send(frame(CONTINUATION, b"b"))
            await client.hears("ab")

    run(main())


@pytest.mark.rows("WS-20", "WS-29")
def test_an_auto_response_leaves_the_object_asleep():
    async def main():
        async with playing() as app, raw(app.port) as client:
            pair = WebSocketRequestResponsePair("ping", "pong")
            await inside(app.stub(), lambda room: room.ctx.set_websocket_auto_response(pair))
            await evict_durable_object(app.stub())
            client.say("ping")
            await client.hears("pong")
            assert not app.runtime.namespace("Echo")._space.lives

    run(main())


@pytest.mark.rows("WS-26", "WS-27")
def test_a_client_does_not_notice_that_the_object_was_not_there():
    async def main():
        async with playing() as app, raw(app.port) as one, raw(app.port) as other:
            for _ in range(3):
                await evict_durable_object(app.stub())
                one.say("hello")
                await one.hears("hello")

            def tell(room):
                for ws in room.ctx.get_websockets():
                    ws.send("all")

            await inside(app.stub(), tell)
            await one.hears("all")
            await other.hears("all")

    run(main())


# --- closing ----------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-11", "WS-12")
def test_a_close_of_the_client_is_answered_and_the_connection_ends():
    """The object's answer, or the same code after half a second."""

    class Answering(Room):
        async def websocket_close(self, ws, code, reason, was_clean):
            await super().websocket_close(ws, code, reason, was_clean)
            if reason == "answer":
                ws.close(4000, "as you wish")

    async def main():
        async with playing(Answering) as app:
            async with raw(app.port) as client:
                client.send(close(1000, b"answer"))
                assert await client.closed_with() == (4000, "as you wish")
                await client.ends()
            async with raw(app.port) as client:
                client.send(close(3000, b"bye"))
                assert await client.closed_with() == (3000, "bye")
                await client.ends()
            async with raw(app.port) as client:
                client.send(frame(CLOSE))
                assert await client.closed_with() == (None, "")
            await seen_in_time(app, (1000, "answer", True), (3000, "bye", True), (1005, "", True))

    run(main())


@pytest.mark.rows("WS-16")
def test_a_close_of_the_object_waits_for_the_clients():
    """What the client still says meanwhile is heard."""

    class Closing(Room):
        async def websocket_message(self, ws, message):
            await super().websocket_message(ws, message)
            if message == "close":
                ws.close(4000, "enough")

    async def main():
        async with playing(Closing) as app, raw(app.port) as client:
            client.say("close")
            assert await client.closed_with() == (4000, "enough")
            client.say("one more thing")
            client.send(close(4000))
            await client.ends()
            await seen_in_time(app, "close", "one more thing", (4000, "", True))

    run(main())


@pytest.mark.parametrize("leave", ["end", "reset"])
@pytest.mark.rows("WS-11")
def test_a_client_that_vanishes_is_1006(leave):
    async def main():
        async with playing() as app:
            async with raw(app.port) as client:
                if leave == "reset":
                    client.vanish()
            await seen_in_time(app, (1006, "WebSocket disconnected without sending Close frame.", False))
            assert await inside(app.stub(), lambda room: room.ctx.get_websockets()) == []

    run(main())


def test_a_client_that_never_answers_a_close_is_cut_off(monkeypatch):
    """After ten seconds."""
    monkeypatch.setattr("perdure._http.websocket.WEBSOCKET_CLOSE_TIMEOUT_S", 0.05)

    async def main():
        async with playing() as app, raw(app.port) as client:
            await inside(app.stub(), lambda room: room.ctx.get_websockets()[0].close(1000))
            assert await client.closed_with() == (1000, "")
            await client.ends()
            await seen_in_time(app, (1006, "WebSocket disconnected without sending Close frame.", False))

    run(main())


@pytest.mark.rows("WS-28")
def test_a_reset_ends_the_connection_without_a_close():
    """What was said before it is still delivered."""

    async def main():
        async with playing() as app, raw(app.port) as client:
            await inside(app.stub(), lambda room: room.ctx.get_websockets()[0].send("last words"))
            await attempt(inside(app.stub(), lambda room: room.ctx.abort("enough")))
            await client.hears("last words")
            await client.ends()

    run(main())


def test_a_server_that_stops_says_so_with_1012():
    """To every client; one that does not answer is not waited for, and no object is told."""
    told = []

    class Telling(Echo):
        async def websocket_close(self, *news):
            told.append(news)

    async def main():
        async with playing(Telling) as app, raw(app.port) as client, raw(app.port) as other:
            app.server.stop()
            for each in (client, other):
                assert await each.closed_with() == (1012, "The server is restarting. Connect again.")
            client.send(close(1012))
            await client.ends()
            await other.ends()
        assert told == []

    run(main())


# --- slow clients -----------------------------------------------------------------------------------------


def say_much(room, times=150):
    """Say more to every client than its connection takes at once."""
    for _ in range(times):
        for ws in room.ctx.get_websockets():
            ws.send(b"x" * 65_536)


async def takes(client, times=150):
    """Take what `say_much` says."""
    for _ in range(times):
        assert await client.frame() == (BINARY, b"x" * 65_536)


def test_a_client_that_never_reads_is_closed_with_1013(caplog, monkeypatch):
    """When it was behind for some time, and more is said; the object and the log are told. Others never notice."""
    monkeypatch.setattr("perdure._http.websocket.WEBSOCKET_BUFFER_S", 0.05)
    reason = f"More than {MIB} bytes wait for the client to take them."

    async def main():
        async with playing(limits=limits(buffer_bytes=MIB)) as app, raw(app.port) as other:
            async with raw(app.port) as slow:
                slow.writer.transport.pause_reading()
                with caplog.at_level(logging.WARNING, "perdure.http"):
                    async with asyncio.timeout(20):
                        while not await seen(app):
                            await inside(app.stub(), lambda room: say_much(room, 10))
                            await takes(other, 10)
                assert await seen(app) == [(1013, reason, False)]
                assert reason in caplog.text
                other.say("unharmed")
                await other.hears("unharmed")

    run(main())


def test_a_step_may_say_more_than_a_client_takes_at_once():
    """It is given the time that it needs."""

    async def main():
        async with playing(limits=limits(buffer_bytes=2 * MIB)) as app, raw(app.port) as client:
            await inside(app.stub(), say_much)
            await takes(client)
            client.say("x")
            await client.hears("x")

    run(main())


def test_a_step_that_says_far_too_much_closes_the_client():
    """Eight times the limit at one moment: the memory of the process has an end."""

    async def main():
        async with playing(limits=limits(buffer_bytes=MIB)) as app, raw(app.port):
            await inside(app.stub(), lambda room: say_much(room, 500))
            ((code, *_),) = await seen(app)
            assert code == 1013

    run(main())


def test_a_ping_flood_of_a_client_that_never_reads_is_bounded(monkeypatch):
    """Its pongs wait as messages do."""
    monkeypatch.setattr("perdure._http.websocket.WEBSOCKET_BUFFER_S", 0.05)

    async def main():
        async with playing(limits=limits(buffer_bytes=100_000)) as app, raw(app.port) as client:
            client.writer.transport.pause_reading()
            ping = frame(PING, b"x" * 125) * 500
            async with asyncio.timeout(20):
                while app.server.hub.sockets and not await seen(app):
                    client.send(ping)
                    await asyncio.sleep(0)
                    if client.writer.transport.is_closing():
                        break
            ((code, *_),) = await seen(app)
            assert code == 1013

    run(main())


def test_a_client_that_sends_faster_than_the_object_works_has_to_wait():
    """Its connection is not read meanwhile; nothing is lost."""
    go_on = None

    class Slow(Room):
        async def websocket_message(self, ws, message):
            await super().websocket_message(ws, message)
            await go_on.wait()

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        async with playing(Slow) as app, raw(app.port) as client:
            count = 60
            sending = asyncio.ensure_future(send(client, count))
            await until(lambda: live_of(app.stub()).events)
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert len(await seen(app)) < count
            assert not sending.done()
            go_on.set()
            await sending
            async with asyncio.timeout(10):
                while len(await seen(app)) < count:
                    await asyncio.sleep(0.01)
            assert [message[:3] for message in await seen(app)] == [b"%03d" % n for n in range(count)]

    async def send(client, count):
        for n in range(count):
            client.say(b"%03d" % n + b"x" * 200_000)
            await client.writer.drain()

    run(main())


def test_a_burst_of_small_messages_has_to_wait_too():
    """However many came at once, no more than a batch is given to the object beyond what may wait."""
    go_on, most = None, 0

    class Slow(Room):
        async def websocket_message(self, ws, message):
            nonlocal most
            self.seen.append(message)
            most = max(most, len(live_of(app.stub()).events))
            await go_on.wait()

    async def main():
        nonlocal app, go_on
        go_on = asyncio.Event()
        async with playing(Slow) as app, raw(app.port) as client:
            client.send(b"".join(frame(TEXT, b"%d" % n) for n in range(20_000)), close(1000))
            await until(lambda: most >= 256)
            for _ in range(20):
                await asyncio.sleep(0.001)
            go_on.set()
            await seen_in_time(app, *map(str, range(20_000)), (1000, "", True))
            assert most < 1000

    app = None
    run(main())


def test_a_handler_behind_a_decorator_keeps_its_client_waiting_too():
    """A plain function that returns what is to be awaited: it is done when that is."""
    go_on, begun = None, 0

    class Decorated(Room):
        def websocket_message(self, ws, message):
            return self.handle(message)

        async def handle(self, message):
            nonlocal begun
            begun += 1
            await go_on.wait()

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        async with playing(Decorated) as app, raw(app.port) as client:
            client.send(b"".join(frame(TEXT, b"x") for _ in range(5000)))
            await until(lambda: begun >= 256)
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert begun < 1000
            go_on.set()
            await until(lambda: begun == 5000)

    run(main())


def test_a_client_that_half_closes_and_never_reads_is_cut_off(monkeypatch):
    """What waits for it is not kept for ever."""
    monkeypatch.setattr("perdure._http.websocket.WEBSOCKET_CLOSE_TIMEOUT_S", 0.05)

    async def main():
        async with playing() as app, raw(app.port) as client:
            client.writer.transport.pause_reading()
            await inside(app.stub(), lambda room: say_much(room, 500))
            client.writer.write_eof()
            await until(lambda: not app.server.hub.sockets)
            assert (await seen(app))[0][0] == 1006

    run(main())


def test_a_client_that_answers_no_ping_is_cut_off():
    """Where keep-alive pings are on; one that answers, or says anything, stays."""

    async def main():
        async with (
            playing(limits=limits(ping_s=0.01)) as app,
            raw(app.port) as alive,
            raw(app.port) as dead,
        ):
            assert await alive.frame() == (PING, b"")
            assert await dead.frame() == (PING, b"")
            alive.send(frame(PONG))
            while (found := await dead.frame()) is not None:
                assert found == (PING, b"")
            alive.send(frame(PONG))
            alive.say("still here")
            while (found := await alive.frame()) == (PING, b""):
                alive.send(frame(PONG))
            assert found == (TEXT, b"still here")

    run(main())


# --- broken rules -----------------------------------------------------------------------------------------

BROKEN = {
    "unmasked": (frame(TEXT, b"x", masked=False), 1002),
    "reserved bit": (frame(TEXT, b"x", rsv=2), 1002),
    "compressed without leave": (frame(TEXT, b"x", rsv=4), 1002),
    "unknown opcode": (frame(5, b"x"), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "stray continuation": (frame(CONTINUATION, b"x"), 1002),
    "message in a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "close with a code of nobody's": (close(1005), 1002),
    "close with bad text": (close(1000, b"\xff"), 1007),
    "too large": (frame(BINARY, size=32 * MIB + 1), 1009),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1002),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.rows("WS-13", "WS-30", "LIM-10")
def test_a_broken_rule_closes_that_connection_alone(what):
    """The client is told which; the object in `websocket_error`, once, with no close after it."""
    data, code = BROKEN[what]

    async def main():
        async with playing() as app, raw(app.port) as other:
            async with raw(app.port) as client:
                client.say("before")
                await client.hears("before")
                client.send(data)
                got, reason = await client.closed_with()
                assert (got, bool(reason)) == (code, True)
                client.send(frame(TEXT, b"after"))
            await seen_in_time(app, "before", (code, reason))
            (ws,) = await inside(app.stub(), lambda room: room.ctx.get_websockets())
            other.say("unharmed")
            await other.hears("unharmed")

    run(main())


@pytest.mark.rows("WS-13")
def test_the_error_of_a_broken_rule_reads_as_workerds():
    class Telling(Room):
        async def websocket_error(self, ws, error):
            self.seen.append((str(error), ws.ready_state))

    async def main():
        async with playing(Telling, limits=limits(message_bytes=10)) as app, raw(app.port) as client:
            client.say("x" * 11)
            await client.closed_with()
            text = "WebSocket protocol error; protocolError.statusCode = 1009; protocolError.description = "
            await seen_in_time(app, (f"{text}Message is too large: 11 > 10", 2))

    run(main())


def test_a_client_that_goes_on_sending_after_it_broke_a_rule_is_cut_off():
    """It may send a megabyte, so that it can read why; then the connection ends under it."""

    async def main():
        async with playing(limits=limits(message_bytes=1000)) as app, raw(app.port) as client:
            client.send(frame(BINARY, size=1 << 40))
            assert (await client.closed_with())[0] == 1009
            async with asyncio.timeout(5):
                while not client.writer.transport.is_closing():
                    client.send(b"x" * 65_536)
                    await asyncio.sleep(0)
            await until(lambda: not app.server.hub.sockets)

    run(main())


def test_a_flood_of_tiny_fragments_harms_nobody():
    """A message of 200,000 fragments is one message; a client beside it is answered meanwhile."""

    async def main():
        async with playing() as app, raw(app.port) as client, raw(app.port) as other:
            client.send(frame(BINARY, b"", fin=False))
            tiny = frame(CONTINUATION, b"x", fin=False) * 1000
            for n in range(200):
                client.send(tiny)
                await client.writer.drain()
                if n % 50 == 0:
                    other.say("and me?")
                    await other.hears("and me?")
            client.send(frame(CONTINUATION, b"!"))
            await client.hears(b"x" * 200_000 + b"!")

    run(main())


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 2**32))
def test_whatever_a_client_sends_the_server_goes_on(data, seed):
    """Random bytes, and random damage to good frames: other clients never notice."""
    chance = random.Random(seed)
    good = bytearray(frame(TEXT, b"fine") + frame(PING, b"p") + frame(BINARY, b"x" * 200) + close(1000))
    for _ in range(3):
        good[chance.randrange(len(good))] = chance.randrange(256)

    async def main():
        async with playing() as app, raw(app.port) as other:
            for bad in (data, bytes(good)):
                async with raw(app.port) as client:
                    client.send(bad)
                    await client.writer.drain()
                    client.writer.write_eof()
                    while await client.frame() is not None:
                        pass
            other.say("unharmed")
            await other.hears("unharmed")

    run(main())


def test_a_handler_that_raises_keeps_the_connection():
    class Failing(Echo):
        async def websocket_message(self, ws, message):
            if message == "bad":
                raise ValueError("mistake")
            ws.send(message)

    async def main():
        async with playing(Failing) as app, raw(app.port) as client:
            client.say("bad")
            client.say("good")
            await client.hears("good")

    run(main())


# --- compression ------------------------------------------------------------------------------------------


@pytest.mark.rows("WS-31")
def test_messages_are_compressed_where_both_sides_want_it():
    """It is off unless the server is told; short messages are not worth it."""

    async def main():
        async with (
            playing(limits=limits(deflate=True)) as app,
            raw(app.port, sec_websocket_extensions="permessage-deflate; client_max_window_bits") as client,
            raw(app.port) as plain,
        ):
            assert client.fields["sec-websocket-extensions"] == (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            )
            text = "again and again " * 1000
            packer = zlib.compressobj(wbits=-15)
            packed = (packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
            client.send(frame(TEXT, packed, rsv=4))
            first, size = await client.reader.readexactly(2)
            assert (first, size < 126) == (0xC1, True)
            body = await client.reader.readexactly(size)
            assert zlib.decompressobj(wbits=-15).decompress(body + b"\0\0\xff\xff").decode() == text
            client.say("short")
            assert await client.reader.readexactly(7) == b"\x81\x05short"
            plain.say(text)
            await plain.hears(text)
        async with playing() as app, raw(app.port, sec_websocket_extensions="permessage-deflate") as client:
            assert "sec-websocket-extensions" not in client.fields

    run(main())


# --- half open --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["object", "worker"])
def test_who_reads_a_socket_is_told_when_the_server_stops(of):
    """So a loop over its messages ends, and nobody waits for it."""
    read = []

    async def reading(ws):
        read.extend([message async for message in ws])
        read.append("end")

    def taken(ctx):
        client, server = WebSocketPair()
        server.accept()
        ctx.wait_until(reading(server))
        return Response(None, status=101, websocket=client)

    class Reading(Room):
        async def fetch(self, request):
            return taken(self.ctx)

    class Reader(WorkerEntrypoint):
        async def fetch(self, request):
            return taken(self.ctx)

    async def main():
        worker = Reader if of == "worker" else Front
        async with asyncio.timeout(5):
            async with playing(Reading, worker=worker) as app, raw(app.port) as client:
                client.say("x")
                app.server.stop()
                assert (await client.closed_with())[0] == 1012
        assert read == ["x", "end"]

    run(main())


def test_a_client_that_has_closed_is_not_pinged():
    """It will not answer, and the object may have something to say yet."""
    servers = []

    class Half(Room):
        async def fetch(self, request):
            client, server = WebSocketPair()
            server.accept(allow_half_open=True)
            servers.append(server)
            return Response(None, status=101, websocket=client)

    async def main():
        async with playing(Half) as app, raw(app.port) as client:
            client.send(close(1000))
            await until(lambda: servers[0].ready_state == WebSocket.CLOSING)
            for connection in list(app.server.hub.sockets):
                connection.ping()
                connection.ping()
            await inside(app.stub(), lambda room: servers[0].send("farewell"))
            await client.hears("farewell")

    run(main())


def test_a_half_open_socket_is_answered_by_the_object():
    class HalfOpen(Room):
        async def fetch(self, request):
            client, server = WebSocketPair()
            server.accept(allow_half_open=True)
            server.add_event_listener("close", lambda event: server.send("last words"))
            self.server = server
            return Response(None, status=101, websocket=client)

    async def main():
        async with playing(HalfOpen) as app, raw(app.port) as client:
            client.send(close(1000))
            await client.hears("last words")
            await inside(app.stub(), lambda room: room.server.close(4000, "now"))
            assert await client.closed_with() == (4000, "now")
            await client.ends()

    run(main())


# --- handlers that are plain functions --------------------------------------------------------------------


class PlainEcho(Room):
    """Its handlers are no coroutines: they need no task."""

    def websocket_message(self, ws, message):
        self.seen.append((message, asyncio.current_task() is None))
        self.answer(ws, message)

    def answer(self, ws, message):
        ws.send(message)

    def websocket_close(self, ws, code, reason, was_clean):
        ws.close(code, reason)


@pytest.mark.rows("WS-09", "WS-10")
def test_a_plain_handler_runs_where_the_message_arrives():
    """But not before what waits for its turn: then it is delivered as any other event."""

    async def main():
        async with playing(PlainEcho) as app, raw(app.port) as client:
            client.say("1")
            await client.hears("1")
            go_on = asyncio.Event()
            block = asyncio.ensure_future(
                inside(app.stub(), lambda room: room.ctx.block_concurrency_while(go_on.wait))
            )
            await until(lambda: live_of(app.stub()).gate.active)
            client.say("2")
            client.say("3")
            await until(lambda: live_of(app.stub()).queue.count == 2)
            go_on.set()
            await block
            await client.hears("2")
            await client.hears("3")
            client.say("4")
            await client.hears("4")
            assert await seen(app) == [("1", True), ("2", False), ("3", False), ("4", True)]

    run(main())


@pytest.mark.rows("WS-15")
def test_what_a_plain_handler_writes_is_a_turn_and_durable_before_it_speaks():
    class Writing(PlainEcho):
        def answer(self, ws, message):
            self.ctx.storage.kv.put("last", message)
            ws.send(self.ctx.storage.kv.get("last"))

    disk = HeldDisk()

    async def main():
        async with playing(Writing, disk=disk) as app, raw(app.port) as client:
            client.say("1")
            await client.hears("1")
            with disk.held():
                client.say("2")
                await until(lambda: not live_of(app.stub()).used_store.gate.is_open)
                with pytest.raises(TimeoutError):
                    await client.frame(timeout_s=0.05)
            await client.hears("2")
            await evict_durable_object(app.stub())
            assert await inside(app.stub(), lambda room: room.ctx.storage.kv.get("last")) == "2"

    run(main())


@pytest.mark.rows("WS-35")
def test_a_plain_handler_that_fails_is_logged_and_keeps_the_connection(caplog):
    """`SystemExit` too: it is that handler's, and nobody else's."""

    class Failing(PlainEcho):
        def answer(self, ws, message):
            if message == "bad":
                raise ValueError("mistake")
            if message == "exit":
                raise SystemExit(3)
            ws.send(message)

    async def main():
        async with playing(Failing) as app, raw(app.port) as client:
            with caplog.at_level(logging.ERROR, "perdure"):
                for message in ("bad", "exit", "good"):
                    client.say(message)
                await client.hears("good")
            assert [record.exc_info[0] for record in caplog.records] == [ValueError, SystemExit]

    run(main())


@pytest.mark.rows("WS-28")
def test_a_plain_handler_may_abort_its_object():
    class Aborting(PlainEcho):
        def answer(self, ws, message):
            self.ctx.storage.kv.put("k", message)
            self.ctx.abort("enough")

    async def main():
        async with playing(Aborting) as app, raw(app.port) as client:
            client.say("x")
            await client.ends()
            assert await inside(app.stub(), lambda room: room.ctx.storage.kv.get("k")) is None

    run(main())


def test_a_plain_handler_may_return_something_to_await():
    """Which is awaited in a task, as the object's code."""

    class Returning(PlainEcho):
        def answer(self, ws, message):
            raise AssertionError

        def websocket_message(self, ws, message):
            return self.later(ws, message)

        async def later(self, ws, message):
            async with asyncio.timeout(5):
                await asyncio.sleep(0)
            ws.send(message)

    async def main():
        async with playing(Returning) as app, raw(app.port) as client:
            client.say("x")
            await client.hears("x")

    run(main())


@pytest.mark.rows("ERR-16")
def test_plain_handlers_count_as_events_in_ten_seconds():
    async def main():
        async with playing(PlainEcho, events_per_10_s=3) as app, raw(app.port) as client:
            for message in ("1", "2"):  # the request was the first
                client.say(message)
                await client.hears(message)
            client.say("3")
            code, reason = await client.closed_with()
            assert (code, "within a 10 second window" in reason) == (1013, True)

    run(main())


# --- clients that are held back ---------------------------------------------------------------------------


def test_a_client_that_is_held_back_is_not_taken_for_dead():
    """Its pongs are not read, like everything else of it."""
    go_on = None

    class Slow(Echo):
        async def websocket_message(self, ws, message):
            await go_on.wait()
            await super().websocket_message(ws, message)

    async def main():
        nonlocal go_on
        go_on = asyncio.Event()
        async with playing(Slow, limits=limits(ping_s=0.01)) as app, raw(app.port) as client:
            client.say(b"x" * (2 * MIB))
            await until(lambda: app.server.hub.sockets and live_of(app.stub()).events)
            for _ in range(3):  # each tick of the server asks
                app.server.hub._pinged_at_s = 0.0
                app.server.hub.tick()
                await asyncio.sleep(0)
            go_on.set()
            while (found := await client.frame()) == (PING, b""):
                client.send(frame(PONG))
            assert found == (BINARY, b"x" * (2 * MIB))

    run(main())


def test_a_client_of_a_socket_that_nobody_took_has_to_wait():
    """What is kept for whoever takes it has a bound; nothing of it is lost."""
    kept = []

    class Forgetful(Room):
        async def fetch(self, request):
            client, server = WebSocketPair()
            kept.append(server)
            return Response(None, status=101, websocket=client)

    async def main():
        async with playing(Forgetful) as app, raw(app.port) as client:
            sending = asyncio.ensure_future(send(client))
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert not sending.done()
            kept[0].accept()
            messages = aiter(kept[0])
            assert [(await anext(messages))[:2] for _ in range(60)] == [b"%02d" % n for n in range(60)]
            await sending

    async def send(client):
        for n in range(60):
            client.say(b"%02d" % n + b"x" * 200_000)
            await client.writer.drain()

    run(main())
