"""How many durable increments a second do 500 objects take together, asked by 64 connections?"""

from __future__ import annotations

from collections.abc import Callable

from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.table import Row
from increments_one import CONNECTIONS, check_total

OBJECTS = 500
AIM = ">= 10"


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        measure = measuring(bench, servers)
        name = f"durable increments, {OBJECTS} objects"
        return [bench.compare(name, "requests/s", servers, measure, aim=AIM)]


def measuring(bench: Bench, servers: tuple[Server, ...]) -> Callable[[Server, int], Load]:
    """Warm *servers* up; return what measures one of them."""
    for server in servers:
        bench.ask(server, "/item/many-%d/add", 2 * OBJECTS, numbers=OBJECTS)

    def measure(server: Server, turn: int) -> Load:
        before = _total(server)
        load = bench.load(server, "/item/many-%d/add", numbers=OBJECTS, connections=CONNECTIONS)
        check_total(_total(server) - before, load.requests, server)
        return load

    return measure


def _total(server: Server) -> int:
    return int(server.get(f"/item/many/sum/{OBJECTS}"))
