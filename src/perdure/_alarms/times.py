"""The time of an alarm: what a user gives, as whole milliseconds since the epoch, and back. (pure)"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from perdure._base import limits

NOT_POSITIVE: Final = "{method}() cannot be called with an alarm time <= 0"
NOT_A_DATE: Final = "The value cannot be converted because it is not a valid Date."
TOO_LATE: Final = "This API doesn't support dates after 2189."
NAIVE: Final = (
    "{method}() was given {given!r}, a datetime without a time zone, which could mean many moments. Say which: "
    "datetime.now(UTC) + …, or datetime(…, tzinfo=ZoneInfo('Europe/Berlin'))."
)
MILLISECONDS: Final = (
    "{method}() was given {given!r}, which as seconds since the epoch is about the year {year:,}: it looks like "
    "milliseconds. Perdure counts in seconds, as time.time() does: divide by 1000."
)
NO_TIME: Final = (
    "{method}() takes an aware datetime, a timedelta from now, or seconds since the epoch as time.time() gives "
    "them; it was given {given}."
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_US: Final = timedelta(microseconds=1)
_SECONDS_MAX: Final = 1e11  # the year 5138; so many milliseconds are the year 1973
_YEAR_S: Final = 365.2425 * 86_400


def to_ms(when: Any, now_s: float, method: str = "set_alarm") -> int:
    """
    Return the moment that a user gave to *method*.

    A part of a millisecond is rounded up: rounded down, an alarm could be early.

    Raises:
        TypeError: it is no time, or not one between 1970 and 2189.
        ValueError: it is one that could be misunderstood.
    """
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise ValueError(NAIVE.format(method=method, given=when))
        us = (when - _EPOCH) // _US
    elif isinstance(when, timedelta):
        us = round(now_s * 1e6) + when // _US
    elif isinstance(when, (int, float)) and not isinstance(when, bool):
        if not math.isfinite(when):
            raise TypeError(NOT_A_DATE)
        if when > _SECONDS_MAX:
            year = 1970 + int(when / _YEAR_S)
            raise ValueError(MILLISECONDS.format(method=method, given=when, year=year))
        us = round(when * 1_000_000)
    else:
        raise TypeError(NO_TIME.format(method=method, given=type(when).__name__))
    if us <= 0:
        raise TypeError(NOT_POSITIVE.format(method=method))
    ms = -(-us // 1000)
    if ms > limits.ALARM_MS_MAX:
        raise TypeError(TOO_LATE)
    return ms


def clock_ms(now_s: float) -> int:
    """Return the last whole millisecond that a clock has reached."""
    return round(now_s * 1e6) // 1000


def to_datetime(ms: int) -> datetime:
    """Return the moment as an aware datetime in UTC."""
    return _EPOCH + ms * _MS
