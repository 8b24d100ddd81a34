"""How many objects a second can be called for the first time? Each makes its table and one durable row."""

from __future__ import annotations

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        for server in servers:
            bench.ask(server.port, "/item/warm-%d/add", 200)

        def measure(server: Server, turn: int) -> float:
            load = bench.load(server.port, f"/item/new-{turn}-%d/add", numbers=0)
            for n in range(1, load.requests * 9 // 10, max(1, load.requests // 20)):
                expect(
                    server.get(f"/item/new-{turn}-{n}/total"), "1", f"{server.name}: total of a new object"
                )
            return load.per_second

        return [Row("first calls to new objects", "objects/s", *bench.in_turns(servers, measure), aim=">= 4")]
