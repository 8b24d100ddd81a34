"""The times of a schedule: what comes next, and what becomes of those that nobody was there for. (pure)"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from perdure._base import limits
from perdure._base.cron import parse

Missed = Literal["once", "skip", "all"]
MISSED: Final[tuple[Missed, ...]] = ("once", "skip", "all")


class Rule(NamedTuple):
    """When a schedule runs: once, every so many milliseconds, or at the times of an expression in a time zone."""

    interval_ms: int | None = None
    cron: str | None = None
    time_zone: str | None = None

    def after(self, ms: int) -> int | None:
        """Return the first time after *ms*; *ms* is itself a time of the rule, unless that is an expression."""
        if self.interval_ms is not None:
            return ms + self.interval_ms
        if self.cron is not None:
            return _ms(parse(self.cron).after(self._moment(ms)))
        return None

    def last(self, due_ms: int, now_ms: int) -> int:
        """Return the last time up to *now_ms*, of those from *due_ms* on, which has come."""
        if self.interval_ms is not None:
            return now_ms - (now_ms - due_ms) % self.interval_ms
        if self.cron is not None:
            # `due_ms` may be a time that was named for a start, and none of the expression.
            return max(due_ms, _ms(parse(self.cron).last(self._moment(now_ms))))
        return due_ms

    def _moment(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, ZoneInfo(self.time_zone or "UTC"))


class Choice(NamedTuple):
    """What is to be done at a moment."""

    run_ms: int | None
    """The time for which to run now; None: the times that have come were missed, and are passed over."""
    next_ms: int | None
    """The time after that; None: there is none."""


def choose(rule: Rule, due_ms: int, now_ms: int, missed: Missed) -> Choice:
    """
    Decide what to do about the times from *due_ms* to *now_ms*.

    `all` runs each of them, one by one; `once` the last of them; `skip` the last of them if it has just come.
    """
    if missed == "all":
        return Choice(due_ms, rule.after(due_ms))
    last_ms = rule.last(due_ms, now_ms)
    is_late = now_ms - last_ms > limits.SCHEDULE_LATE_S_MAX * 1000
    return Choice(None if missed == "skip" and is_late else last_ms, rule.after(last_ms))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
