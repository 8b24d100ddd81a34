"""Bodies in both directions: streamed, with back pressure, and ended by either side."""

import asyncio

import pytest
from http_serving import HOST, Client, ask, run, serving, until

from perdure.web import Response

MEGABYTE = b"x" * 1_000_000
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


def post(size, path=b"/"):
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size


def test_a_response_streams_as_it_is_made():
    """The client has a piece while the next does not exist yet."""

    async def main():
        go = asyncio.Event()

        async def pieces():
            yield "one "
            await go.wait()
            yield b"two"

        async def handle(request):
            return Response(pieces())

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            got = b""
            while b"one " not in got:
                got += await client.piece()
            assert b"two" not in got
            go.set()
            while b"0\r\n\r\n" not in got:
                got += await client.piece()
            assert b"two" in got

    run(main())


def test_a_request_body_streams_as_it_arrives():
    """The handler has a piece while the next was not sent yet."""

    async def main():
        seen = []

        async def handle(request):
            async for chunk in request.body:
                seen.append(chunk)
            return Response(b"".join(seen))

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(post(6), b"abc")
            await until(lambda: seen == [b"abc"])
            await client.say(b"def")
            assert (await client.answer()).body == b"abcdef"

    run(main())


def test_both_directions_stream_at_once():
    """An echo answers each piece before it gets the next."""

    async def main():
        async def handle(request):
            return Response(request.body)

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
            got = b""
            for number in range(5):
                await client.say(b"3\r\n<%d>\r\n" % number)
                while b"<%d>" % number not in got:
                    got += await client.piece()
            await client.say(b"0\r\n\r\n")
            while not got.endswith(b"0\r\n\r\n"):
                got += await client.piece()

    run(main())


def test_a_slow_client_slows_the_stream_down():
    """The source is pulled no faster than the client reads."""

    async def main():
        pulled = 0

        async def pieces():
            nonlocal pulled
            for _ in range(200):
                pulled += 1
                yield MEGABYTE

        async def handle(request):
            return Response(pieces())

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            await until(lambda: pulled > 0)
            before = -1
            while before != pulled:
                before = pulled
                await asyncio.sleep(0.1)
            assert pulled < 50
            client.abort()
            await until(lambda: server.lines)
            assert server.lines[0].disconnected

    run(main())


def test_a_slow_handler_slows_the_client_down():
    """A body that nobody reads does not fill the memory."""

    async def main():
        go = asyncio.Event()

        async def handle(request):
            await go.wait()
            size = 0
            async for chunk in request.body:
                assert len(chunk) < 1_000_000
                size += len(chunk)
            return Response(str(size))

        async with serving(handle) as server, Client(server.port) as client:
            sending = asyncio.create_task(client.say(post(50_000_000), *[MEGABYTE] * 50))
            done, _ = await asyncio.wait([sending], timeout=0.5)
            assert not done
            go.set()
            assert (await client.answer(timeout_s=20)).text == "50000000"
            await sending

    run(main())


def test_a_client_that_vanishes_inside_its_body_fails_only_its_request():
    """The reader hears why; the next client is served."""

    async def main():
        heard = []

        async def handle(request):
            try:
                return Response(str(len(await request.bytes())))
            except Exception as error:
                heard.append(str(error))
                raise

        async with serving(handle) as server:
            async with Client(server.port) as client:
                await client.say(post(10), b"abc")
                await asyncio.sleep(0.05)
                client.abort()
            await until(lambda: server.lines)
            assert heard == ["The client disconnected before the whole request body arrived."]
            assert (server.lines[0].status, server.lines[0].disconnected) == (499, True)
            assert (await ask(server.port, post(3), b"abc")).text == "3"

    run(main())


def test_a_client_that_vanishes_ends_the_stream_it_was_sent():
    """Also while the generator waits for something else; its `finally` runs."""

    async def main():
        ended = asyncio.Event()

        async def pieces():
            try:
                yield b"data: hello\n\n"
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def handle(request):
            return Response(pieces(), headers={"content-type": "text/event-stream"})

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            await client.piece()
            client.abort()
            await asyncio.wait_for(ended.wait(), 5)
            await until(lambda: server.lines)
            assert (server.lines[0].disconnected, server.lines[0].error) == (True, None)

    run(main())


def test_a_client_that_vanishes_does_not_stop_the_handler():
    """What it began is finished; only the answer has no reader."""

    async def main():
        go, finished = asyncio.Event(), asyncio.Event()

        async def handle(request):
            await go.wait()
            finished.set()
            return Response("nobody reads this")

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            await asyncio.sleep(0.05)
            client.abort()
            await asyncio.sleep(0.05)
            go.set()
            await asyncio.wait_for(finished.wait(), 5)
            await until(lambda: server.lines)
            assert server.lines[0].disconnected

    run(main())


@pytest.mark.rows("ERR-22")
@pytest.mark.parametrize("headers", [{}, {"Content-Length": "100"}])
def test_an_error_in_a_stream_truncates_the_response(headers):
    """The client can tell: no last chunk, fewer bytes than announced."""

    async def main():
        async def pieces():
            yield b"one"
            await asyncio.sleep(0.02)
            raise ValueError("mid-way")

        async def handle(request):
            return Response(pieces(), headers=headers)

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            answer = await client.answer()
            assert (answer.status, answer.body, answer.complete) == (200, b"one", False)
            assert await client.ended()
            assert str(server.lines[0].error) == "mid-way"

    run(main())


@pytest.mark.parametrize("given", ["1", "100"])
def test_a_stream_that_breaks_its_own_content_length_is_cut(given):
    """Neither more nor less than announced is passed off as whole."""

    async def main():
        async def handle(request):
            return Response(iter([b"one"]), headers={"Content-Length": given})

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            answer = await client.answer()
            assert answer is None or len(answer.body) < 3 or not answer.complete
            assert await client.ended()
            assert server.lines[0].error is not None

    run(main())


def test_head_has_the_headers_of_get_and_no_body():
    """For bytes and for streams, which are not even begun."""

    async def main():
        async def pieces():
            raise AssertionError("not pulled")
            yield b""

        async def handle(request):
            if request.path == "/stream":
                return Response(pieces(), headers={"content-length": "7", "x": "y"})
            return Response("text", headers={"x": "y"})

        async with serving(handle) as server, Client(server.port) as client:
            for path, length in ((b"/", "4"), (b"/stream", "7")):
                await client.say(b"HEAD " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
                answer = await client.answer("HEAD")
                assert (answer.status, answer.headers["content-length"], answer.headers["x"]) == (
                    200,
                    [length],
                    ["y"],
                )

    run(main())


def test_a_large_body_survives_the_round_trip():
    """Several megabytes, in whatever pieces."""

    async def main():
        async def handle(request):
            return Response(request.body, headers={"content-length": request.headers["content-length"]})

        async with serving(handle) as server, Client(server.port) as client:
            data = bytes(range(256)) * 20_000
            sending = asyncio.create_task(client.say(post(len(data)), data))
            assert (await client.answer(timeout_s=20)).body == data
            await sending

    run(main())


def test_the_connection_is_kept_after_a_body_nobody_read():
    """The rest is dropped, and the next request is found."""

    async def main():
        async def handle(request):
            return Response(request.path)

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(post(300_000, b"/a"))
            sending = asyncio.create_task(client.say(b"x" * 300_000, GET))
            assert [(await client.answer()).text, (await client.answer()).text] == ["/a", "/"]
            await sending

    run(main())


def test_one_date_and_every_cookie():
    """The application's Date wins over the server's."""

    async def main():
        async def handle(request):
            return Response("x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Date", "then")])

        async with serving(handle) as server:
            answer = await ask(server.port, GET)
            assert answer.headers["set-cookie"] == ["a=1", "b=2"]
            assert answer.headers["date"] == ["then"]
            assert "server" not in answer.headers

    run(main())


def test_a_stream_to_http_1_0_ends_with_the_connection():
    """It knows no chunks."""

    async def main():
        async def pieces():
            yield b"one "
            yield b"two"

        async def handle(request):
            return Response(pieces())

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head, _, body = (await client.reader.read()).partition(b"\r\n\r\n")
            assert b"transfer-encoding" not in head
            assert b"connection: close" in head
            assert body == b"one two"

    run(main())


@pytest.mark.rows("ERR-22")
def test_a_stream_to_http_1_0_that_fails_is_reset():
    """A plain end would look like the end of the body."""

    async def main():
        async def pieces():
            yield b"one"
            await asyncio.sleep(0.02)
            raise ValueError("mid-way")

        async def handle(request):
            return Response(pieces())

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await client.reader.read()

    run(main())


def test_an_unasked_body_ends_the_connection_with_the_response():
    """A client that waits for `100 Continue` and gets its answer may send the body or not: nobody can tell."""

    async def main():
        async def handle(request):
            return Response("no, thanks")

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(
                b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            )
            answer = await client.answer()
            assert (answer.text, answer.headers["connection"]) == ("no, thanks", ["close"])
            assert await client.ended()

    run(main())


def test_a_body_read_after_the_response_tells_that_it_is_too_late():
    """What had not arrived by then is not waited for."""

    async def main():
        heard = []

        async def handle(request):
            async def later():
                await asyncio.sleep(0.05)
                try:
                    await request.bytes()
                except Exception as error:
                    heard.append(str(error))

            handle.task = asyncio.create_task(later())
            return Response("early")

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(post(10), b"abc")
            assert (await client.answer()).text == "early"
            await until(lambda: heard)
            assert heard == ["The response was sent before the whole request body arrived."]

    run(main())
