"""What `perdure types` writes of `env` says to mypy and pyright what the configuration says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import perdure

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


@pytest.mark.parametrize("file", ["env.pyi", "env.py"])
@pytest.mark.parametrize(
    "checker", [("mypy", "--strict"), ("pyright", "--pythonpath", sys.executable)], ids=["mypy", "pyright"]
)
def test_the_written_env_is_understood(checker, file, tmp_path):
    """What is right is accepted, each line that is not is refused, as a stub and as a module."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "wrangler.jsonc").write_text(CONFIG)

    def run(*command):
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": SOURCE, "MYPYPATH": SOURCE},
            capture_output=True,
            text=True,
        )

    done = run("perdure", "types", "-o", file)
    assert done.returncode == 0, done.stderr
    found = run(*checker, "app.py").stdout
    refused = {number for number, line in enumerate(APP.splitlines(), 1) if "# refused" in line}
    told = {
        int(line.split("app.py:")[1].split(":")[0])
        for line in found.splitlines()
        if "app.py:" in line and "error" in line
    }
    assert told == refused, found
    assert "env.py" not in found
