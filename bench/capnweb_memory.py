"""How much memory does an open session of Cap'n Web take, beside npm's server on Node?"""

from __future__ import annotations

from contextlib import ExitStack

from _lib.bench import Bench
from _lib.table import Row
from _lib.tools import say

SESSIONS = 1_000
WARM = 100
SESSION = {"what": "sessions", "path": "/rpc/-/-"}
AIM = "<= 1"


def play(bench: Bench) -> list[Row]:
    with bench.beside_node() as servers:
        each: list[list[float]] = []
        with ExitStack() as holding:
            for server in servers:
                # They stay open: what they would leave free the others would use.
                holding.enter_context(bench.holding(server, sockets=WARM, **SESSION))
                before = server.memory_bytes()
                held = holding.enter_context(bench.holding(server, sockets=SESSIONS, **SESSION))
                each.append([(server.memory_bytes() - before) / SESSIONS / 1024])
                held.finish()  # each session still answers
                say(f"  {server.name} {each[-1][0]:.1f} KiB")
    name = f"memory of each of {SESSIONS:,} sessions of Cap'n Web"
    return [Row(name, "KiB", *each, aim=AIM, beside=servers[1].name)]
