"""Rows for people and for programs."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._cli.table import aligned, as_csv, as_objects, cell, printable, size_text


def test_numbers_stand_to_the_right_and_the_rest_to_the_left():
    """NULL among numbers too."""
    assert aligned(["id", "name"], [[1, "a"], [200, "bcd"], [None, None]]) == [
        "  id  name",
        "   1  a",
        " 200  bcd",
        "NULL  NULL",
    ]


def test_a_table_without_rows_is_its_head():
    """One still sees what was asked."""
    assert aligned(["a", "b"], []) == ["a  b"]


def test_wide_characters_take_two_columns():
    """As terminals show them."""
    assert aligned(["n", "x"], [["日本", 1], ["ab", 2]]) == ["n     x", "日本  1", "ab    2"]


def test_a_long_cell_is_cut_on_a_terminal_and_whole_elsewhere():
    """The end shows that it was."""
    assert aligned(["t"], [["x" * 100]], width_max=10)[1] == "x" * 9 + "…"
    assert aligned(["t"], [["x" * 100]], width_max=None)[1] == "x" * 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (1.5, "1.5"),
        ("a\tb", "a\\tb"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ({"$bytes": "AP8="}, "x'00ff'"),
        ({"$float": "inf"}, "inf"),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_a_cell_is_one_line_that_a_terminal_takes_as_text(value, text):
    """Data must not move the cursor or ring the bell."""
    assert cell(value) == text


@given(st.text())
def test_whatever_the_data_is_it_is_printable(text):
    """And a line stays a line."""
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_csv_is_read_back_as_it_was(rows):
    """Quotes, commas and line ends included."""
    found = list(csv.reader(io.StringIO(as_csv(["a", "b"], rows), newline="")))
    assert found == [["a", "b"], *rows]


def test_csv_has_nothing_for_null_and_digits_for_blobs():
    """What most programs read."""
    assert as_csv(["a", "b"], [[None, {"$bytes": "AP8="}]]) == "a,b\n,00ff\n"


def test_of_two_columns_with_one_name_the_last_wins():
    """As in the rows that the application gets."""
    assert as_objects(["a", "a", "b"], [[1, 2, 3]]) == [{"a": 2, "b": 3}]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (4096, "4 KiB"),
        (1536, "1.5 KiB"),
        (5 * 2**30, "5 GiB"),
        (15_000, "15 KiB"),
    ],
)
def test_sizes_are_told_in_a_unit_that_fits(size, text):
    """Three digits at most."""
    assert size_text(size) == text
