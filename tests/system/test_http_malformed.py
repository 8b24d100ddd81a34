"""Malformed HTTP: answered with 400, and the connection is over."""

import asyncio

import pytest
from http_serving import HOST, Client, ask, run, serving

from perdure.web import Response

CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


async def handle(request):
    if request.path == "/slow":
        await asyncio.sleep(0.2)
    return Response(f"{request.method} {request.url} {await request.text()}")


@pytest.mark.parametrize(
    "data",
    [
        b"HELLO\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT h:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_malformed_head_is_400(data):
    """The handler is never asked, and the server goes on."""

    async def main():
        async with serving(handle) as server:
            async with Client(server.port) as client:
                await client.say(data)
                answer = await client.answer()
                assert answer.status == 400
                assert await client.ended()
            assert (await ask(server.port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")).status == 200

    run(main())


@pytest.mark.parametrize("data", [b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_another_version_of_http_is_505(data):
    """The parser knows more than this server does."""

    async def main():
        async with serving(handle) as server, Client(server.port) as client:
            await client.say(data)
            assert (await client.answer()).status in (400, 505)
            assert await client.ended()

    run(main())


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n"])
def test_a_malformed_chunk_is_400_from_the_reader_of_the_body(chunk):
    """The head was right: the application answers."""

    async def main():
        async with serving(handle) as server, Client(server.port) as client:
            await client.say(CHUNKED, b"1\r\nx\r\n", chunk)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (400, ["close"])
            assert await client.ended()
            assert [line.status for line in server.lines] == [400]

    run(main())


def test_nonsense_behind_a_request_does_not_break_into_its_response():
    """The response under way is the last on the connection."""

    async def main():
        async with serving(handle) as server, Client(server.port) as client:
            await client.say(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\nNONSENSE\r\n\r\n")
            answer = await client.answer()
            assert (answer.status, answer.complete) == (200, True)
            assert await client.piece() == b""

    run(main())


def test_pipelined_requests_are_answered_in_order():
    """The slow one first."""

    async def main():
        async with serving(handle) as server, Client(server.port) as client:
            await client.say(
                b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n",
                b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
                b"GET /c HTTP/1.1\r\n" + HOST + b"\r\n",
            )
            texts = [(await client.answer()).text for _ in range(3)]
            assert texts == ["GET http://h/slow ", "POST http://h/b abc", "GET http://h/c "]

    run(main())


def test_an_upgrade_that_is_not_taken_is_a_plain_request():
    """`curl --http2` offers h2c."""

    async def main():
        async with serving(handle) as server, Client(server.port) as client:
            await client.say(b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            assert (await client.answer()).text == "GET http://h/a "
            assert await client.ended()

    run(main())


def test_expect_continue_is_answered_when_the_body_is_read():
    """Not before."""

    async def main():
        asked = asyncio.Event()

        async def late(request):
            await asked.wait()
            return Response(await request.text())

        async with serving(late) as server, Client(server.port) as client:
            head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            await client.say(head)
            with pytest.raises(TimeoutError):
                await client.piece(timeout_s=0.1)
            asked.set()
            assert await client.piece() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.say(b"abc")
            assert (await client.answer()).text == "abc"

    run(main())


def test_http_1_0_is_served_and_closed():
    """Without a Host header too."""

    async def main():
        async with serving(handle) as server, Client(server.port) as client:
            await client.say(b"GET /a HTTP/1.0\r\n\r\n")
            assert (await client.answer()).text == f"GET http://127.0.0.1:{server.port}/a "
            assert await client.ended()

    run(main())


def test_an_absolute_request_target_means_its_path():
    """As proxies send it; the host is the Host header's."""

    async def main():
        async with serving(handle) as server:
            answer = await ask(server.port, b"GET http://other/a?b HTTP/1.1\r\n" + HOST + b"\r\n")
            assert answer.text == "GET http://h/a?b "

    run(main())
