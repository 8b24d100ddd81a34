"""
Does a server under a mixed load stay as it is? Memory, descriptors, threads, tasks, journal.

    python bench/mixed_load.py --minutes 30

Plays calls, reads, durable writes, new objects, evictions, errors, resets, large bodies and clients that go away on
`perdure serve`, looks at the process every ten seconds, writes the samples to `bench/results/` and says whether each
figure was flat after the warm-up. Not part of `make bench`: a leak shows in half an hour, not in a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from _lib.servers import HERE, SOURCE, Server
from _lib.tools import CACHE, ROOT, say

HOT: Final = 100
COLD: Final = 20_000  # of 200 rows and four blobs at most
NEW: Final = 50_000  # so many names are new once; then each is wiped before it is new again
CLIENTS: Final = 48
SAMPLE_S: Final = 10.0
WARM_PART: Final = 0.25
BLOB_BYTES: Final = (1_000, 30_000, 300_000)
LARGE_BYTES: Final = 3_000_000
TIMEOUT_S: Final = 60.0


class Mixed(Server):
    """`perdure serve` as a user starts it; its lines for requests go nowhere."""

    name = "perdure"
    probe = "/-/-"

    def command(self) -> list[str]:
        words = [sys.executable, "-m", "perdure", "serve", str(HERE / "mixed_app.py"), "--log-level", "error"]
        return [*words, "--port", str(self.port), "--data", str(self.storage)]


class Connection:
    """One kept-alive connection; made anew when it was broken off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        await self.send(path, body)
        reader = self._reader
        assert reader is not None
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        if fields.get("transfer-encoding") == "chunked":
            answer = await self._chunks(reader)
        else:
            answer = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.drop()
        return int(lines[0].split()[1]), answer

    async def send(self, path: str, body: bytes | None = None, *, part: float = 1.0) -> None:
        """Send a request, or the first *part* of its body."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nhost: localhost\r\n"
        if body is not None:
            head += f"content-length: {len(body)}\r\n"
            body = body[: int(len(body) * part)]
        self._writer.write(head.encode() + b"\r\n" + (body or b""))
        await self._writer.drain()

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        return b"".join(parts)

    def drop(self) -> None:
        """Close it, whatever is under way."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._reader = self._writer = None


class Player:
    """What the clients do, and what they were answered."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._chance = random.Random(seed)
        self._new = 0
        self._doomed = itertools.count()
        self.ends_s = 0.0
        self.answered: Counter[str] = Counter()
        self.surprises: Counter[str] = Counter()
        self.confirmed: Counter[str] = Counter()
        """Additions to each hot object that were answered."""
        self.sent: Counter[str] = Counter()

    async def play(self) -> None:
        actions: list[tuple[int, Callable[[Connection], Awaitable[str]]]] = [
            (300, lambda c: self._call(c, self._hot(), "recent")),
            (150, lambda c: self._call(c, self._cold(), "recent")),
            (200, self._add),
            (100, lambda c: self._call(c, self._cold(), "add")),
            (60, self._add_to_new),
            (30, lambda c: self._call(c, self._cold(), "first")),
            (30, lambda c: self._call(c, self._hot(), "section")),
            (20, lambda c: self._call(c, self._cold(), "background")),
            (20, lambda c: self._call(c, self._cold(), "relay")),
            (30, lambda c: self._call(c, self._cold(), "fail", status=500)),
            (10, self._reset),
            (20, self._blob),
            (10, lambda c: self._call(c, self._cold(), "blob")),
            (1, self._large),
            (10, self._leave_call),
            (5, self._leave_body),
        ]
        weights = [weight for weight, _ in actions]
        connection = Connection(self._port)
        while time.monotonic() < self.ends_s:
            (_, action), *_ = self._chance.choices(actions, weights)
            try:
                self.answered[await asyncio.wait_for(action(connection), TIMEOUT_S)] += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.surprises[f"{type(error).__name__}: {error}"] += 1
                connection.drop()
        connection.drop()

    def _hot(self) -> str:
        return f"hot-{self._chance.randrange(HOT)}"

    def _cold(self) -> str:
        return f"cold-{self._chance.randrange(COLD)}"

    async def _call(
        self, connection: Connection, name: str, what: str, body: bytes | None = None, *, status: int = 200
    ) -> str:
        found, answer = await connection.ask(f"/{name}/{what}", body)
        if found != status:
            self.surprises[f"{what}: {found} {answer[:120]!r}"] += 1
        return what

    async def _add(self, connection: Connection) -> str:
        name = f"counter-{self._chance.randrange(HOT)}"
        self.sent[name] += 1
        status, _ = await connection.ask(f"/{name}/add")
        if status == 200:
            self.confirmed[name] += 1
        else:
            self.surprises[f"add to a hot object: {status}"] += 1
        return "add to a hot object"

    async def _add_to_new(self, connection: Connection) -> str:
        number, self._new = self._new, self._new + 1
        name = f"new-{number % NEW}"
        if number >= NEW:
            await self._call(connection, name, "wipe", status=500)
        await self._call(connection, name, "add")
        return "add to a new object"

    async def _reset(self, connection: Connection) -> str:
        # Objects of its own: a reset fails the other calls that are in the object at that moment, too.
        await self._call(connection, name := f"doomed-{next(self._doomed) % COLD}", "add")
        return await self._call(connection, name, "reset", status=500)

    async def _blob(self, connection: Connection) -> str:
        return await self._call(connection, self._cold(), "add-blob", bytes(self._chance.choice(BLOB_BYTES)))

    async def _large(self, connection: Connection) -> str:
        name = f"large-{self._chance.randrange(10)}"
        await self._call(connection, name, "add-blob", bytes(LARGE_BYTES))
        await self._call(connection, name, "blob")
        return "large bodies"

    async def _leave_call(self, connection: Connection) -> str:
        await connection.send(f"/{self._cold()}/slow")
        await asyncio.sleep(self._chance.random() * 0.1)
        connection.drop()
        return "client leaves during a call"

    async def _leave_body(self, connection: Connection) -> str:
        await connection.send(f"/{self._cold()}/add-blob", bytes(300_000), part=self._chance.random())
        connection.drop()
        return "client leaves during its body"

    async def check(self) -> None:
        """What was confirmed has been counted, and nothing that was not sent."""
        connection = Connection(self._port)
        for name, sent in self.sent.items():
            total = int((await connection.ask(f"/{name}/total"))[1])
            if not self.confirmed[name] <= total <= sent:
                self.surprises[f"{name}: {self.confirmed[name]} confirmed, {sent} sent, {total} counted"] += 1
        connection.drop()


# --- looking --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that has to stay as it is."""

    name: str
    unit: str
    slack: float
    """May have grown by so much at the end, beside a twentieth."""


FIGURES: Final = (
    Figure("resident memory", "MiB", 8),
    Figure("descriptors", "", 30),
    Figure("threads", "", 2),
    Figure("tasks", "", 50),
    Figure("live objects", "/rps", 0.5),  # an object lives for ten seconds after its last request
    Figure("other stores", "", 400),  # whose object is not live, and whose WAL the journal still has
    Figure("open stores", "", 30),
    Figure("journal", "MiB", 64),
)


async def sample(server: Mixed, began_s: float, player: Player) -> dict[str, float]:
    """Look at the process."""
    connection = Connection(server.port)
    _, answer = await connection.ask("/-/-")
    connection.drop()
    inside: dict[str, Any] = json.loads(answer)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
    )
    return {
        "s": round(time.monotonic() - began_s, 1),
        "requests": player.answered.total(),
        "resident memory": int(status["VmRSS"].split()[0]) / 1024,
        "descriptors": len(os.listdir(f"/proc/{server.pid}/fd")),
        "threads": int(status["Threads"]),
        "tasks": inside["tasks"],
        "live objects": inside["live objects"],
        "known stores": inside["known stores"],
        "open stores": inside["open stores"],
        "journal": inside["journal bytes"] / 2**20,
    }


def judged(samples: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return what is judged: what follows the load is told for a request a second, since other work may slow that."""
    found = []
    for before, each in itertools.pairwise([{"s": 0.0, "requests": 0.0}, *samples]):
        rate = (each["requests"] - before["requests"]) / (each["s"] - before["s"])
        others = each["known stores"] - each["live objects"]
        found.append(each | {"live objects": each["live objects"] / rate, "other stores": others})
    return found


def verdict(samples: list[dict[str, float]]) -> tuple[str, bool]:
    """Compare the first and the last third after the warm-up; return a table and whether all was flat."""
    samples = judged(samples)
    kept = samples[int(len(samples) * WARM_PART) :]
    third = max(1, len(kept) // 3)
    lines = [f"{'':16}{'':5}{'first third':>12}{'last third':>12}{'largest':>10}{'an hour':>10}"]
    all_flat = True
    for figure in FIGURES:
        values = [each[figure.name] for each in kept]
        begin, end = statistics.median(values[:third]), statistics.median(values[-third:])
        flat = end <= begin * 1.05 + figure.slack
        all_flat = all_flat and flat
        slope = 0.0
        if len(kept) > 1:
            slope = statistics.linear_regression([each["s"] for each in kept], values).slope * 3600
        lines.append(
            f"{figure.name:16}{figure.unit:5}{begin:12,.1f}{end:12,.1f}{max(values):10,.1f}{slope:+10,.1f}  "
            + ("flat" if flat else "GROWS")
        )
    return "\n".join(lines), all_flat


# --- the run --------------------------------------------------------------------------------------------


async def run(server: Mixed, minutes: float, seed: int) -> tuple[list[dict[str, float]], Player]:
    player = Player(server.port, seed)
    began_s = time.monotonic()
    player.ends_s = began_s + minutes * 60
    clients = [asyncio.create_task(player.play()) for _ in range(CLIENTS)]
    samples = []
    while time.monotonic() < player.ends_s - SAMPLE_S / 2:
        await asyncio.sleep(SAMPLE_S)
        samples.append(await sample(server, began_s, player))
        say(
            f"  {samples[-1]['s']:7.0f} s  "
            + "  ".join(f"{name} {value:,.0f}" for name, value in samples[-1].items() if name != "s")
        )
    await asyncio.gather(*clients)
    await player.check()
    return samples, player


def main() -> None:
    parser = argparse.ArgumentParser(description="A mixed load for a while: does the server stay as it is?")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1, help="of what the clients choose")
    parser.add_argument("--folder", type=Path, default=CACHE, help="where the server stores (.cache/bench)")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="mixed-", dir=asked.folder)).resolve()
    server = Mixed(folder / "server", None)
    try:
        server.start()
        samples, player = asyncio.run(run(server, asked.minutes, asked.seed))
        stored = sum(file.stat().st_blocks * 512 for file in server.storage.rglob("*"))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    table, all_flat = verdict(samples)
    path = ROOT / "bench" / "results" / time.strftime("mixed-%Y%m%d-%H%M%S.json")
    path.parent.mkdir(exist_ok=True)
    told = {"minutes": asked.minutes, "seed": asked.seed, "source": str(SOURCE), "samples": samples}
    path.write_text(
        json.dumps({**told, "answered": player.answered, "surprises": player.surprises}, indent=1)
    )
    requests = player.answered.total()
    print(f"{asked.minutes:g} minutes, {requests:,} requests, {stored / 1e9:.1f} GB stored\n")
    print("\n".join(f"{count:10,}  {what}" for what, count in player.answered.most_common()))
    print(f"\n{table}\n")
    for surprise, count in player.surprises.most_common(20):
        print(f"NOT EXPECTED {count} x {surprise}")
    print(("All flat" if all_flat else "NOT FLAT") + ("" if not player.surprises else ", with SURPRISES"))
    say(f"written to {path}")
    sys.exit(0 if all_flat and not player.surprises else 1)


if __name__ == "__main__":
    main()
