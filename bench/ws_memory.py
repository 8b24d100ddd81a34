"""How much memory does a WebSocket take whose object has left memory?"""

from __future__ import annotations

import resource
import time
from contextlib import ExitStack

from _lib.bench import Bench
from _lib.table import Row
from _lib.tools import say

COUNTS = (1_000, 10_000)
SOCKETS_MAX = 25_000  # one client has no more ports to connect from
PER_ROOM = 1_000
FILES_OF_WORKERD = 2  # that each of its connections holds open
SPARE_FILES = 1_000
HIBERNATED_S = 13.0  # both let an idle object go after ten seconds
WARM = 100
AIM_KIB = 8


def play(bench: Bench) -> list[Row]:
    found: dict[int, list[float]] = {}
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
    most = min(files, SOCKETS_MAX) // PER_ROOM * PER_ROOM
    wanted = COUNTS[:1] if bench.quick else (*COUNTS, most) if bench.large else COUNTS
    counts = sorted({min(count, most) for count in wanted})
    with bench.in_memory(), bench.both() as servers:
        with ExitStack() as warm:
            for server in servers:
                warm.enter_context(bench.holding(server, room="warm", rooms=1, sockets=WARM))
            time.sleep(HIBERNATED_S)
        # Once: what a smaller number left free, a larger one uses.
        before = {server: server.memory_bytes() for server in servers}
        for count in counts:
            rooms = max(1, count // PER_ROOM)
            asked = {"room": f"of-{count}", "rooms": rooms, "sockets": count, "asked": rooms}
            with ExitStack() as holding:
                held = {}
                for server in servers:
                    if server.name == "workerd" and FILES_OF_WORKERD * count > files:
                        say(f"  {count:,} sockets of workerd would need more open files than there may be")
                    else:
                        held[server] = holding.enter_context(bench.holding(server, **asked))
                time.sleep(HIBERNATED_S)
                for server in held:
                    each = (server.memory_bytes() - before[server]) / count / 1024
                    found.setdefault(count, []).append(each)
                    held[server].finish()  # the first message of each room finds a new instance
                    say(f"  {server.name} {count:,}: {each:.1f} KiB")
    rows = []
    for count, each in found.items():
        name = f"memory of each of {count:,} hibernated sockets"
        aims = {"aim": "<= 0.333"} if each[1:] else {"aim": f"<= {AIM_KIB}", "aim_of_value": True}
        rows.append(Row(name, "KiB", each[:1], each[1:], **aims))
    return rows
