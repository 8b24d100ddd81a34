"""Pages that are made from code say what the code says, and what pages show runs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for folder in (".", "docs/**", "examples/*") for path in sorted(ROOT.glob(f"{folder}/*.md"))]


def _script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_compatibility_is_the_one_that_make_docs_writes():
    """It is up to date."""
    script = _script("compatibility")
    assert script.PAGE.read_text() == script.page(), "run `make docs`"


def test_the_tables_of_cloudflares_members_are_those_that_make_docs_writes():
    """They are up to date."""
    script = _script("cloudflare")
    assert script.PAGE.read_text() == script.page(), "run `make docs`"


def test_the_pages_of_the_reference_are_those_that_make_docs_writes():
    """They are up to date."""
    script = _script("api")
    for path, page in script.PAGES.items():
        assert path.read_text() == script.written(page), "run `make docs`"


def test_no_file_holds_the_marks_of_an_unfinished_merge():
    """What git writes into a file that two changes touched has been resolved."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    marks = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
    texts = [ROOT / name.decode() for name in files.split(b"\0") if name]
    assert [path.name for path in texts if path.is_file() and marks.search(path.read_bytes())] == []


def test_the_readme_shows_the_counter_that_is_tested():
    """The README's program is examples/counter/app.py."""
    shown = re.search(r"```python\n# app.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    code = (ROOT / "examples/counter/app.py").read_text()
    assert code.endswith(shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path):
    """A link to a file of the project names one that is there."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_makefile_lists_every_word_of_contributing():
    """The words that CONTRIBUTING names are there."""
    words = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named <= words, named - words
