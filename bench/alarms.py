"""How many alarms a second run when they come due at once? Each wakes its object, which writes one durable row."""

from __future__ import annotations

import time

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row
from _lib.tools import say

COMPARED = 2_000
COMPARED_LARGE = 5_000
OBJECTS_LARGE = 50_000  # of Perdure alone: workerd takes minutes to make a tenth of them
WARM = 300  # objects that tell how long setting takes
LEAD = 1.4  # the alarms come due when that must long be over
PATIENCE_S = 600.0


def play(bench: Bench) -> list[Row]:
    rows = []
    for objects in (COMPARED, COMPARED_LARGE) if bench.large else (COMPARED,):
        with bench.both() as servers:
            ours, theirs = ([_measure(bench, server, objects)] for server in servers)
        rows.append(Row(f"alarms run, {objects:,} due at once", "alarms/s", ours, theirs, aim=">= 1"))
    if bench.large:
        with bench.running(bench.perdure()) as (server,):
            found = [_measure(bench, server, OBJECTS_LARGE)]
        rows.append(Row(f"alarms run, {OBJECTS_LARGE:,} due at once", "alarms/s", found))
    return rows


def _measure(bench: Bench, server: Server, objects: int) -> float:
    far_ms = round((time.time() + 24 * 3600) * 1000)
    rate = bench.ask(server, f"/alarm/warm-%d/set/{far_ms}", WARM).per_second
    due_s = time.time() + 3 + LEAD * objects / rate
    bench.ask(server, f"/alarm/of-%d/set/{round(due_s * 1000)}", objects)
    left_s = due_s - time.time()
    expect(left_s > 0, True, f"{server.name}: all alarms are set before they are due")
    expect(server.get("/alarm/-/fired"), "0", f"{server.name}: alarms that ran early")
    say(f"  {server.name}: {objects:,} alarms set, due in {left_s:.0f} s")
    time.sleep(left_s)
    while (fired := int(server.get("/alarm/-/fired"))) < objects:
        expect(
            time.time() < due_s + PATIENCE_S,
            True,
            f"{server.name}: {fired:,} of {objects:,} alarms ran in time",
        )
        time.sleep(0.05)
    per_second = objects / (time.time() - due_s)
    expect(fired, objects, f"{server.name}: alarms that ran")
    say(f"  {server.name}: {per_second:,.0f} alarms/s")
    return per_second
