"""Where Perdure answers otherwise than workerd, on purpose, with the answer it gives instead. (pure)

A step that is listed here is tested too: Perdure must give `ours`. What JavaScript and Python merely spell
differently is not here but in mapping.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One place in one answer of a scenario."""

    scenario: str
    step: int
    """Counts from 0, as in the recorded file."""
    reason: str
    ours: Any
    at: tuple[str | int, ...] = ()
    """Where in the answer; the rest of it is as recorded."""


class Absent:
    """Stands for a part of the recorded answer that ours does not have."""

    def __repr__(self) -> str:
        return "(nothing)"


ABSENT = Absent()

DIFFERENCES: list[Difference] = []

NOT_YET: dict[tuple[str, int], str] = {}
"""(scenario, step) → what has to be built first. These steps fail today, each of them."""

NOT_YET_SCENARIOS: dict[str, str] = {
    "195-compatibility-switches": "WebSockets",
}
"""Recorded scenarios that nothing can be said about before this is built."""
