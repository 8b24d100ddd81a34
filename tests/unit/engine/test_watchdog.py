"""Which line the watchdog names."""

from __future__ import annotations

import json
import sys

import pytest

import perdure._engine.turn as ours
from perdure._engine.watchdog import users_line

# Code as if it stood in these files: the driver (ours) calls an application, which calls a library.
FRAMES = """
def library(look):
    return look()
"""
APP = """
def helper(library, look):
    return library(look)

def method(library, look):
    return helper(library, look)
"""
DRIVER = """
def drive(method, library, look):
    return method(library, look)
"""


def run(*files):
    """Call through code of the three files; give what is named."""
    names = {}
    for file, code in files:
        exec(compile(code, file, "exec"), names)
    return users_line(names["drive"](names["method"], names["library"], lambda: sys._getframe(1)))


def test_the_innermost_line_outside_of_perdure_is_the_place():
    """And the outermost function that the driver called is the method."""
    place, method = run(("/app/deep.py", FRAMES), ("/app/app.py", APP), (ours.__file__, DRIVER))
    assert place == "/app/deep.py:3"
    assert method == "method"


@pytest.mark.parametrize("library", [json.__file__, pytest.__file__])
def test_what_blocks_in_a_library_is_its_callers_line(library):
    """There is where to put a thread."""
    place, method = run((library, FRAMES), ("/app/app.py", APP), (ours.__file__, DRIVER))
    assert place == "/app/app.py:3"
    assert method == "method"


def test_a_library_that_nobody_called_is_named():
    """Better than nothing."""
    place, _ = run((json.__file__, FRAMES), (json.__file__, APP), (ours.__file__, DRIVER))
    assert place == f"{json.__file__}:3"


def test_frames_of_perdure_on_top_are_passed_over():
    """Slow SQL is its caller's line."""
    place, method = run(
        (ours.__file__.replace("turn", "sql"), FRAMES), ("/app/app.py", APP), (ours.__file__, DRIVER)
    )
    assert place == "/app/app.py:3"
    assert method == "method"


def test_without_code_of_an_application_nothing_is_named():
    """A question mark says so."""
    assert users_line(None) == ("?", "?")
