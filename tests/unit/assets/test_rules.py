"""`_redirects` and `_headers`: what their lines mean, and which are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._assets.rules import (
    HEADER_RULES_MAX,
    headers_for,
    parse_headers,
    parse_redirects,
    redirected,
)


def led(text, path, host="x.test"):
    rules, wrong = parse_redirects(text)
    assert not wrong
    return redirected(path, host, rules)


@pytest.mark.parametrize(
    ("line", "path", "answer"),
    [
        ("/a /b", "/a", ("/b", 302)),
        ("/a /b", "/a/", None),
        ("/a /b 301", "/a", ("/b", 301)),
        ("/a https://other.test/b 308", "/a", ("https://other.test/b", 308)),
        ("/a /b 200", "/a", ("/b", 200)),
        ("/old/* /new/:splat", "/old/x/y", ("/new/x/y", 302)),
        ("/old/* /new/:splat", "/old/", ("/new/", 302)),
        ("/u/:id/:tab /people?who=:id&at=:tab", "/u/7/posts", ("/people?who=7&at=posts", 302)),
        ("/u/:id /people/:id", "/u/7/posts", None),
        ("/a /b/:other", "/a", ("/b/:other", 302)),
        ("https://x.test/a /b", "/a", ("/b", 302)),
        ("https://y.test/a /b", "/a", None),
        ("/a.b /c", "/axb", None),
        ("/é/* /日/:splat", "/%C3%A9/x", ("/%E6%97%A5/x", 302)),
    ],
)
def test_a_redirect_leads_where_its_line_says(line, path, answer):
    """`*` is `:splat` on the other side, and `:name` one part of the path."""
    assert led(line, path) == answer


def test_the_first_redirect_that_matches_counts():
    """Comments and empty lines say nothing."""
    assert led("# first\n\n/a/* /one\n/a/b /two\n", "/a/b") == ("/one", 302)


@pytest.mark.parametrize("path", ["//evil.test/", "/\\evil.test", "///evil.test"])
def test_a_path_leads_to_no_other_host(path):
    """Of a rule whose target is a path only a path comes."""
    assert led("/* /:splat", path) == ("/evil.test" + ("/" if path.endswith("/") else ""), 302)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/a", "from, to"),
        ("/a /b /c /d", "from, to"),
        ("a /b", 'begin with "/"'),
        ("/a b", 'begin with "/"'),
        ("/a /b 404", "the status is one of"),
        ("/a https://x.test 200", "only a path"),
        ("/*/* /b", "* stands once"),
        ("/:a/:a /b", "* stands once"),
        ("/" + "a" * 2000 + " /b", "2000 characters"),
    ],
)
def test_a_line_that_is_no_redirect_is_told_and_left_out(line, text):
    """With its number; the others count."""
    rules, (wrong,) = parse_redirects(f"/x /y\n{line}\n")
    assert len(rules) == 1
    assert (wrong.line, text in wrong.text) == (2, True)


HEADERS = """
/*
  X-Frame-Options: DENY
  Cache-Control: no-cache
/static/*
  ! cache-control
  X-Static: :splat
/static/:kind/a
  Cache-Control: max-age=60
  Cache-Control: public
https://y.test/*
  X-Robots-Tag: noindex
"""


@pytest.mark.parametrize(
    ("path", "host", "add", "remove"),
    [
        ("/a", "x.test", {"x-frame-options": "DENY", "cache-control": "no-cache"}, set()),
        ("/static/s", "x.test", {"x-frame-options": "DENY", "x-static": "s"}, {"cache-control"}),
        (
            "/static/js/a",
            "x.test",
            {"x-frame-options": "DENY", "x-static": "js/a", "cache-control": "max-age=60, public"},
            set(),
        ),
        (
            "/a",
            "y.test",
            {"x-frame-options": "DENY", "cache-control": "no-cache", "x-robots-tag": "noindex"},
            set(),
        ),
    ],
)
def test_all_rules_that_match_add_their_headers(path, host, add, remove):
    """In order: a later one may take away what was added, and the file's own."""
    rules, wrong = parse_headers(HEADERS)
    assert not wrong
    assert headers_for(path, host, rules) == (add, remove)


def test_values_of_one_header_from_two_rules_are_joined():
    """With a comma, as HTTP joins them."""
    rules, _ = parse_headers("/*\n  Vary: a\n/x\n  Vary: b\n")
    assert headers_for("/x", "", rules) == ({"vary": "a, b"}, set())


@pytest.mark.parametrize(
    "line",
    [
        "X-Name",
        "X-Name:",
        "X Name: v",
        ": v",
        "! X Name",
        "X-Name: a\x00b",
        "X-Name: 日",
        "/*/*",
        "X: " + "v" * 2000,
    ],
)
def test_a_line_that_is_no_header_is_told_and_left_out(line):
    """Nothing of it reaches a response."""
    rules, wrong = parse_headers(f"/x\n  A: b\n  {line}\n")
    assert headers_for("/x", "", rules) == ({"a": "b"}, set())
    assert [one.line for one in wrong] == [3]


def test_headers_come_below_a_pattern():
    """One that comes before the first pattern belongs to none."""
    _, (wrong,) = parse_headers("A: b\n/x\n  C: d\n")
    assert wrong.line == 1


def test_patterns_of_headers_have_a_limit():
    """It is told."""
    rules, wrong = parse_headers("/x\n  A: b\n" * (HEADER_RULES_MAX + 1))
    assert len(rules) == HEADER_RULES_MAX
    assert wrong


@given(st.text(alphabet="/*:ab! \n#https.\u00e9-"))
def test_any_text_is_rules_and_what_is_wrong(text):
    """Whatever the files hold, each request is answered."""
    redirected("/a/b", "x.test", parse_redirects(text)[0])
    headers_for("/a/b", "x.test", parse_headers(text)[0])
