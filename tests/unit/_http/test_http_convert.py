"""ASGI messages to requests and responses, and back."""

import pytest

from perdure._http.convert import raw_path, start_message, to_request
from perdure._http.head import shown_path
from perdure.web import Headers, Response


def scope(**changes):
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"h:8787")],
        "server": ("127.0.0.1", 8000),
        "client": ("10.0.0.1", 5),
    } | changes


async def nobody():
    raise AssertionError("not read")
    yield b""


def request(**changes):
    return to_request(scope(**changes), nobody())


def sent(response, method="GET"):
    message = start_message(response, method)
    assert message["type"] == "http.response.start"
    return message["status"], [(name.decode(), value.decode()) for name, value in message["headers"]]


class TestUrl:
    def test_it_is_what_the_client_sent(self):
        """Host header, raw path and query."""
        assert request(query_string=b"x=%C3%A9&y").url == "http://h:8787/a%20b?x=%C3%A9&y"

    def test_the_scheme_is_the_servers(self):
        """With its default port dropped."""
        assert request(scheme="https", headers=[(b"host", b"h:443")]).url == "https://h/a%20b"

    def test_without_a_host_header_the_servers_address_stands_in(self):
        """HTTP/1.0."""
        assert request(headers=[]).url == "http://127.0.0.1:8000/a%20b"
        assert request(headers=[], server=("::1", 80)).url == "http://[::1]/a%20b"
        assert request(headers=[], server=None).url == "http://localhost/a%20b"

    def test_a_mount_point_changes_nothing(self):
        """Servers and frameworks differ in what `path` holds; the client sent one thing."""
        mounted = {"root_path": "/do", "raw_path": b"/do/x"}
        assert request(path="/do/x", **mounted).url == "http://h:8787/do/x"
        assert request(path="/x", **mounted).url == "http://h:8787/do/x"
        assert request(path="/x", root_path="/do", raw_path=None).url == "http://h:8787/do/x"
        assert request(path="/do/x", root_path="/do", raw_path=None).url == "http://h:8787/do/x"

    def test_a_decoded_path_is_encoded_again(self):
        """For servers without raw_path."""
        assert request(path="/ü/%?#", raw_path=None).url == "http://h:8787/%C3%BC/%25%3F%23"

    def test_options_of_the_whole_server_has_a_path(self):
        """`OPTIONS *`."""
        assert request(method="OPTIONS", raw_path=b"*").url == "http://h:8787/*"

    @pytest.mark.parametrize("host", [b"a/b", b"user@h", b"a b", b"h:99999", b"a?b", b"a#b", b"a\\b", b"<x>"])
    def test_a_nonsense_host_is_a_type_error(self, host):
        """So that it becomes a 400."""
        with pytest.raises(TypeError):
            request(headers=[(b"host", host)])


class TestBody:
    @pytest.mark.parametrize(
        ("method", "headers", "there"),
        [
            ("GET", [], False),
            ("GET", [(b"content-length", b"0")], False),
            ("GET", [(b"content-length", b"3")], True),
            ("POST", [], False),
            ("POST", [(b"content-length", b"0")], True),
            ("POST", [(b"transfer-encoding", b"chunked")], True),
            ("DELETE", [], False),
            ("POST", [(b"content-length", b"x")], True),
        ],
    )
    def test_a_body_is_there_when_the_head_announces_one(self, method, headers, there):
        """Otherwise it is None, not empty."""
        found = request(method=method, headers=[(b"host", b"h"), *headers])
        assert (found.body is not None) is there

    def test_http_2_needs_no_announcement(self):
        """Its frames tell."""
        assert request(method="POST", http_version="2", headers=[(b"host", b"h")]).body is not None
        assert request(method="GET", http_version="2", headers=[(b"host", b"h")]).body is None


def test_headers_and_method_arrive():
    """Repeated ones too."""
    found = request(method="PURGE", headers=[(b"host", b"h"), (b"x", b"1"), (b"x", b"\xe9")])
    assert found.method == "PURGE"
    assert found.headers.get_all("X") == ["1", "é"]


def test_the_client_is_known_or_not():
    """Unix sockets have none."""
    assert request().client == ("10.0.0.1", 5)
    assert request(client=None).client is None


class TestStart:
    def test_a_body_at_hand_gets_its_true_length(self):
        """Whatever the application said."""
        assert sent(Response(b"abc", headers={"Content-Length": "7"})) == (200, [("content-length", "3")])

    def test_no_body_has_length_zero(self):
        """So that the connection can be kept."""
        assert sent(Response(status=404)) == (404, [("content-length", "0")])

    @pytest.mark.parametrize("status", [204, 304])
    def test_null_body_statuses_have_no_length(self, status):
        """RFC 9110, 8.6."""
        assert sent(Response(status=status)) == (status, [])

    def test_a_stream_keeps_the_length_its_maker_gave(self):
        """Or has none."""
        assert sent(Response(iter([b"a"]))) == (200, [])
        assert sent(Response(iter([b"a"]), headers={"Content-Length": "1"})) == (
            200,
            [("content-length", "1")],
        )

    def test_head_keeps_what_get_would_have(self):
        """The length of a body that is not sent, or the one that the application names."""
        assert sent(Response(b"abc"), "HEAD") == (200, [("content-length", "3")])
        assert sent(Response(headers={"content-length": "9"}), "HEAD") == (200, [("content-length", "9")])

    def test_every_set_cookie_is_sent(self):
        """They cannot be joined."""
        headers = Headers([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        _, pairs = sent(Response(headers=headers))
        assert [value for name, value in pairs if name == "set-cookie"] == ["a=1", "b=2"]

    def test_headers_about_the_connection_are_dropped(self):
        """They are the server's business, with those that Connection names."""
        headers = {
            "Connection": "close, X-Mine",
            "X-Mine": "1",
            "Keep-Alive": "timeout=5",
            "Transfer-Encoding": "chunked",
            "Upgrade": "h2c",
            "TE": "trailers",
            "Trailer": "x",
            "Proxy-Connection": "x",
            "X-Other": "2",
        }
        assert sent(Response(headers=headers)) == (200, [("x-other", "2"), ("content-length", "0")])


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"/a%20b", "/a%20b"),
        (b"/\x1b[31m", "/\\x1b[31m"),
        (b"/a\nb", "/a\\nb"),
        (b"/\xff", "/\\xff"),
        (b"/a?secret", "/a"),
    ],
)
def test_the_path_of_a_log_line_disturbs_no_terminal(raw, shown):
    """Control characters are escaped, the query is left out."""
    assert shown_path(raw_path(scope(raw_path=raw))) == shown
