"""How many durable increments a second do 500 objects take together, asked by 64 connections?"""

from __future__ import annotations

from _lib.bench import Bench
from _lib.servers import Server
from _lib.table import Row
from increments_one import CONNECTIONS, check_total

OBJECTS = 500


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        for server in servers:
            bench.ask(server.port, "/item/many-%d/add", 2 * OBJECTS, numbers=OBJECTS)

        def measure(server: Server, turn: int) -> float:
            before = _total(server)
            load = bench.load(server.port, "/item/many-%d/add", numbers=OBJECTS, connections=CONNECTIONS)
            check_total(_total(server) - before, load.requests, server)
            return load.per_second

        found = bench.in_turns(servers, measure)
        return [Row(f"durable increments, {OBJECTS} objects", "requests/s", *found, aim=">= 10")]


def _total(server: Server) -> int:
    return sum(int(server.get(f"/item/many-{n}/total")) for n in range(OBJECTS))
