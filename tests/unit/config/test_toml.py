"""TOML values come from tomllib; places from our own scan."""

from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._config.problem import ProblemsFound
from perdure._config.toml import parse

DOCUMENT = '''\
# comment = "no"
name = "shop"            # name
"quoted key" = 1
main = 'src\\index.py'
long = """
several "lines" # no comment
""\\" end"""
raw = \'\'\'a'b\'\'\'
date = 2026-11-01
list = [
  "one", # a comment, with a comma
  ["two", { deep = [1, 2], "x.y" = true }],
]
vars = { A = "a", B.C = 2 }
a.b.c = -1.5e3

[durable_objects]
[[durable_objects.bindings]]
name = "ROOM"
class_name = "Room"
[[durable_objects.bindings]]
name = "HALL"
class_name = "Hall"
[durable_objects.bindings.more]
x = 1

[ env . "staging" . vars ]
A = "s"
[[env.staging.migrations]]
tag = "v1"
renamed_classes = [{ from = "A", to = "B" }]
'''


def cut(where, *, key=False):
    _, source = parse(DOCUMENT, "f")
    span = (source.keys if key else source.values)[where]
    return source.text[span.start : span.start + span.length]


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (("name",), '"shop"'),
        (("quoted key",), "1"),
        (("main",), "'src\\index.py'"),
        (("raw",), "'''a'b'''"),
        (("date",), "2026-11-01"),
        (("list", 0), '"one"'),
        (("list", 1, 1, "deep", 1), "2"),
        (("list", 1, 1, "x.y"), "true"),
        (("vars", "B", "C"), "2"),
        (("a", "b", "c"), "-1.5e3"),
        (("durable_objects", "bindings", 0, "class_name"), '"Room"'),
        (("durable_objects", "bindings", 1, "class_name"), '"Hall"'),
        (("durable_objects", "bindings", 1, "more", "x"), "1"),
        (("env", "staging", "vars", "A"), '"s"'),
        (("env", "staging", "migrations", 0, "renamed_classes", 0, "to"), '"B"'),
    ],
)
def test_every_value_has_its_place(where, text):
    """The span cuts exactly the value's text out of the file, in every form that TOML has."""
    assert cut(where) == text


def test_the_scan_finds_all_values_that_tomllib_has():
    """Nothing in the document is without a place."""
    value, source = parse(DOCUMENT, "f")
    assert value == tomllib.loads(DOCUMENT)

    def walk(value, where):
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for step, inner in items:
            here = (*where, step)
            assert here in source.values or here in source.keys, here
            walk(inner, here)

    walk(value, ())


def test_a_key_has_its_place_too():
    """For problems about names."""
    assert cut(("quoted key",), key=True) == '"quoted key"'
    assert cut(("env", "staging", "vars", "A"), key=True) == "A"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [('a = "x', 1, 7), ("a = 1\nb 2\n", 2, 3), ("a = 1\na = 2\n", 2, 6), ("a =", 1, 4)],
)
def test_a_mistake_is_told_with_its_place(text, line, column):
    """tomllib's own words, in our form."""
    with pytest.raises(ProblemsFound) as raised:
        parse(text, "f")
    (problem,) = raised.value.problems
    assert problem.code == "config/syntax"
    assert (problem.line, problem.column) == (line, column)
    assert "line" not in problem.message


def test_windows_line_ends_do_not_move_places():
    """Columns are counted without the carriage return."""
    _, source = parse('a = 1\r\nb = "x"\r\n', "f")
    problem = source.problem("c", "m", ("b",))
    assert (problem.line, problem.column, problem.source) == (2, 5, 'b = "x"')


def test_a_number_with_too_many_digits_is_a_mistake_of_the_file():
    """Python refuses to read it."""
    with pytest.raises(ProblemsFound, match="too many digits"):
        parse("a = " + "9" * 5000, "f")


WORDS = st.sampled_from(
    [
        "a",
        "b.c",
        "=",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        "\n",
        "1",
        "-1e5",
        "07:00:00",
        "2020-01-01",
        "true",
        "#",
        " ",
    ]
    + [
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "\\u00e9",
        "\r\n",
        "\0",
        "é",
        '"x"',
        "a = 1\n",
        "[t]\n",
        "[[l]]\n",
        "x = [1,\n{y = 2}]\n",
    ]
)


@pytest.mark.fuzz
@given(st.text() | st.lists(WORDS, max_size=30).map("".join))
def test_whatever_the_text_is_the_answer_is_a_table_or_a_problem(text):
    """No other exception leaves the reader, and each place it tells is one of the text."""
    with contextlib.suppress(ProblemsFound):
        _, source = parse(text, "f")
        for span in (*source.keys.values(), *source.values.values()):
            assert 0 <= span.start < span.start + span.length <= len(source.text)
