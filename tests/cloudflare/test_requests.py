"""`workers.Request` and `js.Request`: what they take, what they tell, and reading their bodies."""

from __future__ import annotations

from http import HTTPMethod

import pytest

import perdure
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.exchange import request_from_native, request_to_native
from perdure._cloudflare.values import JsMap, to_js
from perdure._cloudflare.web.abort import AbortController
from perdure._cloudflare.web.form_data import FormData as JsFormData
from perdure._cloudflare.web.headers import Headers
from perdure._cloudflare.web.request import Request as JsRequest
from perdure._cloudflare.web.url import URL
from perdure._cloudflare.workers.blob import Blob
from perdure._cloudflare.workers.formdata import FormData
from perdure._cloudflare.workers.request import Request


def posted(body="", **more):
    return Request("http://example.com", method="POST", body=body, **more)


@pytest.mark.members(
    "workers.Request", "workers.Request.method", "workers.Request.url", "workers.Request.redirect"
)
def test_a_request_has_the_defaults_of_fetch():
    request = Request("http://example.com")
    assert (request.method, request.url, request.redirect, request.body, request.body_used) == (
        HTTPMethod.GET,
        "http://example.com/",
        "follow",
        None,
        False,
    )
    assert request.cf is None
    assert repr(request) == "Request(method='GET', url='http://example.com/')"


@pytest.mark.parametrize("method", [HTTPMethod.POST, "POST", "post"])
def test_a_method_is_an_http_method_which_is_a_str(method):
    request = Request("http://example.com", method=method)
    assert request.method is HTTPMethod.POST
    assert request.method == "POST"


def test_a_method_that_is_not_standard_is_a_plain_str():
    assert Request("http://example.com", method="PROPFIND").method == "PROPFIND"


@pytest.mark.members("workers.Request.headers")
@pytest.mark.parametrize(
    "headers",
    [
        {"A": "text", "Number": 123, "Flag": True},
        [("A", "text"), ("Number", 123), ("Flag", True)],
        Headers.new({"A": "text", "Number": 123, "Flag": True}),
        Headers.new(to_js({"A": "text", "Number": 123, "Flag": True})),
        Headers.new([["A", "text"], ["Number", 123], ["Flag", True]]),
        JsMap({"A": "text", "Number": 123, "Flag": True}),
        Request("http://x", headers={"A": "text", "Number": 123, "Flag": True}).headers,
    ],
    ids=["dict", "pairs", "js.Headers", "to_js", "lists", "Map", "HTTPMessage"],
)
def test_headers_come_in_all_shapes_with_values_as_javascript_writes_them(headers):
    shown = Request("http://example.com", headers=headers).headers
    assert dict(shown) == {"a": "text", "flag": "true", "number": "123"}


def test_shown_headers_have_no_case_and_none_for_what_is_missing():
    """`http.client.HTTPMessage`, which is a Mapping too."""
    headers = Request("http://example.com", headers=[("X-A", "1"), ("X-A", "2")]).headers
    assert (headers["x-a"], headers.get("X-A"), headers["none"], "x-a" in headers) == (
        "1, 2",
        "1, 2",
        None,
        True,
    )
    assert headers.get_all("X-A") == ["1, 2"]
    assert headers.get("none", "other") == "other"


def test_shown_headers_are_a_copy_to_be_changed_and_given_to_another_message():
    """Setting one replaces it."""
    first = Request("http://example.com", headers={"a": "1", "b": "2"})
    headers = first.headers
    headers["A"] = "3"
    del headers["b"]
    headers["c"] = "4"
    headers.add_header("c", "5")
    assert dict(Request("http://example.com", headers=headers).headers) == {"a": "3", "c": "4, 5"}
    assert dict(first.headers) == {"a": "1", "b": "2"}


def test_other_headers_are_a_type_error():
    with pytest.raises(TypeError, match="Received unexpected type for headers argument"):
        Request("http://example.com", headers=1)


@pytest.mark.members(
    "workers.Request.text", "workers.Request.json", "workers.Request.bytes", "workers.Request.buffer"
)
async def test_a_body_is_read_in_many_ways():
    assert await posted("ä").text() == "ä"
    assert await posted('{"a": 1}').json() == {"a": 1}
    assert await posted('{"a": 1.5}').json(parse_float=str) == {"a": "1.5"}
    assert await posted(b"\x00").bytes() == b"\x00"
    assert type(await posted(b"\x00").bytes()) is bytes
    assert (await posted(b"\x00").buffer()).to_bytes() == b"\x00"


@pytest.mark.members("workers.Request.body_used", "workers.Request.clone")
@pytest.mark.parametrize("read", ["text", "json", "bytes", "buffer", "blob", "form_data", "clone"])
async def test_a_body_is_read_once(read):
    """The second time is an OSError, of no other class."""
    request = posted("{}")
    await request.text()
    assert request.body_used
    with pytest.raises(OSError, match="^Body already used$") as raised:
        await getattr(request, read)()
    assert type(raised.value) is OSError


async def test_a_clone_has_a_body_of_its_own():
    request = posted("text")
    copy = request.clone()
    assert (await copy.text(), await request.text(), copy.method) == ("text", "text", "POST")


@pytest.mark.members("workers.Request.blob", "workers.Request.form_data")
async def test_a_body_may_be_a_blob_or_a_form():
    blob = await posted("text").blob()
    assert isinstance(blob, Blob)
    assert (await blob.text(), blob.content_type) == ("text", "text/plain;charset=utf-8")
    for form in (FormData({"a": "1"}), FormData({"a": "1"}).js_object):
        sent = posted(form)
        assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert (await sent.form_data())["a"] == "1"


async def test_a_body_that_is_no_form_is_a_type_error():
    with pytest.raises(TypeError, match="this body's is text/plain") as raised:
        await posted("a=1").form_data()
    assert type(raised.value) is TypeError


async def test_a_request_is_derived_from_another_which_gives_its_body_away():
    first = posted("text", headers={"a": "1"})
    second = Request(first, headers={"b": "2"})
    assert (second.method, second.headers["a"], second.headers["b"]) == ("POST", None, "2")
    assert await second.text() == "text"
    assert first.body_used


@pytest.mark.members("workers.Request.js_object")
def test_a_request_of_javascript_is_shown_as_it_is():
    js_request = JsRequest.new("http://example.com", method="PUT")
    request = Request(js_request)
    assert request.js_object is js_request
    with pytest.raises(ValueError, match=r"Expected no options when constructing Request from a js\.Request"):
        Request(js_request, method="POST")


@pytest.mark.parametrize(
    "request_",
    [
        JsRequest.new("http://x/"),
        Request("http://x/"),
        URL.new("http://x/"),
        "http://x/",
        perdure.Request("http://x/"),
    ],
)
def test_a_request_is_made_of_whatever_names_one(request_):
    assert request_to_native(request_, {"method": "PUT"}).method == "PUT"
    assert request_to_native(request_, to_js({"headers": {"a": 1}})).headers["a"] == "1"
    assert request_to_native(request_, method="PATCH").url == "http://x/"


def test_a_url_with_another_request_as_options_takes_all_but_the_url():
    native = request_to_native("http://y/", posted("text", headers={"a": "1"}))
    assert (native.url, native.method, native.headers["a"], native.body.data) == (
        "http://y/",
        "POST",
        "1",
        b"text",
    )


def test_a_url_that_is_none_is_a_type_error_of_javascript():
    with pytest.raises(JsException, match="Invalid URL: /relative") as raised:
        Request("/relative")
    assert isinstance(raised.value, TypeError)


@pytest.mark.members("workers.Request.cf")
def test_what_only_cloudflare_knows_of_a_connection_is_none():
    request = request_from_native(perdure.Request("http://x/"))
    assert (request.cf.country, request.cf.colo, request.cf.httpProtocol) == (None, None, "HTTP/1.1")
    assert request.cf.to_py() == {"httpProtocol": "HTTP/1.1"}
    with pytest.raises(AttributeError, match="'nonsense'"):
        request.cf.nonsense
    assert Request("http://x/", cf={"cacheTtl": 5}).cf == {"cacheTtl": 5}


def test_the_address_of_the_sender_is_the_servers_word():
    native = perdure.Request("http://x/", headers={"CF-Connecting-IP": "6.6.6.6"})
    assert request_from_native(native).headers["CF-Connecting-IP"] == "6.6.6.6"
    native._client = perdure.web.Address("10.0.0.1", 5)
    assert request_from_native(native).headers["CF-Connecting-IP"] == "10.0.0.1"


@pytest.mark.members("js.Request", "js.Request.new", "js.Request.signal")
def test_a_request_carries_its_signal():
    controller = AbortController.new()
    request = JsRequest.new("http://x/", signal=controller.signal)
    controller.abort()
    assert request.signal.aborted
    assert not JsRequest.new("http://x/").signal.aborted


@pytest.mark.members("js.Request: json formData")
async def test_javascripts_readers_give_javascripts_values():
    request = JsRequest.new("http://x/", to_js({"method": "POST", "body": '{"a": {"b": [1]}}'}))
    value = await request.json()
    assert value.a.b.to_py() == [1]
    with pytest.raises(JsException, match="Body has already been used"):
        await request.text()
    form = JsFormData.new()
    form.append("n", 5)
    assert (await JsRequest.new("http://x/", method="POST", body=form).formData()).get("n") == "5"


def test_a_member_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(
        AttributeError, match="Request has no member 'nope' here; it has arrayBuffer, blob, body"
    ):
        JsRequest.new("http://x/").nope
    assert JsRequest.new("http://x/").constructor.name == "Request"
