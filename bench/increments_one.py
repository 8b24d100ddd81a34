"""How many durable increments a second does one object take, asked by 64 connections?"""

from __future__ import annotations

from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.table import Row

CONNECTIONS = 64


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        for server in servers:
            bench.ask(server, "/item/warm/add", 500)

        def measure(server: Server, turn: int) -> Load:
            load = bench.load(server, f"/item/turn-{turn}/add", connections=CONNECTIONS)
            check_total(int(server.get(f"/item/turn-{turn}/total")), load.requests, server)
            return load

        name = "durable increments, one object"
        return [bench.compare(name, "requests/s", servers, measure, aim=">= 5")]


def check_total(total: int, answered: int, server: Server) -> None:
    """What was answered has been counted; what was under way at the end may have been."""
    if not answered <= total <= answered + CONNECTIONS:
        raise SystemExit(f"{server.name}: {answered} increments were confirmed and {total} counted")
