"""URLs as a receiver sees them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._web.url import from_request, join, normalise, origin

pytestmark = pytest.mark.rows("STB-04")


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("http://do", "http://do/"),
        ("HTTPS://User:Pass@Host.Example:443/url?x=é", "https://host.example/url?x=%C3%A9"),
        ("http://any.host:123/p?q#frag", "http://any.host:123/p?q"),
        ("http://localhost:8787/a/b?c=d&e=%20", "http://localhost:8787/a/b?c=d&e=%20"),
        ("http://x:80", "http://x/"),
        ("http://x:80/y", "http://x/y"),
        ("https://x:80/y", "https://x:80/y"),
        ("http://x:0080/y", "http://x/y"),
        ("http://x:/y", "http://x/y"),
        ("http://x?q", "http://x/?q"),
        ("http://x/?", "http://x/?"),
        ('http://x/a b"<>`{}^', "http://x/a%20b%22%3C%3E%60%7B%7D%5E"),
        ("http://x/?a b\"<>'", "http://x/?a%20b%22%3C%3E%27"),
        ("http://x/a/./b/../c/..", "http://x/a/"),
        ("http://x/%2e%2E/y", "http://x/y"),
        ("http://x/../../y/.", "http://x/y/"),
        ("http:\\\\x\\y", "http://x/y"),
        ("  http://x/a\nb\t ", "http://x/ab"),
        ("http://[::0001]:8787/", "http://[::1]:8787/"),
        ("http://münchen.example/ü", "http://xn--mnchen-3ya.example/%C3%BC"),
        ("http://x/%zz", "http://x/%zz"),
        ("http://x/\ud800", "http://x/%EF%BF%BD"),
        ("http://h%41/", "http://ha/"),
    ],
)
def test_a_url_is_normalised(given, seen):
    """Scheme and host in lower case; default port, credentials and fragment gone; the rest encoded."""
    assert normalise(given) == seen


@pytest.mark.parametrize(
    "text",
    [
        "/relative",
        "",
        "x",
        "//host/path",
        "http://",
        "http:///",
        "http://a b/",
        "http://a%00b/",
        "http://a<b/",
        "http://x:99999/",
        "http://x:8x/",
        "http://x:-1/",
        "http://x:٣/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[zz]/",
        "http://\udcff/",
        "http://user@/",
        "http://%ff/",
        "http://h:" + "9" * 5000 + "/",
    ],
)
def test_what_is_not_an_absolute_url_is_a_type_error(text):
    """The text names the URL."""
    with pytest.raises(TypeError) as raised:
        normalise(text)
    assert str(raised.value) == f"Invalid URL: {text}"


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "javascript:alert(1)", "ws://x/"])
def test_only_http_urls_can_be_fetched(url):
    """Another scheme is refused by name."""
    with pytest.raises(TypeError, match="Fetch API cannot load: .*http or https"):
        normalise(url)


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing(tail):
    """A normalised URL is its own normal form, whatever stood behind the host."""
    once = normalise(f"http://Host.example:81/{tail}")
    assert normalise(once) == once
    assert once.isascii()
    assert once.startswith("http://host.example:81/")


@given(st.text(alphabet=st.sampled_from("ab/.%2eE?#\\é "), max_size=20))
def test_no_dot_segment_survives(tail):
    """What reaches a router holds no `.` or `..`, spelled in any way."""
    path = normalise(f"http://h/{tail}").removeprefix("http://h").partition("?")[0]
    segments = [segment.lower().replace("%2e", ".") for segment in path.split("/")]
    assert not {".", ".."} & set(segments)


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("/y", "https://h:1/y"),
        ("y?z", "https://h:1/a/y?z"),
        ("//other/y", "https://other/y"),
        ("http://other", "http://other/"),
        ("?q", "https://h:1/a/b?q"),
    ],
)
def test_a_location_is_resolved_against_the_request(reference, target):
    """As a browser does it."""
    assert join("https://h:1/a/b?c", reference) == target


def test_the_origin_is_scheme_host_and_port():
    """What decides whether a credential may travel on."""
    assert origin("https://h:1/a/b") == "https://h:1"
    assert origin("http://h/") == "http://h"


@given(
    st.sampled_from(["h", "H.Example:80", "127.0.0.1:8787", "[::1]:9", "xn--bcher-kva.example"]),
    st.text("abcXYZ/.%2eE?&='#~|[]^{} <>+é", max_size=20),
)
def test_a_request_target_is_spelled_as_in_any_url(host, tail):
    """The short way for plain paths leads to the same place."""
    assert from_request("http", host, f"/{tail}") == normalise(f"http://{host}/{tail}")


@pytest.mark.parametrize("host", ["a/b", "user@h", "a?b", "a#b", "a\\b", "", "h:99999"])
def test_a_host_that_is_more_than_a_host_is_a_type_error(host):
    """It would change what the rest of the URL means."""
    with pytest.raises(TypeError):
        from_request("http", host, "/")


@pytest.mark.parametrize("location", ["//[", "http://[x]/", "//\u2100/", "ftp://h/"])
def test_a_location_that_is_no_url_is_a_type_error(location):
    """As it is for a URL of one's own."""
    with pytest.raises(TypeError):
        join("https://h/", location)


URLS = st.text() | st.lists(
    st.sampled_from(
        [
            "http://",
            "HTTPS:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "80",
            "0" * 5000,
            "[",
            "]",
            "::1",
            "%",
            "%ff",
            "%2e",
            "..",
        ]
        + ["?", "#", " ", "\t", "\0", "a", "xn--", "é", "\u2100", "\udcff", "127.1", "\u3002"]
    ),
    max_size=12,
).map("".join)


@pytest.mark.fuzz
@given(URLS)
def test_any_text_is_a_url_or_a_type_error(text):
    """Wherever it comes from: a program, a `Location`, a request line with its `Host`."""
    for read in (
        lambda: normalise(text),
        lambda: normalise(f"http://{text}"),
        lambda: join("https://h/a/b", text),
        lambda: from_request("http", text, "/"),
        lambda: from_request("http", "h", f"/{text}"),
    ):
        try:
            url = read()
        except TypeError:
            continue
        assert normalise(url) == url
        assert url.startswith(("http://", "https://"))
        assert url.isascii()
