"""`.assetsignore`: which files are served to nobody."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._assets.ignore import ignored


@pytest.mark.parametrize(
    ("rules", "hidden", "shown"),
    [
        ("*.map", ["a.map", "js/a.map"], ["a.maps", "map"]),
        ("/a.txt", ["a.txt"], ["b/a.txt"]),
        ("build", ["build", "build/x", "a/build/x"], ["builder"]),
        ("build/", ["build/x", "a/build/x"], ["build"]),
        ("docs/*.md", ["docs/a.md"], ["docs/b/a.md", "x/docs/a.md"]),
        ("docs/**", ["docs/a", "docs/b/c"], ["docs"]),
        ("**/tmp", ["tmp", "a/b/tmp/c"], ["tmps"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["a/b"]),
        ("?.txt", ["a.txt"], ["ab.txt"]),
        ("[ab].txt", ["a.txt"], ["c.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt"]),
        ("# a\n\n  \nb", ["b"], ["a", "# a"]),
        ("*.txt\n!keep.txt", ["a.txt"], ["keep.txt"]),
        ("\\#a\n\\!b", ["#a", "!b"], ["a"]),
        ("a ", ["a"], []),
        ("[z-a]\nb", ["b"], ["a"]),
        ("/", [], ["a"]),
    ],
)
def test_patterns_are_those_of_gitignore(rules, hidden, shown):
    """The last one that matches counts; `!` shows a file again."""
    is_ignored = ignored(rules)
    assert [path for path in (*hidden, *shown) if is_ignored(path)] == hidden


@pytest.mark.parametrize(
    "path",
    [
        ".assetsignore",
        "_headers",
        "_redirects",
        ".dev.vars",
        ".dev.vars.staging",
        ".env",
        ".Env",
        "sub/.env.local",
        ".git/config",
        ".perdure/classes.json",
        ".perdure-staging/x",
        ".wrangler/state/x",
    ],
)
def test_rules_secrets_and_data_are_never_served(path):
    """Even if the folder is the project's own, and whatever the file says."""
    assert ignored(f"!{path}")(path)


@pytest.mark.parametrize("path", ["a/_headers", "environment", ".well-known/x", "env", ".github"])
def test_other_files_are_served(path):
    """Also those whose names begin with a dot."""
    assert not ignored("")(path)


@given(st.lists(st.text(alphabet="ab*?[]!/\\.-", max_size=6), max_size=3))
def test_any_text_is_rules(lines):
    """Whatever the file holds, each path is served or not."""
    ignored("\n".join(lines))("a/b.a")


def test_git_says_the_same(tmp_path):
    """For patterns as people write them, on paths as they have them."""
    rules = "*.log\n!keep.log\n/root\nsub/\n**/deep\na/**/z\nx/*\n?y\n"
    paths = ["a.log", "keep.log", "d/keep.log", "root", "d/root", "sub/f", "d/sub/f", "deep", "q/deep", "a/z"]
    paths += ["a/b/z", "x/1", "x/1/2", "qy", "q/qy", "qqy", "z"]
    (tmp_path / ".gitignore").write_text(rules)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", *paths],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    is_ignored = ignored(rules)
    assert [path for path in paths if is_ignored(path)] == asked.stdout.split()
