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

EXACT = "Python's int is exact: 64-bit integers come back with all their digits."
BINDS_INT = "A Python int is bound as INTEGER, not as REAL."
HASHABLE = (
    "A key of a dict or a member of a set must be hashable: a tuple stands where JavaScript has an object."
)
RUN_TO_THE_END = (
    "A writing statement with RETURNING runs to its end at once and its rows are kept, read or not; "
    "workerd cannot commit while they are unread, and resets the object."
)
ONE_KEY = "kv takes one key, and text alone; JavaScript makes text of the list."

DIFFERENCES: list[Difference] = [
    *[
        Difference(
            "044-sql-bindings",
            step,
            BINDS_INT,
            {"v": v, "t": "integer", "l": len(str(v)), "q": str(v)},
            ("ok", "ok"),
        )
        for step, v in [(0, 42), (1, -5), (3, 2**53)]
    ],
    *[
        Difference("046-sql-values", step, EXACT, value, ("ok", "ok"))
        for step, value in [(5, 2**53 + 1), (6, 2**63 - 1), (7, -(2**63))]
    ],
    Difference("061-sql-unread-returning", 3, RUN_TO_THE_END, {"ok": "done"}),
    Difference("061-sql-unread-returning", 5, RUN_TO_THE_END, {"ok": {"n": 5}}),
    *[
        Difference(
            "061-sql-unread-returning",
            step,
            RUN_TO_THE_END,
            {"ok": {"calls": calls, "rows": list(range(1, last + 1))}},
        )
        for step, calls, last in [(4, 1, 4), (6, 2, 7), (8, 3, 8), (10, 4, 8), (12, 5, 9)]
    ],
    *[
        Difference("016-kv-value-types", step, reason, ours, ("ok", key))
        for step in [1, 3]
        for key, reason, ours in [
            ("invalidDate", "Python has no date that is none.", ABSENT),
            ("map", HASHABLE, {"$": "map", "v": [["k", 1], [2, "two"], [["o", 1], None]]}),
            ("nested", HASHABLE, {"s": {"$": "set", "v": [["d", {"$": "date", "v": 0}]]}}),
        ]
    ],
    Difference("141-abort", 13, "`finally` blocks run in Python, also on an abort.", {"ok": ["finally ran"]}),
    Difference(
        "141-abort",
        3,
        "A reason that is an exception is shown with its Python class.",
        "Exception: an error",
        ("err", "message"),
    ),
    Difference(
        "141-abort",
        6,
        "None is no reason, as if there were none; JavaScript makes text of `null`.",
        "Application called abort() to reset Durable Object.",
        ("err", "message"),
    ),
    Difference("141-abort", 8, "A reason becomes text as Python writes it.", "{'a': 1}", ("err", "message")),
    Difference(
        "141-abort",
        23,
        "An abort has a class of its own, so that it can be caught.",
        "ObjectReset",
        ("ok", "class"),
    ),
]

NOT_YET: dict[tuple[str, int], str] = {
    ("022-kv-options-and-sync", 0): "alarms",
    ("047-sql-forbidden", 0): "alarms",
    ("047-sql-forbidden", 33): "alarms: the hidden table comes with the first one",
    ("047-sql-forbidden", 34): "alarms: the hidden table comes with the first one",
    ("047-sql-forbidden", 51): "alarms",
    ("070-transaction-sync", 6): "alarms",
    ("071-transaction-async", 4): "alarms",
    ("071-transaction-async", 13): "alarms",
    ("071-transaction-async", 14): "alarms",
    ("073-atomic-turns", 16): "alarms",
    ("073-atomic-turns", 17): "alarms",
    ("147-surface", 0): "WebSockets and facets",
    ("147-surface", 1): "alarms and bookmarks",
}
"""(scenario, step) → what has to be built first. These steps fail today, each of them."""

NOT_YET_SCENARIOS: dict[str, str] = {
    "195-compatibility-switches": "WebSockets",
}
"""Recorded scenarios that nothing can be said about before this is built."""
