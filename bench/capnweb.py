"""How many calls a second come over one WebSocket that speaks Cap'n Web, beside npm's server on Node?"""

from __future__ import annotations

from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.table import Row

WARM_CALLS_S = 0.5
SECONDS_MAX = 1.0  # a call is short: this has ten thousand of them


def play(bench: Bench) -> list[Row]:
    seconds = min(bench.seconds, SECONDS_MAX)
    rows = []
    with bench.beside_node() as servers:
        for server in servers:
            bench.talk(server, what="calls", path="/rpc/-/-", at_once=64, seconds=WARM_CALLS_S)
        for name, at_once in (("one after the other", 1), ("64 under way", 64)):

            def measure(server: Server, turn: int, at_once: int = at_once) -> Load:
                return bench.talk(server, what="calls", path="/rpc/-/-", at_once=at_once, seconds=seconds)

            rows.append(
                bench.compare(f"Cap'n Web over one socket, {name}", "calls/s", servers, measure, aim=">= 0.5")
            )
        alone = servers[:1]
        found = bench.in_turns(
            alone,
            lambda server, turn: (
                bench.talk(server, what="calls", path="/rpc/a/-", at_once=64, seconds=seconds).per_second
            ),
        )
        rows.append(Row("Cap'n Web to an object, 64 under way", "calls/s", *found))
    return rows
