"""What does a start cost with many objects asleep, a tenth of them with an alarm that is not due? Perdure alone."""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from _lib.bench import Bench, expect
from _lib.servers import Perdure
from _lib.table import Row
from growth import fill

COUNTS = (10, 10_000)
COUNT_LARGE = 1_000_000  # a minute to make and half of one to remove
DUE = 20  # alarms that come due between a stop and a start
DUE_S = 4.0  # from when they are set
PATIENCE_S = 30.0
_IN_OPEN = 0x20
_EVENT_HEAD_BYTES = 16


def play(bench: Bench) -> list[Row]:
    counts = (*COUNTS, COUNT_LARGE) if bench.large else COUNTS
    servers = [bench.perdure() for _ in counts]
    starts: list[list[float]] = [[] for _ in counts]
    memory: list[list[float]] = [[] for _ in counts]
    try:
        for server, count in zip(servers, counts, strict=True):
            fill(server, count, all_files=False)
        os.sync()  # so that no measurement pays for it
        for _ in range(bench.turns):
            for server, took_ms, taken_mib in zip(servers, starts, memory, strict=True):
                with _opened(server) as opened:
                    took_ms.append(server.start() * 1e3)
                    time.sleep(1)  # what it does after its first answer
                    taken_mib.append(server.memory_bytes() / (1 << 20))
                    server.stop()
                expect(opened, set(), "databases that a start has opened though nothing is due")
        rows = [
            Row(name.format(f"{count:,}", f"{count // 10:,}"), unit, each)
            for name, unit, found in (
                ("start, {} objects asleep, {} with alarms", "ms", starts),
                ("memory after it, {} objects asleep, {} with alarms", "MiB", memory),
            )
            for count, each in zip(counts, found, strict=True)
        ]
        rows.append(_some_due(bench, servers[-1], counts[-1]))
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
    return rows


def _some_due(bench: Bench, server: Perdure, count: int) -> Row:
    """Let some alarms of other objects come due while it is down, and see which databases the start opens."""
    server.start()
    due_s = time.time() + DUE_S
    bench.ask(server, f"/alarm/due-%d/set/{round(due_s * 1000)}", DUE)
    server.stop()
    time.sleep(max(0.0, due_s - time.time()))
    with _opened(server) as opened:
        began_s = time.perf_counter()
        server.start()
        while int(server.get("/alarm/-/fired")) < DUE:
            expect(time.perf_counter() - began_s < PATIENCE_S, True, "the alarms that are due run in time")
            time.sleep(0.002)
        took_ms = (time.perf_counter() - began_s) * 1e3
        server.stop()
    expect(len(opened), DUE, "databases opened, of the objects whose alarms were due")
    return Row(f"start until {DUE} overdue alarms have run, {count:,} asleep", "ms", [took_ms])


@contextmanager
def _opened(server: Perdure) -> Iterator[set[str]]:
    """Collect the names of all databases of objects that anybody opens meanwhile, as the kernel tells (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for folder in (server.storage / "objects").glob("*/*/"):
            if libc.inotify_add_watch(fd, os.fsencode(folder), _IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), "cannot watch", str(folder))
        opened: set[str] = set()
        yield opened
        with suppress(BlockingIOError):
            while data := os.read(fd, 1 << 16):
                opened |= set(_names(data))
    finally:
        os.close(fd)


def _names(data: bytes) -> Iterator[str]:
    while data:
        size = _EVENT_HEAD_BYTES + int.from_bytes(data[12:16], "little")
        name = data[_EVENT_HEAD_BYTES:size].rstrip(b"\0").decode()
        if name.endswith(".sqlite"):
            yield name
        data = data[size:]
