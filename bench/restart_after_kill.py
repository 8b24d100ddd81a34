"""How long after `kill -9` is what was confirmed there again, and a request answered?"""

from __future__ import annotations

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row
from _lib.tools import say

BLOB = 64 * 1024
LARGE = 200  # objects that share the large writes
SMALL = 1_000  # objects with one row each
MIB = 1024 * 1024


def play(bench: Bench) -> list[Row]:
    blobs = (64 if bench.quick else 800) * MIB // BLOB
    small = 300 if bench.quick else SMALL
    journals: list[int] = []
    large_s: list[list[float]] = []
    small_s: list[list[float]] = []
    with bench.both() as servers:
        for server in servers:
            bench.ask(server, f"/item/large-%d/fill/{BLOB}", blobs, numbers=LARGE)
            journals.append(_journal_bytes(server))
            large_s.append([_restart(server)])
            stored = sum(int(server.get(f"/item/large-{n}/stored")) for n in range(LARGE))
            expect(stored, blobs * BLOB, f"{server.name}: bytes after the restart")
            say(f"  {server.name}: {large_s[-1][0]:.3f} s with {journals[-1] // MIB} MiB of journal")
    with bench.both() as servers:
        for server in servers:
            bench.ask(server, "/item/small-%d/add", small)
            small_s.append([_restart(server)])
            rows = int(server.get(f"/item/small/sum/{small}"))
            expect(rows, small, f"{server.name}: rows after the restart")
            say(f"  {server.name}: {small_s[-1][0]:.3f} s with {small:,} new objects")
    return [
        Row(
            f"restart after kill -9 with {blobs * BLOB // MIB:,} MiB written to {LARGE} objects",
            "s",
            *large_s,
            aim="<= 2",
            aim_of_value=True,
            note=f"the journal held {journals[0] // MIB:,} MiB",
        ),
        Row(
            f"restart after kill -9 with {small:,} new objects",
            "s",
            *small_s,
            aim="<= 2",
            aim_of_value=True,
        ),
    ]


def _journal_bytes(server: Server) -> int:
    return sum(file.stat().st_size for file in server.storage.glob("journal/*.seg"))


def _restart(server: Server) -> float:
    server.kill()
    return server.start()
