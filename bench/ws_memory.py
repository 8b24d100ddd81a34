"""How much memory does a WebSocket take whose object has left memory?"""

from __future__ import annotations

import resource
import time

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
    counts = COUNTS[:1] if bench.quick else sorted({min(count, most) for count in COUNTS} | {most})
    with bench.in_memory(), bench.both() as servers:
        for server in servers:
            with bench.holding(server, room="warm", rooms=1, sockets=WARM):
                time.sleep(HIBERNATED_S)
            before = server.memory_bytes()  # once: what a smaller number left free, a larger one uses
            for count in counts:
                if server.name == "workerd" and FILES_OF_WORKERD * count > files:
                    say(f"  {count:,} sockets of workerd would need more open files than there may be")
                    continue
                rooms = max(1, count // PER_ROOM)
                asked = {"room": f"of-{count}", "rooms": rooms, "sockets": count, "asked": rooms}
                with bench.holding(server, **asked) as held:
                    time.sleep(HIBERNATED_S)
                    each = (server.memory_bytes() - before) / count / 1024
                    held.finish()  # the first message of each room finds a new instance
                found.setdefault(count, []).append(each)
            say(
                f"  {server.name} "
                + " ".join(f"{count:,}: {each[-1]:.1f} KiB" for count, each in found.items())
            )
    rows = []
    for count, each in found.items():
        name = f"memory of each of {count:,} hibernated sockets"
        aims = {"aim": "<= 0.333"} if each[1:] else {"aim": f"<= {AIM_KIB}", "aim_of_value": True}
        rows.append(Row(name, "KiB", each[:1], each[1:], **aims))
    return rows
