"""`workers.fetch`, `js.fetch` and `pyodide.http.pyfetch`: requests to the outside world, here to mocks."""

from __future__ import annotations

import asyncio
import zipfile
from contextlib import asynccontextmanager
from http import HTTPMethod
from io import BytesIO

import pytest

import perdure
from perdure import testing
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.pyodide.http import AbortError, FetchResponse, pyfetch
from perdure._cloudflare.values import to_js
from perdure._cloudflare.web.abort import AbortController, AbortSignal
from perdure._cloudflare.web.fetch import fetch as js_fetch
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.request import Request as JsRequest
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.web.url import URL
from perdure._cloudflare.workers.fetching import fetch
from perdure._cloudflare.workers.formdata import FormData
from perdure._cloudflare.workers.request import Request
from perdure._cloudflare.workers.response import Response

ADDRESS = "https://example.com/a"


class Worker(perdure.WorkerEntrypoint):
    async def fetch(self, request):
        return perdure.Response("")


@asynccontextmanager
async def a_world():
    """Give what answers requests to the outside."""
    async with testing.runtime(worker=Worker) as app:
        yield app.outbound


@pytest.mark.members("workers.fetch")
async def test_a_response_that_was_fetched_is_a_response():
    async with a_world() as world:
        world.get(ADDRESS).respond(203, body="Hi there!", headers={"x-a": "1"})
        response = await fetch(ADDRESS)
        assert isinstance(response, Response)
        assert (response.status, response.url, response.headers["X-A"], await response.text()) == (
            203,
            ADDRESS,
            "1",
            "Hi there!",
        )


@pytest.mark.parametrize("method", [HTTPMethod.POST, "POST"])
@pytest.mark.parametrize("resource", [ADDRESS, Request(ADDRESS), JsRequest.new(ADDRESS), URL.new(ADDRESS)])
async def test_options_are_keywords(method, resource):
    async with a_world() as world:
        route = world.post(ADDRESS).respond()
        await fetch(
            resource, method=method, headers={"Custom": 123}, body="text", foobarbaz=42, cf={"cacheTtl": 5}
        )
        (call,) = route.calls
        assert (call.headers["custom"], call.headers["content-type"], call.body) == (
            "123",
            "text/plain;charset=UTF-8",
            b"text",
        )


async def test_options_in_javascripts_place_are_a_type_error():
    with pytest.raises(TypeError) as raised:
        await fetch(ADDRESS, {"headers": {}})
    assert str(raised.value) == "fetch() takes 1 positional argument but 2 were given"


async def test_a_request_is_sent_with_its_own_body():
    async with a_world() as world:
        route = world.post(ADDRESS).respond()
        await fetch(Request(ADDRESS, method="POST", body=b"text"))
        assert route.calls[0].body == b"text"


async def test_forms_and_streams_are_sent():
    async with a_world() as world:
        route = world.post(ADDRESS).respond()
        await fetch(ADDRESS, method="POST", body=FormData({"a": "1"}))
        await fetch(ADDRESS, method="POST", body=ReadableStream.from_(["a", b"b"]))
        form, stream = route.calls
        assert form.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert b'name="a"\r\n\r\n1\r\n' in form.body
        assert stream.body == b"ab"


@pytest.mark.parametrize("body", [{"a": 1}, [1]])
async def test_a_dict_is_no_body(body):
    with pytest.raises(OSError, match=r"For JSON use Response.json\(data\), or json.dumps\(data\)"):
        await fetch(ADDRESS, method="POST", body=body)


async def test_redirects_are_followed_unless_told_otherwise():
    async with a_world() as world:
        world.get("https://example.com/old").respond(301, headers={"location": "/a"})
        world.get(ADDRESS).respond(body="new")
        response = await fetch("https://example.com/old")
        assert (response.url, response.redirected, await response.text()) == (ADDRESS, True, "new")
        assert (await fetch("https://example.com/old", redirect="manual")).status == 301


async def test_a_network_that_fails_is_an_os_error():
    async with a_world() as world:
        world.get(ADDRESS).fail(perdure.Disconnected("no route"))
        with pytest.raises(OSError, match="no route"):
            await fetch(ADDRESS)
        with pytest.raises(JsException, match="no route"):
            await js_fetch(ADDRESS)


async def test_a_fetcher_takes_the_place_of_the_network():
    """`fetch(url, fetcher=env.SERVICE.fetch)`; it gets the URL and the options."""
    seen = []

    async def fetcher(resource, options):
        seen.append((resource, options.method))
        return Response("from it")

    assert await (await fetch(ADDRESS, method="PUT", fetcher=fetcher)).text() == "from it"
    assert seen == [(ADDRESS, "PUT")]


# --- js.fetch ------------------------------------------------------------------------------------------------


@pytest.mark.members("js.fetch")
async def test_javascripts_fetch_takes_an_object_of_options():
    async with a_world() as world:
        route = world.post(ADDRESS).respond(json={"a": {"b": 1}})
        for options in ({"method": "POST"}, to_js({"method": "POST"}), JsRequest.new(ADDRESS, method="POST")):
            response = await js_fetch(ADDRESS, options)
            assert isinstance(response, JsResponse)
            assert (await response.json()).a.b == 1
        assert (await js_fetch(ADDRESS, method="POST")).ok
        assert len(route.calls) == 4


@pytest.mark.members(
    "js.AbortController",
    "js.AbortSignal",
    "js.AbortSignal.timeout",
    "js.AbortSignal.any",
    "js.AbortSignal.abort",
)
async def test_a_signal_ends_a_request():
    async with a_world() as world:
        started, ended = asyncio.Event(), []

        async def answer(_request):
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        world.get(ADDRESS).answer(answer)
        controller = AbortController.new()
        fetching = asyncio.ensure_future(js_fetch(ADDRESS, to_js({"signal": controller.signal})))
        await started.wait()
        controller.abort()
        with pytest.raises(JsException, match="aborted") as raised:
            await fetching
        assert (raised.value.name, controller.signal.aborted) == ("AbortError", True)
        with pytest.raises(JsException, match="aborted"):
            await js_fetch(ADDRESS, signal=AbortSignal.abort())
        with pytest.raises(JsException, match="due to timeout") as raised:
            await js_fetch(ADDRESS, signal=AbortSignal.timeout(1))
        assert raised.value.name == "TimeoutError"
        with pytest.raises(ValueError, match="mine"):
            await js_fetch(
                ADDRESS,
                signal=AbortSignal.any([AbortController.new().signal, AbortSignal.abort(ValueError("mine"))]),
            )


async def test_a_signal_ends_the_body_too():
    """Also one that stalls; what was open is closed."""
    closed = []

    async def chunks():
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async with a_world() as world:
        world.get(ADDRESS).answer(lambda _request: perdure.Response(chunks()))
        controller = AbortController.new()
        response = await fetch(ADDRESS, signal=controller.signal)
        reading = asyncio.ensure_future(response.text())
        for _ in range(10):
            await asyncio.sleep(0)
        controller.abort(JsException("enough", "AbortError"))
        with pytest.raises(AbortError, match="enough"):
            await reading
        assert closed == [True]


async def test_a_signal_that_expires_tells_its_listeners():
    told = asyncio.get_running_loop().create_future()
    signal = AbortSignal.timeout(1)
    signal.addEventListener("abort", lambda event: told.set_result(event.target.reason.name))
    assert await told == "TimeoutError"


def test_a_signal_tells_its_listeners_once():
    controller, seen = AbortController.new(), []
    controller.signal.addEventListener("abort", lambda event: seen.append(event.type))
    controller.signal.onabort = lambda event: seen.append("on")
    controller.signal.throwIfAborted()
    controller.abort("why")
    controller.abort("again")
    assert (sorted(seen), controller.signal.reason) == (["abort", "on"], "why")
    with pytest.raises(JsException, match="why"):
        controller.signal.throwIfAborted()


# --- pyodide.http --------------------------------------------------------------------------------------------


@pytest.mark.members("pyodide.http.pyfetch", "pyodide.http.FetchResponse")
async def test_pyfetch_gives_a_response_with_a_dict_of_headers():
    async with a_world() as world:
        world.get(ADDRESS).respond(headers={"X-A": "1"}, json=[1])
        response = await pyfetch(ADDRESS)
        assert type(response) is FetchResponse
        assert (response.ok, response.headers["x-a"], await response.json()) == (True, "1", [1])
        assert type(response.headers) is dict


async def test_pyfetch_ends_by_a_signal_and_by_abort():
    async with a_world() as world:
        with pytest.raises(AbortError, match="enough"):
            await pyfetch(ADDRESS, signal=AbortSignal.abort(JsException("enough", "AbortError")))
        world.get(ADDRESS).respond(body="text")
        response = await pyfetch(ADDRESS)
        response.abort("why")
        with pytest.raises(AbortError, match="why"):
            await response.text()
        with pytest.raises(ValueError, match="abort_controller is not set"):
            FetchResponse("", JsResponse.new("")).abort()


@pytest.mark.members("workers.Response.unpack_archive")
async def test_an_archive_is_unpacked(tmp_path):
    async with a_world() as world:
        data = BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("a.txt", "text")
        world.get("https://example.com/a.zip").respond(body=data.getvalue())
        await (await pyfetch("https://example.com/a.zip")).unpack_archive(extract_dir=str(tmp_path))
        assert (tmp_path / "a.txt").read_text() == "text"


@pytest.mark.members("js.Response.webSocket")
async def test_a_server_may_grant_a_websocket():
    """`fetch(url, headers={"Upgrade": "websocket"})`, whose response carries it."""
    async with a_world() as world:
        route = world.websocket("wss://example.com/a")
        socket = (await fetch(ADDRESS, headers={"Upgrade": "websocket"})).js_object.webSocket
        socket.accept()
        socket.send("hello")
        async with await route.connection() as peer:
            assert await peer.receive() == "hello"
    assert JsResponse.new("").webSocket is None
