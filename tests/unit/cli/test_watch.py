"""Which changes reload."""

from __future__ import annotations

import pathlib

import pytest

from perdure._cli.watch import changed_text, is_watched

ROOT = pathlib.Path("/p")
DATA = ROOT / ".perdure"


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        ("app.py", True),
        ("rooms/hall.py", True),
        ("wrangler.jsonc", True),
        ("pyproject.toml", True),
        (".env", True),
        (".env.prod", True),
        (".dev.vars", True),
        (".dev.vars.prod", True),
        ("settings.conf", True),
        ("notes.md", False),
        ("public/page.html", False),
        ("app.pyc", False),
        ("data.json", False),
        (".venv/lib/x.py", False),
        ("venv/lib/x.py", False),
        ("node_modules/x.py", False),
        ("__pycache__/x.py", False),
        (".git/x.py", False),
        (".perdure/x.py", False),
        (".perdure/classes.json", False),
        (".environment", False),
        ("../other/app.py", False),
    ],
)
def test_code_configuration_and_variables_reload_and_nothing_else(path, watched):
    """State least of all: each commit changes it."""
    import os

    full = pathlib.Path(os.path.normpath(ROOT / path))
    assert is_watched(full, [ROOT], DATA, {ROOT / "settings.conf"}) is watched


def test_a_data_folder_without_a_dot_is_not_watched_either():
    """`--data state`."""
    assert not is_watched(ROOT / "state/x.py", [ROOT], ROOT / "state")


def test_many_changes_are_counted():
    """A `git checkout` is one line."""
    assert changed_text(["b.py", "a.py"]) == "a.py, b.py"
    assert changed_text([f"{letter}.py" for letter in "abcde"]) == "a.py, b.py, c.py and 2 more"
