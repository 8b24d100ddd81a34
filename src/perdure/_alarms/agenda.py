"""Agenda: which alarm is to run when, soonest first; one entry for each key. (pure)"""

from __future__ import annotations

import heapq
from typing import Final, NamedTuple

from perdure._alarms.retry import FRESH, Tries

Place = tuple[int, bytes]
"""Where an alarm stands in the order of all alarms: when it is due, and its key."""

_STALE_MIN: Final = 64


class Entry(NamedTuple):
    """One alarm."""

    key: bytes
    due_ms: int
    """The time for which it was set."""
    name: str | None
    """What its object is called."""
    at_ms: int
    """When to run it: later than `due_ms` after a failure."""
    tries: Tries = FRESH

    @property
    def place(self) -> Place:
        return self.due_ms, self.key


class Agenda:
    """
    A heap with one valid entry for each key; what was replaced stays in it until it comes up.

    Attributes:
        fresh: how many of its entries have not failed.
    """

    def __init__(self) -> None:
        self.fresh = 0
        self._entries: dict[bytes, Entry] = {}
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def put(self, entry: Entry) -> None:
        """Add the entry, in place of what was there for its key."""
        self.drop(entry.key)
        self._entries[entry.key] = entry
        self.fresh += entry.tries == FRESH
        heapq.heappush(self._heap, (entry.at_ms, entry.key))
        if len(self._heap) > 2 * len(self._entries) + _STALE_MIN:
            self._rebuild()

    def drop(self, key: bytes) -> None:
        """Forget the entry of *key*, if there is one."""
        entry = self._entries.pop(key, None)
        self.fresh -= entry is not None and entry.tries == FRESH

    @property
    def next_at_ms(self) -> int | None:
        """When the next entry is to run; None: there is none."""
        heap = self._heap
        while heap:
            at_ms, key = heap[0]
            entry = self._entries.get(key)
            if entry is not None and entry.at_ms == at_ms:
                return at_ms
            heapq.heappop(heap)
        return None

    def take(self, now_ms: int) -> Entry | None:
        """Remove and return the next entry if its time has come."""
        at_ms = self.next_at_ms
        if at_ms is None or at_ms > now_ms:
            return None
        entry = self._entries[heapq.heappop(self._heap)[1]]
        self.drop(entry.key)
        return entry

    def trim(self, count: int) -> Place | None:
        """
        Forget the latest fresh entries, so that *count* are left; return the place behind which they were.

        Those that have failed are kept: nobody else knows of their tries.
        """
        fresh = sorted(entry.place for entry in self._entries.values() if entry.tries == FRESH)
        if len(fresh) <= count:
            return None
        for _, key in fresh[count:]:
            self.drop(key)
        self._rebuild()
        return fresh[count - 1]

    def _rebuild(self) -> None:
        self._heap = [(entry.at_ms, entry.key) for entry in self._entries.values()]
        heapq.heapify(self._heap)
