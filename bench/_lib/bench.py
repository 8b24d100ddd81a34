"""The ground a question stands on: servers, load, turns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _lib.servers import HERE, Node, Perdure, Server, Workerd
from _lib.table import Row
from _lib.tools import Tools, say

SHARED_MEMORY = Path("/dev/shm")
IN_MEMORY_BYTES = 2 << 30
WS_LOADER = [sys.executable, str(HERE / "ws_loader.py")]
SETTLE_S = 0.3  # between two measurements: what the one before left to the disk


@dataclass(frozen=True, slots=True)
class Load:
    """What a load process saw."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    """Processor time of the server for each request."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Held:
    """WebSockets that another process holds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self) -> Load:
        """Let the sockets that were asked for send one message each; return how that went."""
        out, _ = self._process.communicate("\n", timeout=60)
        load = Load(**json.loads(out.splitlines()[-1]), cpu_us=0.0)
        if load.errors:
            raise SystemExit(f"{load.errors} of the last messages were not answered as they should")
        return load


class Bench:
    """
    What a question asks for.

    Attributes:
        quick: fewer turns, shorter, smaller; for a look, not for a number to keep.
        large: also what takes minutes to make.
        turns: how often each side is measured; which side begins changes with each turn.
        seconds: how long a load lasts.
        server_core, load_core: the cores both servers and the load are bound to; None on one core, or unpinned.
    """

    def __init__(
        self, tools: Tools, folder: Path, *, quick: bool, large: bool, turns: int, seconds: float, pin: bool
    ) -> None:
        self.tools = tools
        self.folder = folder
        self.quick = quick
        self.large = large
        self.turns = turns
        self.seconds = seconds
        cores = sorted(os.sched_getaffinity(0))
        pinned = pin and len(cores) > 1
        self.server_core = cores[0] if pinned else None
        self.load_core = cores[-1] if pinned else None
        self._made = 0

    # --- servers ----------------------------------------------------------------------------------------

    def place(self) -> Path:
        """Return a path in the run's folder where nothing is yet."""
        self._made += 1
        return self.folder / str(self._made)

    @contextmanager
    def in_memory(self) -> Iterator[None]:
        """
        Let storage stand in memory meanwhile, if there is room: for questions that are not about the disk.

        What a file holds there is not part of a process's memory.
        """
        disk = self.folder
        if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > IN_MEMORY_BYTES:
            self.folder = Path(tempfile.mkdtemp(prefix="perdure-bench-", dir=SHARED_MEMORY))
        try:
            yield
        finally:
            if self.folder != disk:
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder = disk

    def perdure(self, *, pinned: bool = True, **options: Any) -> Perdure:
        """Make a server of ours, not started; *options* are those of `Perdure`."""
        return Perdure(self.place(), self.server_core if pinned else None, **options)

    def workerd(self, *, pinned: bool = True, idle_s: float | None = None) -> Workerd:
        """Make a server of theirs, not started."""
        core = self.server_core if pinned else None
        return Workerd(self.place(), core, self.tools.workerd, idle_s=idle_s)

    @contextmanager
    def both(
        self, *, pinned: bool = True, idle_s: float | None = None, **options: Any
    ) -> Iterator[tuple[Server, Server]]:
        """
        Run Perdure, with *options* of its own, and workerd, each on storage of its own.

        With *idle_s* objects stay in memory so long; *pinned*: both share one core.
        """
        perdure = self.perdure(pinned=pinned, idle_s=idle_s, **options)
        with self.running(perdure, self.workerd(pinned=pinned, idle_s=idle_s)) as (ours, theirs):
            yield ours, theirs

    @contextmanager
    def beside_node(self) -> Iterator[tuple[Server, Server]]:
        """Run Perdure and npm's server of Cap'n Web, which share a core."""
        with self.running(self.perdure(), Node(self.place(), self.server_core, self.tools.node)) as (a, b):
            yield a, b

    @contextmanager
    def running(self, *servers: Server) -> Iterator[tuple[Server, ...]]:
        """
        Run *servers*; what they stored goes with the run's folder.

        Not before: for minutes ext4 without a journal makes files slowly after many were deleted.
        """
        try:
            for server in servers:
                server.start()
            yield servers
        finally:
            for server in servers:
                server.stop()

    # --- load -------------------------------------------------------------------------------------------

    def load(
        self,
        server: Server,
        pattern: str,
        *,
        numbers: int = 1,
        connections: int = 64,
        seconds: float | None = None,
    ) -> Load:
        """
        Ask *server* for *pattern* from some connections at once, for as long as a measurement takes.

        A `%d` in it becomes 0 … *numbers* - 1 in turn; with 0 numbers it only grows. An error ends the run.
        """
        seconds = self.seconds if seconds is None else seconds
        if self.tools.wrk is None:
            asked = {"port": server.port, "pattern": pattern, "numbers": numbers, "connections": connections}
            return self._own(server, {**asked, "seconds": seconds})
        whole_s = max(1, round(seconds))  # wrk knows no others
        command = [self.tools.wrk, "-t1", f"-c{connections}", f"-d{whole_s}s", "--timeout", "30s"]
        command += ["-s", str(HERE / "paths.lua"), f"http://127.0.0.1:{server.port}"]
        command += ["--", pattern, str(numbers)]
        return self._played(server, command, "", pattern)

    def ask(
        self, server: Server, pattern: str, requests: int, *, numbers: int = 0, connections: int = 64
    ) -> Load:
        """Ask for *pattern* exactly so many times, with the numbers from 0 on."""
        asked = {"port": server.port, "pattern": pattern, "numbers": numbers, "connections": connections}
        return self._own(server, {**asked, "requests": requests})

    def talk(self, server: Server, **asked: Any) -> Load:
        """Let `ws_loader.py` talk to *server* as *asked*; an error ends the run."""
        return self._played(server, WS_LOADER, json.dumps({"port": server.port, **asked}), str(asked["what"]))

    @contextmanager
    def holding(self, server: Server, **asked: Any) -> Iterator[Held]:
        """Keep WebSockets to *server* open meanwhile; see `hold` and `sessions` in `ws_loader.py`."""
        core = self.load_core
        process = subprocess.Popen(
            WS_LOADER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
        held = Held(process)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            wanted = {"what": "hold", "port": server.port, "asked": 0, **asked}
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            expect(process.stdout.readline(), "held\n", f"{server.name}: sockets")
            yield held
        finally:
            process.kill()
            process.communicate()

    def _own(self, server: Server, asked: dict[str, object]) -> Load:
        command = [sys.executable, str(HERE / "loader.py")]
        return self._played(server, command, json.dumps(asked), str(asked["pattern"]))

    def _played(self, server: Server, command: list[str], sent: str, pattern: str) -> Load:
        core = self.load_core
        before_s = server.cpu_s()
        process = subprocess.run(
            command,
            input=sent,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
        used_s = server.cpu_s() - before_s
        if process.returncode:
            raise SystemExit(f"the load process failed: {process.stdout}{process.stderr}")
        found = json.loads(process.stdout.strip().splitlines()[-1])
        load = Load(**found, cpu_us=used_s * 1e6 / max(1, found["requests"]))
        if load.errors or not load.requests:
            raise SystemExit(f"{server.name} {pattern}: {load.errors} errors in {load.requests} requests")
        return load

    # --- turns ------------------------------------------------------------------------------------------

    def in_turns(
        self,
        servers: tuple[Server, ...],
        measure: Callable[[Server, int], float],
        *,
        turns: int | None = None,
    ) -> list[list[float]]:
        """
        Measure each server once a turn, the order reversed every other turn; return a list for each server.

        *measure* gets the server and the number of the turn.
        """
        found: list[list[float]] = [[] for _ in servers]
        for turn in range(turns or self.turns):
            order = range(len(servers)) if turn % 2 == 0 else reversed(range(len(servers)))
            for index in order:
                time.sleep(SETTLE_S)
                found[index].append(measure(servers[index], turn))
            say("  " + "   ".join(f"{s.name} {f[-1]:,.4g}" for s, f in zip(servers, found, strict=True)))
        return found

    def compare(
        self,
        name: str,
        unit: str,
        servers: tuple[Server, ...],
        measure: Callable[[Server, int], Load],
        *,
        aim: str = "",
    ) -> Row:
        """Return the row of a load on both: what they did a second, and what each request cost them."""
        cpu_us: list[list[float]] = [[] for _ in servers]

        def measured(server: Server, turn: int) -> float:
            load = measure(server, turn)
            cpu_us[servers.index(server)].append(load.cpu_us)
            return load.per_second

        found = self.in_turns(servers, measured)
        return Row(name, unit, *found, aim=aim, cpu_us=cpu_us, beside=servers[1].name)


def expect(found: object, wanted: object, what: str) -> None:
    """End the run if an answer is wrong: a number for a wrong answer is worth nothing."""
    if found != wanted:
        raise SystemExit(f"{what}: {found!r} instead of {wanted!r}")
