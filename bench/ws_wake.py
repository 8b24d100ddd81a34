"""How long does a message take to an object that has left memory?"""

from __future__ import annotations

import time
from contextlib import ExitStack

from _lib.bench import Bench
from _lib.table import Row
from _lib.tools import say

ROOMS = 200
HIBERNATED_S = 13.0


def play(bench: Bench) -> list[Row]:
    found: list[list[float]] = [[], []]
    with bench.both() as servers:
        for turn in range(1 if bench.quick else 2):
            asked = {"room": f"wake-{turn}", "rooms": ROOMS, "sockets": ROOMS, "asked": ROOMS}
            with ExitStack() as holding:
                held = [holding.enter_context(bench.holding(server, **asked)) for server in servers]
                time.sleep(HIBERNATED_S)
                for index in (0, 1) if turn % 2 == 0 else (1, 0):
                    found[index].append(held[index].finish().p50_ms * 1000)
            say("  " + "   ".join(f"{s.name} {f[-1]:,.4g}" for s, f in zip(servers, found, strict=True)))
    return [Row("message that wakes an object, there and back", "µs", *found, aim="<= 1")]
