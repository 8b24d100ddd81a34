"""Moments as users give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from perdure._alarms.times import clock_ms, to_datetime, to_ms

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2189, 12, 31))  # noqa: DTZ001


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_datetime_is_never_early_and_less_than_a_millisecond_late(
    moment: datetime, offset_min: int
) -> None:
    """In any time zone."""
    when = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    late = to_datetime(to_ms(when, 0)) - when
    assert timedelta(0) <= late < timedelta(milliseconds=1)


@given(st.integers(1, 6_900_000_000_000))
def test_seconds_and_back_are_the_same_millisecond(ms: int) -> None:
    """Though a float cannot hold most of them exactly."""
    assert to_ms(ms / 1000, 0) == ms
    assert clock_ms(ms / 1000) == ms
    assert to_ms(to_datetime(ms), 0) == ms


@given(st.integers(10**9, 2 * 10**12), st.integers(0, 10**9))
def test_a_delay_counts_from_now(now_ms: int, delay_ms: int) -> None:
    """To the millisecond."""
    assert to_ms(timedelta(milliseconds=delay_ms), now_ms / 1000) == now_ms + delay_ms


def test_the_last_moment_is_the_end_of_2189() -> None:
    """As in workerd."""
    last = datetime(2189, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    assert to_datetime(to_ms(last, 0)) == last
