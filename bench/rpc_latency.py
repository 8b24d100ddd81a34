"""How long does a call take from a worker's function to an object, one after the other?"""

from __future__ import annotations

import time

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row


def play(bench: Bench) -> list[Row]:
    rows = []
    with bench.both() as servers:
        for name, path, calls, aim in (
            ("a call in a loop", "/plain/a/loop-ping", 5_000, "<= 1"),
            ("a call in a loop that makes a durable write", "/item/a/loop-add", 500, ""),
        ):
            for server in servers:
                expect(server.get(f"{path}/{calls}"), str(calls), server.name)

            def measure(server: Server, turn: int, path: str = path, calls: int = calls) -> float:
                server.get("/none/-/-")
                began_s = time.perf_counter()
                server.get("/none/-/-")
                without_s = time.perf_counter() - began_s
                began_s = time.perf_counter()
                server.get(f"{path}/{calls}")
                return (time.perf_counter() - began_s - without_s) / calls * 1e6

            found = bench.in_turns(servers, measure, turns=2 * bench.turns)
            rows.append(Row(name, "µs", *found, aim=aim))
    return rows
