"""How the head of a response is written."""

import pytest

from perdure._http.head import head_bytes, response_fields
from perdure.web import Response

DATE = "date: now\r\n"


def test_status_line_headers_and_date_are_one_piece():
    """As they go over the wire."""
    assert head_bytes(200, [("a", "1"), ("b", "é")], DATE, close=False) == (
        b"HTTP/1.1 200 OK\r\na: 1\r\nb: \xe9\r\ndate: now\r\n\r\n"
    )


def test_the_applications_date_wins():
    """There is one."""
    head = head_bytes(200, [("date", "then")], DATE, close=False)
    assert head == b"HTTP/1.1 200 OK\r\ndate: then\r\n\r\n"


def test_a_last_response_says_so():
    """Then the client opens another connection."""
    assert head_bytes(404, [], DATE, close=True).endswith(b"connection: close\r\n\r\n")


def test_an_unknown_status_has_an_empty_phrase():
    """The number is what counts."""
    assert head_bytes(299, [], "", close=False) == b"HTTP/1.1 299 \r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nevil: 1", "a\nb", "a\x00b", "€"])
def test_nothing_can_break_out_of_a_header(value):
    """Such a value never gets into a response."""
    with pytest.raises(TypeError):
        Response(headers={"x": value})


def test_fields_do_not_change_the_response():
    """It may be sent, and looked at after."""
    response = Response("abc")
    response_fields(response, "GET")
    assert "content-length" not in response.headers
