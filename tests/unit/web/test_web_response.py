"""Responses."""

import asyncio
import dataclasses
import datetime
import enum
import http

import pytest

from perdure.web import Response, copy_response


def test_a_response_has_the_defaults_of_fetch():
    """200, nothing in it."""
    response = Response()
    assert (response.status, response.status_text, response.ok, response.body) == (200, "OK", True, None)
    assert (response.url, response.redirected, len(response.headers)) == ("", False, 0)
    assert repr(response) == "<Response 200 OK>"


@pytest.mark.parametrize("status", [199, 100, 101, 600, 0, -1, 1000])
def test_a_status_outside_200_to_599_is_a_value_error(status):
    """RangeError in JavaScript."""
    with pytest.raises(ValueError) as raised:
        Response(status=status)
    assert str(raised.value) == (
        "Responses may only be constructed with status codes in the range 200 to 599, inclusive."
    )


@pytest.mark.parametrize("status", ["200", 200.0, None, True])
def test_a_status_is_an_int(status):
    """Of the http module too."""
    with pytest.raises(TypeError, match="status is an int"):
        Response(status=status)
    assert Response(status=http.HTTPStatus.NOT_FOUND).status == 404


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_null_body_status_takes_no_body(status):
    """Not even an empty one."""
    assert Response(status=status).body is None
    with pytest.raises(TypeError) as raised:
        Response("", status=status)
    assert str(raised.value) == ("Response with null body status (101, 204, 205, or 304) cannot have a body.")


def test_ok_is_the_two_hundreds():
    """200 to 299."""
    assert [Response(status=status).ok for status in (200, 299, 300, 404, 500)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_status_text_breaks_no_line():
    """No CR, no LF."""
    assert Response(status_text="Fine").status_text == "Fine"
    with pytest.raises(TypeError, match="Invalid status text"):
        Response(status_text="a\r\nb")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Seat:
    row: int
    free: bool


class Row(dict):
    pass


class Name(str):
    __slots__ = ()


def test_json_on_the_class_builds_a_response():
    """What Python has and JSON can say."""
    data = {
        "a": [1, None, "é"],
        "seat": Seat(1, True),
        "at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "row": Row(x=1),
        "name": Name("n"),
        "colour": Colour.RED,
        "tuple": (1, 2.5),
    }
    response = Response.json(data, status=201, headers={"x": "y"})
    assert (response.status, response.headers["content-type"], response.headers["x"]) == (
        201,
        "application/json",
        "y",
    )
    assert asyncio.run(response.json()) == {
        "a": [1, None, "é"],
        "seat": {"row": 1, "free": True},
        "at": "2026-01-02T00:00:00Z",
        "row": {"x": 1},
        "name": "n",
        "colour": "red",
        "tuple": [1, 2.5],
    }


def test_json_keeps_a_content_type_that_is_given():
    """For application/problem+json and its like."""
    response = Response.json({}, headers={"Content-Type": "application/problem+json"})
    assert response.headers.get_all("content-type") == ["application/problem+json"]


def test_json_of_something_else_is_a_type_error():
    """The text names the class."""
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        Response.json({"a": object()})


def test_json_of_a_subclass_builds_that_subclass():
    """The helper belongs to the class it is called on."""

    class Mine(Response):
        pass

    assert type(Mine.json(1)) is Mine


def test_redirect_sets_the_location():
    """302 unless told otherwise."""
    response = Response.redirect("http://Do/landed")
    assert (response.status, response.headers["location"]) == (302, "http://do/landed")
    assert Response.redirect("http://x", 308).status == 308


def test_redirect_wants_a_redirect_status_and_an_absolute_url():
    """ValueError and TypeError."""
    with pytest.raises(ValueError, match="200 is not a redirect status code"):
        Response.redirect("http://x", 200)
    with pytest.raises(TypeError, match="Invalid URL: /here"):
        Response.redirect("/here")


def test_a_second_read_is_a_type_error():
    """In the words people search for."""

    async def main():
        response = Response.json([1])
        await response.text()
        with pytest.raises(TypeError) as raised:
            await response.json()
        assert str(raised.value) == (
            "Body has already been used. It can only be used once. "
            "Use tee() first if you need to read it twice."
        )

    asyncio.run(main())


def test_a_clone_has_a_body_of_its_own():
    """Both can be read."""

    async def main():
        first = Response(iter(["a", "b"]), status=201, status_text="Made")
        second = first.clone()
        assert (second.status, second.status_text) == (201, "Made")
        assert [await first.text(), await second.text()] == ["ab", "ab"]

    asyncio.run(main())


def test_a_copy_takes_the_body_over_and_leaves_the_headers():
    """What passes from an object to its caller."""

    async def main():
        first = Response("text", status=201, headers={"a": "1"})
        second = copy_response(first, url="http://x/", redirected=True)
        second.headers["a"] = "2"
        assert (second.status, second.url, second.redirected) == (201, "http://x/", True)
        assert first.headers["a"] == "1"
        assert first.body_used
        assert await second.text() == "text"
        with pytest.raises(TypeError, match="already been used"):
            copy_response(first)

    asyncio.run(main())


def test_a_copy_may_wrap_a_stream_but_not_bytes():
    """Where somebody must watch what flows."""

    async def shout(stream):
        async for chunk in stream:
            yield chunk.upper()

    async def main():
        assert await copy_response(Response(iter([b"a", b"b"])), wrap=shout).text() == "AB"
        assert await copy_response(Response("ab"), wrap=shout).text() == "ab"

    asyncio.run(main())
