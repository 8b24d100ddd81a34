"""A bar on the terminal while something takes long."""

from __future__ import annotations

import pytest

from perdure._cli.progress import Progress, bar


@pytest.mark.parametrize("columns", [0, 1, 10, 30, 80, 200])
@pytest.mark.parametrize(("done", "total"), [(0, 0), (0, 10), (5, 10), (10, 10), (7, None), (11, 10)])
def test_a_bar_never_breaks_the_line(done, total, columns):
    """Whatever the terminal's width."""
    assert len(bar(done, total, "databases", columns)) <= max(0, columns - 1)


def test_a_bar_shows_how_far_it_is():
    """In figures too."""
    assert bar(5, 10, "x", 80) == f"[{'#' * 20}{'.' * 20}] 5 of 10 x"
    assert bar(1234, None, "x", 80) == "1,234 x"


def test_nothing_is_shown_where_nobody_looks(capsys):
    """A pipe or a log."""
    with Progress() as progress:
        progress._next_s = 0.0
        progress(1, 2, "x")
    assert capsys.readouterr().err == ""
