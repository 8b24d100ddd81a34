"""What does a project for Cloudflare's Python Workers cost beside the same application in Perdure's own API?"""

from __future__ import annotations

import time

from _lib.bench import Bench, Load, expect
from _lib.servers import Server
from _lib.table import Row

REQUESTS = (
    ("answer of a project's worker", "/none/-/-"),
    ("ping: a project's worker calls a method", "/plain/a/ping"),
    ("ping: a project's worker forwards the request", "/plain/a/fetch"),
    ("SQL point read of a project", "/item/a/read/%d"),
)
ROWS = 1_000
LOOPS = (
    ("a project's call in a loop", "/plain/a/loop-ping"),
    ("a project's call in a loop of a plain method", "/plain/a/loop-sync"),
    ("a project's call in a loop with a dict of 1 KB", "/plain/a/loop-dict"),
)
CALLS = 2_000


def play(bench: Bench) -> list[Row]:
    rows = []
    native = bench.perdure()
    native.name = "native"
    with bench.running(bench.perdure(project=True), native) as servers:
        for server in servers:
            expect(server.get(f"/item/a/seed/{ROWS}"), str(ROWS), server.name)
            expect(server.get("/item/a/read/5"), "35", server.name)
        for name, path in REQUESTS:
            numbers = ROWS if "%d" in path else 1

            def measure(server: Server, turn: int, path: str = path, numbers: int = numbers) -> Load:
                return bench.load(server, path, numbers=numbers)

            for server in servers:
                bench.load(server, path, numbers=numbers, seconds=1)
            rows.append(bench.compare(name, "requests/s", servers, measure))
        for name, path in LOOPS:
            for server in servers:
                expect(server.get(f"{path}/{CALLS}"), str(CALLS), server.name)

            def took_us(server: Server, turn: int, path: str = f"{path}/{CALLS}") -> float:
                began_s = time.perf_counter()
                server.get(path)
                return (time.perf_counter() - began_s) / CALLS * 1e6

            rows.append(Row(name, "µs", *bench.in_turns(servers, took_us), beside=servers[1].name))
    return rows
