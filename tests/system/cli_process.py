"""A real `perdure` process: its output line by line, requests to it, its end. (edge)"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
from support.forks import Forked

import perdure

READY = re.compile(r"Ready on (http://\S+?:(\d+))")
PATIENCE_S = 30.0

APP = """\
import asyncio, logging, os
from perdure import DurableObject, Response, WorkerEntrypoint

class Counter(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.kv = ctx.storage.kv

    async def hit(self):
        self.kv["n"] = self.kv.get("n", 0) + 1
        return self.kv["n"]

    async def say(self, text):
        print(text)
        logging.getLogger("counter").warning("logged %s", text)

    async def fail(self):
        secret = 1 / 0

VERSION = "one"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("/", 3)[3]
        counter = self.env.COUNTER.get_by_name("home")
        if path == "hit":
            return Response(str(await counter.hit()))
        if path == "version":
            return Response(VERSION)
        if path == "pid":
            return Response(str(os.getpid()))
        if path == "say":
            await counter.say("hello")
        if path == "fail":
            await counter.fail()
        if path == "var":
            return Response(str(self.env.GREETING))
        if path == "slow":
            print("slow began", flush=True)
            await asyncio.sleep(1)
        if path == "block":
            print("block began", flush=True)
            await asyncio.sleep(600)
        return Response("ok")
"""


class Perdure:
    """One process; use it as a context manager, so that nothing outlives a test."""

    def __init__(
        self, *arguments: str | Path, cwd: Path, module: str = "perdure", **environment: str
    ) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._closed = False
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")},
            "PYTHONPATH": str(Path(perdure.__file__).parents[1]),
            **environment,
        }
        # Each in a group of its own: signals of a terminal can be played.
        if module == "perdure" and not any(name.startswith("PYTHON") for name in environment):
            self.process = Forked(arguments, cwd=cwd, env=env)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *(str(argument) for argument in arguments)],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def __enter__(self) -> Perdure:
        return self

    def __exit__(self, *exception: object) -> None:
        # Also the server process of `dev`, if a test left one behind.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    @property
    def output(self) -> str:
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Return the match when the pattern has been printed so many times."""
        with self._news:
            deadline_s = time.monotonic() + PATIENCE_S
            while True:
                found = list(re.finditer(pattern, "".join(self._lines)))
                if len(found) >= times:
                    return found[times - 1]
                left_s = deadline_s - time.monotonic()
                if self._closed or left_s <= 0:
                    raise AssertionError(f"{pattern!r} was not printed:\n{''.join(self._lines)}")
                self._news.wait(left_s)

    @property
    def url(self) -> str:
        return self.wait_for(READY.pattern)[1]

    def get(self, path: str, **more: object) -> httpx.Response:
        # Without `verify=False`, a request reads the certificates of the whole world first, for 40 ms.
        return httpx.get(f"{self.url}/{path}", timeout=PATIENCE_S, verify=False, **more)  # type: ignore[arg-type]

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal; to the whole group, as a terminal does."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        with self._news:
            self._news.wait_for(lambda: self._closed, PATIENCE_S)
        return code


def in_thread(work, *arguments):
    """Run a blocking call beside the test; the result is read with `.result()`."""
    import concurrent.futures

    executor = concurrent.futures.ThreadPoolExecutor(1)
    future = executor.submit(work, *arguments)
    executor.shutdown(wait=False)
    return future


def eventually(condition, what: str):
    """Return the first true answer of *condition*."""
    deadline_s = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while time.monotonic() < deadline_s:
        if answer := condition():
            return answer
        pause.wait(0.02)
    raise AssertionError(f"never happened: {what}")


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
