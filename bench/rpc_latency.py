"""How long does a call take from a worker's function to an object, one after the other, and how many go at once?"""

from __future__ import annotations

import time

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row

LOOPS = (
    ("a call in a loop", "/plain/a/loop-ping", 3_000, "<= 0.7"),
    ("a call in a loop of a method that is a plain function", "/plain/a/loop-sync", 2_000, "<= 0.7"),
    ("a call in a loop with a dict of 1 KB", "/plain/a/loop-dict", 2_000, "<= 0.7"),
    ("a call in a loop that calls a function of the caller's", "/plain/a/loop-callback", 1_000, "<= 0.7"),
    ("a call in a loop that makes a durable write", "/item/a/loop-add", 500, ""),
)
AT_ONCE = 64


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:

        def took_s(server: Server, path: str) -> float:
            """Return the seconds until the answer, without those of an answer that needs no calls."""
            server.get("/none/-/-")
            began_s = time.perf_counter()
            server.get("/none/-/-")
            without_s = time.perf_counter() - began_s
            began_s = time.perf_counter()
            server.get(path)
            return time.perf_counter() - began_s - without_s

        rows = []
        for name, path, calls, aim in LOOPS:
            for server in servers:
                expect(server.get(f"{path}/{calls}"), str(calls), server.name)

            def measure(
                server: Server, turn: int, path: str = f"{path}/{calls}", calls: int = calls
            ) -> float:
                return took_s(server, path) / calls * 1e6

            rows.append(Row(name, "µs", *bench.in_turns(servers, measure), aim=aim))

        path, calls = "/plain/a/rounds-ping", 100 * AT_ONCE
        for server in servers:
            expect(server.get(f"{path}/{calls}"), str(calls), server.name)
        found = bench.in_turns(servers, lambda server, turn: calls / took_s(server, f"{path}/{calls}"))
        return [*rows, Row(f"calls to one object, {AT_ONCE} at once", "calls/s", *found, aim=">= 1.43")]
