"""Texts of several statements are taken apart where SQLite would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
