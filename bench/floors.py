"""What do the parts below Perdure cost alone, on this machine?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import apsw
from _lib.bare import BareServer
from _lib.bench import Bench, expect
from _lib.machine import sync_us
from _lib.table import Row


def play(bench: Bench) -> list[Row]:
    rows = []
    for name, kind in (("asyncio and httptools alone", "httptools"), ("uvicorn alone", "uvicorn")):
        with bench.running(BareServer(bench.place(), bench.server_core, kind)) as (server,):
            expect(server.get("/"), "pong", name)
            bench.load(server, "/", seconds=1)
            found = [bench.load(server, "/").per_second for _ in range(bench.turns)]
            rows.append(Row(name, "requests/s", found))
    folder = bench.place()
    folder.mkdir()
    rows += _sqlite(folder, "OFF", "", 5_000)[:2]
    rows.append(_sqlite(folder, "FULL", ", each durable by itself", 300)[1])
    rows.append(Row("write of 4 KiB and fdatasync", "µs", [sync_us(folder) for _ in range(3)]))
    return rows


def _sqlite(folder: Path, synchronous: str, what: str, times: int) -> list[Row]:
    connection = apsw.Connection(str(folder / f"{synchronous}.sqlite"))
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO item VALUES (1, 0)"
    )
    read = lambda: connection.execute("SELECT n FROM item WHERE id = ?", (1,)).fetchone()  # noqa: E731
    add = lambda: connection.execute("UPDATE item SET n = n + 1 WHERE id = 1 RETURNING n").fetchall()  # noqa: E731
    rows = [
        Row(f"SQLite read of one row{what}", "µs", [_each_us(read, times) for _ in range(3)]),
        Row(f"SQLite update of one row{what}", "µs", [_each_us(add, times) for _ in range(3)]),
    ]
    connection.close()
    return rows


def _each_us(run: Callable[[], object], times: int) -> float:
    began_s = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - began_s) / times * 1e6
