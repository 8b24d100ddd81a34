"""How long does a message take to an object that has left memory?"""

from __future__ import annotations

import time

from _lib.bench import Bench
from _lib.servers import Server
from _lib.table import Row

ROOMS = 200
HIBERNATED_S = 13.0


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:

        def measure(server: Server, turn: int) -> float:
            with bench.holding(server, room=f"wake-{turn}", rooms=ROOMS, sockets=ROOMS, asked=ROOMS) as held:
                time.sleep(HIBERNATED_S)
                return held.finish().p50_ms * 1000

        found = bench.in_turns(servers, measure, turns=1 if bench.quick else 2)
        return [Row("message that wakes an object, there and back", "µs", *found, aim="<= 1")]
