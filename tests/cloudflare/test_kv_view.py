"""KV namespaces and assets under Cloudflare's names: values, options and errors as the SDK shows them."""

from __future__ import annotations

import asyncio
import json

import pytest

from perdure import Assets, testing
from perdure._cloudflare.env_view import EnvView
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsDict, Uint8Array, jsnull, to_js
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.request import Request as JsRequest
from perdure._cloudflare.workers.request import Request
from perdure._cloudflare.workers.response import Response
from perdure.testing.clock import ManualClock

START = 1_800_000_000


async def with_kv(work):
    """Run `await work(kv)` on an empty namespace; its clock stands still."""
    async with testing.runtime(kv_namespaces=["KV"], clock=ManualClock(START)) as app:
        return await work(EnvView(app.env).KV)


async def pieces():
    yield b"one "
    yield "two"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (b"by", "by"),
        (memoryview(b"by"), "by"),
        (bytearray(b"by"), "by"),
        (Uint8Array(b"by"), "by"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        (lambda: ReadableStream.from_(pieces()), "one two"),
        (lambda: JsRequest("http://x/", {"method": "POST", "body": "sent"}).body, "sent"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.members("KvNamespace.put")
async def test_a_value_is_put_as_on_cloudflare(value, text):
    """Texts, buffers and streams; of what else JavaScript has one word for, that."""

    async def work(kv):
        await kv.put("k", value() if callable(value) else value)
        return await kv.get("k")

    assert await with_kv(work) == text


@pytest.mark.parametrize("value", [{"a": 1}, [1], to_js({"a": 1})])
async def test_an_object_is_no_value(value):
    """The message says what to do: it would be "[object Object]" in JavaScript."""

    async def work(kv):
        with pytest.raises(TypeError, match=r"KV put\(\) accepts only strings.*json.dumps"):
            await kv.put("k", value)
        return await kv.get("k")

    assert await with_kv(work) is None


@pytest.mark.parametrize(
    "read",
    [
        lambda kv: kv.get("k", "json"),
        lambda kv: kv.get("k", {"type": "json"}),
        lambda kv: kv.get("k", {"type": "json", "cacheTtl": 60}),
        lambda kv: kv.get("k", to_js({"type": "json"})),
        lambda kv: kv.get("k", type="json"),
        lambda kv: kv.get("k", type="json", cacheTtl=60.5),
    ],
)
@pytest.mark.members("KvNamespace.get")
async def test_the_type_is_an_argument_or_an_option(read):
    """Rows have items and attributes."""

    async def work(kv):
        await kv.put("k", json.dumps({"a": {"b": 1.0}, "n": None}))
        return await read(kv)

    found = await with_kv(work)
    assert found == {"a": {"b": 1}, "n": None}
    assert found.a.b == found["a"]["b"] == 1
    assert type(found.a.b) is int


@pytest.mark.members("KvNamespace.get")
async def test_bytes_are_a_memoryview_and_a_stream_is_javascripts():
    """As the SDK converts an ArrayBuffer; a stream goes into a response as it is."""

    async def work(kv):
        await kv.put("k", b"\x00\xff")
        buffer = await kv.get("k", "arrayBuffer")
        stream = await kv.get("k", "stream")
        none = [await kv.get("nothing", kind) for kind in ("text", "json", "arrayBuffer", "stream")]
        return buffer, stream, await Response(stream).bytes(), none

    buffer, stream, data, none = await with_kv(work)
    assert isinstance(buffer, memoryview)
    assert isinstance(stream, ReadableStream)
    assert (bytes(buffer), bytes(data)) == (b"\x00\xff", b"\x00\xff")
    assert none == [None] * 4


@pytest.mark.parametrize("kind", ["xml", "bytes", 5])
async def test_an_unknown_type_is_refused(kind):
    """With Cloudflare's names."""

    async def work(kv):
        with pytest.raises(TypeError, match='"text", "arrayBuffer", "json", and "stream"'):
            await kv.get("k", {"type": kind})

    await with_kv(work)


@pytest.mark.members("KvNamespace.getWithMetadata")
async def test_metadata_comes_with_a_value():
    """An object with items and attributes; without the key all of it is None."""

    async def work(kv):
        await kv.put("k", "[1]", {"metadata": {"tags": ["a"], "n": 2.0}})
        return [
            await kv.getWithMetadata("k", "json"),
            await kv.getWithMetadata("nothing"),
            await kv.getWithMetadata(["k", "nothing"]),
        ]

    found, nothing, many = await with_kv(work)
    assert found == {"value": [1], "metadata": {"tags": ["a"], "n": 2}, "cacheStatus": None}
    assert (found.value, found.metadata.tags) == ([1], ["a"])
    assert nothing == {"value": None, "metadata": None, "cacheStatus": None}
    assert many["k"].metadata.n == 2
    assert many["nothing"] is None


@pytest.mark.members("KvNamespace.get")
async def test_several_keys_are_a_map():
    """In the order asked for; a list of JavaScript's is one too."""

    async def work(kv):
        await kv.put("a", '{"x": 1}')
        return await kv.get(to_js(["b", "a"]), "json")

    found = await with_kv(work)
    assert list(found.items()) == [("b", None), ("a", {"x": 1})]
    assert found.get("a").x == 1


@pytest.mark.parametrize(
    "options",
    [
        {"expirationTtl": 60},
        {"expirationTtl": 60.9},
        {"expirationTtl": "60"},
        {"expiration": START + 60},
        {"expiration": START + 60.7},
    ],
)
@pytest.mark.parametrize("form", [dict, to_js, "keywords"])
@pytest.mark.members("KvNamespace.put", "KvNamespace.list")
async def test_times_are_whole_seconds(options, form):
    """As JavaScript makes them of any number; the options are an object, or keywords."""

    async def work(kv):
        await (kv.put("k", "1", **options) if form == "keywords" else kv.put("k", "1", form(options)))
        return await kv.list()

    (key,) = (await with_kv(work))["keys"]
    assert key == {"name": "k", "expiration": START + 60}


@pytest.mark.members("KvNamespace.list", "KvNamespace.delete")
async def test_a_list_has_items_and_attributes():
    """`keys`, too, which is a method of dicts; there is a cursor as long as there is more."""

    async def work(kv):
        for name in "abc":
            await kv.put(name, "1", metadata={"of": name})
        await kv.delete("b")
        first = await kv.list({"limit": 1.0, "prefix": None})
        return first, await kv.list(cursor=first.cursor, limit=0)

    first, rest = await with_kv(work)
    assert [key.name for key in first.keys] == ["a"]
    assert (first["list_complete"], rest.list_complete) == (False, True)
    assert [key["metadata"].of for key in rest["keys"]] == ["c"]
    assert "cursor" not in rest
    assert json.loads(json.dumps(rest))["keys"][0]["name"] == "c"
    assert isinstance(rest, JsDict)


async def test_keys_are_made_texts_of():
    """As JavaScript makes them."""

    async def work(kv):
        await kv.put(7, "1")
        await kv.put(jsnull, "2")
        return [key.name for key in (await kv.list())["keys"]], await kv.get(7.0)

    assert await with_kv(work) == (["7", "null"], "1")


async def test_a_mistake_is_javascripts_error_and_pythons():
    """With Cloudflare's text."""

    async def work(kv):
        with pytest.raises(JsException) as caught:
            await kv.put("k", "1", {"expirationTtl": 5})
        assert caught.value.name == "Error"
        assert caught.value.message.startswith("KV PUT failed: 400 Invalid expiration_ttl of 5.")
        await kv.put("k", "{")
        with pytest.raises(ValueError, match="SyntaxError: Expecting property name"):
            await kv.get("k", "json")
        with pytest.raises(TypeError, match="Key name cannot be empty"):
            await kv.get("")

    await with_kv(work)


async def test_what_nobody_awaits_is_done():
    """As a promise's work is."""

    async def work(kv):
        kv.put("k", "1")
        while await kv.get("k") is None:
            await asyncio.sleep(0)
        return await kv.get("k")

    assert await with_kv(work) == "1"


# --- assets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "resource",
    [
        "http://any.host/page",
        JsRequest("http://any.host/page"),
        Request(JsRequest("http://any.host/page")),
    ],
    ids=lambda value: type(value).__module__,
)
@pytest.mark.members("Fetcher.fetch")
async def test_assets_answer_requests_in_any_shape(resource, tmp_path):
    """With a response of the SDK's."""
    (tmp_path / "page.html").write_text("hello")
    async with testing.runtime(assets=Assets(tmp_path, binding="ASSETS")) as app:
        assets = EnvView(app.env).ASSETS
        answer = await assets.fetch(resource)
        assert isinstance(answer, Response)
        assert (answer.status, await answer.text()) == (200, "hello")
        assert (await assets.fetch("http://any.host/page", method="HEAD")).headers["content-length"] == "5"
        assert (await assets._binding.fetch("http://any.host/nothing")).status == 404
