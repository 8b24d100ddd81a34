"""Bytes to requests: whatever comes in whatever pieces, the protocol keeps its word."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure._http.forwarded import Proxies
from perdure._http.hub import Hub
from perdure._http.limits import HttpLimits
from perdure._http.protocol import HttpProtocol
from perdure._http.responder import Responder
from perdure.web import Response

LIMITS = HttpLimits(head_bytes=400, headers=8, body_bytes=500)

PARTS = [
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD /a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET http://other/x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4, x\r\nX-Forwarded-Proto: ,\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"\x00\xff\x80",
    b"0" * 450,
    b"GET /" + b"a" * 450,
]


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and checks that it is told nothing absurd."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.reading = True
        self.unsent_bytes = 0

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 5) if name in ("sockname", "peername") else default

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_write_buffer_size(self):
        return self.unsent_bytes

    def write(self, data):
        assert not self.is_closed, "written after the end"
        self.written += data

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def can_write_eof(self):
        return True

    def write_eof(self):
        pass

    def close(self):
        self.is_closed = True

    abort = close

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        assert self.reading
        self.reading = False

    def resume_reading(self):
        assert not self.reading
        self.reading = True


def connect(hub):
    wire, protocol = Wire(), HttpProtocol(hub)
    protocol.connection_made(wire)
    return wire, protocol


async def settle():
    for _ in range(12):
        await asyncio.sleep(0)


async def echo(request):
    return Response(f"{request.method} {request.url} {len(await request.bytes())}")


def statuses(data):
    """Return the statuses of the responses that *data* consists of; it is an error if it is anything else."""
    found = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, head
        first, *lines = head.split(b"\r\n")
        version, status, *_ = first.split(b" ")
        assert version == b"HTTP/1.1"
        fields = dict(line.split(b": ", 1) for line in lines)
        found.append(int(status))
        if int(status) != 100:
            size = int(fields[b"content-length"])
            # Only an answer to HEAD is shorter than it says; the next status line begins at once.
            data = data if data.startswith(b"HTTP/1.1 ") or not data else data[size:]
    return found


def splits(draw, data):
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def traffic(draw):
    """Requests, halves of requests and noise, with bytes changed here and there, in random pieces."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(PARTS) | st.binary(max_size=20), max_size=5))))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3)):
        if at < len(data):
            data[at] = byte
    return splits(draw, bytes(data))


def responder(lines):
    return Responder(echo, on_request=lines.append)


@pytest.mark.fuzz
@settings(deadline=None, max_examples=4 * settings.default.max_examples)
@given(traffic(), st.booleans())
def test_no_bytes_raise_or_reach_another_connection(pieces, leaves):
    """What is answered is well-formed, the status is one of the few, and a neighbour is served all the while."""

    async def main():
        lines = []
        hub = Hub(responder(lines), LIMITS, Proxies(), "/cdn-cgi/health")
        wire, protocol = connect(hub)
        neighbour, other = connect(hub)
        other.data_received(b"GET /n HTTP/1.1\r\n")
        for piece in pieces:
            if wire.reading and not wire.is_closed:
                protocol.data_received(piece)
            await settle()
        if leaves:
            wire.is_closed = True
            protocol.connection_lost(None)
            await settle()
            assert not hub.requests
        other.data_received(b"Host: n\r\n\r\n")
        await settle()
        assert neighbour.written.endswith(b"GET http://n/n 0")
        assert set(statuses(wire.written)) <= {100, 200, 400, 408, 413, 426, 431, 505}
        assert all(line.error is None or line.status in (400, 413, 431, 499) for line in lines)
        for each in (protocol, other):
            each.connection_lost(None)
        await settle()
        assert not hub.requests
        assert not hub.connections

    asyncio.run(main())


@st.composite
def well_formed(draw):
    """Requests that a client may send one behind the other, and what they are answered."""
    data, answers = b"", []
    for number in range(draw(st.integers(1, 6))):
        size = draw(st.none() | st.integers(0, 40))
        body = b"x" * (size or 0)
        head = b"POST /%d HTTP/1.1\r\nHost: h\r\n" % number
        if size is None:
            head = head.replace(b"POST", b"GET")
        elif draw(st.booleans()):
            head += b"Content-Length: %d\r\n" % size
        else:
            head += b"Transfer-Encoding: chunked\r\n"
            body = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        data += head + b"\r\n" + body
        method = "GET" if size is None else "POST"
        answers.append(f"{method} http://h/{number} {size or 0}".encode())
    return splits(draw, data), answers


@settings(deadline=None, max_examples=200)
@given(well_formed())
def test_requests_are_answered_in_order_however_they_are_cut(case):
    """Pipelined, with bodies of both kinds, byte by byte or all at once."""
    pieces, answers = case

    async def main():
        hub = Hub(responder([]), HttpLimits(), None, "")
        wire, protocol = connect(hub)
        waiting = list(pieces)
        for _ in range(200):
            while waiting and wire.reading:
                protocol.data_received(waiting.pop(0))
            await settle()
            if not waiting and not hub.requests:
                break
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in wire.written.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        assert bodies == answers
        assert not wire.is_closed
        protocol.connection_lost(None)

    asyncio.run(main())


@pytest.mark.parametrize("size", [1, 7, 8192, 20_000])
def test_tiny_chunks_are_bounded_by_what_frames_them(size):
    """Chunk extensions carry no content, and so are counted."""

    async def main():
        lines = []
        hub = Hub(responder(lines), HttpLimits(head_bytes=3000), None, "")
        wire, protocol = connect(hub)
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        for _ in range(10_000 // size + 1):
            if wire.reading and not wire.is_closed:
                protocol.data_received(b"a" * size)
        await settle()
        assert statuses(wire.written) == [431]
        protocol.connection_lost(None)

    asyncio.run(main())


def test_a_body_nobody_reads_takes_no_more_than_its_buffer():
    """The client waits then; what it sends in pieces of a byte is kept in one."""

    async def main():
        go = asyncio.Event()

        async def later(request):
            await go.wait()
            return Response(str(len(await request.bytes())))

        hub = Hub(Responder(later), HttpLimits(), None, "")
        wire, protocol = connect(hub)
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n")
        sent = 0
        while wire.reading:
            protocol.data_received(b"x" * 1000)
            sent += 1000
        assert sent == 66_000
        go.set()
        await settle()
        while sent < 200_000:
            assert wire.reading
            protocol.data_received(b"x" * 1000)
            sent += 1000
            await settle()
        assert wire.written.endswith(b"\r\n\r\n200000")
        protocol.connection_lost(None)

    asyncio.run(main())


@pytest.mark.parametrize("ends", [True, False])
def test_a_client_that_leaves_a_little_of_its_response_is_cut_off(ends):
    """Less than makes the server pause, after the client's own end or after the idle time; it would stay for ever."""

    async def main():
        limits = HttpLimits(write_idle_s=0.05, keep_alive_s=0.05)
        hub = Hub(responder([]), limits, None, "")
        wire, protocol = connect(hub)
        aborted = asyncio.Event()
        wire.abort = aborted.set
        protocol.data_received(PARTS[0])
        await settle()
        wire.unsent_bytes = 10
        if ends:
            protocol.eof_received()
        await asyncio.wait_for(aborted.wait(), 5)
        protocol.connection_lost(None)

    asyncio.run(main())


def test_a_client_that_takes_a_little_now_and_then_is_not_cut_off():
    """Only no progress at all counts."""

    async def main():
        hub = Hub(responder([]), HttpLimits(write_idle_s=0.05), None, "")
        wire, protocol = connect(hub)
        wire.unsent_bytes = 100_000
        protocol.pause_writing()
        looks = 0
        looked = wire.get_write_buffer_size

        def look():
            nonlocal looks
            looks += 1
            wire.unsent_bytes -= 1
            return looked()

        wire.get_write_buffer_size = look
        while looks < 6:
            await asyncio.sleep(0.01)
        assert not wire.is_closed
        protocol.connection_lost(None)

    asyncio.run(main())
