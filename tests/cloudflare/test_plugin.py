"""Tests of a project with pytest: its modules and Cloudflare's are imported as the project imports them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cloudflare.projects import FOLDER

TESTS = """
from perdure import testing
from todo_list import TodoList
from workers import DurableObject, env


def test_the_class_is_a_projects():
    assert issubclass(TodoList, DurableObject)


async def test_an_object_is_called_by_cloudflares_names(perdure):
    item = await env.LISTS.getByName("a").add("milk", tags=["food"])
    assert item.key == "item:0001"
    answer = await perdure.fetch("/a?prefix=mi")
    assert await answer.json() == ["milk"]


async def test_the_inside_of_an_object_is_the_projects(perdure):
    stub = env.LISTS.getByName("a")
    await stub.add("milk")

    async def look(instance, ctx):
        assert type(instance) is TodoList
        assert ctx.storage is instance.storage
        return await ctx.storage.get("count")

    assert await testing.run_in_durable_object(stub, look) == 1
    assert [id.name for id in testing.list_durable_object_ids(env.LISTS)] == ["a"]
"""


def run(folder, *options: str, ini: str = "") -> subprocess.CompletedProcess[str]:
    """Run pytest in *folder*."""
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    (folder / "test_it.py").write_text(TESTS)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "pytest.ini", "-p", "no:cacheprovider", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("options", "ini"),
    [
        (["--perdure-cloudflare", "--perdure-config", str(FOLDER / "kv_list")], ""),
        ([], f"perdure_cloudflare = true\nperdure_config = {FOLDER / 'kv_list'}"),
    ],
    ids=["option", "ini"],
)
def test_a_project_is_tested_with_the_option(tmp_path, options, ini):
    """`workers`, and the project's own modules, are there while test files are collected."""
    done = run(tmp_path, *options, ini=ini)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_a_project_that_cannot_be_read_is_told(tmp_path):
    """The option names the mistake, instead of a traceback."""
    done = run(tmp_path, "--perdure-cloudflare")
    assert done.returncode == 4
    assert "ERROR: --perdure-cloudflare: " in done.stderr
    assert "has no wrangler.json" in done.stderr
