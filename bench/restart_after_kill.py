"""How long after `kill -9` is what was confirmed there again, and a request answered?"""

from __future__ import annotations

import statistics

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row
from _lib.tools import say

BLOB = 64 * 1024
LARGE = 200  # objects that share the large writes
SMALL = 2_000  # objects with one row each
MIB = 1024 * 1024


def play(bench: Bench) -> list[Row]:
    blobs = (64 if bench.quick else 1200) * MIB // BLOB
    small = 300 if bench.quick else SMALL
    journals: list[int] = []
    found: dict[str, list[list[float]]] = {}
    for _ in range(1 if bench.quick else 2):
        with bench.both() as servers:
            for index, server in enumerate(servers):
                bench.ask(server, f"/item/large-%d/fill/{BLOB}", blobs, numbers=LARGE)
                journals.append(_journal_bytes(server))
                took_s = _restart(server)
                stored = sum(int(server.get(f"/item/large-{n}/stored")) for n in range(LARGE))
                expect(stored, blobs * BLOB, f"{server.name}: bytes after the restart")
                found.setdefault("large", [[], []])[index].append(took_s)
        with bench.both() as servers:
            for index, server in enumerate(servers):
                bench.ask(server, "/item/small-%d/add", small)
                took_s = _restart(server)
                rows = int(server.get(f"/item/small/sum/{small}"))
                expect(rows, small, f"{server.name}: rows after the restart")
                found.setdefault("small", [[], []])[index].append(took_s)
        say(
            "  "
            + "   ".join(f"{k}: perdure {v[0][-1]:.3f} s, workerd {v[1][-1]:.3f} s" for k, v in found.items())
        )
    journal = statistics.median(journals[::2]) / MIB
    return [
        Row(
            f"restart after kill -9 with {blobs * BLOB // MIB:,} MiB written to {LARGE} objects",
            "s",
            *found["large"],
            aim="<= 2",
            aim_of_value=True,
            note=f"the journal held {journal:,.0f} MiB",
        ),
        Row(
            f"restart after kill -9 with {small:,} new objects",
            "s",
            *found["small"],
            aim="<= 2",
            aim_of_value=True,
        ),
    ]


def _journal_bytes(server: Server) -> int:
    return sum(file.stat().st_size for file in server.storage.glob("journal/*.seg"))


def _restart(server: Server) -> float:
    server.kill()
    return server.start()
