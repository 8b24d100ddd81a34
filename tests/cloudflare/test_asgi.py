"""`asgi`: applications behind the `fetch` of a worker or an object: requests, responses, lifespan, WebSockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from contextlib import asynccontextmanager

import fastapi
import pytest
from starlette.background import BackgroundTask
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse
from support.inside import until

from perdure import testing
from perdure._base import limits
from perdure._base.current import current
from perdure._cloudflare import bridge, workers
from perdure._cloudflare.adapter import ObjectAdapter, WorkerAdapter, adapt
from perdure._cloudflare.context_view import current_context
from perdure._cloudflare.workers import asgi
from perdure._cloudflare.workers.asgi import lifespan
from perdure._cloudflare.workers.entrypoints import DurableObject, WorkerEntrypoint
from perdure.testing import WebSocketClosed, WebSocketRefused
from perdure.web import BodyError, Request


@asynccontextmanager
async def served(app, **env):
    """A worker that is *app*."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.headers.get("upgrade") == "websocket":
                return await asgi.websocket(app, request, self.env)
            return await asgi.fetch(app, request, self.env, self.ctx)

    async with testing.runtime(adapt(Default, WorkerAdapter), vars=env) as running:
        yield running


def answering(*messages):
    """An application that answers each request with *messages*."""

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            for message in messages:
                await send(message)

    return app


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", *, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def scope_of(path="/", **more):
    """The scope that an application is given."""
    seen = {}

    async def app(scope, receive, send):
        if scope["type"] == "http":
            seen.update(scope)
            await send(start())
            await send(body())

    async with served(app, GREETING="hi") as running:
        await running.fetch(path, **more)
    return seen


# --- requests ----------------------------------------------------------------------------------------------


@pytest.mark.members("asgi.fetch")
async def test_the_scope_tells_the_request():
    scope = await scope_of("/a%20b/c?x=1&y=%20", method="PUT", body=b"1", headers={"X-Name": "v"})
    assert scope["type"] == "http"
    assert scope["method"] == "PUT"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/a b/c"
    assert scope["raw_path"] == b"/a%20b/c"
    assert scope["query_string"] == b"x=1&y=%20"
    assert (b"x-name", b"v") in scope["headers"]
    assert scope["env"].GREETING == "hi"


async def test_the_scope_has_what_the_lifespan_left_as_a_copy():
    scopes = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["there"] = 1
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        scopes.append(scope["state"])
        await send(start())
        await send(body())
        scope["state"]["other"] = 2

    async with served(app) as running:
        await running.fetch("/")
        await running.fetch("/")
    assert scopes == [{"there": 1, "other": 2}, {"there": 1, "other": 2}]
    assert scopes[0] is not scopes[1]


async def test_a_request_body_arrives_as_it_is_sent():
    app = fastapi.FastAPI()
    first = asyncio.Event()

    @app.post("/")
    async def read(request: fastapi.Request):
        pieces = []
        async for piece in request.stream():
            pieces.append(piece)
            first.set()
        return [piece.decode() for piece in pieces if piece]

    async def sent():
        yield b"one"
        await first.wait()
        yield b"two"

    async with served(app) as running:
        answer = await running.fetch("/", body=sent())
        assert await answer.json() == ["one", "two"]


async def test_a_request_body_that_breaks_off_is_a_client_that_goes():
    messages = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            messages.extend([await receive(), await receive()])
            await send(start())
            await send(body())

    async def sent():
        yield b"one"
        raise BodyError("the client went away")

    async with served(app) as running:
        await running.fetch("/", body=sent())
    assert [message["type"] for message in messages] == ["http.request", "http.disconnect"]


async def test_a_body_that_was_read_before_is_an_error_that_says_what_to_do():
    async with served(answering(start(), body())):
        request = Request("http://a.example/", method="POST", body="x")
        await request.text()
        with pytest.raises(TypeError, match=r"request\.clone\(\)"):
            await asgi.fetch(answering(start(), body()), request, {})


async def test_receive_after_the_response_tells_that_the_client_has_gone():
    told = asyncio.get_running_loop().create_future()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await receive()
            await send(start())
            await send(body(b"done"))
            told.set_result(await receive())

    async with served(app) as running:
        await running.fetch("/")
        assert await told == {"type": "http.disconnect"}


# --- responses ---------------------------------------------------------------------------------------------


async def test_a_header_may_be_repeated():
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    async with served(answering(start(200, *cookies), body())) as running:
        answer = await running.fetch("/")
        assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_without_a_body_has_none(status):
    async with served(answering(start(status), body(b"ignored"))) as running:
        answer = await running.fetch("/")
        assert (answer.status, await answer.bytes()) == (status, b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_none_even_if_it_streams(status):
    async with served(answering(start(status), body(b"", more=True), body())) as running:
        answer = await running.fetch("/")
        assert (answer.status, await answer.bytes()) == (status, b"")


async def test_a_streamed_response_leaves_piece_by_piece():
    app = fastapi.FastAPI()
    taken = asyncio.Event()

    @app.get("/")
    async def stream():
        async def pieces():
            yield b"one"
            await taken.wait()
            yield b"two"

        return StreamingResponse(pieces())

    async with served(app) as running:
        answer = await running.fetch("/")
        read = aiter(answer.body)
        assert await anext(read) == b"one"
        taken.set()
        assert [piece async for piece in read] == [b"two"]


async def test_a_slow_reader_slows_the_application_down():
    sent = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(start())
            for number in range(5):
                await send(body(b"%d" % number, more=True))
                sent.append(number)
            await send(body())

    async with served(app) as running:
        answer = await running.fetch("/")
        await until(lambda: sent)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(sent) <= 3  # one piece waits here, and one in each pair of hands on the way
        assert await answer.bytes() == b"01234"


async def test_a_reader_that_goes_is_a_client_that_has_gone():
    ended = asyncio.Event()
    app = fastapi.FastAPI()

    @app.get("/")
    async def stream():
        async def pieces():
            try:
                yield b"one"
                await asyncio.Event().wait()
            finally:
                ended.set()

        return StreamingResponse(pieces())

    async with served(app) as running:
        answer = await running.fetch("/")
        await anext(aiter(answer.body))
        await answer.body.aclose()
        await ended.wait()


async def test_a_response_that_nobody_reads_ends_the_application():
    ended = asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            try:
                await send(start())
                while True:
                    await send(body(b"more", more=True))
            finally:
                ended.set()

    async with served(app) as running:
        answer = await running.fetch("/")
        del answer
        await until(lambda: gc.collect() is not None and ended.is_set())


async def test_a_failure_before_the_response_is_the_workers():
    async def app(scope, receive, send):
        if scope["type"] == "http":
            raise LookupError("no such thing")

    async with served(app) as running:
        with pytest.raises(LookupError, match="no such thing"):
            await running.fetch("/")


async def test_a_request_that_is_given_up_ends_the_application(caplog):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

    async with served(app) as running:
        waiting = asyncio.ensure_future(running.fetch("/"))
        await begun.wait()
        waiting.cancel()
        await ended.wait()
        await asyncio.sleep(0)
    assert caplog.text == ""


async def test_what_follows_a_complete_response_is_ignored(caplog):
    app = answering(start(204), body(b"ignored", more=True), body(b"more", more=True), body())
    async with served(app) as running:
        assert (await running.fetch("/")).status == 204
    assert caplog.text == ""


async def test_a_failure_in_the_middle_of_a_stream_cuts_it_off_and_is_logged(caplog):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(start())
            await send(body(b"one", more=True))
            raise LookupError("no such thing")

    async with served(app) as running:
        answer = await running.fetch("/")
        read = aiter(answer.body)
        assert await anext(read) == b"one"
        with pytest.raises(ConnectionError):
            await anext(read)
    assert "no such thing" in caplog.text


async def test_a_failure_after_the_response_is_logged(caplog):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(start())
            await send(body(b"one"))
            raise LookupError("no such thing")

    async with served(app) as running:
        assert await (await running.fetch("/")).text() == "one"
    assert "no such thing" in caplog.text


@pytest.mark.parametrize("messages", [(), (start(),)], ids=["nothing", "only the start"])
async def test_an_application_without_an_answer_is_an_error(messages):
    async with served(answering(*messages)) as running:
        with pytest.raises(RuntimeError, match="did not generate a response"):
            await running.fetch("/")


async def test_background_work_does_not_hold_the_response_back():
    app = fastapi.FastAPI()
    go_on, done = asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def answer():
        async def work():
            await go_on.wait()
            done.set()

        return StarletteResponse("answered", background=BackgroundTask(work))

    async with served(app) as running:
        assert await (await running.fetch("/")).text() == "answered"
        go_on.set()
        await done.wait()


async def test_plain_endpoints_run_on_the_event_loops_thread():
    """Where `env` and storage can be used, as on Cloudflare, which has no threads."""
    app = fastapi.FastAPI()

    @app.get("/")
    def plain():
        return threading.current_thread() is threading.main_thread()

    async with served(app) as running:
        assert await (await running.fetch("/")).json() is True


async def test_a_plain_endpoint_can_use_run_sync():
    app = fastapi.FastAPI()

    @app.get("/")
    def plain():
        return bridge.run_sync(asyncio.sleep(0, "waited"))

    bridge.turn_on()
    try:

        class Default(WorkerEntrypoint):
            async def fetch(self, request):
                return await asgi.fetch(app, request, self.env)

        async with testing.runtime(adapt(Default, WorkerAdapter)) as running:
            assert await (await running.fetch("/")).json() == "waited"
    finally:
        bridge.turn_off()


@pytest.mark.members("asgi.env")
async def test_env_is_a_dependency_of_fastapi():
    app = fastapi.FastAPI()

    @app.get("/")
    async def answer(env=asgi.env):
        return env.GREETING

    async with served(app, GREETING="hi") as running:
        assert await (await running.fetch("/")).json() == "hi"


async def test_an_unknown_member_is_named_with_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'serve'; it has .*entrypoint"):
        asgi.serve  # noqa: B018


# --- lifespan ----------------------------------------------------------------------------------------------


def counting():
    """An application with a lifespan, and how often that began and ended."""
    counts = {"started": 0, "ended": 0}

    @asynccontextmanager
    async def span(app):
        counts["started"] += 1
        yield {"number": counts["started"]}
        counts["ended"] += 1

    app = fastapi.FastAPI(lifespan=span)

    @app.get("/")
    async def number(request: fastapi.Request):
        return request.state.number

    return app, counts


async def test_the_lifespan_starts_with_the_first_request_and_once():
    app, counts = counting()
    async with served(app) as running:
        assert counts["started"] == 0
        answers = await asyncio.gather(*[running.fetch("/") for _ in range(3)])
        assert [await answer.json() for answer in answers] == [1, 1, 1]
    assert counts == {"started": 1, "ended": 0}


def test_the_lifespan_ends_with_the_event_loop():
    app, counts = counting()

    async def main():
        async with served(app) as running:
            await running.fetch("/")

    asyncio.run(main())
    assert counts == {"started": 1, "ended": 1}
    asyncio.run(main())
    assert counts == {"started": 2, "ended": 2}


async def test_a_client_that_goes_while_the_lifespan_starts_ends_nothing_of_it():
    go_on, started = asyncio.Event(), []

    @asynccontextmanager
    async def span(app):
        await go_on.wait()
        started.append(True)
        yield

    app = fastapi.FastAPI(lifespan=span)
    app.get("/")(lambda: "there")
    async with served(app) as running:
        gone = asyncio.ensure_future(running.fetch("/"))
        await asyncio.sleep(0)
        gone.cancel()
        go_on.set()
        assert await (await running.fetch("/")).json() == "there"
        assert started == [True]


async def test_the_lifespan_has_env_and_nothing_of_the_first_request():
    seen = {}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            seen.update(live=current.get(), ctx=current_context(), greeting=workers.env.GREETING)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        await send(start())
        await send(body())

    async with served(app, GREETING="hi") as running:
        await running.fetch("/")
    assert seen == {"live": None, "ctx": None, "greeting": "hi"}


async def test_a_plain_function_of_the_lifespan_can_use_run_sync():
    waited = []

    @asynccontextmanager
    async def span(app):
        waited.append(bridge.run_sync(asyncio.sleep(0, "waited")))
        yield

    app = fastapi.FastAPI(lifespan=span)
    app.get("/")(lambda: "there")
    bridge.turn_on()
    try:
        async with served(app) as running:
            await running.fetch("/")
    finally:
        bridge.turn_off()
    assert waited == ["waited"]


async def test_a_start_that_fails_is_the_requests_error_and_is_tried_again():
    attempts = []

    @asynccontextmanager
    async def span(app):
        attempts.append(True)
        if len(attempts) == 1:
            raise LookupError("no database")
        yield

    app = fastapi.FastAPI(lifespan=span)
    app.get("/")(lambda: "there")
    async with served(app) as running:
        with pytest.raises(RuntimeError, match="no database"):
            await running.fetch("/")
        assert await (await running.fetch("/")).json() == "there"


@pytest.mark.parametrize("way", ["raises", "returns"])
async def test_an_application_without_a_lifespan_is_served(way):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            if way == "raises":
                raise ValueError("no lifespan here")
            return
        await send(start())
        await send(body(b"there"))

    async with served(app) as running:
        assert await (await running.fetch("/")).text() == "there"


async def test_applications_that_are_made_for_each_request_do_not_fill_the_memory():
    ended = []

    def make(number):
        @asynccontextmanager
        async def span(app):
            yield
            ended.append(number)

        app = fastapi.FastAPI(lifespan=span)
        app.get("/")(lambda: number)
        return app

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await asgi.fetch(make(int(request.url.partition("=")[2])), request, self.env)

    many = lifespan.KEPT_MAX + 10
    async with testing.runtime(adapt(Default, WorkerAdapter)) as running:
        for number in range(many):
            assert await (await running.fetch(f"/?n={number}")).json() == number
        await until(lambda: len(ended) >= 10)
    assert ended[:10] == list(range(10))
    assert len(ended) == 10


# --- WebSockets --------------------------------------------------------------------------------------------


def talking():
    """An application that says what it hears, and notes how its connections end."""
    app = fastapi.FastAPI()
    ends = asyncio.Queue()

    @app.websocket("/echo")
    async def echo(websocket: fastapi.WebSocket):
        await websocket.accept()
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                ends.put_nowait((message["code"], message["reason"]))
                return
            await websocket.send({**message, "type": "websocket.send"})

    return app, ends


@pytest.mark.members("asgi.websocket")
@pytest.mark.parametrize("message", ["text", "", b"bytes", b"", "ü" * 10, b"\xff\x00"])
async def test_a_message_arrives_as_what_it_is(message):
    app, _ = talking()
    async with served(app) as running, running.websocket("/echo") as ws:
        await ws.send(message)
        assert await ws.receive() == message


async def test_a_client_cannot_send_more_than_the_application_takes():
    """What it sent arrives in order all the same, also if receiving is given up in between."""
    go_on = asyncio.Event()
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def slow(websocket: fastapi.WebSocket):
        await websocket.accept()
        try:
            async with asyncio.timeout(0):
                await websocket.receive_text()
        except TimeoutError:
            await go_on.wait()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async with served(app) as running, running.websocket("/") as ws:
        sent = 0
        sending = asyncio.ensure_future(ws.send("0"))
        while sending.done() or sent == 0:
            sent += 1
            assert sent <= limits.WEBSOCKET_WAITING_MAX + 10
            sending = asyncio.ensure_future(ws.send(str(sent)))
            for _ in range(10):
                await asyncio.sleep(0)
        go_on.set()
        assert [await ws.receive() for _ in range(sent + 1)] == [str(number) for number in range(sent + 1)]


async def test_the_application_hears_how_the_client_closed():
    app, ends = talking()
    async with served(app) as running:
        async with running.websocket("/echo") as ws:
            await ws.close(4321, "enough")
        assert await ends.get() == (4321, "enough")
        async with running.websocket("/echo") as ws:
            ws.drop()
        assert (await ends.get())[0] == 1006


async def test_the_client_hears_how_the_application_closed():
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def close(websocket: fastapi.WebSocket):
        await websocket.accept()
        await websocket.send_text("bye")
        await websocket.close(1008, "not you")

    async with served(app) as running, running.websocket("/") as ws:
        assert await ws.receive() == "bye"
        with pytest.raises(WebSocketClosed) as closed:
            await ws.receive()
        assert (closed.value.code, closed.value.reason) == (1008, "not you")


@pytest.mark.parametrize(("fails", "code"), [(False, 1000), (True, 1011)], ids=["returns", "fails"])
async def test_an_application_that_ends_closes_its_connection(fails, code, caplog):
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def end(websocket: fastapi.WebSocket):
        await websocket.accept()
        if fails:
            raise LookupError("no such thing")

    async with served(app) as running, running.websocket("/") as ws:
        with pytest.raises(WebSocketClosed) as closed:
            await ws.receive()
        assert closed.value.code == code
    assert ("no such thing" in caplog.text) is fails


async def test_a_close_before_the_accept_reaches_the_client_with_its_code():
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def refuse(websocket: fastapi.WebSocket):
        raise fastapi.WebSocketException(1008, "not you")

    async with served(app) as running, running.websocket("/") as ws:
        with pytest.raises(WebSocketClosed) as closed:
            await ws.receive()
        assert (closed.value.code, closed.value.reason) == (1008, "not you")


async def test_a_refusal_is_a_response():
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def refuse(websocket: fastapi.WebSocket):
        await websocket.send_denial_response(StarletteResponse("not you", 401))

    async with served(app) as running:
        with pytest.raises(WebSocketRefused) as refused:
            await running.websocket("/")
        assert refused.value.response.status == 401
        assert await refused.value.response.text() == "not you"


async def test_the_application_chooses_the_subprotocol_and_adds_headers():
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def choose(websocket: fastapi.WebSocket):
        await websocket.accept(websocket.scope["subprotocols"][1], headers=[(b"x-name", b"v")])

    async with served(app) as running, running.websocket("/", protocols=["one", "two"]) as ws:
        assert ws.protocol == "two"


async def test_an_application_that_fails_before_its_answer_fails_the_request():
    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            raise LookupError("no such thing")

    async with served(app) as running:
        with pytest.raises(LookupError, match="no such thing"):
            await running.websocket("/")


async def test_an_application_that_sends_after_the_client_has_gone_hears_it(caplog):
    gone, heard = asyncio.Event(), asyncio.Event()
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def talk(websocket: fastapi.WebSocket):
        await websocket.accept()
        await gone.wait()
        try:
            while True:
                await websocket.send_text("still there?")
                await asyncio.sleep(0)
        except fastapi.WebSocketDisconnect:
            heard.set()
            raise

    caplog.set_level(logging.ERROR)
    async with served(app) as running:
        async with running.websocket("/") as ws:
            ws.drop()
        gone.set()
        await heard.wait()
    assert caplog.text == ""


@pytest.mark.members("asgi.entrypoint")
async def test_entrypoint_serves_requests_and_websockets():
    app, _ = talking()
    app.get("/")(lambda env=asgi.env: env.GREETING)
    Default = asgi.entrypoint(app)
    assert Default.__name__ == "Default"
    async with testing.runtime(adapt(Default, WorkerAdapter), vars={"GREETING": "hi"}) as running:
        assert await (await running.fetch("/")).json() == "hi"
        async with running.websocket("/echo") as ws:
            await ws.send("a")
            assert await ws.receive() == "a"


@pytest.mark.members("asgi.Options", "workers.gateway.BaseOptions", "workers.gateway.EncodeBody")
@pytest.mark.parametrize("wrong", ["gzip", None])
async def test_options_refuse_what_they_do_not_know(wrong):
    with pytest.raises(ValueError, match="'automatic' or 'manual'"):
        asgi.Options(encode_body=wrong)


# --- the steps of these --------------------------------------------------------------------------------


@pytest.mark.members(
    "asgi.start_application", "asgi.process_request", "asgi.request_to_scope", "asgi.process_websocket"
)
async def test_the_steps_can_be_called_by_themselves():
    app, counts = counting()
    request = Request("http://a.example/a?b=c")
    assert asgi.request_to_scope(request, {}, state={"number": 7})["state"] == {"number": 7}
    assert asgi.request_to_scope(request, {}, ws=True)["type"] == "websocket"
    shutdown, state = await asgi.start_application(app)
    response, task = await asgi.process_request(app, Request("http://a.example/"), {}, None, state)
    assert await response.text() == "1"
    await task
    await shutdown()
    assert counts == {"started": 1, "ended": 1}
    accepting = answering({"type": "websocket.accept"})
    answer = await asgi.process_websocket(accepting, Request("http://a.example/"))
    assert answer.status == 101
    del answer  # its WebSocket goes with it, and the other end hears that on the loop of this test
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.members("asgi.run_in_background")
async def test_what_fails_in_the_background_is_logged(caplog):
    async def work():
        raise LookupError("no such thing")

    asgi.run_in_background(work())
    await until(lambda: "no such thing" in caplog.text)


# --- in an object ------------------------------------------------------------------------------------------


class Site(DurableObject):
    """An object that is an application, made with the instance."""

    lifespans = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)

        @asynccontextmanager
        async def span(app):
            Site.lifespans += 1
            self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS hits (at INTEGER)")
            yield
            Site.lifespans -= 1

        self.app = fastapi.FastAPI(lifespan=span)

        @self.app.get("/")
        def hit():
            self.ctx.storage.sql.exec("INSERT INTO hits VALUES (1)")
            return self.ctx.storage.sql.exec("SELECT count(*) AS n FROM hits").one()["n"]

        @self.app.websocket("/ws")
        async def talk(websocket: fastapi.WebSocket):
            await websocket.accept()
            while True:
                text = await websocket.receive_text()
                self.ctx.storage.sql.exec("INSERT INTO hits VALUES (2)")
                await websocket.send_text(text.upper())

    async def fetch(self, request):
        serve = asgi.websocket if request.headers.get("upgrade") == "websocket" else asgi.fetch
        return await serve(self.app, request, self.env)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.SITE.getByName("one").fetch(request)


SITE, ROUTER = adapt(Site, ObjectAdapter), adapt(Default, WorkerAdapter)


async def test_an_application_in_an_object_has_its_storage():
    async with testing.runtime(SITE, ROUTER, bindings={"SITE": SITE}) as running:
        assert [await (await running.fetch("/")).json() for _ in range(3)] == [1, 2, 3]
        async with running.websocket("/ws") as ws:
            await ws.send("a")
            assert await ws.receive() == "A"
        assert await (await running.fetch("/")).json() == 5
        await running.crash()
        assert await (await running.fetch("/")).json() == 6


async def test_a_lifespan_does_not_keep_its_object_in_memory_and_ends_after_it():
    Site.lifespans = 0
    async with testing.runtime(SITE, ROUTER, bindings={"SITE": SITE}) as running:
        await running.fetch("/")
        assert Site.lifespans == 1
        await testing.evict_durable_object(running.env.SITE.get_by_name("one"))
        await running.fetch("/")
        await until(lambda: Site.lifespans == 1)
