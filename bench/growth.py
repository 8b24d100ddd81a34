"""What does a request cost as objects on the disk, connections and data in an object grow? Perdure alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from _lib.bench import Bench, expect
from _lib.servers import Perdure, Server
from _lib.table import Row
from _lib.tools import say

from perdure._base.ids import id_from_name, namespace_key
from perdure._storage.layout import Layout, store_key

UNIQUE_KEY = "app-Item"
LIVE = 10
LINKS_MAX = 50_000  # names of one file; ext4 has at most 65,000
CONNECTIONS = (1, 64, 1_000)
SIZES = (("1 KB", 1_000, 1), ("1 MB", 100_000, 10))


def play(bench: Bench) -> list[Row]:
    return [*_objects(bench), *_connections(bench), *_sizes(bench)]


def _objects(bench: Bench) -> list[Row]:
    counts = (10, 1_000) if bench.quick else (10, 1_000, 100_000)
    servers = []
    for count in counts:
        server = bench.perdure()
        _fill(bench, server, count)
        servers.append(server)
    rows = []
    starts: list[float] = []
    try:
        for server in servers:
            starts.append(server.start())
            bench.ask(server, "/item/of-%d/add", LIVE)
            expect(server.get("/item/of-3/total"), "8", "total of a copied object")
        for what in ("read/0", "add"):

            def measure(server: Server, turn: int, what: str = what) -> float:
                return bench.load(server, f"/item/of-%d/{what}", numbers=LIVE, seconds=2).per_second

            found = bench.in_turns(tuple(servers), measure, turns=1 if bench.quick else 2)
            rows += [
                Row(f"{what.partition('/')[0]}, {LIVE} of {count:,} objects live", "requests/s", each)
                for count, each in zip(counts, found, strict=True)
            ]
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
    rows += [
        Row(f"start with {count:,} objects on disk", "ms", [took_s * 1e3])
        for count, took_s in zip(counts, starts, strict=True)
    ]
    return rows


def _fill(bench: Bench, server: Perdure, count: int) -> None:
    """Make one object the usual way and copy its database for the others."""
    say(f"  making {count:,} objects")
    server.start()
    server.get("/item/of-0/seed/1")
    server.get("/item/of-0/loop-add/7")
    server.stop()
    server.start()  # what the journal held is in the file now
    server.stop()
    layout = Layout(str(server.storage))
    key = namespace_key(UNIQUE_KEY)
    paths = [layout.store(store_key(UNIQUE_KEY, id_from_name(key, f"of-{n}").hex())) for n in range(count)]
    for path in {path.rpartition("/")[0] for path in paths}:
        Path(path).mkdir(parents=True, exist_ok=True)
    first = paths[0]
    for n, path in enumerate(paths[1:], start=1):
        if n <= LIVE or n % LINKS_MAX == 0:
            shutil.copy(paths[0], path)
            first = path
        else:
            # Nobody opens these: a name of its own is what can cost something, and links are made at once.
            os.link(first, path)


def _connections(bench: Bench) -> list[Row]:
    rows = []
    with bench.running(bench.perdure()) as (server,):
        bench.ask(server, "/item/of-%d/add", LIVE)
        for connections in CONNECTIONS:
            ping = bench.load(server, "/plain/a/ping", connections=connections, seconds=2)
            add = bench.load(server, "/item/of-%d/add", numbers=LIVE, connections=connections, seconds=2)
            rows.append(Row(f"ping, {connections:,} connections", "requests/s", [ping.per_second]))
            rows.append(Row(f"add, {connections:,} connections", "requests/s", [add.per_second]))
    return sorted(rows, key=lambda row: row.name[:3] != "pin")


def _sizes(bench: Bench) -> list[Row]:
    rows = []
    with bench.running(bench.perdure()) as (server,):
        for name, size, times in SIZES:
            item = f"/item/{size}"
            server.get(f"{item}/seed/100")
            for _ in range(times):
                server.get(f"{item}/fill/{size}")
            for what in ("read/50", "add"):
                load = bench.load(server, f"{item}/{what}", seconds=2)
                rows.append(
                    Row(f"{what.partition('/')[0]} in an object of {name}", "requests/s", [load.per_second])
                )
    return sorted(rows, key=lambda row: row.name[:4])
