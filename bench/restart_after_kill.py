"""How long after `kill -9` is what was confirmed there again, and a request answered?"""

from __future__ import annotations

import os
import shutil

from _lib.bench import Bench, expect
from _lib.servers import Server
from _lib.table import Row
from _lib.tools import say

from perdure._base.limits import JOURNAL_BUDGET_BYTES, MIB

BLOB = 64 * 1024
BLOBS_EACH = 4
FULL = JOURNAL_BUDGET_BYTES * 97 // 100
IN_JOURNAL = 75 * 1024
"""What a blob takes there, with the pages of its table."""
SMALL = 1_000  # objects with one row each


def play(bench: Bench) -> list[Row]:
    return [_full(bench), _small(bench)]


def _full(bench: Bench) -> Row:
    blobs = (64 * MIB if bench.quick else FULL) // IN_JOURNAL
    objects = blobs // BLOBS_EACH
    blobs = objects * BLOBS_EACH
    times_s: list[list[float]] = []
    journals = []
    # All of the machine for both: no load runs beside a start. Perdure takes nothing out of its journal meanwhile.
    with bench.both(pinned=False, keep_journal=True) as servers:
        for server in servers:
            bench.ask(server, f"/item/of-%d/fill/{BLOB}", blobs, numbers=objects)
            server.kill()
            journals.append(_journal_bytes(server))
            times_s.append(_starts(bench, server))
            stored = sum(int(server.get(f"/item/of-{n}/stored")) for n in range(objects))
            expect(stored, blobs * BLOB, f"{server.name}: bytes after the restart")
    return Row(
        "restart after kill -9 with a full journal",
        "s",
        *times_s,
        aim="<= 2",
        aim_of_value=True,
        note=f"{blobs * BLOB // MIB:,} MiB in {objects:,} objects; the journal, of {JOURNAL_BUDGET_BYTES // MIB:,} MiB at most, "
        f"took {journals[0] // MIB:,} MiB of files, the last of them not full",
    )


def _small(bench: Bench) -> Row:
    small = 300 if bench.quick else SMALL
    times_s: list[list[float]] = []
    with bench.both(pinned=False) as servers:
        for server in servers:
            bench.ask(server, "/item/small-%d/add", small)
            server.kill()
            times_s.append(_starts(bench, server))
            rows = int(server.get(f"/item/small/sum/{small}"))
            expect(rows, small, f"{server.name}: rows after the restart")
    name = f"restart after kill -9 with {small:,} new objects"
    return Row(name, "s", *times_s, aim="<= 2", aim_of_value=True)


def _starts(bench: Bench, server: Server) -> list[float]:
    """Start on what the kill left, each turn on a copy of it; the last start goes on."""
    killed = server.folder / "killed"
    server.storage.rename(killed)
    took_s: list[float] = []
    for turn in range(bench.turns):
        if turn:
            server.kill()
        shutil.rmtree(server.storage, ignore_errors=True)
        shutil.copytree(killed, server.storage)
        os.sync()  # the copy's own writes are no part of the start
        took_s.append(server.start())
    say(f"  {server.name} " + " ".join(f"{each_s:.3f} s" for each_s in took_s))
    return took_s


def _journal_bytes(server: Server) -> int:
    """What the journal's files take."""
    return sum(file.stat().st_size for file in server.storage.glob("journal/*.seg"))
