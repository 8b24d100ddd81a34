"""An example on a real server process, and visitors of the box office. (edge)"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
from support.forks import Forked

import perdure

EXAMPLES = Path(__file__).parents[2] / "examples"
READY = re.compile(r"(?:Ready|running) on (http://[^:/\s]+:(\d+))")
START_S = 30.0
STOP_S = 20.0


class Served:
    """
    The process of one example; what it prints is kept for the failing test.

    Args:
        command: What to run, as a module of this Python; `--port` is added.
        variables: Environment of the process, besides this one's.
    """

    def __init__(self, *command: str | Path, **variables: str | Path | float) -> None:
        self.command = [str(part) for part in command]
        self.variables = {name: str(value) for name, value in variables.items()}
        self.url = ""
        self.output: list[str] = []
        self._port = 0
        self._process: Forked | subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, on the port it had before if it ran already."""
        ready = threading.Event()
        command, env = [*self.command, "--port", str(self._port)], environment() | self.variables
        if command[0] == "perdure":
            process = Forked(command[1:], cwd=os.getcwd(), env=env)
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._process = process

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                self.output.append(line)
                if found := READY.search(line):
                    self.url, self._port = found[1], int(found[2])
                    ready.set()
            ready.set()  # the end of its output is the end of the process: nothing to wait for any more

        threading.Thread(target=read, daemon=True).start()
        ready.wait(START_S)
        if not self.url or process.poll() is not None:
            self.stop()
            raise RuntimeError(f"{' '.join(self.command)} did not become ready:\n{''.join(self.output)}")

    def kill(self) -> None:
        """End it as `kill -9` does: nothing of it runs any more, nothing is tidied."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()


def environment() -> dict[str, str]:
    source = str(Path(perdure.__file__).parents[1])
    return os.environ | {"PYTHONPATH": source, "PYTHONUNBUFFERED": "1"}


def perdure_serve(example: str, data: Path, *settings: str) -> Served:
    """Return `perdure serve` for an example, on its own data and with some `--var` settings."""
    return Served(
        *("perdure", "serve", EXAMPLES / example, "--data", data),
        *(f"--var={each}" for each in settings),
        PERDURE_DRAIN=1,  # at the end of a test nobody wants the answer that a page still waits for
    )


def operate(served: Served, *arguments: str) -> str:
    """Run a `perdure` command on the data of a served example; return what it prints."""
    data = served.command[served.command.index("--data") + 1]
    command = [sys.executable, "-m", "perdure", *arguments, "--data", data]
    return subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout


class Visitor:
    """A browser's worth of cookies, one tab, one show."""

    def __init__(self, url: str, show: str = "night-ferry", tab: str = "one") -> None:
        self.http = httpx.Client(base_url=url, timeout=30, verify=False)
        self.show = show
        self.tab = tab
        self.http.get("/api/shows").raise_for_status()  # the cookie comes with the first answer

    def other_tab(self, tab: str = "two") -> Visitor:
        other = Visitor.__new__(Visitor)
        other.http, other.show, other.tab = self.http, self.show, tab
        return other

    def post(self, action: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/api/shows/{self.show}/{action}", json={"tab": self.tab, **body})

    def view(self, seen: int | None = None) -> dict[str, Any]:
        """Return the show as this visitor sees it; with `seen`, wait for something newer first."""
        asked = {"tab": self.tab} | ({} if seen is None else {"seen": seen})
        answer = self.http.get(f"/api/shows/{self.show}", params=asked)
        answer.raise_for_status()
        return answer.json()

    def hold(self, *seats: str) -> httpx.Response:
        return self.post("hold", seats=seats)

    def book(self, name: str, *seats: str) -> httpx.Response:
        return self.post("book", name=name, seats=seats)

    def holds(self, *seats: str) -> Visitor:
        """Hold seats that are known to be free."""
        self.hold(*seats).raise_for_status()
        return self

    def books(self, name: str, *seats: str) -> str:
        """Hold and book seats that are known to be free; return the code."""
        self.holds(*seats)
        return self.book(name, *seats).raise_for_status().json()["booked"]


def eventually(is_so: Callable[[], Any], within_s: float = 10.0) -> Any:
    """Return the first true answer of `is_so`, asking often; fail once `within_s` is over."""
    pause, deadline = threading.Event(), monotonic() + within_s
    while not (answer := is_so()):
        assert monotonic() < deadline, f"not so within {within_s} s"
        pause.wait(0.05)
    return answer
