"""
How many functions of ours run for one call that writes a row, and what does each part cost?

Alone, `python bench/event_path.py` prints those functions, the hot path of docs/architecture.md; the costs are
of one copy, one call, one gate and one turn, inside one process, beside bare SQLite and bare asyncio.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import apsw
from _lib.bench import Bench
from _lib.table import Row

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

    async def touch(self) -> None:
        self.ctx.storage.put("n", 1, allow_unconfirmed=True)

    async def section(self) -> None:
        await self.ctx.block_concurrency_while(_nothing)


async def _nothing() -> None:
    return None


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


async def measure(data: str | None) -> tuple[Counter[str], list[tuple[str, float]]]:
    """Return the functions of ours in one call that writes a row, and microseconds of the parts."""
    async with Runtime(objects=[Item], slow_ms=0, data=data) as rt:
        stub = rt.namespace(Item).get_by_name("a")
        for _ in range(200):
            await stub.hit(1)
        seen = await functions_of_one_call(asyncio.get_running_loop(), stub)()

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

        rows = [
            ("a task of asyncio alone", await timed(bare_task)),
            ("SQLite update in memory alone", await timed(bare_sqlite)),
            ("one copy, of (1, 'text')", copy_us),
            ("one call, nothing written", await timed(stub.ping)),
            ("one call with a critical section", await timed(stub.section)),
            ("one call with a turn that writes, not waited for", await timed(stub.touch)),
            ("one call with a durable increment", await timed(lambda: stub.hit(1), 500)),
            (
                f"one call with a durable increment, {AT_ONCE} at once",
                await timed(lambda: asyncio.gather(*[stub.hit(1) for _ in range(AT_ONCE)]), 50) / AT_ONCE,
            ),
        ]
    return seen, rows


def play(bench: Bench) -> list[Row]:
    rows: dict[str, list[float]] = {}
    for _ in range(bench.turns):
        for name, us in run(measure(str(bench.place())))[1]:
            rows.setdefault(name, []).append(us)
    return [Row(name, "µs", times) for name, times in rows.items()]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run *main* on the loop that `perdure serve` would take."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


if __name__ == "__main__":
    seen, rows = run(measure(None))
    print(f"functions of ours in one call that writes a row: {len(seen)}, {sum(seen.values())} calls")
    for name, count in seen.items():
        print(f"  {count} x {name}")
    print()
    for name, us in rows:
        print(f"{name:55}{us:10.1f} µs")
