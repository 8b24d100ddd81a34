"""How many functions of ours run for one call that writes a row, and what does each part cost?

Prints the functions between the worker's call and its result (the hot path of docs/architecture.md), and the
cost of one copy, one turn without writes, and one durable increment, beside bare SQLite and bare asyncio.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw

from perdure import DurableObject, Runtime
from perdure._base.values import copy_call

PACKAGE = str(Path(sys.modules["perdure"].__file__ or "").parent)
CALLS = 2_000
AT_ONCE = 100


class Item(DurableObject):
    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
        self.sql.exec("INSERT OR IGNORE INTO t VALUES (1, 0)")

    async def hit(self, by: int = 1) -> int:
        return self.sql.exec("UPDATE t SET n = n + ? WHERE id = 1 RETURNING n", by).one().n

    async def ping(self) -> int:
        return 1


async def timed(run: Callable[[], Awaitable[Any]], calls: int = CALLS) -> float:
    """Return microseconds for each of *calls* awaits of *run*, one after the other."""
    began = time.perf_counter()
    for _ in range(calls):
        await run()
    return (time.perf_counter() - began) / calls * 1e6


def functions_of_one_call(
    loop: asyncio.AbstractEventLoop, stub: Any
) -> Callable[[], Awaitable[Counter[str]]]:
    """Return what runs one call under a profiler and counts the functions of ours that begin."""

    async def run() -> Counter[str]:
        seen: Counter[str] = Counter()

        def hear(frame: Any, event: str, argument: Any) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
                seen[frame.f_code.co_qualname] += 1

        sys.setprofile(hear)
        await stub.hit(1)
        sys.setprofile(None)
        return seen

    return run


async def main() -> None:
    async with Runtime(objects=[Item], slow_ms=0) as rt:
        stub = rt.namespace(Item).get_by_name("a")
        for _ in range(200):
            await stub.hit(1)
        seen = await functions_of_one_call(asyncio.get_running_loop(), stub)()
        print(f"functions of ours in one call that writes a row: {len(seen)}, {sum(seen.values())} calls")
        for name, count in seen.items():
            print(f"  {count} x {name}")

        began = time.perf_counter()
        for _ in range(CALLS):
            copy_call((1, "text"), {})
        copy_us = (time.perf_counter() - began) / CALLS * 1e6

        connection = apsw.Connection(":memory:")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 0)")

        async def bare_sqlite() -> None:
            connection.execute("UPDATE t SET n = n + 1 WHERE id = 1 RETURNING n").fetchone()

        async def bare_task() -> None:
            await asyncio.get_running_loop().create_task(asyncio.sleep(0))

        task_us = await timed(bare_task)
        rows = [
            ("copy of (1, 'text')", copy_us),
            ("floor: a bare task", task_us),
            ("call without writes", await timed(stub.ping)),
            ("floor: bare SQLite update", await timed(bare_sqlite)),
            ("durable increment, one after the other", await timed(lambda: stub.hit(1), 500)),
            (
                f"durable increment, {AT_ONCE} at once",
                await timed(lambda: asyncio.gather(*[stub.hit(1) for _ in range(AT_ONCE)]), 50) / AT_ONCE,
            ),
        ]
        print(f"\n{'':45}{'µs':>10}{'x a bare task':>16}")
        for name, us in rows:
            print(f"{name:45}{us:10.1f}{us / task_us:16.1f}")


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
