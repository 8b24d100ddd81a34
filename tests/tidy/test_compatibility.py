"""docs/compatibility.md says what the tests declare."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _script():
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "scripts/compatibility.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_compatibility_page_is_what_the_tests_declare():
    """Every row has a state, and the page is the one that `make docs` writes."""
    script = _script()
    assert script.PAGE.read_text() == script.page(), "run `make docs`"
