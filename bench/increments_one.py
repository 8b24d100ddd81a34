"""How many durable increments a second does one object take, asked by 64 connections?"""

from __future__ import annotations

from collections.abc import Callable

from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.table import Row

CONNECTIONS = 64
AIM = ">= 5"


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        measure = measuring(bench, servers)
        return [bench.compare("durable increments, one object", "requests/s", servers, measure, aim=AIM)]


def measuring(bench: Bench, servers: tuple[Server, ...]) -> Callable[[Server, int], Load]:
    """Warm *servers* up; return what measures one of them."""
    for server in servers:
        bench.ask(server, "/item/warm/add", 500)

    def measure(server: Server, turn: int) -> Load:
        load = bench.load(server, f"/item/turn-{turn}/add", connections=CONNECTIONS)
        check_total(int(server.get(f"/item/turn-{turn}/total")), load.requests, server)
        return load

    return measure


def check_total(total: int, answered: int, server: Server) -> None:
    """What was answered has been counted; what was under way at the end may have been."""
    if not answered <= total <= answered + CONNECTIONS:
        raise SystemExit(f"{server.name}: {answered} increments were confirmed and {total} counted")
