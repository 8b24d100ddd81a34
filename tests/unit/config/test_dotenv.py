"""`.env` and `.dev.vars` files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._config.dotenv import parse


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
        ("  A = 1  \r\nB=2", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("# comment\n\n  # another\nA=1 # after\n", {"A": "1"}),
        ("A=a#b", {"A": "a#b"}),
        ('A="x # y" # z', {"A": "x # y"}),
        ("A='x \\n $HOME'", {"A": "x \\n $HOME"}),
        ('A="one\\ntwo\\t\\"q\\"\\\\"', {"A": 'one\ntwo\t"q"\\'}),
        ('A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ('A=`it\'s "x"`', {"A": 'it\'s "x"'}),
        ("A=\nB=", {"A": "", "B": ""}),
        ('A=""', {"A": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=x\"y'z", {"A": "x\"y'z"}),
        ("\ufeffA=1", {"A": "1"}),
        ("a.b-c=1", {"a.b-c": "1"}),
        ("A= # only a comment", {"A": ""}),
        ("", {}),
    ],
)
def test_a_file_means_these_values(text, values):
    """Quotes, escapes, comments, export, several lines."""
    assert parse(text, ".env") == (values, ())


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("A=1\nnonsense\nB=2", 2, "not NAME=value"),
        ("1A=x", 1, "not NAME=value"),
        ('A=1\nB="open\nC=2', 2, "quote is not closed"),
        ("A='x' y", 1, "quote is not closed"),
    ],
)
def test_a_line_that_is_none_is_told_with_its_place(text, line, words):
    """The other lines are read all the same."""
    values, (problem, *_) = parse(text, ".env")
    assert problem.line == line
    assert words in problem.message
    assert problem.code == "config/syntax"


def test_a_long_run_of_blanks_inside_a_value_is_read_at_once():
    """In a time that grows with it, not with its square: that would be an hour."""
    value = "x" + " " * 200_000 + "y"
    assert parse(f"A={value}\n", ".env") == ({"A": value}, ())


@pytest.mark.fuzz
@given(
    st.text()
    | st.lists(st.sampled_from([*"AB=#\"'`\\ \t\n\rx.$1", "export ", "\r\n"]), max_size=40).map("".join)
)
def test_whatever_the_text_is_there_are_values_and_problems(text):
    """Nothing is raised, and every line is one or the other, or says nothing."""
    values, problems = parse(text, ".env")
    assert all(name and isinstance(value, str) for name, value in values.items())
    if "=" not in text:
        assert not values
    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in problems)
