"""What a client sees of a failure: text, JSON or HTML; everything or nothing."""

import asyncio
import json

import pytest

from perdure._http.errors import error_response, form_for, new_reference
from perdure.web import Request


def fail(note=None):
    try:
        {}["inner"]
    except KeyError as cause:
        error = ValueError("<b>outer</b>")
        if note:
            error.add_note(note)
        raise error from cause


def caught(*args):
    try:
        fail(*args)
    except ValueError as error:
        return error


def answer(error, accept=None, debug=True, status=500):
    request = Request("http://h/p?q=<script>", headers={"accept": accept} if accept else None)
    response = error_response(error, request, status=status, debug=debug, reference="0123abcd")
    return response, asyncio.run(response.text())


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "text"),
        ("", "text"),
        ("*/*", "text"),
        ("application/json", "json"),
        ("application/problem+json", "json"),
        ("application/json, text/plain, */*", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("application/json;q=0.5, text/html;q=0.9", "html"),
        ("text/html;q=0, application/json;q=0.1", "json"),
        ("TEXT/HTML", "html"),
        ("text/plain, text/html", "text"),
        ("text/html;q=zz", "text"),
        (";;,,", "text"),
        ("image/png", "text"),
    ],
)
def test_the_form_is_the_one_asked_for_by_name(accept, form):
    """`*/*` is content with text: curl."""
    assert form_for(accept) == form


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; charset=utf-8"),
        ("application/json", "application/json"),
        ("text/html", "text/html; charset=utf-8"),
    ],
)
class TestEveryForm:
    def test_debug_tells_what_broke(self, accept, content_type):
        """Class, text, place, cause and notes."""
        response, text = answer(caught("called by Room(1)"), accept)
        assert (response.status, response.headers["content-type"]) == (500, content_type)
        for part in ("ValueError", "outer", "KeyError", "inner", "called by Room(1)", "test_http_errors.py"):
            assert part in text
        assert "0123abcd" in text

    def test_without_debug_nothing_inside_is_told(self, accept, content_type):
        """Only the status and the reference."""
        response, text = answer(caught("called by Room(1)"), accept, debug=False)
        assert (response.status, response.headers["content-type"]) == (500, content_type)
        for part in ("ValueError", "outer", "KeyError", "Room", ".py", "Traceback"):
            assert part not in text
        assert "Internal Server Error" in text
        assert "0123abcd" in text

    def test_any_text_can_be_sent(self, accept, content_type):
        """Lone surrogates, control characters, and an error that cannot be printed."""

        class Silent(Exception):
            def __str__(self):
                raise RuntimeError

        error = Silent()
        error.__cause__ = ValueError("\ud800\x00\x1b[31m")
        error.add_note("\udfff")
        response, text = answer(error, accept)
        assert response.status == 500
        assert "Silent" in text

    def test_it_is_neither_cached_nor_sniffed_nor_framed(self, accept, content_type):
        """An error page is for one reader."""
        for debug in (True, False):
            response, _ = answer(caught(), accept, debug)
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in response.headers["content-security-policy"]


def test_the_text_begins_with_the_short_story():
    """What failed, and where in the application."""
    _, text = answer(caught())
    lines = text.splitlines()
    assert lines[0] == "500 Internal Server Error: GET http://h/p?q=%3Cscript%3E"
    assert lines[2] == "ValueError: <b>outer</b>"
    assert lines[3].startswith("  --> ")
    assert lines[3].endswith("in fail")
    assert lines[4] == "      raise error from cause"


def test_json_has_frames_and_chain():
    """For tools."""
    _, text = answer(caught("a note"), "application/json")
    document = json.loads(text)
    assert document["request"] == {"method": "GET", "url": "http://h/p?q=%3Cscript%3E"}
    assert document["exception"]["type"] == "ValueError"
    assert document["exception"]["notes"] == ["a note"]
    assert document["exception"]["frames"][-1]["function"] == "fail"
    assert document["exception"]["frames"][-1]["code"] == "raise error from cause"
    assert [(part["relation"], part["type"]) for part in document["chain"]] == [("caused by", "KeyError")]


def test_another_status_is_named():
    """503 for overload."""
    _, text = answer(caught(), debug=False, status=503)
    assert text.startswith("Service Unavailable\n")


def test_references_differ():
    """Each failure has its own."""
    assert len({new_reference() for _ in range(100)}) == 100
