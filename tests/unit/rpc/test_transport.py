"""Sessions over real sockets: frames whole and in pieces, and every way a connection ends."""

from __future__ import annotations

import asyncio
import gc
import stat
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sessions import Api, Room

from perdure._base import limits
from perdure._rpc import transport
from perdure._rpc.transport import Connection, connect_tcp, connect_unix, listen_tcp, listen_unix
from perdure.errors import Disconnected, PerdureError
from perdure.rpc_server import capability_of

NAME = "rpc.sock"


class Site:
    """A listener with an `Api` for each connection, and connections to it."""

    def __init__(self, folder, kind="unix"):
        self.folder = str(folder)
        self.kind = kind
        self.opened = []

    async def __aenter__(self):
        make = lambda: capability_of(Api())  # noqa: E731
        if self.kind == "unix":
            self.listener = await listen_unix(self.folder, NAME, make)
        else:
            self.listener = await listen_tcp("127.0.0.1", 0, make)
        return self

    async def connect(self, main=None):
        if self.kind == "unix":
            connection = await connect_unix(self.folder, NAME, main)
        else:
            connection = await connect_tcp(*self.listener.address, main)
        self.opened.append(connection)
        return connection

    async def raw(self):
        """A peer that says what it likes, and the session that hears it."""
        before = set(self.listener.connections)
        reader, writer = await asyncio.open_unix_connection(f"{self.folder}/{NAME}")
        await until(lambda: self.listener.connections - before)
        return reader, writer, (self.listener.connections - before).pop().session

    async def __aexit__(self, *exception):
        for connection in self.opened:
            await connection.close()
        await self.listener.close()
        assert not self.listener.connections


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def frame(message):
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body


def call(name, *given):
    from perdure._base.codec import dumps

    return ["push", ["pipeline", 0, [name], dumps(dict(enumerate(given)))]]


async def said(reader):
    """The next message that a raw peer hears."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    return msgspec.msgpack.decode(await reader.readexactly(size))


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_all_that_a_session_does_goes_over_a_socket(tmp_path, kind):
    async def numbers():
        for number in range(100):
            yield number

    async with Site(tmp_path, kind) as site:
        connection = await site.connect(capability_of({"title": "a page"}))
        api = connection.session.main
        (server,) = site.listener.connections
        assert await api.add(1, b=2) == 3
        assert await api.call(lambda value: (value, {value}), 5) == (5, {5})
        assert await api.room("a").messages() == ["in a", "bye"]
        assert await api.sum(numbers()) == 4950
        assert await server.session.main.title == "a page"
        large = bytes(5 << 20)
        assert await asyncio.gather(*[api.echo(large) for _ in range(4)]) == [large] * 4
        with pytest.raises(ValueError, match="out of range"):
            await api.raises("range")
        await until(lambda: connection.session.counts == server.session.counts == (1, 1))


async def test_the_file_is_for_its_owner_alone_and_goes_with_the_listener(tmp_path):
    async with Site(tmp_path):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert not (tmp_path / NAME).exists()


async def test_another_user_is_turned_away(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "may_connect", lambda connection: False)
    async with Site(tmp_path) as site:
        connection = await site.connect()
        with pytest.raises(Disconnected):
            await connection.session.main.add(1)


async def test_frames_may_come_in_any_pieces(tmp_path):
    async with Site(tmp_path) as site:
        reader, writer, _ = await site.raw()
        for byte in frame(call("add", 1, 2)) + frame(["pull", 1]):
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await said(reader))[:2] == ["resolve", 1]
        writer.write(
            b"".join([frame(call("add", 1)), frame(["pull", 2]), frame(call("add", 2)), frame(["pull", 3])])
        )
        assert [(await said(reader))[1] for _ in range(2)] == [2, 3]
        writer.close()


@pytest.mark.parametrize(
    "said_first", [b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", frame({"a": 1}), b"\0\0\0\0"]
)
async def test_what_is_no_message_is_answered_with_an_abort_and_the_end(tmp_path, said_first):
    async with Site(tmp_path) as site:
        reader, writer, session = await site.raw()
        writer.write(said_first)
        assert (await said(reader))[0] == "abort"
        assert await reader.read() == b""
        assert session.counts == (0, 0)
        writer.close()
        assert await (await site.connect()).session.main.add(1) == 2


async def test_an_end_in_the_middle_of_a_frame_is_told_apart(tmp_path):
    async with Site(tmp_path) as site:
        _, writer, session = await site.raw()
        writer.write(frame(call("forever"))[:-3])
        writer.close()
        await until(lambda: session.ended is not None)
        assert str(session.ended) == transport.CUT_OFF
        assert session.counts == (0, 0)


async def test_a_peer_that_closes_fails_what_waits_and_disposes_what_was_given(tmp_path):
    Room.disposed.clear()
    async with Site(tmp_path) as site:
        connection = await site.connect()
        (server,) = site.listener.connections
        room = await connection.session.main.room("a")
        waiting = asyncio.ensure_future(room_forever(connection))
        await until(lambda: len(server.session.exports) == 3)
        await server.close()
        with pytest.raises(Disconnected):
            await waiting
        with pytest.raises(Disconnected):
            await room.name
        await until(lambda: Room.disposed == ["a"])
        assert connection.session.counts == server.session.counts == (0, 0)


async def room_forever(connection):
    return await connection.session.main.forever()


async def test_an_abort_reaches_the_peer_with_its_error(tmp_path):
    async with Site(tmp_path) as site:
        connection = await site.connect()
        (server,) = site.listener.connections
        waiting = asyncio.ensure_future(room_forever(connection))
        await until(lambda: len(server.session.exports) == 2)
        server.session.abort(LookupError("enough"))
        with pytest.raises(LookupError, match="enough"):
            await waiting
        assert connection.session.counts == server.session.counts == (0, 0)


async def test_a_peer_that_asks_and_does_not_read_waits_and_nobody_else_does(tmp_path):
    """It is read from again when it reads."""
    async with Site(tmp_path) as site:
        reader, writer, session = await site.raw()
        (server,) = site.listener.connections
        writer.transport.set_write_buffer_limits(high=1 << 30)
        reader._transport.pause_reading()
        count, size = 60, 500_000
        for id in range(1, count + 1):
            writer.write(frame(call("echo", bytes(size))) + frame(["pull", id]))
        await until(lambda: not server._transport.is_reading())
        assert server._transport.get_write_buffer_size() < 4 * limits.CAPNWEB_WINDOW_BYTES
        assert len(session.exports) < count
        assert await (await site.connect()).session.main.add(1) == 2
        reader._transport.resume_reading()
        assert [(await said(reader))[1] for _ in range(count)] == list(range(1, count + 1))
        writer.close()


async def test_what_a_peer_does_not_read_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "RPC_UNSENT_BYTES_MAX", 4 << 20)
    accepted = []
    deaf = await asyncio.start_unix_server(
        lambda reader, writer: accepted.append((reader._transport.pause_reading(), writer)),
        f"{tmp_path}/{NAME}",
    )
    connection = await connect_unix(str(tmp_path), NAME)
    calls = [connection.session.main.echo(bytes(1 << 20)) for _ in range(8)]
    with pytest.raises(PerdureError, match="does not read: more than 4,194,304 bytes"):
        await calls[0]
    await connection.close()
    assert connection.session.counts == (0, 0)
    accepted[0][1].transport.abort()
    deaf.close()


async def test_a_peer_that_does_not_read_does_not_keep_a_connection_open(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "RPC_CLOSE_S", 0.01)
    accepted = []
    deaf = await asyncio.start_unix_server(
        lambda reader, writer: accepted.append((reader._transport.pause_reading(), writer)),
        f"{tmp_path}/{NAME}",
    )
    connection = await connect_unix(str(tmp_path), NAME)
    connection.session.main.echo(bytes(4 << 20))
    await asyncio.wait_for(connection.close(), 5)
    accepted[0][1].transport.abort()
    deaf.close()


class Wire:
    """A transport that goes nowhere."""

    def __init__(self):
        self.closed = False
        self.said = b""

    def set_write_buffer_limits(self, high):
        pass

    def writelines(self, parts):
        self.said += b"".join(parts)

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close


BODIES = [msgspec.msgpack.encode(message) for message in (call("add", 1, 2), ["pull", 1], call("room", "a"))]


@pytest.mark.fuzz
@given(st.data())
def test_whatever_arrives_in_whatever_pieces_is_frames_or_the_end(data):
    """Nothing is raised, what comes in pieces is heard as what comes at once, and nothing is kept of a session that is over."""
    frames = data.draw(st.lists(st.sampled_from(BODIES) | st.binary(max_size=20), max_size=6))
    arrives = b"".join(len(body).to_bytes(4, "big") + body for body in frames)
    arrives += data.draw(st.binary(max_size=12))
    if arrives and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(arrives) - 1))
        arrives = arrives[:at] + data.draw(st.binary(max_size=3)) + arrives[at + 1 :]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arrives)), max_size=8)))

    async def heard(cuts):
        connection = Connection(capability_of(Api()), None)
        wire, bodies = Wire(), []
        connection.connection_made(wire)
        receive = connection.session.receive

        def note(body):
            bodies.append(body)
            receive(body)

        connection.session.receive = note
        for begin, end in pairwise([0, *cuts, len(arrives)]):
            if not wire.closed:
                connection.data_received(arrives[begin:end])
            assert len(connection._buffer) <= len(arrives[:end])
        is_over = connection.session.ended is not None
        assert wire.closed == is_over
        assert not (is_over and connection._buffer)
        await asyncio.sleep(0)
        connection.eof_received()
        connection.connection_lost(None)
        gc.collect()
        await asyncio.sleep(0)
        assert connection.session.counts == (0, 0)
        return bodies, is_over

    assert asyncio.run(heard(cuts)) == asyncio.run(heard([]))
