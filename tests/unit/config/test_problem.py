"""The one form of errors."""

from __future__ import annotations

from perdure._config.problem import (
    SOURCE_WIDTH_MAX,
    Problem,
    ProblemsFound,
    as_json,
    did_you_mean,
    from_json,
    listed,
    nearest,
    render,
)

FULL = Problem(
    "config/missing-class",
    'class "Room" is bound but not defined in src/index.py',
    "error",
    "wrangler.jsonc",
    7,
    32,
    6,
    '{"name": "ROOM", "class_name": "Room"}',
    'did you mean "Rooms"?',
    "define it there, or correct class_name\nsecond line",
)


def test_a_problem_shows_what_where_the_nearest_name_and_what_to_do():
    """The caret stands under the wrong text."""
    assert render(FULL) == (
        'error[config/missing-class]: class "Room" is bound but not defined in src/index.py\n'
        "  --> wrangler.jsonc:7:32\n"
        '   7 | {"name": "ROOM", "class_name": "Room"}\n'
        '     |                                ^^^^^^ did you mean "Rooms"?\n'
        "  = help: define it there, or correct class_name\n"
        "          second line"
    )


def test_a_problem_without_a_place_shows_its_hint_in_a_line_of_its_own():
    """For mistakes on the command line."""
    problem = Problem("usage/no-such-command", "no command", hint='did you mean "serve"?')
    assert render(problem) == 'error[usage/no-such-command]: no command\n  = hint: did you mean "serve"?'


def test_a_very_long_line_is_shown_in_part_with_the_caret_in_place():
    """A minified file does not fill the screen."""
    source = "x" * 500 + "WRONG" + "y" * 500
    shown = render(Problem("c", "m", file="f", line=1, column=501, length=5, source=source))
    text, caret = shown.splitlines()[2:4]
    assert len(text) < SOURCE_WIDTH_MAX + 12
    start = caret.index("^")
    assert text[start : start + 5] == "WRONG"


def test_the_caret_never_runs_past_the_line():
    """A value over several lines is marked on its first."""
    shown = render(Problem("c", "m", file="f", line=1, column=5, length=99, source="a = ["))
    assert shown.splitlines()[-1].endswith(" ^")


def test_frames_of_the_users_code_stand_below_the_place():
    """Those of the framework are not there at all."""
    shown = render(Problem("c", "m", file="f", line=1, trace=("called from:", "  app.py:3  import rooms")))
    assert shown.endswith("  | called from:\n  |   app.py:3  import rooms")


def test_colour_changes_nothing_but_colour():
    """Without the escape codes it is the same text."""
    import re

    assert re.sub(r"\x1b\[[\d;]*m", "", render(FULL, colour=True)) == render(FULL)


def test_json_brings_a_problem_back_as_it_was():
    """The form of `check --json` is also that of the reload pipe."""
    problem = Problem("c", "m", "warning", "f", 1, 2, 3, "src", "hint", "help", ("frame",))
    assert from_json(as_json(problem)) == problem
    assert from_json(as_json(Problem("c", "m"))) == Problem("c", "m")


def test_the_nearest_name_ignores_case_and_needs_some_likeness():
    """A far name is worse than none."""
    assert nearest("room", ["Hall", "Room"]) == "Room"
    assert nearest("compat_date", ["name", "compatibility_date"]) == "compatibility_date"
    assert nearest("zzz", ["name"]) is None
    assert did_you_mean("Romo", ["Room"]) == 'did you mean "Room"?'


def test_found_problems_are_one_exception_with_all_of_them():
    """An embedded user sees the same text as one of the command line."""
    text = str(ProblemsFound([FULL, Problem("c", "second")]))
    assert "error[config/missing-class]" in text
    assert "error[c]: second" in text


def test_names_are_listed_as_in_a_sentence():
    """One, two, many."""
    assert listed(["a"]) == '"a"'
    assert listed(["a", "b"]) == '"a" and "b"'
    assert listed(["a", "b", "c"]) == '"a", "b" and "c"'
