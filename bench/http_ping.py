"""How many requests a second reach an object and come back, without storage?"""

from __future__ import annotations

from _lib.bench import Bench, Load, expect
from _lib.servers import Server
from _lib.table import Row

PATHS = (
    ("ping: worker calls a method", "/plain/a/ping", "pong", ">= 2"),
    ("ping: worker forwards the request", "/plain/a/fetch", "pong", ""),
    ("answer of the worker alone", "/none/-/-", "none", ""),
)


def play(bench: Bench) -> list[Row]:
    rows = []
    with bench.both() as servers:
        for name, path, answer, aim in PATHS[: 1 if bench.quick else None]:
            for server in servers:
                expect(server.get(path), answer, f"{server.name} {path}")
                bench.load(server, path, seconds=1)

            def measure(server: Server, turn: int, path: str = path) -> Load:
                return bench.load(server, path)

            rows.append(bench.compare(name, "requests/s", servers, measure, aim=aim))
    return rows
