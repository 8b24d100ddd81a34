"""`fetch` to a real server."""

import asyncio
import contextlib
import gzip
import sys

import pytest
from http_serving import Client, serving, until

from perdure import fetch, outgoing
from perdure.errors import Disconnected
from perdure.web import Request, Response


async def handle(request):
    match request.path.split("/")[1:]:
        case ["echo"]:
            headers = {name: value for name, value in request.headers.items() if name != "content-type"}
            return Response(request.body, headers={f"got-{name}": value for name, value in headers.items()})
        case ["status", code]:
            return Response(status=int(code))
        case ["redirect"]:
            return Response(None, status=302, headers={"location": "/landed"})
        case ["cookie"]:
            return Response(str(request.headers.get("cookie")), headers={"set-cookie": "a=1"})
        case ["gzip"]:
            return Response(gzip.compress(b"plain"), headers={"content-encoding": "gzip"})
        case ["odd"]:
            return Response(b"as is", headers={"content-encoding": "made-up"})
        case ["cut"]:
            return Response(cut())
        case ["arriving"]:
            async for chunk in request.body:
                arrived.append(chunk)
            return Response(departing())
        case ["wait"]:
            await asyncio.Event().wait()
    return Response.json({"method": request.method, "url": request.url})


arrived = []


async def departing():
    yield b"first"
    await until(lambda: b"go" in arrived)
    yield b"second"


async def cut():
    yield b"one"
    await asyncio.sleep(0.02)
    raise ValueError


@contextlib.asynccontextmanager
async def fetching():
    """Run a server to fetch from, and close the connections after it."""
    async with serving(handle, drain_s=0.2) as server:
        try:
            yield server
        finally:
            await outgoing.close()


async def test_a_response_comes_back():
    """Status, headers, body and where it came from."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/x?y=1")
        assert (response.status, response.ok, response.redirected) == (200, True, False)
        assert response.headers["content-type"] == "application/json"
        assert await response.json() == {"method": "GET", "url": f"{server.url}/x?y=1"}
        assert response.url == f"{server.url}/x?y=1"


async def test_method_headers_and_body_go_out():
    """From keywords, from a Request, or from both."""
    async with fetching() as server:
        request = Request(f"{server.url}/echo", method="POST", headers={"x": "1"}, body="text")
        for response in (
            await fetch(request.clone()),
            await fetch(request.clone(), headers={"x": "1"}),
            await fetch(f"{server.url}/echo", method="POST", headers={"x": "1"}, body="text"),
        ):
            assert response.headers["got-x"] == "1"
            assert response.headers["got-content-length"] == "4"
            assert await response.text() == "text"


async def test_a_forwarded_request_is_addressed_anew():
    """Host and framing follow from the URL and the body, not from the client's head."""
    async with fetching() as server:
        incoming = Request(
            f"{server.url}/echo",
            method="POST",
            headers={
                "host": "front.example",
                "transfer-encoding": "chunked",
                "connection": "x",
                "accept-encoding": "zz",
            },
            body=b"abc",
        )
        response = await fetch(incoming)
        assert response.headers["got-host"] == f"127.0.0.1:{server.port}"
        assert response.headers["got-content-length"] == "3"
        assert "got-transfer-encoding" not in response.headers
        assert "zz" not in response.headers["got-accept-encoding"]


async def test_bodies_stream_both_ways():
    """Each piece is there before the next exists; the response follows the request."""
    async with fetching() as server:

        async def pieces():
            yield b"one"
            await until(lambda: arrived == [b"one"])
            yield b"two"

        arrived.clear()
        response = await fetch(f"{server.url}/arriving", method="POST", body=pieces())
        assert await anext(response.body) == b"first"
        arrived.append(b"go")
        assert [chunk async for chunk in response.body] == [b"second"]
        assert arrived == [b"one", b"two", b"go"]


async def test_redirects_are_followed_or_shown():
    """As the request says."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/redirect")
        assert (response.status, response.redirected, response.url) == (200, True, f"{server.url}/landed")
        response = await fetch(f"{server.url}/redirect", redirect="manual")
        assert (response.status, response.headers["location"]) == (302, "/landed")


async def test_cookies_are_not_kept():
    """Requests of different users share the connections."""
    async with fetching() as server:
        for _ in range(2):
            response = await fetch(f"{server.url}/cookie")
            assert await response.text() == "None"
            assert response.headers["set-cookie"] == "a=1"


async def test_compressed_bodies_are_decoded():
    """The headers about the bytes on the wire are gone; unknown codings come as they are."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/gzip")
        assert "content-encoding" not in response.headers
        assert "content-length" not in response.headers
        assert await response.text() == "plain"
        response = await fetch(f"{server.url}/odd")
        assert (response.headers["content-encoding"], await response.text()) == ("made-up", "as is")


@pytest.mark.parametrize("status", [204, 304])
async def test_null_body_statuses_have_no_body(status):
    """None, not empty."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/status/{status}")
        assert (response.status, response.body) == (status, None)


async def test_head_has_headers_only():
    """And does not wait for a body."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/x", method="HEAD")
        assert (response.status, response.body) == (200, None)
        assert int(response.headers["content-length"]) > 0


async def test_a_refused_connection_is_a_retryable_error():
    """The text names the request."""
    with pytest.raises(Disconnected, match=r"connection lost: GET http://127\.0\.0\.1:9/") as raised:
        await fetch("http://127.0.0.1:9/")
    assert raised.value.retryable
    await outgoing.close()


async def test_a_cut_response_is_an_error_for_its_reader():
    """Not a short body."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/cut")
        with pytest.raises(Disconnected, match="Network connection lost"):
            await response.text()


async def test_a_relative_url_is_a_type_error():
    """There is nothing to resolve it against."""
    with pytest.raises(TypeError, match="Invalid URL: /x"):
        await fetch("/x")


async def test_nothing_is_sent_before_the_gate_opens(monkeypatch):
    """What an object wrote is durable before the world hears of it."""
    async with fetching() as server:
        opened = asyncio.Event()
        monkeypatch.setattr(outgoing, "confirmed", opened.wait)
        asking = asyncio.create_task(fetch(f"{server.url}/x"))
        await asyncio.sleep(0.1)
        assert server.lines == []
        opened.set()
        assert (await asking).status == 200


async def test_an_unread_response_lets_its_connection_go():
    """When nobody holds it any more."""
    async with fetching() as server:
        response = await fetch(f"{server.url}/echo", method="POST", body=b"x" * 5_000_000)
        hub = server.server.hub
        assert len(hub.connections) == 1
        del response
        await until(lambda: not hub.connections)


async def test_without_httpx_the_error_names_the_extra(monkeypatch):
    """An optional dependency says how to get it."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match=r"pip install 'perdure\[fetch\]'"):
        await fetch("http://127.0.0.1:9/")


async def test_a_cancelled_fetch_hangs_up():
    """The server sees its client go."""
    async with fetching() as server:
        asking = asyncio.create_task(fetch(f"{server.url}/wait"))
        hub = server.server.hub
        await until(lambda: hub.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: not hub.connections)
        async with Client(server.port):
            pass
