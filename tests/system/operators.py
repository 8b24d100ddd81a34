"""An application with data, and `perdure` commands on it: with a server running there, or with nothing. (edge)"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from support.forks import Forked

import perdure

APP = """\
import asyncio, dataclasses, datetime
from perdure import DurableObject, Response, WorkerEntrypoint

@dataclasses.dataclass
class Seat:
    row: int
    taken: bool = False

class Counter(DurableObject):
    async def hit(self, by=1):
        kv = self.ctx.storage.kv
        kv["n"] = kv.get("n", 0) + by
        return kv["n"]

    async def fill(self):
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
        sql.exec("INSERT INTO item VALUES (1, 'first', NULL), (2, 'se' || char(10) || 'cond', x'00ff')")
        kv = self.ctx.storage.kv
        kv["seat"] = Seat(3)
        kv["when"] = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
        kv["a"] = {"x": [1, 2.5, None]}

    async def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    async def seat(self):
        return Seat(1, True)

    async def nothing(self):
        print("printed by the application")

    async def fail(self):
        raise LookupError("no such seat")

    async def wait(self):
        print("wait began", flush=True)
        await asyncio.sleep(600)

class Broken(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.storage.kv["state"] = "half migrated"
        if ctx.id.name != "fine":
            raise RuntimeError("cannot be made")

    async def hello(self):
        return "hello"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        what = request.url.split("/", 3)[3]
        if what == "wait":
            return Response(str(await self.env.COUNTER.get_by_name("waiting").wait()))
        return Response(str(await self.env.COUNTER.get_by_name(what).hit()))
"""


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
    return {**kept, "PYTHONPATH": str(Path(perdure.__file__).parents[1]), "NO_COLOR": "1"}


def run(arguments: list[str], cwd: Path, given: str) -> subprocess.CompletedProcess[str]:
    """Run a `perdure` command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("in", "out", "err")]
        paths[0].write_text(given)
        with open(paths[0]) as stdin, open(paths[1], "w") as stdout, open(paths[2], "w") as stderr:
            files = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
            code = Forked(arguments, cwd=cwd, env=environment(), files=files).wait()
        return subprocess.CompletedProcess(arguments, code, paths[1].read_text(), paths[2].read_text())


class Site:
    """A project folder; `server` is the process that runs there, or None."""

    def __init__(self, folder: Path, server=None, app: str = APP) -> None:
        self.folder = folder
        self.server = server
        (folder / "app.py").write_text(app)

    def perdure(
        self, *arguments: object, input: str = "", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return run([str(argument) for argument in arguments], cwd or self.folder, input)

    def ok(self, *arguments: object, **more: Any) -> str:
        """What a command prints that must succeed."""
        done = self.perdure(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: object, **more: Any):
        return json.loads(self.ok(*arguments, "--json", **more))

    def refused(self, *arguments: object, code: int = 1, **more: Any) -> str:
        """What a command says that must fail."""
        done = self.perdure(*arguments, **more)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr
