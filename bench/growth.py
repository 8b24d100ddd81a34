"""What does a request cost as objects on the disk, connections and data in an object grow? Perdure alone."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import apsw
from _lib.bench import Bench, Load, expect
from _lib.servers import Perdure, Server
from _lib.table import Row
from _lib.tools import say

from perdure._base.ids import id_from_name, namespace_key
from perdure._storage.layout import Layout, store_key

UNIQUE_KEY = "app-Item"
LIVE = 10
COUNTS = (10, 1_000, 100_000)
COUNT_LARGE = 1_000_000  # some 9 GiB
FIRST = 900  # objects that are called for the first time since the start
DUE_MS = 4_000_000_000_000  # of alarms: the year 2096
LINKS_MAX = 50_000  # names of one file; ext4 has at most 65,000
CONNECTIONS = (1, 64, 1_000)
MB = 1_000_000
SIZES = (("1 KB", 1_000, 1), ("1 MB", MB // 10, 10))
SIZE_LARGE = ("1 GB", MB, 1_000)
SECONDS = 1


def play(bench: Bench) -> list[Row]:
    return [*_objects(bench), *_connections(bench), *_sizes(bench)]


# --- objects on the disk --------------------------------------------------------------------------------


def _objects(bench: Bench) -> list[Row]:
    counts = COUNTS[:2] if bench.quick else (*COUNTS, COUNT_LARGE) if bench.large else COUNTS
    servers = tuple(bench.perdure() for _ in counts)
    rows: list[Row] = []
    try:
        for server, count in zip(servers, counts, strict=True):
            fill(server, count, bench.large)
        os.sync()  # so that no measurement pays for it

        def start(server: Server, turn: int) -> float:
            took_s = server.start()
            server.stop()
            return took_s * 1e3

        found = bench.in_turns(servers, start)
        for server, count in zip(servers, counts, strict=True):
            server.start()
            expect(server.get(f"/item/of-{count - 1}/total"), "7", "total of a copied object")
            bench.ask(server, "/item/of-%d/add", LIVE)
        rows += _rows("start with {} objects on disk", "ms", counts, found)
        for what in ("read/0", "add"):
            found = bench.in_turns(servers, partial(_load, bench, f"/item/of-%d/{what}"))
            name = f"{what.partition('/')[0]}, {LIVE} of {{}} objects live"
            rows += _rows(name, "requests/s", counts, found)
        for server, count in zip(servers, counts, strict=True):
            if count >= FIRST:
                load = bench.ask(server, "/item/of-%d/read/0", FIRST)
                name = f"first read of {FIRST} objects, of {count:,}"
                rows.append(Row(name, "requests/s", [load.per_second]))
    finally:
        for server in servers:
            server.stop()
        say("  removing the objects")
        for server in servers:
            shutil.rmtree(server.folder, ignore_errors=True)
    return rows


def _load(bench: Bench, pattern: str, server: Server, turn: int) -> float:
    return bench.load(server, pattern, numbers=LIVE, seconds=SECONDS).per_second


def _rows(name: str, unit: str, counts: tuple[int, ...], found: list[list[float]]) -> list[Row]:
    return [Row(name.format(f"{count:,}"), unit, each) for count, each in zip(counts, found, strict=True)]


def fill(server: Perdure, count: int, all_files: bool) -> None:
    """
    Make one object the usual way and copy its file for the others.

    Unless *all_files*, those that nobody opens are names of one file: a name is what can cost something, and a
    hundred thousand files take a minute to remove.
    """
    say(f"  making {count:,} objects")
    server.start()
    server.get("/item/of-0/seed/1")
    server.get("/item/of-0/loop-add/7")
    server.stop()
    server.start()  # what the journal held is in the file now
    server.stop()
    layout = Layout(str(server.storage))
    namespace = Path(layout.namespace(UNIQUE_KEY))
    for number in range(256):
        (namespace / f"{number:02x}").mkdir(exist_ok=True)
    image = Path(_path(layout, 0)).read_bytes()
    step = max(1, count // 64)
    with ProcessPoolExecutor() as pool:
        jobs = [
            pool.submit(_copy, layout, image, begin, min(begin + step, count), all_files)
            for begin in range(1, count, step)
        ]
        for job in jobs:
            job.result()
    _enter(layout, count)


def _enter(layout: Layout, count: int) -> None:
    """Enter the copies into the catalog, as their first commits would have done."""
    catalog = apsw.Connection(layout.catalog)
    catalog.execute("PRAGMA synchronous = OFF")
    key = namespace_key(UNIQUE_KEY)
    with catalog:
        namespace, at_s = catalog.execute("SELECT namespace, first_used_s FROM object").fetchone()
        catalog.executemany(
            "INSERT OR IGNORE INTO object VALUES (?, ?, ?, ?, ?, 0)",
            (
                (namespace, id_from_name(key, f"of-{number}"), f"of-{number}".encode(), at_s, at_s)
                for number in range(count)
            ),
        )
        # Every tenth object has an alarm that is not due: a start reads when the next ones are.
        catalog.executemany(
            "INSERT OR IGNORE INTO alarm VALUES (?, ?, ?)",
            (
                (store_key(UNIQUE_KEY, id_from_name(key, f"of-{n}").hex()), DUE_MS + n, f"of-{n}".encode())
                for n in range(0, count, 10)
            ),
        )
    catalog.close()


def _path(layout: Layout, number: int) -> str:
    return layout.store(store_key(UNIQUE_KEY, id_from_name(namespace_key(UNIQUE_KEY), f"of-{number}").hex()))


def _copy(layout: Layout, image: bytes, begin: int, end: int, all_files: bool) -> None:
    linked = ""
    for number in range(begin, end):
        path = _path(layout, number)
        if linked and not all_files and number > FIRST and number % LINKS_MAX:
            os.link(linked, path)
            continue
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, image)
        os.close(fd)
        if number > FIRST:
            linked = path


# --- connections ----------------------------------------------------------------------------------------


def _connections(bench: Bench) -> list[Row]:
    loads: dict[tuple[str, int], list[Load]] = {}
    with bench.running(bench.perdure()) as (server,):
        bench.ask(server, "/item/of-%d/add", LIVE)
        for _ in range(bench.turns):
            for what, pattern in (("ping", "/plain/a/ping"), ("add", "/item/of-%d/add")):
                for connections in CONNECTIONS:
                    load = bench.load(server, pattern, numbers=LIVE, connections=connections, seconds=SECONDS)
                    loads.setdefault((what, connections), []).append(load)
    return [
        Row(f"{what}, {connections:,} connections", "requests/s", [load.per_second for load in found])
        for (what, connections), found in loads.items()
    ]


# --- data in an object ----------------------------------------------------------------------------------


def _sizes(bench: Bench) -> list[Row]:
    sizes = (*SIZES, SIZE_LARGE) if bench.large else SIZES
    found: dict[tuple[str, str], list[float]] = {}
    server = bench.perdure()
    try:
        server.start()
        for name, _, _ in sizes:
            server.get(f"/item/{name.replace(' ', '-')}/seed/100")
        server.stop()
        server.start()  # what the journal held is in the files now
        server.stop()
        for name, size, times in sizes:
            _grow(server, name.replace(" ", "-"), size, times)
        server.start()
        for name, size, times in sizes:
            stored = server.get(f"/item/{name.replace(' ', '-')}/stored")
            expect(stored, str(size * times), f"bytes in the object of {name}")
        for _ in range(bench.turns):
            for what in ("read/50", "add"):
                for name, _, _ in sizes:
                    path = f"/item/{name.replace(' ', '-')}/{what}"
                    load = bench.load(server, path, seconds=SECONDS)
                    found.setdefault((what.partition("/")[0], name), []).append(load.per_second)
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    return [Row(f"{what} in an object of {name}", "requests/s", each) for (what, name), each in found.items()]


def _grow(server: Perdure, name: str, size: int, times: int) -> None:
    """Fill an object's database while nobody has it open."""
    key = store_key(UNIQUE_KEY, id_from_name(namespace_key(UNIQUE_KEY), name).hex())
    connection = apsw.Connection(Layout(str(server.storage)).store(key))
    connection.execute("PRAGMA synchronous = OFF")
    for _ in range(times):
        connection.execute("INSERT INTO item (n, body) VALUES (?, randomblob(?))", (size, size))
    connection.close()
