"""Date: milliseconds since 1970, told in UTC, which is the time zone of Workers. (cooperative)"""

from __future__ import annotations

import datetime
import math
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

from perdure._cloudflare.values.base import JsClass, JsValue
from perdure._cloudflare.values.text import as_number, js_number

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MS_MAX: Final = 8_640_000_000_000_000
_PYTHON_MS: Final = (-62_135_596_800_000, 253_402_300_799_999)
"""What a datetime can tell: the years 1 to 9999."""
_ISO: Final = re.compile(
    r"(?P<year>[+-]\d{6}|\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
_FIELDS: Final = {
    "FullYear": 0,
    "Month": 1,
    "Date": 2,
    "Hours": 3,
    "Minutes": 4,
    "Seconds": 5,
    "Milliseconds": 6,
}


class JsDate(JsValue, metaclass=JsClass):
    """
    An instant, to the millisecond.

    `Date.new()` is now; it also takes milliseconds, a text, a datetime, another Date, or year, month (from 0), day …
    """

    __slots__ = ("_ms",)
    _js_name = "Date"

    def __init__(self, *parts: Any) -> None:
        if not parts:
            self._ms: float = now_ms()
        elif len(parts) > 1:
            self._ms = _clipped(utc_ms(*parts))
        elif isinstance(parts[0], JsDate):
            self._ms = parts[0]._ms
        elif isinstance(parts[0], datetime.datetime):
            self._ms = _clipped(parts[0].timestamp() * 1000)
        elif isinstance(parts[0], str):
            self._ms = parse(parts[0])
        else:
            self._ms = _clipped(js_number(parts[0]))

    @classmethod
    def now(cls) -> int:
        """Return the milliseconds since 1970."""
        return now_ms()

    @classmethod
    def parse(cls, text: str) -> int | float:
        return as_number(parse(text))

    @classmethod
    def UTC(cls, *parts: Any) -> int | float:
        return as_number(_clipped(utc_ms(*parts)))

    def getTime(self) -> int | float:
        return as_number(self._ms)

    valueOf = getTime

    def setTime(self, ms: Any) -> int | float:
        self._ms = _clipped(js_number(ms))
        return self.getTime()

    def getTimezoneOffset(self) -> int:
        return 0

    def toISOString(self) -> str:
        if math.isnan(self._ms):
            from perdure._cloudflare.exceptions import js_error  # it builds on these values

            raise js_error("RangeError", "Invalid time value")
        year, month, day, hour, minute, second, ms = self._parts()
        shown = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
        return f"{shown}-{month + 1:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"

    def toJSON(self, key: str = "") -> str | None:
        return None if math.isnan(self._ms) else self.toISOString()

    def toUTCString(self) -> str:
        return self._told("%a, %d %b %Y %H:%M:%S GMT")

    toGMTString = toUTCString

    def toString(self) -> str:
        return self._told("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")

    def toDateString(self) -> str:
        return self._told("%a %b %d %Y")

    def toTimeString(self) -> str:
        return self._told("%H:%M:%S GMT+0000 (Coordinated Universal Time)")

    def toLocaleDateString(self, *locale: Any, **options: Any) -> str:
        return self._told("{m}/{d}/%Y")

    def toLocaleTimeString(self, *locale: Any, **options: Any) -> str:
        return self._told("{h}:%M:%S %p")

    def toLocaleString(self, *locale: Any, **options: Any) -> str:
        return self._told("{m}/{d}/%Y, {h}:%M:%S %p")

    def _told(self, form: str) -> str:
        if math.isnan(self._ms):
            return "Invalid Date"
        when = self._datetime()
        return when.strftime(form.format(m=when.month, d=when.day, h=when.hour % 12 or 12))

    def to_py(self, **options: Any) -> datetime.datetime:
        """Return a naive datetime, local time."""
        return datetime.datetime.fromtimestamp(self._ms / 1000)

    def _datetime(self) -> datetime.datetime:
        if not _PYTHON_MS[0] <= self._ms <= _PYTHON_MS[1]:
            raise ValueError(f"A Date of {self._ms:.0f} ms is outside of the years 1 to 9999.")
        return _EPOCH + datetime.timedelta(milliseconds=self._ms)

    def _parts(self) -> list[int]:
        days, ms = divmod(int(self._ms), 86_400_000)
        year, month, day = _civil(days)
        hour, ms = divmod(ms, 3_600_000)
        minute, ms = divmod(ms, 60_000)
        second, ms = divmod(ms, 1000)
        return [year, month - 1, day, hour, minute, second, ms]

    def _get(self, field: str) -> int | float:
        if math.isnan(self._ms):
            return math.nan
        if field == "Day":
            return (int(self._ms) // 86_400_000 + 4) % 7
        return self._parts()[_FIELDS[field]]

    def _set(self, field: str, *values: Any) -> int | float:
        parts: list[Any] = self._parts() if not math.isnan(self._ms) else [1970, 0, 1, 0, 0, 0, 0]
        first = _FIELDS[field]
        parts[first : first + len(values)] = values
        self._ms = _clipped(utc_ms(*parts[:7]))
        return self.getTime()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsDate) and self._ms == other._ms

    def __lt__(self, other: JsDate) -> bool:
        return self._ms < other._ms

    def __le__(self, other: JsDate) -> bool:
        return self._ms <= other._ms

    def __sub__(self, other: JsDate) -> int | float:
        return as_number(self._ms - js_number(other))

    def __hash__(self) -> int:
        return hash(self._ms)

    def __str__(self) -> str:
        return self.toString()

    def __repr__(self) -> str:
        return "Invalid Date" if math.isnan(self._ms) else self.toISOString()


def _getter(field: str) -> Callable[[JsDate], int | float]:
    return lambda self: self._get(field)


def _setter(field: str) -> Callable[..., int | float]:
    return lambda self, *values: self._set(field, *values)


for _field in (*_FIELDS, "Day"):
    for _zone in ("", "UTC"):
        setattr(JsDate, f"get{_zone}{_field}", _getter(_field))
        if _field != "Day":
            setattr(JsDate, f"set{_zone}{_field}", _setter(_field))


def now_ms() -> int:
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def utc_ms(
    year: Any, month: Any = 0, day: Any = 1, hour: Any = 0, minute: Any = 0, second: Any = 0, ms: Any = 0
) -> float:
    """Return the milliseconds of a time in UTC; what is beyond its range goes over into the next field."""
    numbers = [js_number(part) for part in (year, month, day, hour, minute, second, ms)]
    if any(math.isnan(number) or math.isinf(number) for number in numbers):
        return math.nan
    y, m, d, hh, mm, ss, milli = map(int, numbers)
    if 0 <= y <= 99:
        y += 1900
    y, m = y + m // 12, m % 12
    return (((_days(y, m + 1) + d - 1) * 24 + hh) * 60 + mm) * 60_000 + ss * 1000 + milli


def parse(text: str) -> float:
    """Return the milliseconds of a time as ISO 8601 or HTTP write it, NaN for any other text."""
    found = _ISO.fullmatch(text.strip())
    if found is None:
        try:
            when = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return math.nan
        return _clipped((when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp() * 1000)
    part = found.groupdict()
    month, day = int(part["month"] or 1), int(part["day"] or 1)
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 24 and minute <= 59 and second <= 59):
        return math.nan
    days = _days(int(part["year"]), month) + day - 1
    ms = int((part["fraction"] or "0").ljust(3, "0")[:3])
    offset = 0
    zone = part["zone"]
    if zone and zone != "Z":
        offset = (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 60 + int(zone[-2:]))
    return _clipped(((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + ms)


def _clipped(ms: float) -> float:
    """Return *ms* as a whole number, NaN where a Date cannot be that far away."""
    return math.nan if math.isnan(ms) or abs(ms) > _MS_MAX else float(math.trunc(ms))


def _days(year: int, month: int) -> int:
    """Return the days from 1970 to the first of a month, in any year."""
    cycles, year = divmod(year - 1, 400)
    return cycles * 146_097 + datetime.date(year + 1, month, 1).toordinal() - 719_163


def _civil(days: int) -> tuple[int, int, int]:
    cycles, rest = divmod(days + 719_162, 146_097)
    date = datetime.date.fromordinal(rest + 1)
    return date.year + 400 * cycles, date.month, date.day
