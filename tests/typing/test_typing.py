"""mypy and pyright know the types of stubs and storage: they take what is right and refuse what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import perdure

HERE = Path(__file__).parent
FILES = [HERE / "accepted.py", HERE / "refused.py"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(perdure.__file__).parents[1]),
    "MYPYPATH": str(Path(perdure.__file__).parents[1]),
}
ROOT = HERE.parents[1]


def run(*command):
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )


def mypy():
    """Yield (file, line, message) of every error."""
    ended = run("mypy", "--strict", "--output", "json", *FILES)
    assert ended.returncode in (0, 1), ended.stderr + ended.stdout
    for line in ended.stdout.splitlines():
        found = json.loads(line)
        if found["severity"] == "error":
            yield Path(found["file"]).name, found["line"], found["message"]


def pyright():
    """Yield the same of pyright; lines count from 0 there."""
    ended = run("pyright", "--outputjson", "--pythonpath", sys.executable, *FILES)
    assert ended.returncode in (0, 1), ended.stderr + ended.stdout
    for found in json.loads(ended.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            yield Path(found["file"]).name, found["range"]["start"]["line"] + 1, found["message"]


@pytest.fixture(scope="module", params=[mypy, pyright], ids=lambda checker: checker.__name__)
def errors(request):
    """What one checker says: file → line → messages."""
    found = defaultdict(lambda: defaultdict(list))
    for file, line, message in request.param():
        found[file][line].append(message)
    return found


def test_right_code_is_accepted(errors):
    """And `assert_type` in it holds."""
    assert dict(errors["accepted.py"]) == {}


def test_wrong_code_is_refused(errors):
    """Every line that is marked, and no other."""
    lines = (HERE / "refused.py").read_text().splitlines()
    marked = {number: line.strip() for number, line in enumerate(lines, 1) if "# refused" in line}
    assert {marked[line] for line in marked.keys() - errors["refused.py"].keys()} == set(), (
        "accepted, but wrong"
    )
    assert {line: errors["refused.py"][line] for line in errors["refused.py"].keys() - marked.keys()} == {}
