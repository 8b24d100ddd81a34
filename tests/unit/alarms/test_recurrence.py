"""The times of a schedule, and what becomes of those that were missed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._alarms.recurrence import MISSED, Choice, Missed, Rule, choose

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("missed", "late", "expected"),
    [
        ("once", 0, Choice(0, 10 * MINUTE)),
        ("once", 35 * MINUTE, Choice(30 * MINUTE, 40 * MINUTE)),
        ("all", 35 * MINUTE, Choice(0, 10 * MINUTE)),
        ("skip", 0, Choice(0, 10 * MINUTE)),
        ("skip", 35 * MINUTE, Choice(None, 40 * MINUTE)),
        ("skip", 30 * MINUTE + 500, Choice(30 * MINUTE, 40 * MINUTE)),
    ],
)
def test_times_that_were_missed(missed: Missed, late: int, expected: Choice) -> None:
    """Once, each, or none; the times stay on their grid."""
    assert choose(Rule(10 * MINUTE), 0, late, missed) == expected


@pytest.mark.parametrize(
    ("missed", "late", "run"),
    [("once", HOUR, 0), ("all", HOUR, 0), ("skip", HOUR, None), ("skip", 1000, 0)],
)
def test_a_single_time_that_was_missed(missed: Missed, late: int, run: int | None) -> None:
    """There is no other that could stand for it."""
    assert choose(Rule(), 0, late, missed) == Choice(run, None)


def test_an_expression_is_read_in_its_zone() -> None:
    """Nine in Berlin is another moment in winter than in summer."""
    berlin = ZoneInfo("Europe/Berlin")
    rule = Rule(cron="0 9 * * *", time_zone="Europe/Berlin")
    winter = datetime(2027, 3, 27, 9, tzinfo=berlin).timestamp() * 1000
    summer = datetime(2027, 3, 28, 9, tzinfo=berlin).timestamp() * 1000
    assert rule.after(int(winter)) == summer
    assert summer - winter == 23 * HOUR


def test_a_year_of_missed_minutes_takes_no_time() -> None:
    """The last is found without going through all."""
    rule = Rule(cron="* * * * *")
    now = int(datetime(2027, 1, 1, 0, 0, 30, tzinfo=UTC).timestamp() * 1000)
    assert choose(rule, now - 365 * 24 * HOUR, now, "once") == Choice(now - 30_000, now + 30_000)


RULES = st.one_of(
    st.integers(1, 10**9).map(Rule),
    st.builds(
        lambda cron, time_zone: Rule(None, cron, time_zone),
        st.sampled_from(["* * * * *", "30 2 * * *", "0 9 * * MON-FRI", "0 0 L * *", "15 */6 1 * FRI"]),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    ),
)


@given(RULES, st.sampled_from(MISSED), st.integers(10**12, 2 * 10**12), st.integers(0, 10**10))
def test_what_comes_next_is_later_than_what_runs(rule: Rule, missed: Missed, start: int, late: int) -> None:
    """And later than now, unless all are made up for; nothing runs before its time."""
    due = start if rule.cron is None else rule.after(start)
    assert due is not None
    now = due + late
    choice = choose(rule, due, now, missed)
    assert choice.next_ms is not None
    assert choice.run_ms is None or due <= choice.run_ms <= now < choice.next_ms or missed == "all"
    assert choice.next_ms > (choice.run_ms or due)


def test_the_names_of_what_becomes_of_missed_times() -> None:
    """The type and the list say the same."""
    assert get_args(Missed) == MISSED
