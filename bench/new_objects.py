"""How many objects a second can be called for the first time? Each makes its table and one durable row."""

from __future__ import annotations

from _lib.bench import Bench, Load, expect
from _lib.servers import Server
from _lib.table import Row

OBJECTS = 500  # a number of objects, not of seconds: where files are made slowly a second may see none


def play(bench: Bench) -> list[Row]:
    objects = 150 if bench.quick else OBJECTS
    with bench.both() as servers:
        for server in servers:
            bench.ask(server, "/item/warm-%d/add", 100)

        def measure(server: Server, turn: int) -> Load:
            load = bench.ask(server, f"/item/new-{turn}-%d/add", objects)
            expect(int(server.get(f"/item/new-{turn}/sum/{objects}")), objects, f"{server.name}: rows")
            return load

        return [bench.compare("first calls to new objects", "objects/s", servers, measure, aim=">= 4")]
