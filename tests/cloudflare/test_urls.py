"""`js.URL`, `js.URLSearchParams` and `js.Headers`."""

from __future__ import annotations

import pytest

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsMap, to_js
from perdure._cloudflare.web.headers import Headers
from perdure._cloudflare.web.url import URL, URLSearchParams


@pytest.mark.members(
    "js.URL",
    "js.URL.new",
    "js.URL: href origin protocol username password host hostname port pathname search hash toString toJSON",
)
def test_a_url_is_taken_apart():
    url = URL.new("HTTPS://me:p%40ss@Example.com:8443/a/../b c?x=1&y=a b#part")
    parts = "href origin protocol username password host hostname port pathname search hash".split()
    assert {part: getattr(url, part) for part in parts} == {
        "href": "https://me:p%40ss@example.com:8443/b%20c?x=1&y=a%20b#part",
        "origin": "https://example.com:8443",
        "protocol": "https:",
        "username": "me",
        "password": "p%40ss",
        "host": "example.com:8443",
        "hostname": "example.com",
        "port": "8443",
        "pathname": "/b%20c",
        "search": "?x=1&y=a%20b",
        "hash": "#part",
    }
    assert (str(url), url.toString(), url.toJSON()) == (url.href,) * 3


@pytest.mark.parametrize(
    ("given", "href"),
    [
        ("http://x", "http://x/"),
        (" http://x/\n", "http://x/"),
        ("http://x:80/", "http://x/"),
        ("wss://x:443", "wss://x/"),
        ("http:\\\\x\\a", "http://x/a"),
        ("http://[::0001]:81/", "http://[::1]:81/"),
        ("http://münchen.de/ä?ü#ö", "http://xn--mnchen-3ya.de/%C3%A4?%C3%BC#%C3%B6"),
        ("http://x?q", "http://x/?q"),
        ("http://u@x/", "http://u@x/"),
        ("mailto:a@b.c?subject=x", "mailto:a@b.c?subject=x"),
        ("data:text/plain,hello world", "data:text/plain,hello%20world"),
        ("redis://u:p@host:6379/0", "redis://u:p@host:6379/0"),
        ("custom:/a/./b", "custom:/a/b"),
        ("file:///etc/../a", "file:///a"),
    ],
)
def test_a_url_is_written_in_one_way(given, href):
    assert URL.new(given).href == href
    assert URL.new(href).href == href


@pytest.mark.parametrize(
    ("given", "href"),
    [
        ("d", "http://h:81/a/b/d"),
        ("./d", "http://h:81/a/b/d"),
        ("../d?x", "http://h:81/a/d?x"),
        ("/d#y", "http://h:81/d#y"),
        ("//other/d", "http://other/d"),
        ("?z", "http://h:81/a/b/c?z"),
        ("#z", "http://h:81/a/b/c?q#z"),
        ("", "http://h:81/a/b/c?q"),
        ("ftp://x/", "ftp://x/"),
    ],
)
def test_a_relative_url_starts_from_its_base(given, href):
    assert URL.new(given, "http://h:81/a/b/c?q#f").href == href


@pytest.mark.members("js.URL.canParse", "js.URL.parse")
@pytest.mark.parametrize(
    "given", ["", "/path", "http://", "http://a b/", "http://x:99999/", "http://%zz/", "x"]
)
def test_what_is_no_url_is_a_type_error(given):
    with pytest.raises(JsException, match="Invalid URL string") as raised:
        URL.new(given)
    assert isinstance(raised.value, TypeError)
    assert (URL.canParse(given), URL.parse(given), URL.canParse("d", "http://x/")) == (False, None, True)


@pytest.mark.parametrize(
    ("part", "value", "href"),
    [
        ("protocol", "https", "https://u:p@x:81/a?b#c"),
        ("protocol", "nonsense", "http://u:p@x:81/a?b#c"),
        ("username", "ü", "http://%C3%BC:p@x:81/a?b#c"),
        ("password", "", "http://u@x:81/a?b#c"),
        ("host", "y:82", "http://u:p@y:82/a?b#c"),
        ("host", "a b", "http://u:p@x:81/a?b#c"),
        ("hostname", "y", "http://u:p@y:81/a?b#c"),
        ("port", 80, "http://u:p@x/a?b#c"),
        ("port", "nonsense", "http://u:p@x:81/a?b#c"),
        ("pathname", "d e/../f", "http://u:p@x:81/f?b#c"),
        ("search", "d=e f", "http://u:p@x:81/a?d=e%20f#c"),
        ("search", "", "http://u:p@x:81/a#c"),
        ("hash", "#d", "http://u:p@x:81/a?b#d"),
        ("href", "http://y", "http://y/"),
    ],
)
def test_a_part_may_be_set(part, value, href):
    """What is nonsense changes nothing."""
    url = URL.new("http://u:p@x:81/a?b#c")
    setattr(url, part, value)
    assert url.href == href


@pytest.mark.members("js.URL.searchParams")
def test_the_parameters_of_a_url_are_alive():
    url = URL.new("http://x/?a=1")
    url.searchParams.append("b", "2 3")
    url.searchParams.delete("a")
    assert url.href == "http://x/?b=2+3"
    url.search = "?c=4"
    assert url.searchParams.get("c") == "4"
    url.href = "http://x/?d=5"
    assert url.searchParams.get("d") == "5"


@pytest.mark.members(
    "js.URLSearchParams",
    "js.URLSearchParams.new",
    "js.URLSearchParams: get getAll has size items keys values set append sort delete forEach toString",
)
@pytest.mark.parametrize(
    "given",
    ["a=1&b=2&a=3", "?a=1&b=2&a=3", [["a", 1], ["b", 2], ["a", 3]], URLSearchParams.new("a=1&b=2&a=3")],
)
def test_parameters_are_read_and_written(given):
    params = URLSearchParams.new(given)
    assert (params.get("a"), params.get("c"), params.getAll("a"), params.has("b"), params.size) == (
        "1",
        None,
        ["1", "3"],
        True,
        3,
    )
    assert (params.has("a", "3"), params.has("a", "4"), params["b"], "b" in params) == (
        True,
        False,
        "2",
        True,
    )
    assert params.toString() == str(params) == "a=1&b=2&a=3"
    assert [tuple(pair) for pair in params] == [("a", "1"), ("b", "2"), ("a", "3")]
    assert dict(params.items()) == {"a": "3", "b": "2"}
    assert (list(params.keys()), list(params.values()), len(params)) == (["a", "b", "a"], ["1", "2", "3"], 3)
    params.set("a", 4)
    params.append("0", True)
    params.sort()
    assert params.toString() == "0=true&a=4&b=2"
    params.delete("a", "5")
    params.delete("b")
    seen = []
    params.forEach(lambda value, name, _params: seen.append((name, value)))
    assert seen == [("0", "true"), ("a", "4")]


def test_parameters_are_made_of_an_object():
    for given in ({"a": 1}, to_js({"a": 1}), JsMap({"a": 1})):
        assert URLSearchParams.new(given).toString() == "a=1"
    assert URLSearchParams.new().toString() == ""
    with pytest.raises(KeyError):
        URLSearchParams.new()["a"]


def test_parameters_are_escaped_as_in_a_form():
    assert URLSearchParams.new({"ä&=": "1 +~*-._'"}).toString() == "%C3%A4%26%3D=1+%2B%7E*-._%27"
    assert URLSearchParams.new("a+b=%C3%A4%zz&&c").toString() == "a+b=%C3%A4%25zz&c="


# --- headers -------------------------------------------------------------------------------------------------


@pytest.mark.members(
    "js.Headers", "js.Headers.new", "js.Headers: get set append has entries items keys values delete forEach"
)
def test_headers_have_no_case_and_join_their_values():
    headers = Headers.new({"B": "1"})
    headers.append("b", 2)
    headers.set("A", True)
    headers["c"] = "3"
    assert (headers.get("B"), headers.get("none"), headers.has("A"), "C" in headers) == (
        "1, 2",
        None,
        True,
        True,
    )
    assert [tuple(pair) for pair in headers] == [("a", "true"), ("b", "1, 2"), ("c", "3")]
    assert [tuple(pair) for pair in headers.entries()] == list(headers.items())
    assert (list(headers.keys()), list(headers.values())) == (["a", "b", "c"], ["true", "1, 2", "3"])
    assert dict(headers) == {"a": "true", "b": "1, 2", "c": "3"}
    headers.delete("b")
    del headers["c"]
    seen = []
    headers.forEach(lambda value, name: seen.append((name, value)))
    assert seen == [("a", "true")]
    with pytest.raises(KeyError):
        headers["none"]


@pytest.mark.members("js.Headers.getSetCookie", "js.Headers.getAll")
def test_cookies_stay_apart():
    headers = Headers.new([("Set-Cookie", "a"), ("Set-Cookie", "b"), ("A", "c")])
    assert (headers.getSetCookie(), headers.getAll("Set-Cookie")) == (["a", "b"], ["a", "b"])
    assert list(headers.items()) == [("a", "c"), ("set-cookie", "a"), ("set-cookie", "b")]
    with pytest.raises(TypeError, match="Set-Cookie"):
        headers.getAll("a")


def test_a_header_that_would_break_out_of_its_line_is_refused():
    for name, value in [("a", "b\r\nc: d"), ("a b", "c")]:
        with pytest.raises(TypeError, match="Invalid"):
            Headers.new().set(name, value)
    with pytest.raises(TypeError, match="pairs"):
        Headers.new([["only"]])
