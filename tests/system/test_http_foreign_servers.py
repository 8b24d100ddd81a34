"""The application under a server, or inside an application, that is not ours."""

import asyncio
import contextlib

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from http_serving import HOST, Client, ask, run, serving, until
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount

from perdure._http.asgi import HttpApp
from perdure._http.forwarded import Proxies
from perdure._http.server import bind
from perdure.web import Response


async def handle(request):
    match request.path.rsplit("/", 1)[-1]:
        case "boom":
            raise ValueError("mistake")
        case "exit":
            raise SystemExit(3)
        case "endless":
            return Response(endless())
        case "cut":
            return Response(cut())
        case "echo":
            return Response(request.body)
    return Response.json({"url": request.url, "method": request.method, "body": await request.text()})


async def endless():
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0.001)


async def cut():
    yield b"one"
    await asyncio.sleep(0.02)
    raise ValueError("mid-way")


@contextlib.asynccontextmanager
async def under_uvicorn(app, http="httptools", **options):
    """Serve *app* with uvicorn as people start it."""
    (sock,) = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, http=http, log_config=None, **options))
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)


def test_lifespan_starts_and_stops_what_stands_behind():
    """uvicorn tells the application."""

    async def main():
        calls = []

        async def start():
            calls.append("start")

        async def stop():
            calls.append("stop")

        async with under_uvicorn(HttpApp(handle, on_start=start, on_stop=stop), lifespan="on"):
            assert calls == ["start"]
        assert calls == ["start", "stop"]

    run(main())


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_plain_uvicorn_serves_it(http):
    """Requests, bodies both ways, failures."""

    async def main():
        lines = []
        app = HttpApp(handle, on_request=lines.append)
        async with (
            under_uvicorn(app, http) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
        ):
            answer = await client.post("/a%20b?c=d", content=b"body")
            assert answer.json() == {
                "url": f"http://127.0.0.1:{port}/a%20b?c=d",
                "method": "POST",
                "body": "body",
            }

            async def pieces():
                for _ in range(10):
                    yield b"x" * 100_000

            assert len((await client.post("/echo", content=pieces())).content) == 1_000_000
            for path in ("/boom", "/exit"):
                assert (await client.get(path)).status_code == 500
            assert [type(line.error).__name__ for line in lines] == [
                "NoneType",
                "NoneType",
                "ValueError",
                "SystemExit",
            ]

    run(main())


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_plain_uvicorn_stops_an_endless_stream_whose_client_left(http):
    """Its `send` says nothing; the application looks for itself."""

    async def main():
        lines = []
        app = HttpApp(handle, on_request=lines.append)
        async with under_uvicorn(app, http) as port, Client(port) as client:
            await client.say(b"GET /endless HTTP/1.1\r\n" + HOST + b"\r\n")
            await client.piece()
            client.abort()
            await until(lambda: lines)
            assert (lines[0].disconnected, lines[0].error) == (True, None)

    run(main())


@pytest.mark.rows("ERR-22")
@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_plain_uvicorn_cuts_a_failing_stream(http):
    """No clean end."""

    async def main():
        app = HttpApp(handle, on_request=lambda line: None)
        async with under_uvicorn(app, http) as port, Client(port) as client:
            await client.say(b"GET /cut HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = await client.answer()
            assert (answer.status, answer.body, answer.complete) == (200, b"one", False)

    run(main())


class Middleware(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


def starlette_app(app):
    return Starlette(routes=[Mount("/do", app)])


def starlette_with_middleware(app):
    mounted = starlette_app(app)
    mounted.add_middleware(Middleware)
    return mounted


def fastapi_app(app):
    outer = FastAPI()
    outer.mount("/do", app)
    return outer


@pytest.mark.parametrize("wrap", [starlette_app, starlette_with_middleware, fastapi_app])
def test_a_mounted_application_sees_the_url_as_the_client_sent_it(wrap):
    """The mount point is part of it, escapes are kept."""

    async def main():
        app = wrap(HttpApp(handle))
        async with (
            under_uvicorn(app) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
        ):
            answer = await client.post("/do/rooms/a%2Fb?q=1", content=b"body")
            assert answer.json() == {
                "url": f"http://127.0.0.1:{port}/do/rooms/a%2Fb?q=1",
                "method": "POST",
                "body": "body",
            }
            assert (await client.get("/elsewhere")).status_code == 404

    run(main())


@pytest.mark.parametrize("wrap", [starlette_app, starlette_with_middleware, fastapi_app])
def test_a_mounted_application_answers_its_own_failures(wrap):
    """The outer one does not see them."""

    async def main():
        app = wrap(HttpApp(handle, on_request=lambda line: None))
        async with (
            under_uvicorn(app) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
        ):
            answer = await client.get("/do/boom")
            assert answer.status_code == 500
            assert answer.text.startswith("Internal Server Error\nreference: ")

    run(main())


def test_a_root_path_given_to_the_server_is_part_of_the_url():
    """A proxy in front took it off; the client sent it."""

    async def main():
        app = HttpApp(handle)
        async with (
            under_uvicorn(app, root_path="/api") as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client,
        ):
            assert (await client.get("/x")).json()["url"] == f"http://127.0.0.1:{port}/api/x"

    run(main())


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        (Proxies(), "https://front.example/x 10.1.2.3"),
        (Proxies("10.0.0.0/8"), "http://h/x 127.0.0.1"),
        (None, "http://h/x 127.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_is_believed(proxies, seen):
    """By default those on this machine are."""

    async def main():
        async def tell(request):
            return Response(f"{request.url} {request.client.host}")

        async with serving(tell, proxies=proxies) as server:
            forwarded = b"X-Forwarded-Proto: https\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Host: front.example\r\n"
            answer = await ask(server.port, b"GET /x HTTP/1.1\r\n" + HOST + forwarded + b"\r\n")
            assert answer.text == seen

    run(main())


def test_a_forwarded_host_that_is_nonsense_is_400():
    """As a Host header that is."""

    async def main():
        async with serving(handle) as server:
            head = b"GET /x HTTP/1.1\r\n" + HOST + b"X-Forwarded-Host: a/b\r\n\r\n"
            assert (await ask(server.port, head)).status == 400

    run(main())
