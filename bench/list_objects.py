"""What does it cost to list objects, few and many of them? Perdure alone, inside one process."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from _lib.bench import Bench, expect
from _lib.table import Row

from perdure import DurableObject, Runtime
from perdure._storage.catalog import Catalog
from perdure._storage.layout import namespace_folder
from perdure._storage.notes import Fields

COUNTS = (1_000, 100_000)
COUNT_LARGE = 1_000_000  # half a minute to enter them
NOTES = 2_000  # committed together while the catalog is filled
TIMES = 200


class Item(DurableObject):
    """Nothing of it runs: the catalog is told of them."""


def play(bench: Bench) -> list[Row]:
    rows: list[Row] = []
    for count in COUNTS[:1] if bench.quick else (*COUNTS, COUNT_LARGE) if bench.large else COUNTS:
        folder = bench.place()
        try:
            rows += asyncio.run(_measure(folder, count))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return rows


async def _measure(folder: Path, count: int) -> list[Row]:
    async with Runtime([Item], data=folder, slow_ms=0) as runtime:
        began_s = time.perf_counter()
        await _fill(runtime, count)
        per_object_us = (time.perf_counter() - began_s) / count * 1e6
        items = runtime.env.ITEM
        middle = f"item-{count // 2:08}"
        expect(len(items.list(prefix=middle)), 1, "objects of that name")
        cursor = items.list(prefix="item-", limit=1000).cursor
        expect(cursor is None, count <= 1000, "a page is the last")
        of = f"of {count:,}"
        return [
            Row(f"a new object in the catalog, {of}", "µs", [per_object_us]),
            Row(f"list 1,000 objects {of}", "µs", [_each_us(lambda: items.list(cursor=cursor), TIMES // 10)]),
            Row(f"list 10 objects {of}", "µs", [_each_us(lambda: items.list(limit=10), TIMES)]),
            Row(f"find one by prefix {of}", "µs", [_each_us(lambda: items.list(prefix=middle), TIMES)]),
        ]


async def _fill(runtime: Runtime, count: int) -> None:
    """Let the catalog hear of objects with random ids, as if each had made its first commit."""
    assert runtime._host is not None
    engine = runtime._host.storage
    catalog: Catalog = engine.catalog
    namespace = namespace_folder("app-Item")
    for start in range(0, count, NOTES):
        for number in range(start, min(count, start + NOTES)):
            key = f"{namespace}/{os.urandom(32).hex()}".encode()
            catalog.hear(key, Fields(name=f"item-{number:08}", used_s=1.0))
        catalog.flush(whole=True)
        await engine.journal.flush()
        await asyncio.sleep(0)


def _each_us(call: Callable[[], object], times: int) -> float:
    call()
    began_s = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began_s) / times * 1e6
