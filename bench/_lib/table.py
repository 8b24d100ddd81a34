"""What a question found: rows, ratios, the table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """
    One measured thing on one or two sides.

    `perdure` and `theirs` have one number for each turn, in the order of the turns; the ratio is the median of
    the turns' own ratios, since the two halves of a turn met the same machine.
    """

    name: str
    unit: str
    perdure: list[float]
    theirs: list[float] = field(default_factory=list)
    aim: str = ""
    """What the ratio is to be: ">= 3" or "<= 1"; with `aim_of_value` what Perdure's own number is to be."""
    aim_of_value: bool = False
    note: str = ""
    beside: str = "workerd"
    """Whose numbers those in `theirs` are."""
    cpu_us: list[list[float]] = field(default_factory=list)
    """Of both sides, processor time for each request: what is left to compare when the machine is busy."""

    @property
    def cpu_ratio(self) -> float | None:
        """How many times the processor time of Perdure the other side takes."""
        if len(self.cpu_us) != 2:
            return None
        ours, theirs = map(statistics.median, self.cpu_us)
        return theirs / ours if ours else None

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.perdure, self.theirs, strict=False) if theirs]

    @property
    def ratio(self) -> float | None:
        return _median(self.ratios)

    @property
    def is_reached(self) -> bool | None:
        """Whether the aim is reached; None if there is none, or nothing to compare."""
        value = _median(self.perdure) if self.aim_of_value else self.ratio
        if not self.aim or value is None:
            return None
        relation, limit = self.aim.split()
        return value >= float(limit) if relation == ">=" else value <= float(limit)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "perdure": self.perdure,
            "theirs": self.theirs,
            "beside": self.beside,
            "ratio": self.ratio,
            "ratios": self.ratios,
            "aim": self.aim,
            "reached": self.is_reached,
            "cpu_us": self.cpu_us,
            "note": self.note,
        }


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


_COMPARED = ("", "unit", "Perdure", "", "ratio", "(lowest, highest)", "aim", "reached", "CPU ratio")
_BESIDE = 3
"""Where there is the name of the other side."""
_ALONE = ("", "unit", "Perdure or alone", "(lowest, highest)")
_WORDS = frozenset({"", "unit", "aim", "reached", "(lowest, highest)"})


def table(rows: list[Row], *, beside: str = "") -> str:
    """Return the rows, all *beside* the same side or none, as a Markdown table, in columns for the terminal too."""
    compared = bool(beside)
    heads = (*_COMPARED[:_BESIDE], beside, *_COMPARED[_BESIDE + 1 :]) if compared else _ALONE
    lines = [heads, *[_compared(row) if compared else _alone(row) for row in rows]]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(heads))]
    texts = [head in _WORDS for head in heads]
    marks = [
        "-" * (width + 2) if text else "-" * (width + 1) + ":"
        for width, text in zip(widths, texts, strict=True)
    ]
    shown = [
        "| "
        + " | ".join(c.ljust(w) if t else c.rjust(w) for c, w, t in zip(line, widths, texts, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join([shown[0], "|" + "|".join(marks) + "|", *shown[1:]])


def _compared(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        row.unit,
        number(_median(row.perdure)),
        number(_median(row.theirs)),
        number(row.ratio),
        _spread(row.ratios),
        row.aim + (f" {row.unit}" if row.aim_of_value else ""),
        {True: "yes", False: "no", None: ""}[row.is_reached],
        number(row.cpu_ratio),
    )


def _alone(row: Row) -> tuple[str, ...]:
    return (row.name, row.unit, number(_median(row.perdure)), _spread(row.perdure))


def _spread(values: list[float]) -> str:
    return f"({number(min(values))}, {number(max(values))})" if len(values) > 1 else ""


def number(value: float | None) -> str:
    """Return *value* with three digits that count; nothing for what was not measured."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"
