"""How many requests a second read one row by its key, in an object of 1,000 rows?"""

from __future__ import annotations

from _lib.bench import Bench, Load, expect
from _lib.servers import Server
from _lib.table import Row

ROWS = 1_000


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:
        for server in servers:
            server.get(f"/item/a/seed/{ROWS}")
            expect(server.get("/item/a/read/77"), "539", f"{server.name}: row 77")
            bench.load(server, "/item/a/read/%d", numbers=ROWS, seconds=1)

        def measure(server: Server, turn: int) -> Load:
            return bench.load(server, "/item/a/read/%d", numbers=ROWS)

        return [bench.compare("SQL point read", "requests/s", servers, measure, aim=">= 3")]
