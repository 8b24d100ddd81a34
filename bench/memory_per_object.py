"""How much memory does a live object take that has used SQL?"""

from __future__ import annotations

import resource
import time

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row
from _lib.tools import say

KEPT_S = 3_600.0  # so that no object leaves memory meanwhile
COUNTS = (1_000, 10_000)
FILES_OF_WORKERD = 4  # that a live object holds open
WARM = 50
SAMPLES = 20


def play(bench: Bench) -> list[Row]:
    found: dict[int, list[float]] = {}
    counts = COUNTS[:1] if bench.quick else COUNTS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    without = files < FILES_OF_WORKERD * counts[-1]
    with bench.in_memory(), bench.both(idle_s=KEPT_S) as servers:
        for server in servers:
            bench.ask(server, "/item/warm-%d/add", WARM)
            time.sleep(0.5)
            before = server.memory_bytes()
            for count in counts:
                if without and count > 1_000 and server.name == "workerd":
                    say(f"  {count:,} objects of workerd would need more than {files:,} open files")
                    continue
                bench.ask(server, f"/item/of-{count}-%d/add", count - sum(c for c in counts if c < count))
                time.sleep(1)
                _check_live(server, count)
                found.setdefault(count, []).append((server.memory_bytes() - before) / count / 1024)
            say(
                f"  {server.name} "
                + " ".join(f"{count:,}: {each[-1]:.1f} KiB" for count, each in found.items())
            )
    return [
        Row(f"memory of each of {count:,} live objects", "KiB", each[:1], each[1:], aim="<= 0.25")
        for count, each in found.items()
    ]


def _check_live(server: Server, count: int) -> None:
    """A live object remembers its one call; one that was made anew would not."""
    for n in range(0, count * 9 // 10, count // SAMPLES):
        expect(server.get(f"/item/of-{count}-{n}/calls"), "1", f"{server.name}: calls of object {n}")
