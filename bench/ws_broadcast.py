"""How fast does a message reach a thousand WebSockets of one object?"""

from __future__ import annotations

from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.table import Row

SOCKETS = 1_000
ROUNDS = 30


def play(bench: Bench) -> list[Row]:
    last_ms: dict[str, list[float]] = {}
    rounds = ROUNDS // 3 if bench.quick else ROUNDS
    with bench.both() as servers:

        def measure(server: Server, turn: int) -> Load:
            room = f"broadcast-{turn}"
            load = bench.talk(server, what="broadcast", room=room, rooms=1, sockets=SOCKETS, rounds=rounds)
            last_ms.setdefault(server.name, []).append(load.p99_ms)
            return load

        row = bench.compare(f"broadcast to {SOCKETS:,} sockets", "messages/s", servers, measure, aim=">= 2")
        found = [last_ms[server.name] for server in servers]
        return [row, Row("… until the last has it, 99 of 100 times", "ms", *found)]
