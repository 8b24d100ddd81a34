"""Requests."""

import asyncio

import pytest

from perdure._web.request import make_request
from perdure.web import Address, Headers, Request, copy_request


def test_a_request_has_the_defaults_of_fetch():
    """GET, no headers, no body, redirects followed."""
    request = Request("http://do")
    assert (request.url, request.method, len(request.headers), request.body, request.redirect) == (
        "http://do/",
        "GET",
        0,
        None,
        "follow",
    )
    assert asyncio.run(request.text()) == ""
    assert not request.body_used
    assert repr(request) == "<Request GET http://do/>"


@pytest.mark.rows("STB-04")
def test_the_url_must_be_absolute():
    """STB-04."""
    with pytest.raises(TypeError) as raised:
        Request("/relative")
    assert str(raised.value) == "Invalid URL: /relative"


@pytest.mark.parametrize(
    ("given", "method"), [("post", "POST"), ("Patch", "PATCH"), ("purge", "purge"), ("GET", "GET")]
)
def test_standard_methods_are_upper_cased(given, method):
    """Others stay as they are."""
    assert Request("http://x", method=given).method == method


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\nX: y", "é", None, 5])
def test_a_method_that_is_no_token_is_a_type_error(method):
    """Nothing breaks out of the request line."""
    with pytest.raises(TypeError, match="Invalid HTTP method string"):
        Request("http://x", method=method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head_take_no_body(method):
    """As in fetch."""
    with pytest.raises(TypeError, match="Request with a GET or HEAD method cannot have a body"):
        Request("http://x", method=method, body="")


def test_a_redirect_mode_is_follow_or_manual():
    """STB-05."""
    assert Request("http://x", redirect="manual").redirect == "manual"
    with pytest.raises(TypeError, match="Invalid redirect value 'error'"):
        Request("http://x", redirect="error")


@pytest.mark.parametrize("wrong", [None, 5, b"http://x"])
def test_the_input_is_a_url_or_a_request(wrong):
    """The text names what came."""
    with pytest.raises(TypeError, match="made from a URL or a Request"):
        Request(wrong)


def test_a_text_body_brings_its_content_type_unless_one_is_given():
    """Bytes bring none."""
    assert Request("http://x", method="POST", body="t").headers["content-type"] == "text/plain;charset=UTF-8"
    given = Request("http://x", method="POST", body="t", headers={"Content-Type": "a/b"})
    assert given.headers.get_all("content-type") == ["a/b"]
    assert "content-type" not in Request("http://x", method="POST", body=b"t").headers


class TestDerived:
    def test_it_takes_over_everything(self):
        """Method, headers, mode and body."""
        first = Request("http://x/a", method="PUT", headers={"a": "1"}, body="b", redirect="manual")
        second = Request(first)
        assert (second.url, second.method, second.redirect) == ("http://x/a", "PUT", "manual")
        assert second.headers == first.headers
        assert first.body_used
        assert asyncio.run(second.text()) == "b"

    def test_headers_given_replace_all_of_the_originals(self):
        """The content type that came with the body goes with them."""
        first = Request("http://do/echo", method="PUT", body="b")
        second = Request(first, headers={"x-one": "from init"})
        assert list(second.headers.items()) == [("x-one", "from init")]
        assert asyncio.run(second.text()) == "b"

    def test_a_new_url_may_take_the_rest_of_a_request(self):
        """`Request(new_url, request)`, as gateways do."""
        first = Request("http://x/a", method="POST", headers={"a": "1"}, body=b"b")
        second = Request("http://y/b", first)
        assert (second.url, second.method, second.headers["a"]) == ("http://y/b", "POST", "1")
        assert asyncio.run(second.bytes()) == b"b"

    def test_a_body_given_replaces_the_originals(self):
        """Which stays unused."""
        first = Request("http://x", method="POST", body="old")
        second = Request(first, body="new")
        assert not first.body_used
        assert asyncio.run(second.text()) == "new"

    def test_a_used_original_is_a_type_error(self):
        """Its body is gone."""
        first = Request("http://x", method="POST", body="b")
        asyncio.run(first.text())
        for derive in (Request, copy_request):
            with pytest.raises(TypeError, match="Cannot reconstruct a Request with a used body"):
                derive(first)

    def test_turning_a_post_with_a_body_into_a_get_is_a_type_error(self):
        """And the original keeps its body."""
        first = Request("http://x", method="POST", body="b")
        with pytest.raises(TypeError, match="cannot have a body"):
            Request(first, method="GET")
        assert not first.body_used

    def test_headers_are_copied(self):
        """Changing the one leaves the other."""
        headers = Headers({"a": "1"})
        first = Request("http://x", headers=headers)
        second = copy_request(first)
        second.headers["a"] = "2"
        first.headers["b"] = "3"
        assert list(headers.items()) == [("a", "1")]
        assert "b" not in second.headers


def test_path_and_query_are_decoded():
    """The raw spelling stays in `url`."""
    request = Request("http://x/a%20b/ü?q=1&r=%20&q=2&empty=&flag")
    assert request.path == "/a b/ü"
    assert request.query == {"q": "2", "r": " ", "empty": "", "flag": ""}
    assert request.query_params == [("q", "1"), ("r", " "), ("q", "2"), ("empty", ""), ("flag", "")]


def test_json_is_read_or_refused():
    """The refusal is a ValueError, which any side of a call knows."""

    async def main():
        assert await Request("http://x", method="POST", body='\ufeff{"a": [1]}').json() == {"a": [1]}
        with pytest.raises(ValueError, match="The body is not valid JSON: Expecting property name") as raised:
            await Request("http://x", method="POST", body="{oops").json()
        assert type(raised.value) is ValueError
        with pytest.raises(ValueError, match="it is empty"):
            await Request("http://x", method="POST", body="").json()

    asyncio.run(main())


def test_text_replaces_what_is_not_utf8():
    """It never fails."""
    assert asyncio.run(Request("http://x", method="POST", body=b"a\xff").text()) == "a\ufffd"


def test_a_clone_has_a_body_of_its_own():
    """Both can be read."""

    async def main():
        first = Request("http://x", method="POST", headers={"a": "1"}, body=iter([b"a", b"b"]))
        second = first.clone()
        assert second.headers == first.headers
        assert [await first.text(), await second.text()] == ["ab", "ab"]
        with pytest.raises(TypeError, match="Body has already been used"):
            first.clone()
        assert Request("http://x").clone().body is None

    asyncio.run(main())


def test_the_sender_goes_along_with_a_request():
    """Copied, cloned, derived or sent elsewhere; one that is made anew has none."""
    sender = Address("10.0.0.1", 5)
    request = make_request("http://h/", "GET", Headers(), None, client=sender)
    others = (
        copy_request(request),
        request.clone(),
        Request(request, method="PUT"),
        Request("http://x/", request),
    )
    assert [other.client for other in (request, *others)] == [sender] * 5
    assert Request("http://h/").client is None
