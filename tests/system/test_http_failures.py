"""Failing handlers behind a real server: the client's view, and that the process goes on."""

import asyncio
import json

import pytest
from http_serving import HOST, Client, ask, run, serving

from perdure.errors import Overloaded
from perdure.web import Response

SECRET = "password=hunter2"


def recurse():
    return recurse()


async def handle(request):
    match request.path.removeprefix("/"):
        case "error":
            raise ValueError(SECRET)
        case "exit":
            raise SystemExit(SECRET)
        case "interrupt":
            raise KeyboardInterrupt(SECRET)
        case "cancel":
            raise asyncio.CancelledError(SECRET)
        case "recursion":
            recurse()
        case "nothing":
            return None
        case "group":
            raise BaseExceptionGroup(SECRET, [SystemExit(SECRET)])
        case "overloaded":
            raise Overloaded(SECRET)
    return Response("fine")


def get(path, accept=b"*/*"):
    return b"GET /" + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Accept: " + accept + b"\r\n\r\n"


@pytest.mark.parametrize(
    "path", ["error", "exit", "interrupt", "cancel", "recursion", "nothing", "group", "overloaded"]
)
@pytest.mark.parametrize("debug", [False, True])
def test_a_failing_handler_costs_one_request(path, debug):
    """The same connection serves the next."""

    async def main():
        async with serving(handle, debug=debug) as server, Client(server.port) as client:
            await client.say(get(path))
            assert (await client.answer()).status == (503 if path == "overloaded" else 500)
            await client.say(get("fine"))
            assert (await client.answer()).text == "fine"
            assert [line.error is not None for line in server.lines] == [True, False]

    run(main())


@pytest.mark.parametrize("accept", [b"*/*", b"application/json", b"text/html"])
def test_without_debug_no_client_sees_inside(accept):
    """The reference is what it gets, and the log has the same."""

    async def main():
        async with serving(handle) as server:
            answer = await ask(server.port, get("error", accept))
            (line,) = server.lines
            assert answer.status == 500
            assert line.reference in answer.text
            assert str(line.error) == SECRET
            for inside in (SECRET, "ValueError", "Traceback", ".py", "line "):
                assert inside not in answer.text

    run(main())


def test_with_debug_each_kind_of_client_gets_its_form():
    """curl, tools, browsers."""

    async def main():
        async with serving(handle, debug=True) as server:
            text = await ask(server.port, get("error"))
            assert text.headers["content-type"] == ["text/plain; charset=utf-8"]
            assert f"ValueError: {SECRET}" in text.text
            document = json.loads((await ask(server.port, get("error", b"application/json"))).text)
            assert document["exception"]["message"] == SECRET
            page = await ask(server.port, get("error", b"text/html,*/*;q=0.8"))
            assert page.headers["content-type"] == ["text/html; charset=utf-8"]
            assert "<mark>raise ValueError(SECRET)</mark>" in page.text

    run(main())
