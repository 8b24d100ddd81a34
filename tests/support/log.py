"""What tests of the journal write into it: frames, stores that remember what they heard, a whole log to crash."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from perdure._base.disk import Disk
from perdure._base.limits import KIB, PAGE_BYTES
from perdure._storage.journal.journal import Journal
from perdure._storage.layout import Layout, store_key

BUDGET_BYTES = 4 * 32 * KIB
"""The smallest budget: four segments of 32 KiB."""


def frame(page: int, content: bytes | int = 0, pages: int = 0) -> bytes:
    """Make a WAL frame; *pages*, the database's size, marks the last one of a commit."""
    body = (
        content.ljust(PAGE_BYTES, b"\0")
        if isinstance(content, bytes)
        else bytes([content % 256]) * PAGE_BYTES
    )
    return struct.pack(">II16x", page, pages) + body


def key(number: int) -> bytes:
    return store_key("app-Thing", f"{number:064x}")


class Heard:
    """A store that remembers what the journal tells it."""

    def __init__(self, number: int = 0) -> None:
        self.key = key(number)
        self.number = 0
        self.heard: list[int] = []
        self.errors: list[Exception] = []

    @property
    def durable_number(self) -> int:
        return self.heard[-1] if self.heard else 0

    def durable(self, number: int) -> None:
        self.heard.append(number)

    def failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.number = self.durable_number


def open_journal(disk: Disk, layout: Layout, **options: object) -> Journal:
    """Make a small journal."""
    return Journal(disk, layout, epoch=7, **{"budget_bytes": BUDGET_BYTES, **options})


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def settle() -> None:
    """Let the loop run until what is ready has run."""
    for _ in range(20):
        await asyncio.sleep(0)
