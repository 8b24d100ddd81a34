"""What a client may ask of the server, on real connections."""

import asyncio

import pytest
from http_serving import HOST, Client, ask, run, serving, until

from perdure._http.limits import HttpLimits
from perdure.web import Response

SMALL = HttpLimits(
    head_bytes=2000,
    headers=10,
    head_timeout_s=0.2,
    body_bytes=1000,
    body_idle_s=0.2,
    keep_alive_s=0.2,
    linger_s=0.3,
)


async def handle(request):
    match request.path:
        case "/unread":
            return Response("unread")
        case "/slowly":
            await asyncio.sleep(0.5)
    return Response(f"{len(await request.bytes())} bytes")


def post(*headers):
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(headers) + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def check(*pieces, status, text, refused=True):
    """The server answers *pieces* with *status*, closes, and goes on serving."""

    async def main():
        async with serving(handle, limits=SMALL) as server:
            async with Client(server.port) as client:
                await client.say(*pieces)
                answer = await client.answer()
                assert (answer.status, answer.complete) == (status, True)
                assert text in answer.text
                assert answer.headers["connection"] == ["close"]
                assert "date" in answer.headers
                assert await client.ended()
            assert [line.status for line in (server.refused if refused else server.lines)] == [status]
            assert (await ask(server.port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")).text == "0 bytes"

    run(main())


def test_the_defaults_are_those_of_the_limits_table():
    """64 KiB and 100 headers, 10 s, 100 MB."""
    limits = HttpLimits()
    assert (limits.head_bytes, limits.headers, limits.head_timeout_s, limits.body_bytes) == (
        65536,
        100,
        10.0,
        100_000_000,
    )


def test_a_head_within_the_limits_is_served():
    """To the last byte and header, in whatever pieces it comes."""

    async def main():
        async with serving(handle, limits=SMALL) as server:
            head = (
                b"GET / HTTP/1.1\r\n"
                + HOST
                + b"".join(b"X-%d: %b\r\n" % (n, b"v" * 150) for n in range(9))
                + b"\r\n"
            )
            assert 1400 < len(head) < 2000
            assert (await ask(server.port, head)).status == 200
            assert (
                await ask(server.port, *[head[at : at + 100] for at in range(0, len(head), 100)])
            ).status == 200

    run(main())


def test_a_large_body_in_one_piece_with_its_head_is_no_large_head():
    """Bytes of the body do not count for the head."""

    async def main():
        async with serving(handle, limits=HttpLimits(head_bytes=2000)) as server:
            request = post(b"Content-Length: 50000\r\n") + b"x" * 50000
            assert (await ask(server.port, request)).text == "50000 bytes"
            assert (await ask(server.port, request[:20], request[20:])).text == "50000 bytes"

    run(main())


def test_too_many_headers_is_431():
    """The eleventh of ten."""
    check(post(*[b"X-%d: 1\r\n" % n for n in range(10)]), status=431, text="more than 10 header fields")


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("what", ["url", "name", "value", "many"])
def test_too_large_a_head_is_431(what, pieces):
    """Whatever part of it is large, at once or bit by bit, even if it never ends."""
    head = {
        "url": b"GET /" + b"a" * 3000,
        "name": b"GET / HTTP/1.1\r\n" + b"A" * 3000,
        "value": b"GET / HTTP/1.1\r\nA: " + b"a" * 3000,
        "many": b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: %b\r\n" % (n, b"a" * 400) for n in range(8)),
    }[what]
    size = len(head) // pieces + 1
    check(
        *[head[at : at + size] for at in range(0, len(head), size)],
        status=431,
        text="head of the request is larger than 2000 bytes",
    )


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nHost:", b"G", b"GET / HTTP/1.1\r\n" + HOST])
def test_a_slow_head_is_408(head):
    """After the time for the whole head, not for each byte."""
    check(head, status=408, text="did not arrive in time")


def test_a_head_that_drips_is_408():
    """A byte now and then does not help."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:

            async def drip():
                for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 500:
                    await client.say(bytes([byte]))
                    await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            assert (await client.answer()).status == 408
            dripping.cancel()

    run(main())


@pytest.mark.parametrize("noise", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_silent_connection_is_closed(noise):
    """Without an answer: nothing was asked."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:
            await client.say(noise)
            assert await client.answer() is None
            assert server.refused == []

    run(main())


@pytest.mark.parametrize("noise", [b"", b"\r\n"])
def test_an_idle_connection_is_closed(noise):
    """After a request, with or without stray line ends."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:
            await client.say(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert (await client.answer()).status == 200
            await client.say(noise)
            assert await client.ended()

    run(main())


def test_a_second_slow_head_is_408():
    """Each request on a connection has its own time."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:
            await client.say(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert (await client.answer()).status == 200
            await client.say(b"GET /")
            assert (await client.answer()).status == 408

    run(main())


def test_a_body_announced_too_large_is_413_before_the_handler():
    """Not a byte of it is read, and no 100 Continue invites it."""
    check(
        post(b"Content-Length: 1001\r\n", b"Expect: 100-continue\r\n"),
        status=413,
        text="larger than 1000 bytes",
    )


def test_a_body_that_grows_too_large_is_413_from_its_reader():
    """Chunked bodies announce nothing."""
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    check(post(CHUNKED), chunk, chunk, chunk, status=413, text="larger than 1000 bytes", refused=False)


def test_a_body_of_just_the_limit_is_served():
    """Announced or chunked."""

    async def main():
        async with serving(handle, limits=SMALL) as server:
            assert (
                await ask(server.port, post(b"Content-Length: 1000\r\n"), b"x" * 1000)
            ).text == "1000 bytes"
            chunked = b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"
            assert (await ask(server.port, post(CHUNKED), chunked)).text == "1000 bytes"

    run(main())


def test_a_client_that_keeps_sending_reads_its_413_first():
    """The answer is not lost to a reset."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:
            await client.say(post(CHUNKED))
            sending = asyncio.create_task(client.say(*[b"200\r\n" + b"x" * 512 + b"\r\n"] * 2000))
            assert (await client.answer()).status == 413
            await sending
            assert await client.ended()

    run(main())


def test_a_body_nobody_reads_is_bounded_too():
    """The handler has answered; the client sends on."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:
            await client.say(b"POST /unread HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n")
            assert (await client.answer()).text == "unread"
            await client.say(*[b"200\r\n" + b"x" * 512 + b"\r\n"] * 3)
            assert await client.ended()

    run(main())


def test_a_silent_body_is_408():
    """The reader hears of it and the client too."""
    check(post(b"Content-Length: 10\r\n"), b"abc", status=408, text="stopped arriving", refused=False)


def test_a_silent_body_nobody_reads_ends_the_connection():
    """Even if its request is answered."""

    async def main():
        async with serving(handle, limits=SMALL) as server, Client(server.port) as client:
            await client.say(b"POST /unread HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
            assert (await client.answer()).text == "unread"
            assert await client.ended()

    run(main())


def test_a_body_that_waits_for_its_reader_is_not_silent():
    """It is the handler that makes the client wait."""

    async def main():
        async with (
            serving(handle, limits=HttpLimits(body_idle_s=0.2)) as server,
            Client(server.port) as client,
        ):
            await client.say(b"POST /slowly HTTP/1.1\r\n" + HOST + b"Content-Length: 3000000\r\n\r\n")
            sending = asyncio.create_task(client.say(b"x" * 3_000_000))
            assert (await client.answer()).text == "3000000 bytes"
            await sending

    run(main())


def test_endless_trailers_are_refused():
    """What follows the last chunk is bounded as well."""
    trailers = [b"X-%d: %b\r\n" % (n, b"a" * 400) for n in range(10)]
    check(post(CHUNKED), b"1\r\nx\r\n0\r\n", *trailers, status=431, text="trailers", refused=False)


def test_trailers_are_not_headers():
    """Nobody gets a header in by the back door."""

    async def main():
        async def names(request):
            await request.bytes()
            return Response(",".join(request.headers))

        async with serving(names) as server:
            answer = await ask(server.port, post(CHUNKED) + b"1\r\nx\r\n0\r\nX-Admin: yes\r\n\r\n")
            assert answer.text == "host,transfer-encoding"

    run(main())


def test_refusals_are_told_once_each():
    """For the log: method and path where they are known."""

    async def main():
        async with serving(handle, limits=SMALL) as server:
            await ask(server.port, b"GET /a\x1b?q HTTP/1.1\r\n\r\n")
            await ask(server.port, b"POST /big HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n")
            await until(lambda: len(server.refused) == 2)
            assert [(line.method, line.path, line.status) for line in server.refused][1] == (
                "POST",
                "/big",
                413,
            )
            assert server.refused[0].status == 400
            assert server.refused[0].path.isprintable()

    run(main())


def test_a_client_that_reads_nothing_is_cut_off():
    """What waits for it is not kept for ever: a response at hand, and a stream, whose source is ended."""

    async def main():
        ended = asyncio.Event()

        async def pieces():
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                ended.set()

        async def answer(request):
            return Response(pieces() if request.path == "/stream" else b"x" * 30_000_000)

        async with serving(answer, limits=HttpLimits(write_idle_s=0.2)) as server:
            for path in (b"/stream", b"/"):
                async with Client(server.port) as client:
                    client.writer.transport.pause_reading()
                    await client.say(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
                    await until(lambda: server.server.hub.connections)
                    await until(lambda: not server.server.hub.connections)
            await asyncio.wait_for(ended.wait(), 5)
            assert server.lines[0].disconnected

    run(main())


def test_a_client_that_reads_slowly_gets_all():
    """As long as it goes on taking something."""

    async def main():
        async def answer(request):
            return Response(b"x" * 20_000_000)

        async with (
            serving(answer, limits=HttpLimits(write_idle_s=0.2)) as server,
            Client(server.port) as client,
        ):
            await client.say(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            size = 0
            while size < 20_000_000:
                size += len(await client.reader.read(2_000_000))
                await asyncio.sleep(0.02)

    run(main())


def test_a_body_of_announced_length_that_drips_is_408():
    """It is there to be sent; a stream of unknown length may take its time."""

    async def main():
        limits = HttpLimits(body_idle_s=0.3, body_rate=100)
        async with serving(handle, limits=limits) as server:

            async def drip(client, piece):
                for _ in range(30):
                    await client.say(piece)
                    await asyncio.sleep(0.02)

            async with Client(server.port) as client:
                await client.say(post(b"Content-Length: 1000\r\n"))
                dripping = asyncio.create_task(drip(client, b"x"))
                answer = await client.answer()
                assert (answer.status, "too slowly" in answer.text) == (408, True)
                dripping.cancel()
            async with Client(server.port) as client:
                await client.say(post(CHUNKED))
                await drip(client, b"1\r\nx\r\n")
                await client.say(b"0\r\n\r\n")
                assert (await client.answer()).text == "30 bytes"

    run(main())


def test_many_pipelined_requests_wait_as_bytes():
    """Only the first few are parsed; all are answered, in order."""

    async def main():
        go = asyncio.Event()

        async def number(request):
            await go.wait()
            return Response(request.path)

        async with serving(number) as server, Client(server.port) as client:
            count = 3000
            await client.say(b"".join(b"GET /%d HTTP/1.1\r\nHost:\r\n\r\n" % n for n in range(count)))
            await until(lambda: server.server.hub.requests)
            (connection,) = server.server.hub.connections
            assert len(connection._queue) <= 8192 // len(b"GET /0 HTTP/1.1\r\nHost:\r\n\r\n")
            go.set()
            assert [(await client.answer()).text for _ in range(count)] == [f"/{n}" for n in range(count)]

    run(main())
