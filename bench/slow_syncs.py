"""How many durable increments a second where a sync takes a millisecond longer than here?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import increments_many
import increments_one
from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.slow_sync import SlowSync, compiled
from _lib.table import Row

LONGER_US = 1_000
SHOWN = "syncs 1 ms longer"


def play(bench: Bench) -> list[Row]:
    return [
        _slowed(
            bench, f"durable increments, one object, {SHOWN}", increments_one.measuring, increments_one.AIM
        ),
        _slowed(
            bench,
            f"durable increments, {increments_many.OBJECTS} objects, {SHOWN}",
            increments_many.measuring,
            increments_many.AIM,
        ),
    ]


def _slowed(
    bench: Bench,
    name: str,
    measuring: Callable[[Bench, tuple[Server, ...]], Callable[[Server, int], Load]],
    aim: str,
) -> Row:
    library = compiled(bench.place())
    if library is None:
        return Row(name, "requests/s", [], note="not measured: there is no C compiler (cc) here")
    servers = bench.perdure(), bench.workerd()
    slow = {server: SlowSync(server, library, LONGER_US) for server in servers}
    syncs: dict[Server, int] = dict.fromkeys(servers, 0)
    with bench.running(*servers):
        inner = measuring(bench, servers)

        def measure(server: Server, turn: int) -> Load:
            before = slow[server].count
            load = inner(server, turn)
            made = slow[server].count - before
            # A sync can answer no more than one request of each connection: with fewer, some went another way.
            if made * increments_one.CONNECTIONS < load.requests:
                raise SystemExit(
                    f"{server.name}: {load.requests} durable answers with {made} slowed syncs: it syncs in a way that "
                    "slow_sync.c does not slow, so there is nothing to compare"
                )
            syncs[server] += made
            return load

        row = bench.compare(name, "requests/s", servers, measure, aim=aim)
    note = "syncs: " + ", ".join(f"{server.name} {count:,}" for server, count in syncs.items())
    return replace(row, note=note)
