"""The ASGI application, driven by hand."""

import asyncio
import logging

import pytest

from perdure._http.asgi import HttpApp
from perdure.errors import Overloaded
from perdure.web import Response


class Exchange:
    """One request to an application: what it sent, and whether it ended in order."""

    def __init__(self, messages=(), method="GET", headers=()):
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/p",
            "raw_path": b"/p",
            "query_string": b"",
            "headers": [(b"host", b"h"), *headers],
        }
        self.messages = asyncio.Queue()
        for message in messages or [{"type": "http.request", "body": b"", "more_body": False}]:
            self.messages.put_nowait(message)
        self.sent = []
        self.on_send = None

    async def send(self, message):
        self.sent.append(message)
        if self.on_send is not None:
            await self.on_send(message)

    async def run(self, app):
        await app(self.scope, self.messages.get, self.send)
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self):
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


def recurse():
    return recurse()


RAISES = {
    "an error": lambda: ValueError("secret"),
    "exit": lambda: SystemExit(3),
    "interrupt": lambda: KeyboardInterrupt(),
    "cancelled": lambda: asyncio.CancelledError(),
    "generator exit": lambda: GeneratorExit(),
    "a stop": lambda: StopIteration("secret"),
    "a group": lambda: ExceptionGroup("secret", [ValueError("secret")]),
    "bare": lambda: BaseException("secret"),
}


@pytest.mark.parametrize("kind", RAISES)
def test_whatever_a_handler_raises_is_a_failed_request(kind):
    """The process and the task go on."""

    async def main():
        lines = []

        async def handle(request):
            raise RAISES[kind]()

        exchange = await Exchange().run(HttpApp(handle, on_request=lines.append))
        assert (exchange.status, exchange.complete) == (500, True)
        assert b"secret" not in exchange.body
        assert lines[0].status == 500
        assert lines[0].error is not None

    asyncio.run(main())


def test_recursion_without_end_is_a_failed_request():
    """The stack is unwound before the answer is made."""

    async def main():
        async def handle(request):
            return recurse()

        exchange = await Exchange().run(HttpApp(handle, debug=True, on_request=lambda line: None))
        assert exchange.status == 500
        assert b"RecursionError" in exchange.body

    asyncio.run(main())


def test_a_real_cancellation_passes_through():
    """A server that ends the task is obeyed, and no answer is made up."""

    async def main():
        started = asyncio.Event()

        async def handle(request):
            started.set()
            await asyncio.Event().wait()

        exchange = Exchange()
        task = asyncio.ensure_future(exchange.run(HttpApp(handle)))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert exchange.sent == []

    asyncio.run(main())


@pytest.mark.parametrize("answer", [None, {"a": 1}, "text", b"bytes"])
def test_a_handler_that_returns_something_else_is_told_what_to_return(answer):
    """The text names the class and the way out."""

    async def main():
        lines = []

        async def handle(request):
            return answer

        await Exchange().run(HttpApp(handle, on_request=lines.append))
        assert isinstance(lines[0].error, TypeError)
        assert f"it returned {type(answer).__name__}. Wrap the value: Response(text)" in str(lines[0].error)

    asyncio.run(main())


def test_a_response_whose_body_was_read_is_an_error():
    """Not an empty answer."""

    async def main():
        lines = []

        async def handle(request):
            response = Response("x")
            await response.text()
            return response

        exchange = await Exchange().run(HttpApp(handle, on_request=lines.append))
        assert exchange.status == 500
        assert "a body that was used already" in str(lines[0].error)

    asyncio.run(main())


@pytest.mark.rows("ERR-03")
def test_overload_is_503_with_retry_after():
    """A client may come back, later."""

    async def main():
        async def handle(request):
            raise Overloaded("Durable Object is overloaded. Too many requests queued.")

        exchange = await Exchange().run(HttpApp(handle, on_request=lambda line: None))
        assert (exchange.status, exchange.headers["retry-after"]) == (503, "5")

    asyncio.run(main())


def test_the_reference_reaches_client_and_log():
    """So that the one can be found by the other."""

    async def main():
        lines = []

        async def handle(request):
            raise ValueError("secret")

        exchange = await Exchange().run(HttpApp(handle, on_request=lines.append))
        assert len(lines[0].reference) >= 8
        assert f"reference: {lines[0].reference}".encode() in exchange.body

    asyncio.run(main())


def test_without_a_callback_failures_are_logged(caplog):
    """In somebody else's server nobody else would tell."""

    async def main():
        async def handle(request):
            raise ValueError("mistake")

        with caplog.at_level(logging.ERROR, "perdure.http"):
            await Exchange().run(HttpApp(handle))
        assert "GET /p failed (reference " in caplog.text
        assert "ValueError: mistake" in caplog.text

    asyncio.run(main())


def test_a_failing_callback_fails_nothing_else(caplog):
    """The response is out already."""

    async def main():
        async def handle(request):
            return Response("ok")

        def on_request(line):
            raise RuntimeError("no disk for logs")

        exchange = await Exchange().run(HttpApp(handle, on_request=on_request))
        assert (exchange.status, exchange.complete) == (200, True)
        assert "no disk for logs" in caplog.text

    asyncio.run(main())


def test_a_nonsense_head_is_a_400_before_the_handler():
    """Host headers are input too."""

    async def main():
        exchange = Exchange()
        exchange.scope["headers"] = [(b"host", b"a/b")]
        await exchange.run(HttpApp(None))
        assert exchange.status == 400
        assert b"Invalid Host header: 'a/b'" in exchange.body

    asyncio.run(main())


def test_a_stream_is_sent_piece_by_piece():
    """No piece waits for the next."""

    async def main():
        sent_after = []
        exchange = Exchange()

        async def pieces():
            for number in range(3):
                sent_after.append(len(exchange.sent))
                yield b"%d" % number
                yield b""

        async def handle(request):
            return Response(pieces())

        await exchange.run(HttpApp(handle))
        assert sent_after == [1, 2, 3]
        assert (exchange.body, exchange.complete) == (b"012", True)

    asyncio.run(main())


def test_a_stream_waits_for_the_client():
    """The next piece is not pulled before the last one was taken."""

    async def main():
        may_go_on = asyncio.Event()
        pulled = []

        async def pieces():
            for number in range(3):
                pulled.append(number)
                yield b"x"

        async def handle(request):
            return Response(pieces())

        async def on_send(message):
            if message.get("body"):
                await may_go_on.wait()

        exchange = Exchange()
        exchange.on_send = on_send
        task = asyncio.ensure_future(exchange.run(HttpApp(handle)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert pulled == [0]
        may_go_on.set()
        await task
        assert pulled == [0, 1, 2]

    asyncio.run(main())


@pytest.mark.rows("ERR-22")
@pytest.mark.parametrize("kind", RAISES)
def test_an_error_in_a_stream_cuts_it(kind):
    """No clean end: the application raises, which is how a server is told to break off."""

    async def main():
        lines = []

        async def pieces():
            yield b"one"
            raise RAISES[kind]()

        async def handle(request):
            return Response(pieces())

        exchange = Exchange()
        with pytest.raises(Exception):
            await exchange.run(HttpApp(handle, on_request=lines.append))
        assert (exchange.status, exchange.body, exchange.complete) == (200, b"one", False)
        assert lines[0].error is not None
        assert lines[0].reference

    asyncio.run(main())


def test_a_client_that_goes_stops_a_waiting_stream():
    """The generator is interrupted where it waits and runs its `finally`."""

    async def main():
        lines, ended = [], []
        exchange = Exchange()

        async def pieces():
            try:
                yield b"one"
                exchange.messages.put_nowait({"type": "http.disconnect"})
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        async def handle(request):
            return Response(pieces())

        await asyncio.wait_for(exchange.run(HttpApp(handle, on_request=lines.append)), 5)
        assert ended == [True]
        assert (lines[0].disconnected, lines[0].error) == (True, None)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_a_client_that_goes_stops_a_stream_that_never_waits():
    """Also one which swallows its cancellation."""

    async def main():
        lines = []
        exchange = Exchange()

        async def pieces():
            while True:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    pass
                exchange.messages.put_nowait({"type": "http.disconnect"})
                yield b"x"

        async def handle(request):
            return Response(pieces())

        await asyncio.wait_for(exchange.run(HttpApp(handle, on_request=lines.append)), 5)
        assert lines[0].disconnected

    asyncio.run(main())


def test_a_server_that_says_the_client_is_gone_ends_the_response():
    """OSError from `send`, as the ASGI specification has it."""

    async def main():
        lines = []

        async def on_send(message):
            raise ConnectionResetError

        for make in (lambda: Response("x"), lambda: Response(iter([b"x"]))):

            async def handle(request, make=make):
                return make()

            exchange = Exchange()
            exchange.on_send = on_send
            await exchange.run(HttpApp(handle, on_request=lines.append))
        assert [(line.disconnected, line.error) for line in lines] == [(True, None)] * 2

    asyncio.run(main())


def test_a_client_that_goes_inside_its_body_fails_only_its_request():
    """The line tells that it left; there is nobody to answer."""

    async def main():
        lines = []

        async def handle(request):
            return Response(await request.text())

        messages = [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]
        exchange = Exchange(messages, "POST", [(b"content-length", b"9")])
        await exchange.run(HttpApp(handle, on_request=lines.append))
        assert (lines[0].status, lines[0].disconnected, lines[0].reference) == (499, True, "")

    asyncio.run(main())


def test_a_body_error_from_elsewhere_is_the_handlers_failure():
    """Only this request's own body blames this client."""
    from perdure.web import BodyError

    async def main():
        async def handle(request):
            raise BodyError("another body", 413)

        exchange = await Exchange().run(HttpApp(handle, on_request=lambda line: None))
        assert exchange.status == 500

    asyncio.run(main())


def test_head_sends_no_body_and_gives_the_stream_up():
    """Headers stay."""

    async def main():
        closed = []

        class Stream:
            def __aiter__(self):
                return self

            async def __anext__(self):
                raise AssertionError("not read")

            async def aclose(self):
                closed.append(True)

        async def handle(request):
            return Response(Stream() if request.headers.get("x") else "text", headers={"y": "z"})

        exchange = await Exchange(method="HEAD").run(HttpApp(handle))
        assert (exchange.body, exchange.headers["content-length"], exchange.headers["y"]) == (b"", "4", "z")
        exchange = await Exchange(method="HEAD", headers=[(b"x", b"1")]).run(HttpApp(handle))
        assert (exchange.body, exchange.complete, closed) == (b"", True, [True])

    asyncio.run(main())


def test_the_line_tells_method_path_status_and_time():
    """One a request."""

    async def main():
        lines = []

        async def handle(request):
            return Response(status=404)

        await Exchange(method="POST").run(HttpApp(handle, on_request=lines.append))
        (line,) = lines
        assert (line.method, line.path, line.status, line.error, line.reference) == (
            "POST",
            "/p",
            404,
            None,
            "",
        )
        assert 0 <= line.ms < 5000

    asyncio.run(main())


class TestLifespan:
    def play(self, **hooks):
        async def main():
            messages = asyncio.Queue()
            messages.put_nowait({"type": "lifespan.startup"})
            messages.put_nowait({"type": "lifespan.shutdown"})
            sent = []

            async def send(message):
                sent.append(message)

            await HttpApp(None, **hooks)({"type": "lifespan"}, messages.get, send)
            return sent

        return asyncio.run(main())

    def test_start_and_stop_are_called_in_turn(self):
        """Around everything else."""
        calls = []

        async def start():
            calls.append("start")

        async def stop():
            calls.append("stop")

        sent = self.play(on_start=start, on_stop=stop)
        assert calls == ["start", "stop"]
        assert [message["type"] for message in sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]

    def test_hooks_are_optional(self):
        """The protocol is answered all the same."""
        assert len(self.play()) == 2

    def test_a_failing_start_is_told_to_the_server(self):
        """Which then does not serve."""

        async def start():
            raise OSError("in use")

        assert self.play(on_start=start) == [
            {"type": "lifespan.startup.failed", "message": "OSError: in use"}
        ]


def test_another_kind_of_scope_is_an_error():
    """No silent ignoring."""
    with pytest.raises(RuntimeError, match="'gopher'"):
        asyncio.run(HttpApp(None)({"type": "gopher"}, None, None))
