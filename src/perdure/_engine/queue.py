"""EventQueue: how much waits at one object, and when it is too much. (cooperative)

An event is *queued* from its delivery until the first step of its handler: behind a critical section, behind
`__init__`, while writes outrun the disk, or just until the loop comes to it. An event that has begun is not
queued any more, however often it awaits (ADR 0010).

Source: GATE-20, ERR-13…16; the texts are Cloudflare's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from perdure._base import limits
from perdure._base.clock import Clock

TOO_MANY: Final = "Durable Object is overloaded. Too many requests queued."
TOO_MUCH: Final = "Durable Object is overloaded. Too much data queued."
TOO_LONG: Final = "Durable Object is overloaded. Requests queued for too long."
TOO_OFTEN: Final = (
    "Durable Object is overloaded. Too many requests for the same object within a 10 second window."
)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What may wait at each object of a runtime."""

    events: int = limits.QUEUED_EVENTS_MAX
    size_bytes: int = limits.QUEUED_BYTES_MAX
    wait_s: float = limits.QUEUED_S_MAX
    per_window: int | None = None
    """Events that an object takes in `EVENT_WINDOW_S`; None: as many as it can serve."""


class EventQueue:
    """The sums over the events that are queued; the events themselves wait in their tasks."""

    __slots__ = ("_clock", "_limits", "_window_ends_s", "_window_events", "count", "size_bytes")

    def __init__(self, limits: QueueLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._window_events = 0
        self._window_ends_s = 0.0
        self.count = 0
        self.size_bytes = 0

    def add(self, size_bytes: int) -> str | None:
        """Count an event in, or return the text that refuses it; one alone is never too large."""
        most = self._limits
        if self.count:
            if self.count >= most.events:
                return TOO_MANY
            if self.size_bytes + size_bytes > most.size_bytes:
                return TOO_MUCH
        if most.per_window is not None and self._is_too_often(most.per_window):
            return TOO_OFTEN
        self.count += 1
        self.size_bytes += size_bytes
        return None

    def leave(self, size_bytes: int) -> None:
        """Count out what `add` counted in: it begins, or has waited too long."""
        self.count -= 1
        self.size_bytes -= size_bytes

    def _is_too_often(self, events_max: int) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s >= self._window_ends_s:
            self._window_ends_s = now_s + limits.EVENT_WINDOW_S
            self._window_events = 0
        self._window_events += 1
        return self._window_events > events_max
