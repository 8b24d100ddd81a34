"""States of a live object, and the moves between them: one table. (pure)

    starting ──▶ running ──▶ evicted        idle long enough; nothing of it was lost (LIFE-04, LIFE-08)
        │           │
        └───────────┴──────▶ broken         reset: its calls failed, its memory is gone (LIFE-15)

`starting` is an entry whose instance has not been made yet: the first event makes it (LIFE-02). An operator's
look at the data does not, so such an entry may be evicted too.
"""

from __future__ import annotations

from typing import Final

STARTING: Final = "starting"
RUNNING: Final = "running"
EVICTED: Final = "evicted"
BROKEN: Final = "broken"

ALIVE: Final = frozenset({STARTING, RUNNING})

MOVES: Final[dict[str, frozenset[str]]] = {
    STARTING: frozenset({RUNNING, BROKEN, EVICTED}),
    RUNNING: frozenset({EVICTED, BROKEN}),
    EVICTED: frozenset(),
    BROKEN: frozenset(),
}


def move(state: str, to: str) -> str:
    """Return *to* if the table allows the move."""
    assert to in MOVES[state], f"an object cannot go from {state} to {to}"
    return to
