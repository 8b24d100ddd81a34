"""Texts of several statements are taken apart where SQLite would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._base.limits import SQL_STATEMENT_BYTES_MAX
from perdure._storage.script import is_blank, statements_of

TRIGGER = (
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; UPDATE c SET x = CASE WHEN 1 THEN 2 END; END;"
)


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1;"]),
        ("SELECT 1; ;\n; SELECT 2", ["SELECT 1;", "SELECT 2"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';';", "SELECT 2"]),
        ("SELECT 'it''s;'; SELECT 2", ["SELECT 'it''s;';", "SELECT 2"]),
        ('SELECT "a;b", `c;d`, [e;f]; SELECT 2', ['SELECT "a;b", `c;d`, [e;f];', "SELECT 2"]),
        ("SELECT 1 -- one; two\n; SELECT 2", ["SELECT 1 -- one; two\n;", "SELECT 2"]),
        ("SELECT 1 /* one; two */; SELECT 2", ["SELECT 1 /* one; two */;", "SELECT 2"]),
        ("-- first\nSELECT 1;\n-- last", ["-- first\nSELECT 1;"]),
        (f"{TRIGGER} SELECT 2", [TRIGGER, "SELECT 2"]),
        (f"-- why\n{TRIGGER.lower()}", [f"-- why\n{TRIGGER.lower()}"]),
        (
            "CREATE TEMP TRIGGER t BEGIN SELECT 1; END; SELECT 2",
            ["CREATE TEMP TRIGGER t BEGIN SELECT 1; END;", "SELECT 2"],
        ),
        (
            "CREATE/* a; */TRIGGER t BEGIN SELECT 1; END; SELECT 2",
            ["CREATE/* a; */TRIGGER t BEGIN SELECT 1; END;", "SELECT 2"],
        ),
        ("CREATE TABLE trigger_log (a); SELECT 2", ["CREATE TABLE trigger_log (a);", "SELECT 2"]),
        ("SELECT 'open; SELECT 2", ["SELECT 'open;", "SELECT 2"]),
        ("", []),
        (" \n;;-- nothing\n/* at all */;", []),
        ("/* open", []),
    ],
)
def test_a_text_is_taken_apart_at_its_semicolons(text, statements):
    """Not those of texts, names, comments and triggers."""
    assert list(statements_of(text)) == statements


@given(
    st.lists(st.sampled_from(["a", ";", "'", '"', "--", "\n", "/*", "*/", "[", "]", " ", "CREATE TRIGGER "]))
)
def test_nothing_but_what_is_blank_is_lost(parts):
    """Whatever the text is, SQLite sees all of it in the same order."""
    text = "".join(parts)
    kept = "".join("".join(statements_of(text)).split())
    everything = "".join(text.split())
    position = 0
    for character in kept:
        position = everything.index(character, position) + 1
    assert is_blank(text) == (kept == "")


def test_a_long_text_with_an_open_quote_takes_no_time():
    """A mistake in a file of megabytes is told at once."""
    text = "INSERT INTO a VALUES ('x');\n" * 50_000 + "INSERT INTO a VALUES ('x);\n" + "SELECT 1;\n" * 50_000
    assert sum(1 for _ in statements_of(text)) == 100_001


@pytest.mark.parametrize(
    "mark", ["-" * 100, "--" + " --" * 50, "/*" + "*" * 100 + "*/"], ids=["line", "pairs", "stars"]
)
def test_a_comment_of_nothing_but_marks_takes_no_time(mark):
    """People draw lines with them."""
    text = f"{mark}\n-- users\n{mark}\nCREATE TABLE users (id);"
    assert list(statements_of(f"{text}SELECT 2")) == [text, "SELECT 2"]
    assert not is_blank(text)


def test_a_trigger_without_an_end_takes_no_time():
    """It is too long for a statement, and SQLite says so."""
    statements = list(
        statements_of("CREATE TRIGGER t AFTER INSERT ON a BEGIN " + ("SELECT 1" + " " * 1000 + ";") * 10_000)
    )
    assert len(statements[0]) > SQL_STATEMENT_BYTES_MAX
