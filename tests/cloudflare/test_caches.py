"""`js.caches`: what is kept, for how long, and what is not."""

from __future__ import annotations

import email.utils
import time

import pytest

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import to_js
from perdure._cloudflare.web import cache as module
from perdure._cloudflare.web.cache import Cache, caches
from perdure._cloudflare.web.request import Request as JsRequest
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.workers.request import Request
from perdure._cloudflare.workers.response import Response

URL = "http://example.com/a"


@pytest.fixture
def clock(monkeypatch):
    """A time in seconds that the test sets."""
    now = [0.0]
    monkeypatch.setattr(module, "_now_s", lambda: now[0])
    return now


@pytest.mark.members("js.Cache.match", "js.Cache.put", "js.CacheStorage.default")
async def test_what_is_put_is_found_by_its_url():
    cache = Cache()
    assert await cache.match(URL) is None
    await cache.put(
        JsRequest.new(URL), JsResponse.new("text", headers={"x-a": "1", "cache-control": "max-age=60"})
    )
    for asked in (URL, JsRequest.new(URL), Request(URL), JsRequest.new(URL, headers={"other": "1"})):
        found = await cache.match(asked)
        assert isinstance(found, JsResponse)
        assert (
            found.status,
            found.headers.get("x-a"),
            found.headers.get("cf-cache-status"),
            await found.text(),
        ) == (200, "1", "HIT", "text")
    assert await cache.match(URL + "?b") is None
    assert isinstance(caches.default, Cache)


@pytest.mark.members("js.Cache.delete", "js.CacheStorage.open")
async def test_what_is_deleted_is_gone_from_its_cache_alone():
    one, two = await caches.open("one"), await caches.open("two")
    assert one is await caches.open("one")
    await one.put(URL, Response("1"))
    await two.put(URL, Response("2"))
    assert (await one.delete(URL), await one.delete(URL), await one.match(URL)) == (True, False, None)
    assert await (await two.match(URL)).text() == "2"


@pytest.mark.parametrize(
    ("headers", "status", "kept_s"),
    [
        ({}, 200, 7200),
        ({}, 404, 180),
        ({}, 500, 0),
        ({"cache-control": "public, max-age=10"}, 500, 10),
        ({"cache-control": "max-age=10, s-maxage=20"}, 200, 20),
        ({"cache-control": "max-age=0"}, 200, 0),
        ({"cache-control": "no-store"}, 200, 0),
        ({"cache-control": "private, max-age=10"}, 200, 0),
        ({"cache-control": "max-age=10", "set-cookie": "a=b"}, 200, 0),
        ({"cache-control": "private=Set-Cookie, max-age=10", "set-cookie": "a=b"}, 200, 10),
        ({"expires": "nonsense"}, 200, 0),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200, 0),
    ],
)
async def test_headers_say_for_how_long(clock, headers, status, kept_s):
    cache = Cache()
    await cache.put(URL, JsResponse.new("text", status=status, headers=headers))
    clock[0] = kept_s - 1
    assert (await cache.match(URL) is not None) is (kept_s > 0)
    clock[0] = kept_s
    assert await cache.match(URL) is None


async def test_a_date_says_when_it_ends(clock):
    cache = Cache()
    await cache.put(
        URL,
        JsResponse.new("text", headers={"expires": email.utils.formatdate(time.time() + 100, usegmt=True)}),
    )
    clock[0] = 50
    assert await cache.match(URL) is not None
    clock[0] = 101
    assert await cache.match(URL) is None


async def test_a_cookie_is_not_kept():
    cache = Cache()
    await cache.put(
        URL,
        JsResponse.new(
            "text", headers={"cache-control": "private=Set-Cookie, max-age=9", "set-cookie": "a=b"}
        ),
    )
    assert not (await cache.match(URL)).headers.has("set-cookie")


@pytest.mark.parametrize(
    ("request_", "response", "text"),
    [
        (JsRequest.new(URL, method="POST"), JsResponse.new(""), "non-GET request: POST"),
        (URL, JsResponse.new("", status=206), "206 Partial Content"),
        (URL, JsResponse.new("", headers={"vary": "*"}), "Vary"),
    ],
)
async def test_what_cannot_be_kept_is_a_type_error(request_, response, text):
    with pytest.raises(JsException, match=text) as raised:
        await Cache().put(request_, response)
    assert isinstance(raised.value, TypeError)


async def test_another_method_matches_if_it_may():
    cache = Cache()
    await cache.put(URL, Response("text"))
    asked = JsRequest.new(URL, method="HEAD")
    assert await cache.match(asked) is None
    assert await cache.match(asked, to_js({"ignoreMethod": True})) is not None
    assert (await cache.delete(asked), await cache.delete(asked, ignoreMethod=True)) == (False, True)


@pytest.mark.parametrize(
    ("span", "status", "body", "content_range"),
    [
        ("bytes=1-2", 206, "bc", "bytes 1-2/5"),
        ("bytes=3-", 206, "de", "bytes 3-4/5"),
        ("bytes=-2", 206, "de", "bytes 3-4/5"),
        ("bytes=0-99", 206, "abcde", "bytes 0-4/5"),
        ("bytes=9-", 200, "abcde", None),
        ("bytes=-", 200, "abcde", None),
        ("lines=1-2", 200, "abcde", None),
    ],
)
async def test_a_part_may_be_asked_for(span, status, body, content_range):
    cache = Cache()
    await cache.put(URL, Response("abcde"))
    found = await cache.match(Request(URL, headers={"Range": span}))
    assert (found.status, await found.text(), found.headers.get("content-range")) == (
        status,
        body,
        content_range,
    )


async def test_who_has_it_already_gets_no_body():
    cache = Cache()
    await cache.put(URL, Response("abcde", headers={"etag": '"1"'}))
    assert (await cache.match(Request(URL, headers={"If-None-Match": '"1"'}))).status == 304
    assert (await cache.match(Request(URL, headers={"If-None-Match": '"2"'}))).status == 200


async def test_what_was_not_asked_for_longest_makes_room(monkeypatch):
    monkeypatch.setattr(module, "CACHED_BYTES_MAX", 10)
    cache = Cache()
    for name in "ab":
        await cache.put(f"{URL}/{name}", Response(b"12345"))
    await cache.match(f"{URL}/a")
    await cache.put(f"{URL}/c", Response(b"12345"))
    await cache.put(f"{URL}/large", Response(b"1" * 11))
    assert [await cache.match(f"{URL}/{name}") is not None for name in ("a", "b", "c", "large")] == [
        True,
        False,
        True,
        False,
    ]
