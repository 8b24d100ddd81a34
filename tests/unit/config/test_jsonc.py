"""JSON with comments and trailing commas; every value's place is kept."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._config.jsonc import DEPTH_MAX, parse
from perdure._config.problem import ProblemsFound

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def value_of(text: str) -> object:
    return parse(text, "wrangler.jsonc")[0]


def problem_of(text: str):
    with pytest.raises(ProblemsFound) as raised:
        parse(text, "wrangler.jsonc")
    (problem,) = raised.value.problems
    return problem


@given(JSON)
def test_every_json_document_means_what_json_says(value):
    """JSONC is JSON and more, never something else."""
    assert value_of(json.dumps(value)) == value
    assert value_of(json.dumps(value, indent=2, ensure_ascii=False)) == value


def test_comments_and_trailing_commas_are_no_part_of_the_value():
    """Both kinds of comment stand wherever white space may."""
    text = '// a\n{ /* b */ "k" /* c */: [1, 2, /* d */], // e\n "u": "http://x", }\n/* f */ // g'
    assert value_of(text) == {"k": [1, 2], "u": "http://x"}


def test_a_byte_order_mark_is_skipped():
    """Some editors write one."""
    assert value_of('\ufeff{"a": 1}') == {"a": 1}


def test_every_key_and_value_has_its_place():
    """The spans cut exactly the text of the key or value out of the file."""
    text = '{\n  "a": [1, {"b": "x"}]\n}'
    _, source, _ = parse(text, "f")

    def cut(span):
        return text[span.start : span.start + span.length]

    assert cut(source.keys[("a", 1, "b")]) == '"b"'
    assert cut(source.values[("a", 1, "b")]) == '"x"'
    assert cut(source.values[("a", 0)]) == "1"
    assert cut(source.values[("a",)]) == '[1, {"b": "x"}]'
    assert cut(source.values[()]) == text


def test_a_key_that_stands_twice_is_a_warning_and_the_last_one_counts():
    """JSON does not forbid it, but nobody means it."""
    value, _, (warning,) = parse('{"a": 1,\n "a": 2}', "f")
    assert value == {"a": 2}
    assert (warning.severity, warning.code, warning.line, warning.column) == (
        "warning",
        "config/duplicate-key",
        2,
        2,
    )


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "the file is empty"),
        ("  // only a comment\n", 2, 1, "the file is empty"),
        ('{"a": 1', 1, 8, 'expected "," or "}"; the file ends here'),
        ('{"a": [1 2]}', 1, 10, 'expected "," or "]"; found \'2\''),
        ('{\n  "a" 1}', 2, 7, 'expected ":" after the name'),
        ("{a: 1}", 1, 2, "expected a name in double quotes"),
        ('{"a": yes}', 1, 7, "yes is not a JSON value"),
        ("{'a': 1}", 1, 2, "expected a name in double quotes"),
        ("{\"a\": 'x'}", 1, 7, "JSON knows only double quotes"),
        ('{"a": "x}\n', 1, 7, "no closing quote"),
        ('{"a": "\\q"}', 1, 8, "this backslash begins no escape"),
        ('{"a": 01}', 1, 7, "not a JSON number"),
        ('{"a": 1.}', 1, 7, "not a JSON number"),
        ('{"a": -}', 1, 7, "not a JSON number"),
        ('{"a": }', 1, 7, "'}' cannot begin a value"),
        ('{"a": 1} x', 1, 10, "more after the end"),
        ('{"a": 1 /* }', 1, 9, "this comment is not closed"),
        ('{,"a": 1}', 1, 2, "expected a name"),
        ("[1,,2]", 1, 4, "',' cannot begin a value"),
        ('{"a":', 1, 6, "the file ends where a value should stand"),
        ("[NaN]", 1, 2, "NaN is not a JSON value"),
    ],
)
def test_a_mistake_is_told_with_its_place(text, line, column, words):
    """Line and column are those of the first character that is wrong."""
    problem = problem_of(text)
    assert words in problem.message
    assert (problem.code, problem.line, problem.column) == ("config/syntax", line, column)


def test_deep_nesting_is_refused_and_does_not_exhaust_the_parser():
    """A limit, with the place, instead of a RecursionError."""
    assert "nested deeper" in problem_of("[" * 100_000).message
    assert value_of("[" * DEPTH_MAX + "]" * DEPTH_MAX) is not None


def test_a_number_with_too_many_digits_is_a_mistake_of_the_file():
    """Python refuses to read it; the reader of the message learns where it stands."""
    assert "too many digits" in problem_of("[" + "9" * 5000 + "]").message


@pytest.mark.fuzz
@given(st.text(alphabet="{}[]\",:/*\n \\u0a1-+eEtrufalsn'x"))
def test_whatever_the_text_is_the_answer_is_a_value_or_a_problem(text):
    """No other exception leaves the parser."""
    with contextlib.suppress(ProblemsFound):
        parse(text, "f")
