"""How many durable increments a second does one object take, asked by 64 connections?"""

from __future__ import annotations

from _lib.bench import Bench
from _lib.servers import Server
from _lib.table import Row

CONNECTIONS = 64


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        for server in servers:
            bench.ask(server.port, "/item/warm/add", 500)

        def measure(server: Server, turn: int) -> float:
            load = bench.load(server.port, f"/item/turn-{turn}/add", connections=CONNECTIONS)
            check_total(int(server.get(f"/item/turn-{turn}/total")), load.requests, server)
            return load.per_second

        found = bench.in_turns(servers, measure)
        return [Row("durable increments, one object", "requests/s", *found, aim=">= 5")]


def check_total(total: int, answered: int, server: Server) -> None:
    """What was answered has been counted; what was under way at the end may have been."""
    if not answered <= total <= answered + CONNECTIONS:
        raise SystemExit(f"{server.name}: {answered} increments were confirmed and {total} counted")
