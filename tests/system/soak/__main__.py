"""
Kill a real server over and over while clients talk to it: is each operation that it confirmed there afterwards?

    python tests/system/soak --seconds 300 --seed 7

Clients add entries to ledgers over HTTP and over WebSockets (there without waiting for the answers), and plan jobs for
alarms. At moments of chance the process gets `kill -9`, also while it starts. After each start every ledger of late is
compared with what the clients know:

- what was confirmed is there, once; what was sent and not confirmed is there at most once; nothing else is;
- the entries of each client stand in the order in which it sent them; the counter is their number;
- what was seen once stays; no job has run before its time, and at the end each planned one has run.

The last line has the figures; the exit code is 1 if anything was violated. The seed decides the clients' choices and the
moments of the kills; what the machine does in between it cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
from cli_process import Perdure

APP = Path(__file__).with_name("app.py")
LEDGERS = 6
HTTP_CLIENTS = 6
SOCKET_CLIENTS = 4
IN_FLIGHT = 8  # messages of a socket client that wait for their answers
LIVES_OF_A_LEDGER = 4  # then the clients take new ones, so that a check does not take longer and longer
JOB_MS_MAX = 3000
PATIENCE_S = 30.0
BROKEN = (OSError, httpx.TransportError, WebSocketException, asyncio.IncompleteReadError)


class Soak:
    """The clients, what they know, and the process that they talk to."""

    def __init__(self, folder: Path, seed: int, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.chance = random.Random(seed)
        self.url = ""
        self.is_up = asyncio.Event()
        self.numbers = itertools.count(1)
        self.sent = defaultdict(set)  # ledger → (client, number)
        self.confirmed = defaultdict(set)
        self.planned = defaultdict(dict)  # ledger → (client, number) → when it is due, or None: not confirmed
        self.operations = self.kills = self.starts = self.jobs = 0
        self.violations = []

    # --- the process ----------------------------------------------------------------------------------

    async def run(self, seconds: float) -> None:
        ends_s = time.monotonic() + seconds
        chances = [random.Random(self.chance.random()) for _ in range(HTTP_CLIENTS + SOCKET_CLIENTS)]
        clients = [
            asyncio.create_task((self.ask if number < HTTP_CLIENTS else self.talk)(f"c{number}", chance))
            for number, chance in enumerate(chances)
        ]
        while time.monotonic() < ends_s and not self.violations:
            if self.chance.random() < 0.25:
                with self.process() as process:  # killed while it starts, or recovers
                    await asyncio.sleep(self.chance.uniform(0.1, 0.8))
                    await self.kill(process)
            with self.process() as process:
                if not await self.start(process):
                    break
                await self.check(self.ledgers() | self.ledgers(before=1))
                self.is_up.set()
                await asyncio.sleep(self.chance.uniform(0.05, 2.0))
                await self.kill(process)
                self.is_up.clear()
            for client in clients:
                if client.done():
                    client.result()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        if not self.violations:
            with self.process() as process:
                if await self.start(process):
                    await self.check({*self.sent, *self.planned}, is_last=True)

    def process(self) -> Perdure:
        words = (
            "serve",
            APP,
            "--port",
            "0",
            "--data",
            self.folder / "data",
            "--log-level",
            "warning",
        )
        return Perdure(*words, cwd=self.folder, **self.environment)

    async def start(self, process: Perdure) -> bool:
        try:
            self.url = await asyncio.to_thread(lambda: process.url)
        except AssertionError as error:
            self.violated(f"the server does not start: {error}")
            return False
        self.starts += 1
        return True

    async def kill(self, process: Perdure) -> None:
        process.signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        self.kills += 1

    def violated(self, what: str) -> None:
        self.violations.append(what)
        print(f"VIOLATION after {self.kills} kills: {what}", flush=True)

    # --- clients --------------------------------------------------------------------------------------

    def ledgers(self, *, before: int = 0) -> set[str]:
        generation = self.starts // LIVES_OF_A_LEDGER - before
        return {f"ledger-{generation}-{number}" for number in range(LEDGERS)}

    async def ask(self, client: str, chance: random.Random) -> None:
        """One operation after the other over HTTP."""
        while True:
            await self.is_up.wait()
            async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_S, trust_env=False) as http:
                with contextlib.suppress(*BROKEN):
                    while self.is_up.is_set():
                        ledger = chance.choice(sorted(self.ledgers()))
                        await (self.plan if chance.random() < 0.1 else self.add)(http, client, ledger, chance)
            await asyncio.sleep(0.01)

    async def add(self, http: httpx.AsyncClient, client: str, ledger: str, chance: random.Random) -> None:
        number = next(self.numbers)
        self.sent[ledger].add((client, number))
        if await self.answer(http, f"/add/{ledger}/{client}/{number}") is not None:
            self.confirmed[ledger].add((client, number))

    async def plan(self, http: httpx.AsyncClient, client: str, ledger: str, chance: random.Random) -> None:
        number = next(self.numbers)
        self.planned[ledger][client, number] = None
        due_ms = await self.answer(http, f"/plan/{ledger}/{client}/{number}/{chance.randrange(JOB_MS_MAX)}")
        self.planned[ledger][client, number] = due_ms

    async def answer(self, http: httpx.AsyncClient, path: str):
        response = await http.get(path)
        if response.status_code != 200:
            self.violated(f"{path} was answered {response.status_code} {response.text[:200]}")
            return None
        self.operations += 1
        return response.json()

    async def talk(self, client: str, chance: random.Random) -> None:
        """Many operations at once over a WebSocket, which is answered in their order."""
        while True:
            await self.is_up.wait()
            ledger = chance.choice(sorted(self.ledgers()))
            url = f"ws{self.url.removeprefix('http')}/socket/{ledger}"
            with contextlib.suppress(*BROKEN):
                async with connect(url, open_timeout=PATIENCE_S, proxy=None) as ws:
                    for _ in range(chance.randrange(1, 40)):
                        numbers = [next(self.numbers) for _ in range(chance.randrange(1, IN_FLIGHT))]
                        for number in numbers:
                            self.sent[ledger].add((client, number))
                            await ws.send(f"{client} {number}")
                        for number in numbers:
                            told = int((await ws.recv()).split()[0])
                            if told != number:
                                self.violated(f"{ledger} answered {client} {told} before {number}")
                            self.confirmed[ledger].add((client, told))
                            self.operations += 1
            await asyncio.sleep(0.01)

    # --- checks ---------------------------------------------------------------------------------------

    async def check(self, ledgers: set[str], *, is_last: bool = False) -> None:
        """Ask each ledger for all it has, and compare."""
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_S, trust_env=False) as http:
            for ledger in sorted(ledgers & {*self.sent, *self.planned}):
                shown = (await http.get(f"/show/{ledger}")).raise_for_status().json()
                deadline_s = time.monotonic() + PATIENCE_S
                while (
                    is_last and any(job[3] is None for job in shown["jobs"]) and time.monotonic() < deadline_s
                ):
                    await asyncio.sleep(0.1)
                    shown = (await http.get(f"/show/{ledger}")).raise_for_status().json()
                self.compare(ledger, shown)
                self.compare_jobs(ledger, shown["jobs"], is_last)

    def compare(self, ledger: str, shown: dict) -> None:
        entries = [(client, number) for client, number in shown["entries"]]
        stored = set(entries)
        for what, wrong in {
            "lost what it confirmed": self.confirmed[ledger] - stored,
            "has what nobody sent": stored - self.sent[ledger],
            "has an entry twice": {entry for entry in stored if entries.count(entry) > 1}
            if len(stored) < len(entries)
            else (),
            "counts otherwise than it has entries": {shown["count"], len(entries)}
            if shown["count"] != len(entries)
            else (),
        }.items():
            if wrong:
                self.violated(f"{ledger} {what}: {sorted(wrong)[:5]}")
        last = defaultdict(int)
        for client, number in entries:
            if number < last[client]:
                self.violated(f"{ledger} has {number} of {client} behind {last[client]}")
            last[client] = number
        # It was told now, and may not go away any more; nor may anything come that is still not there.
        self.confirmed[ledger], self.sent[ledger] = stored, set(stored)

    def compare_jobs(self, ledger: str, jobs: list, is_last: bool) -> None:
        found = {(client, number): (due_ms, ran_ms) for client, number, due_ms, ran_ms in jobs}
        if len(found) < len(jobs):
            self.violated(f"{ledger} has a job twice")
        for job, due_ms in self.planned[ledger].items():
            if due_ms is not None and found.get(job, (None,))[0] != due_ms:
                self.violated(f"{ledger} lost the job {job}")
        for job, (due_ms, ran_ms) in found.items():
            if ran_ms is not None and ran_ms < due_ms:
                self.violated(f"{ledger} ran the job {job} {due_ms - ran_ms} ms early")
            if ran_ms is None and is_last:
                self.violated(f"{ledger} never ran the job {job}")
        self.planned[ledger] = {job: due_ms for job, (due_ms, _) in found.items()}
        if is_last:
            self.jobs += len(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Kill a server over and over: is what it confirmed still there?"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where the data is written (a temporary folder)")
    parser.add_argument(
        "--forgets",
        type=int,
        default=0,
        help="a bug on purpose: so many % of the entries are confirmed and not written",
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perdure-soak-", dir=asked.folder) as folder:

        async def run() -> Soak:
            soak = Soak(Path(folder), asked.seed, {"FORGETS": str(asked.forgets)})
            await soak.run(asked.seconds)
            return soak

        soak = asyncio.run(run())
    print(
        f"seed {asked.seed}, operations confirmed {soak.operations:,}, alarms run {soak.jobs:,}, kills {soak.kills}, "
        f"restarts {soak.starts}, violations {len(soak.violations)}"
    )
    sys.exit(1 if soak.violations else 0)


if __name__ == "__main__":
    main()
