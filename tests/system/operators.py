"""An application with data, and `perdure` commands on it: with a server running there, or with nothing. (edge)"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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


HELPER = """\
import json, os, sys, traceback
from perdure._cli.main import main
import perdure._cli.call, perdure._cli.directly, perdure._cli.kv, perdure._cli.live, perdure._cli.sql
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.chdir(asked["cwd"])
            for fd, path in enumerate(asked["files"]):
                os.dup2(os.open(path, os.O_RDWR), fd)
            sys.stdin = open(0, closefd=False)
            sys.argv = ["perdure", *asked["arguments"]]
            main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Commands:
    """Starts `perdure` commands as processes of their own, copies of one that has everything imported."""

    def __init__(self) -> None:
        self._helper = subprocess.Popen(
            [sys.executable, "-P", "-c", HELPER],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: list[str], cwd: Path, given: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in ("in", "out", "err")]
            for file in files:
                file.write_text(given)
                given = ""
            asked = {"arguments": arguments, "cwd": str(cwd), "files": [str(file) for file in files]}
            assert self._helper.stdin is not None
            assert self._helper.stdout is not None
            self._helper.stdin.write(json.dumps(asked) + "\n")
            self._helper.stdin.flush()
            code = int(self._helper.stdout.readline())
            return subprocess.CompletedProcess(arguments, code, files[1].read_text(), files[2].read_text())


@functools.cache
def commands() -> Commands:
    """The helper of this test run; it ends with its standard input."""
    return Commands()


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
        return commands().run([str(argument) for argument in arguments], cwd or self.folder, input)

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
