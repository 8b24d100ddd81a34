"""What `perdure types` writes of `env` says to mypy and pyright what the configuration says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import perdure

ROOT = Path(__file__).parents[2]
SOURCE = str(Path(perdure.__file__).parents[1])

APP = """\
from typing import TYPE_CHECKING

from perdure import DurableObject, WorkerEntrypoint

if TYPE_CHECKING:
    from env import Env


class Auth(WorkerEntrypoint):
    async def check(self, token: str) -> bool:
        return bool(token)


class Room(DurableObject["Env"]):
    async def size(self) -> int:
        allowed: bool = await self.env.AUTH.check(self.env.GREETING)
        other = self.env.ROOM.get_by_name("x")
        size: int = await other.size()
        return size + allowed


class Default(WorkerEntrypoint["Env"]):
    async def wrong(self) -> None:
        self.env.NOTHING  # refused
        await self.env.AUTH.check(1)  # refused
        size: str = await self.env.ROOM.get_by_name("x").size()  # refused
        print(size, self.env.GREETING + 1)  # refused
"""
CONFIG = """{
  "name": "hall", "main": "app.py",
  "durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]},
  "services": [{"binding": "AUTH", "service": "hall", "entrypoint": "Auth"}],
  "vars": {"GREETING": "hi"}
}"""


FILES = ("env.pyi", "env.py")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder for each of FILES with the application and what `perdure types` wrote."""
    folder = tmp_path_factory.mktemp("written")
    for file in FILES:
        site = folder / file.replace(".", "_")
        site.mkdir()
        (site / "app.py").write_text(APP)
        (site / "wrangler.jsonc").write_text(CONFIG)
        done = run(site, "perdure", "types", "-o", file)
        assert done.returncode == 0, done.stderr
    return folder


def run(folder, *command):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCE, "MYPYPATH": SOURCE},
        capture_output=True,
        text=True,
    )


def check(told):
    """What is right is accepted, each line that is not is refused."""
    refused = {number for number, line in enumerate(APP.splitlines(), 1) if "# refused" in line}
    lines = {
        int(line.split("app.py:")[1].split(":")[0])
        for line in told.splitlines()
        if "app.py:" in line and "error" in line
    }
    assert lines == refused, told
    assert "env.py" not in told.replace("env_py", "")


def test_mypy_understands_the_written_env(written):
    """As a stub and as a module."""
    known = (
        "--config-file",
        ROOT / "pyproject.toml",
        "--cache-dir",
        ROOT / ".mypy_cache",
    )  # of all that is no app
    for file in FILES:
        check(run(written / file.replace(".", "_"), "mypy", *known, "--strict", "app.py").stdout)


def test_pyright_understands_the_written_env(written):
    """As a stub and as a module, looked at in one go: each takes an `env` beside it before any other."""
    apps = [f"{file.replace('.', '_')}/app.py" for file in FILES]
    told = run(written, "pyright", "--pythonpath", sys.executable, *apps).stdout.splitlines()
    for app in apps:
        check("\n".join(line for line in told if app in line))
