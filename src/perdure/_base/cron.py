"""Cron expressions in Cloudflare's dialect: text to a `Cron`, which tells the time after a time. (pure)

    minute (0-59)   hour (0-23)   day of the month (1-31)   month (1-12)   day of the week (1-7)

Every field takes `*`, lists, ranges and steps. The week begins on Sunday, which is 1. Months and days of the
week may be names, `JAN` or `mon`. `L` is the last day of the month, `LW` its last weekday, `15W` the weekday
nearest to the 15th, `6L` or `FRIL` the last Friday, `MON#2` the second Monday. When both the day of the month
and the day of the week are given, one of them is enough.

The walk through the calendar is cronsim's; it counts the week's days from 0 and knows no `15W`, so the text is
taken apart here, where a mistake can also be pointed at.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cronsim import CronSim, CronSimError

WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    """What the numbers from `first` on are called."""
    special: str = ""


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31, special="L, LW and 15W"),
    _Field("month", 1, 12, MONTHS),
    _Field("day of the week", 1, 7, WEEKDAYS, special="6L and MON#2"),
)
_DAY, _WEEKDAY = _FIELDS[2], _FIELDS[4]
_DIGITS_MAX: Final = 9  # Python refuses to read thousands of them
_TERM: Final = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\w+))?")
_EXAMPLE: Final = 'for instance "*/5 * * * *", every five minutes'


class CronError(ValueError):
    """
    An expression that is none.

    Attributes:
        start, length: the part of the text that is wrong.
    """

    def __init__(self, message: str, start: int, length: int) -> None:
        super().__init__(message)
        self.start = start
        self.length = length


@dataclass(frozen=True, slots=True)
class Cron:
    """One expression."""

    text: str
    _fields: tuple[str, ...]
    """As cronsim writes them."""
    _near: frozenset[int]
    """Days of the month whose nearest weekday counts."""
    _only_near: bool
    _both: bool
    """The day of the month and that of the week must both be right: one of them is any day."""

    def after(self, moment: datetime) -> datetime:
        """
        Return the first time after *moment* that the expression names, in its time zone.

        Where clocks go forward, a time that is skipped is the first one that exists; where they go back, a time
        that comes twice counts the first time. Expressions for every minute or every hour follow real time.
        """
        walk = _Walk(self, moment)
        # In an hour that comes twice the walk may first name times of the hour before.
        return next(found for found in walk if found.timestamp() > moment.timestamp())

    def last(self, moment: datetime) -> datetime:
        """Return the last time up to *moment* that the expression names, in its time zone."""
        walk = _Walk(self, moment + timedelta(seconds=1), reverse=True)
        return next(found for found in walk if found.timestamp() <= moment.timestamp())

    def __str__(self) -> str:
        return self.text


class _Walk(CronSim):
    def __init__(self, cron: Cron, moment: datetime, *, reverse: bool = False) -> None:
        super().__init__(" ".join(cron._fields), moment, reverse)
        self._near = cron._near
        self.day_and = cron._both
        if cron._only_near:
            self.days: set[Any] = set()

    def match_dom(self, d: date) -> bool:
        return super().match_dom(d) or any(
            _nearest_weekday(d.year, d.month, day) == d.day for day in self._near
        )


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Return the day, within the month, of the weekday nearest to *day*; 0 if the month has no such day."""
    first_weekday, last = calendar.monthrange(year, month)
    if day > last:
        return 0
    weekday = (first_weekday + day - 1) % 7  # 0 is Monday
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """Read an expression; a `CronError` says what is wrong with it, and where."""
    parts = [(found.group(), found.start()) for found in re.finditer(r"\S+", text)]
    if len(parts) != len(_FIELDS):
        raise CronError(
            f"a cron expression has five fields ({', '.join(field.name for field in _FIELDS)}), "
            f"this one has {len(parts)}; {_EXAMPLE}",
            0,
            len(text),
        )
    fields = [_read_field(field, part, start) for field, (part, start) in zip(_FIELDS, parts, strict=True)]
    near = frozenset(int(term[:-1]) for term in fields[2] if term[0].isdigit() and term[-1] == "W")
    days = [term for term in fields[2] if term[-1] != "W" or term == "LW"]
    cron = Cron(
        text,
        tuple(",".join(field) for field in (*fields[:2], days or ["1"], *fields[3:])),
        near,
        not days,
        parts[2][0][0] == "*" or parts[4][0][0] == "*",
    )
    try:
        cron.after(datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, StopIteration):
        day, start = parts[2]
        raise CronError("this day never comes: no month that is named has it", start, len(day)) from None
    return cron


def _read_field(field: _Field, text: str, start: int) -> list[str]:
    """Return the terms of a field as cronsim writes them."""
    if text == "*":
        return [text]
    terms = []
    for term in text.split(","):
        terms += _read_term(field, term.upper(), start)
        start += len(term) + 1
    return list(dict.fromkeys(terms))


def _read_term(field: _Field, term: str, start: int) -> list[str]:
    def wrong(why: str) -> CronError:
        shown = f'"{term}"' if term else "an empty part"
        return CronError(f"{shown} is no {field.name}: {why}", start, max(1, len(term)))

    def number(text: str) -> int:
        if text in field.names:
            return field.first + field.names.index(text)
        if (value := _whole_number(text)) is not None and field.first <= value <= field.last:
            return value
        names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        special = f"; {field.special} are known too" if field.special else ""
        raise wrong(f"it takes {field.first} to {field.last}{names}{special}")

    if field is _DAY and (term in ("L", "LW") or (term[-1:] == "W" and number(term[:-1]))):
        return [term]
    if field is _WEEKDAY:
        if term[-1:] == "L":
            return [f"{_weekday(number(term[:-1]))}L"]
        if "#" in term:
            day, _, nth = term.partition("#")
            if nth not in tuple("12345"):
                raise wrong("behind # stands which one of the month it is, 1 to 5")
            return [f"{_weekday(number(day))}#{nth}"]
    found = _TERM.fullmatch(term)
    if found is None:
        raise wrong("it is written 5, 1-5, */10 or 1-30/5")
    begin, end, step = found.groups()
    if begin == "*":
        if end is not None:
            raise wrong("* is every value already")
        first, last = field.first, field.last
    else:
        first = number(begin)
        last = number(end) if end is not None else field.last if step is not None else first
    if step is not None and not _whole_number(step):
        raise wrong(f"behind / stands a whole number above 0, of {_DIGITS_MAX} digits at most")
    values = range(first, last + 1)
    if last < first:
        if field is not _WEEKDAY:
            raise wrong(f"the range ends before it begins; write {first}-{field.last},{field.first}-{last}")
        values = range(first, last + 8)  # SAT-MON goes over the week's end
    chosen = values[:: int(step or 1)]
    if field is _WEEKDAY:
        return [_weekday((value - 1) % 7 + 1) for value in chosen]
    return [str(value) for value in chosen]


def _whole_number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _DIGITS_MAX else None


def _weekday(number: int) -> str:
    """Return the number that cronsim has for a day of the week."""
    return str(number - 1)
