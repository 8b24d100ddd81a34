"""`workers.Response` and `js.Response`: what they take, what they tell, and how they leave."""

from __future__ import annotations

from http import HTTPStatus

import pytest

import perdure
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.exchange import response_from_native, response_to_native
from perdure._cloudflare.pyodide.http import BodyUsedError, HttpStatusError
from perdure._cloudflare.values import JsArray, JsBytes, JsDict, Uint8Array, jsnull, to_js
from perdure._cloudflare.web.blob import Blob as JsBlob
from perdure._cloudflare.web.headers import Headers
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.web.url import URLSearchParams
from perdure._cloudflare.workers.blob import Blob
from perdure._cloudflare.workers.formdata import FormData
from perdure._cloudflare.workers.response import FetchResponse, Response


@pytest.mark.members(
    "workers.Response", "workers.Response.status", "workers.Response.headers", "workers.Response.ok"
)
def test_a_response_has_the_defaults_of_fetch():
    response = Response("Hello")
    assert (response.status, response.ok, response.url, response.type, response.redirected) == (
        200,
        True,
        "",
        "default",
        False,
    )
    assert dict(response.headers) == {"content-type": "text/plain;charset=UTF-8"}
    assert repr(response) == "Response(status=200, status_text='OK', content_type='text/plain;charset=UTF-8')"


@pytest.mark.members("workers.Response.status_text")
def test_arguments_have_the_sdks_order():
    response = Response("x", HTTPStatus.IM_A_TEAPOT, "Short", {"a": 1})
    assert (response.status, response.status_text, response.headers["a"]) == (418, "Short", "1")


async def _chunks():
    yield b"by"
    yield "tes"


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        ("ä", "text/plain;charset=UTF-8", "ä".encode()),
        (b"bytes", None, b"bytes"),
        (memoryview(b"bytes"), None, b"bytes"),
        (JsBytes(b"bytes"), None, b"bytes"),
        (Uint8Array([1, 2]), None, b"\1\2"),
        (URLSearchParams({"a": "b c"}), "application/x-www-form-urlencoded;charset=UTF-8", b"a=b+c"),
        (JsBlob.new(["bytes"], type="text/x"), "text/x", b"bytes"),
        (Blob("bytes", content_type="text/x"), "text/x", b"bytes"),
        (JsBlob.new(["bytes"]), None, b"bytes"),
        (None, None, b""),
        (jsnull, None, b""),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_bodies_bring_their_content_type(body, content_type, sent):
    response = Response(body)
    assert response.headers.get("content-type") == content_type
    assert await response_to_native(response).bytes() == sent


async def test_a_body_may_be_a_stream():
    native = response_to_native(Response(_chunks()))
    assert native.body.size is None
    assert await native.bytes() == b"bytes"
    assert await Response(ReadableStream.from_(["a", b"b", Uint8Array([99])])).text() == "abc"


@pytest.mark.members("workers.Response: form_data formData")
async def test_a_body_may_be_a_form():
    for form in (FormData({"a": "1"}), FormData({"a": "1"}).js_object):
        response = Response(form)
        assert response.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert (await response.form_data())["a"] == "1"
    assert (await Response(FormData({"a": "1"})).formData())["a"] == "1"


class Other:
    pass


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "dict"),
        ([1], "list"),
        ((1,), "tuple"),
        (1, "int"),
        (Other(), "Other"),
        (JsDict(), "Object"),
        (JsArray(), "Array"),
    ],
)
def test_another_body_is_a_type_error(body, name):
    with pytest.raises(TypeError) as raised:
        Response(body)
    assert str(raised.value) == f"Unsupported type in Response: {name}"


@pytest.mark.members("workers.Response.from_json", "workers.Response.json")
@pytest.mark.parametrize("make", [Response.json, Response.from_json])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"obj": {"field": 123}}, '{"obj": {"field": 123}}'),
        (["hi", 42, None], '["hi", 42, null]'),
        ("test", '"test"'),
        (to_js({"a": [1]}), '{"a": [1]}'),
        ([jsnull], "[null]"),
    ],
)
async def test_json_is_made_on_the_class(make, data, text):
    response = make(data, status=HTTPStatus.NOT_FOUND, headers={"X-Other": "42"})
    assert (response.status, response.headers["x-other"], response.headers["content-type"]) == (
        404,
        "42",
        "application/json",
    )
    assert await response.text() == text


def test_json_keeps_a_content_type_that_is_given():
    assert Response.json({}, headers={"Content-Type": "text/x"}).headers["content-type"] == "text/x"
    assert Response.json({}, 201, "Made", [("a", "b")]).status_text == "Made"


@pytest.mark.members("workers.FetchResponse")
async def test_json_is_read_on_a_response():
    assert await Response("[1, 2]").json() == [1, 2]
    assert await FetchResponse("", JsResponse.new('{"a": 1.5}')).json(parse_float=str) == {"a": "1.5"}


@pytest.mark.parametrize(("data", "name"), [({1}, "set"), (Other(), "Other"), ({"a": b""}, "bytes")])
def test_what_is_no_json_is_a_type_error(data, name):
    with pytest.raises(TypeError) as raised:
        Response.json(data)
    assert str(raised.value) == f"Object of type {name} is not JSON serializable"


def test_a_wrong_status_of_json_is_a_plain_value_error():
    with pytest.raises(ValueError, match="range 200 to 599") as raised:
        Response.json({}, status=999)
    assert type(raised.value) is ValueError


def test_a_wrong_status_is_a_range_error_of_javascript():
    with pytest.raises(JsException, match="range 200 to 599") as raised:
        Response("", status=999)
    assert (raised.value.name, isinstance(raised.value, ValueError)) == ("RangeError", True)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_takes_none(status):
    assert (Response(None, status=status).status, Response(None, status=status).body) == (status, None)
    with pytest.raises(JsException, match="null body status") as raised:
        Response("body", status=status)
    assert raised.value.name == "TypeError"


@pytest.mark.members("workers.Response.redirect", "js.Response.redirect")
def test_a_redirect_is_javascripts_own_response():
    response = Response.redirect("http://example.com/a")
    assert isinstance(response, JsResponse)
    assert (response.status, response.headers.get("location")) == (302, "http://example.com/a")
    assert Response.redirect("http://x/", HTTPStatus.PERMANENT_REDIRECT).status == 308
    assert response_to_native(response).status == 302


def test_a_wrong_redirect_is_pythons_own_error():
    with pytest.raises(ValueError, match="502 is not a redirect status code") as raised:
        Response.redirect("", HTTPStatus.BAD_GATEWAY)
    assert type(raised.value) is ValueError
    with pytest.raises(TypeError, match="Invalid URL"):
        Response.redirect("/relative")


@pytest.mark.members("workers.Response.replace_body")
async def test_another_body_leaves_the_rest_as_it_is():
    response = Response("test", status=201, status_text="Made", headers={"a": "b"}).replace_body("other")
    assert (response.status, response.status_text, response.headers["a"]) == (201, "Made", "b")
    assert await response.text() == "other"


@pytest.mark.members(
    "workers.Response.text",
    "workers.Response.bytes",
    "workers.Response.buffer",
    "workers.Response.memoryview",
    "workers.Response.string",
    "workers.Response.blob",
)
async def test_a_body_is_read_in_many_ways():
    assert await Response("ä").text() == "ä"
    assert await Response("ä").string() == "ä"
    assert type(await Response(b"\0").bytes()) is bytes
    assert (await Response(b"\0").buffer()).to_bytes() == b"\0"
    assert (await Response(b"\0").memoryview()).tobytes() == b"\0"
    assert await (await Response("ä").blob()).text() == "ä"


@pytest.mark.members("workers.Response.body_used", "workers.Response.clone", "pyodide.http.BodyUsedError")
@pytest.mark.parametrize(
    "read", ["text", "string", "json", "bytes", "buffer", "memoryview", "blob", "form_data", "clone"]
)
async def test_a_body_is_read_once(read):
    response = Response("{}")
    await response.text()
    assert response.body_used
    with pytest.raises(BodyUsedError, match="Response body is already used"):
        await getattr(response, read)()


async def test_a_clone_has_a_body_of_its_own():
    response = Response("text", status=201, headers={"a": "b"})
    copy = response.clone()
    assert (await copy.text(), await response.text(), copy.status, copy.headers["a"]) == (
        "text",
        "text",
        201,
        "b",
    )


@pytest.mark.members("workers.Response.raise_for_status", "pyodide.http.HttpStatusError")
@pytest.mark.parametrize(("status", "kind"), [(404, "Client"), (503, "Server")])
def test_a_bad_status_can_be_raised(status, kind):
    Response("").raise_for_status()
    with pytest.raises(HttpStatusError, match=rf"^{status} {kind} Error: .* for url: $") as raised:
        Response("", status=status).raise_for_status()
    assert (raised.value.status, raised.value.url) == (status, "")


@pytest.mark.members("workers.Response.js_object")
def test_a_response_of_javascript_is_shown_as_it_is():
    js_response = JsResponse.new("x", status=201)
    assert Response(js_response).js_object is js_response
    with pytest.raises(
        ValueError, match=r"Expected no options when constructing Response from a js\.Response"
    ):
        Response(js_response, status=201)


@pytest.mark.members("js.Response", "js.Response.new", "js.Response: status headers text json")
async def test_javascripts_response_takes_options_in_all_shapes():
    for response in (
        JsResponse.new("x", status=404, headers={"a": 1}),
        JsResponse.new("x", {"status": 404, "headers": {"a": 1}}),
        JsResponse.new("x", to_js({"status": 404, "headers": {"a": 1}})),
        JsResponse.new("x", headers=Headers.new({"a": 1}), status=404),
        JsResponse.new("x", JsResponse.new(None, status=404, headers={"a": 1})),
    ):
        assert (response.status, response.headers.get("a"), await response.text()) == (404, "1", "x")
    response = JsResponse.json(to_js({"a": 1}), status=201)
    assert (response.status, await response.text(), response.headers.get("content-type")) == (
        201,
        '{"a":1}',
        "application/json",
    )
    assert (await JsResponse.new('{"a": {"b": 1}}').json()).a.b == 1


def test_every_set_cookie_is_kept():
    response = Response("", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    response.js_object.headers.append("Set-Cookie", "c=3")
    assert response.headers.get_all("set-cookie") == ["a=1", "b=2", "c=3"]
    assert response.js_object.headers.getSetCookie() == ["a=1", "b=2", "c=3"]
    assert response_to_native(response).headers.get_all("set-cookie") == ["a=1", "b=2", "c=3"]


@pytest.mark.parametrize("socket", [object(), "ws://a/"])
def test_what_is_no_end_of_a_pair_is_no_websocket_of_a_response(socket):
    """The error says what is."""
    with pytest.raises(JsException, match="The webSocket of a Response is an end of a WebSocketPair, or"):
        Response(None, status=101, web_socket=socket)


async def test_a_response_may_be_made_of_one_of_the_sdk():
    """`Response(await stub.fetch(request))` was for JavaScript's."""
    response = Response(FetchResponse("", JsResponse.new("abc", status=201)))
    assert (response.status, await response.text()) == (201, "abc")
    with pytest.raises(ValueError, match="Expected no options"):
        Response(Response("abc"), status=201)


async def test_a_response_has_the_members_that_only_javascripts_has_too():
    """Stubs once answered with JavaScript's: code reads `.webSocket` and `.arrayBuffer()` of what they answer."""
    response = FetchResponse("", JsResponse.new("abc"))
    assert response.webSocket is None
    assert bytes(await response.arrayBuffer()) == b"abc"
    with pytest.raises(AttributeError, match="'FetchResponse' object has no attribute 'web_socket'"):
        _ = response.web_socket


# --- on the way out and in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [Response("x"), JsResponse.new("x"), perdure.Response("x"), FetchResponse("", JsResponse.new("x"))],
)
def test_every_kind_of_response_may_leave(value):
    assert isinstance(response_to_native(value), perdure.Response)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "it returned NoneType. Does a branch of it end without return?"),
        ({"a": 1}, "it returned dict. Return Response.json(data)."),
        ("text", "it returned str. Return Response(body), from workers import Response."),
    ],
)
def test_what_is_no_response_is_refused_with_what_to_do(value, text):
    with pytest.raises(TypeError) as raised:
        response_to_native(value)
    assert str(raised.value) == f"fetch() must return a Response; {text}"


async def test_a_native_response_is_shown_and_leaves_as_itself():
    native = perdure.Response("x", status=201)
    shown = response_from_native(native)
    assert isinstance(shown, Response)
    assert response_to_native(shown) is native


@pytest.mark.members("workers.Response.body")
async def test_a_body_passes_from_one_response_to_the_next():
    """What is changed on the way is the rest; bytes at hand stay so."""
    first = response_from_native(perdure.Response("Hi there!"))
    second = response_to_native(Response(first.body, status=201))
    assert (second.status, second.body.size, await second.text()) == (201, 9, "Hi there!")
    assert first.body_used


def test_a_dict_is_no_body_in_javascript_either():
    with pytest.raises(JsException, match="A body is a str, bytes, FormData"):
        JsResponse.new({"a": 1})
