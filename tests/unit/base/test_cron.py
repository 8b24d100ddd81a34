"""Cron expressions as Cloudflare writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._base.cron import CronError, parse

NOW = datetime(2026, 11, 26, 10, 6, 30, tzinfo=UTC)  # a Thursday


def times(text: str, count: int = 3, moment: datetime = NOW) -> list[str]:
    cron = parse(text)
    found = []
    for _ in range(count):
        moment = cron.after(moment)
        found.append(f"{moment:%a %y-%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["Thu 26-11-26 10:07", "Thu 26-11-26 10:08"]),
        ("*/30 * * * *", ["Thu 26-11-26 10:30", "Thu 26-11-26 11:00"]),
        ("45 * * * *", ["Thu 26-11-26 10:45", "Thu 26-11-26 11:45"]),
        ("5/20 * * * *", ["Thu 26-11-26 10:25", "Thu 26-11-26 10:45"]),
        ("1-9/4,50 10 * * *", ["Thu 26-11-26 10:09", "Thu 26-11-26 10:50"]),
        ("0 17 * * sun", ["Sun 26-11-29 17:00", "Sun 26-12-06 17:00"]),
        ("0 17 * * 1", ["Sun 26-11-29 17:00", "Sun 26-12-06 17:00"]),
        ("10 7 * * mon-fri", ["Fri 26-11-27 07:10", "Mon 26-11-30 07:10"]),
        ("10 7 * * 2-6", ["Fri 26-11-27 07:10", "Mon 26-11-30 07:10"]),
        ("0 9 * * SAT-MON", ["Sat 26-11-28 09:00", "Sun 26-11-29 09:00"]),
        ("0 9 * * */3", ["Sat 26-11-28 09:00", "Sun 26-11-29 09:00"]),
        ("0 15 1 * *", ["Tue 26-12-01 15:00", "Fri 27-01-01 15:00"]),
        ("0 0 1 jan,JUL *", ["Fri 27-01-01 00:00", "Thu 27-07-01 00:00"]),
        ("0 18 * * 6L", ["Fri 26-11-27 18:00", "Fri 26-12-25 18:00"]),
        ("0 18 * * friL", ["Fri 26-11-27 18:00", "Fri 26-12-25 18:00"]),
        ("0 10 * * MON#2", ["Mon 26-12-14 10:00", "Mon 27-01-11 10:00"]),
        ("0 10 * * 2#5", ["Mon 26-11-30 10:00", "Mon 27-03-29 10:00"]),
        ("0 0 L * *", ["Mon 26-11-30 00:00", "Thu 26-12-31 00:00"]),
        ("59 23 LW * *", ["Mon 26-11-30 23:59", "Thu 26-12-31 23:59"]),
        ("0 0 15W * *", ["Tue 26-12-15 00:00", "Fri 27-01-15 00:00"]),
        ("0 0 1W 5 *", ["Mon 27-05-03 00:00", "Mon 28-05-01 00:00"]),  # May 1st 2027 is a Saturday
        ("0 0 31W * *", ["Thu 26-12-31 00:00", "Fri 27-01-29 00:00"]),  # January 31st 2027 is a Sunday
        ("0 0 14W,L 2 *", ["Mon 27-02-15 00:00", "Sun 27-02-28 00:00"]),
        ("0 0 29 2 *", ["Tue 28-02-29 00:00", "Sun 32-02-29 00:00"]),
        ("0 0 13 * FRI", ["Fri 26-11-27 00:00", "Fri 26-12-04 00:00"]),
    ],
)
def test_an_expression_names_times(text: str, expected: list[str]) -> None:
    """The week begins on Sunday, which is 1; names in any case of letters."""
    assert times(text, 2) == expected


def test_either_day_is_enough() -> None:
    """When both the day of the month and that of the week are given."""
    assert times("0 0 1 * MON") == ["Mon 26-11-30 00:00", "Tue 26-12-01 00:00", "Mon 26-12-07 00:00"]


@pytest.mark.parametrize(
    ("text", "part", "says"),
    [
        ("", "", "has five fields"),
        ("* * * *", "* * * *", "this one has 4"),
        ("0 * * * * *", "0 * * * * *", "this one has 6"),
        ("@daily", "@daily", "this one has 1"),
        ("60 * * * *", "60", "takes 0 to 59"),
        ("0 24 * * *", "24", "takes 0 to 23"),
        ("0  0   0 * *", "0", "takes 1 to 31; L, LW and 15W"),
        ("0 0 32W * *", "32W", "takes 1 to 31"),
        ("0 0 W * *", "W", "takes 1 to 31"),
        ("0 0 * 13 *", "13", "takes 1 to 12 or JAN to DEC"),
        ("0 0 * foo *", "foo", "takes 1 to 12 or JAN to DEC"),
        ("0 0 * * 0", "0", "takes 1 to 7 or SUN to SAT"),
        ("0 0 * * 8", "8", "takes 1 to 7"),
        ("0 0 * * L", "L", "takes 1 to 7"),
        ("0 0 * * MON#6", "MON#6", "1 to 5"),
        ("1,,2 * * * *", "", "an empty part"),
        ("1,61 * * * *", "61", "takes 0 to 59"),
        ("*/0 * * * *", "*/0", "above 0"),
        ("*/x * * * *", "*/x", "above 0"),
        ("*-5 * * * *", "*-5", "every value already"),
        ("5-1 * * * *", "5-1", "ends before it begins"),
        ("1--2 * * * *", "1--2", "it is written"),
        ("² * * * *", "²", "takes 0 to 59"),
        ("0 0 31 2 *", "31", "never comes"),
        ("0 0 30,31 2 *", "30,31", "never comes"),
        ("0 0 31W 2 *", "31W", "never comes"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, part: str, says: str) -> None:
    """The error says what is wrong, and where in the text."""
    with pytest.raises(CronError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert text[caught.value.start : caught.value.start + len(part)] == part


def test_a_time_that_clocks_skip_is_the_first_that_exists() -> None:
    """In the night when they go forward."""
    berlin = ZoneInfo("Europe/Berlin")
    found = parse("30 2 * * *").after(datetime(2027, 3, 27, 12, tzinfo=berlin))
    assert found.isoformat() == "2027-03-28T03:00:00+02:00"
    assert times("30 2 * * *", 2, found) == ["Mon 27-03-29 02:30", "Tue 27-03-30 02:30"]


def test_a_time_that_comes_twice_counts_once() -> None:
    """In the night when clocks go back; the first time."""
    berlin = ZoneInfo("Europe/Berlin")
    cron = parse("30 2 * * *")
    first = cron.after(datetime(2027, 10, 30, 12, tzinfo=berlin))
    assert first.isoformat() == "2027-10-31T02:30:00+02:00"
    assert cron.after(first).isoformat() == "2027-11-01T02:30:00+01:00"
    second = datetime(2027, 10, 31, 2, 10, tzinfo=berlin, fold=1)
    assert cron.after(second).isoformat() == "2027-11-01T02:30:00+01:00"


def test_every_hour_follows_real_time() -> None:
    """Also in the hour that comes twice."""
    berlin = ZoneInfo("Europe/Berlin")
    moment = datetime(2027, 10, 31, 0, 30, tzinfo=berlin)
    cron = parse("0 * * * *")
    stamps = []
    for _ in range(5):
        moment = cron.after(moment)
        stamps.append(moment.timestamp())
    assert [later - earlier for earlier, later in zip(stamps, stamps[1:], strict=False)] == [3600] * 4


FIELDS = st.tuples(
    st.sampled_from(["*", "*/7", "0", "1-5", "59", "3,4"]),
    st.sampled_from(["*", "*/5", "2", "1-3", "23"]),
    st.sampled_from(["*", "1", "L", "LW", "15W", "28-31", "31W"]),
    st.sampled_from(["*", "2", "MAR", "oct,nov", "1-6"]),
    st.sampled_from(["*", "1", "MON-FRI", "FRIL", "TUE#5", "6-2"]),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])


@given(FIELDS, ZONES, st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)), st.integers(0, 1))  # noqa: DTZ001
def test_the_next_time_is_later_in_real_time(
    fields: tuple[str, ...], zone: str, moment: datetime, fold: int
) -> None:
    """In every zone, at every moment: else a schedule would stand still."""
    try:
        cron = parse(" ".join(fields))
    except CronError:
        return
    moment = moment.replace(tzinfo=ZoneInfo(zone), fold=fold)
    found = cron.after(moment)
    assert found.timestamp() > moment.timestamp()
    assert cron.after(found).timestamp() > found.timestamp()
    assert found.second == found.microsecond == 0
    assert found.astimezone(UTC).astimezone(found.tzinfo) == found, "it exists"
    assert found - moment < timedelta(days=366 * 40)


@given(FIELDS, ZONES, st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)), st.integers(0, 1))  # noqa: DTZ001
def test_the_last_time_is_the_one_before_the_next(
    fields: tuple[str, ...], zone: str, moment: datetime, fold: int
) -> None:
    """Looking back finds the time from which looking forward goes on."""
    try:
        cron = parse(" ".join(fields))
    except CronError:
        return
    moment = moment.replace(tzinfo=ZoneInfo(zone), fold=fold)
    last = cron.last(moment)
    assert last.timestamp() <= moment.timestamp()
    assert cron.after(last).timestamp() > moment.timestamp()


def test_a_time_is_its_own_last() -> None:
    """To the second."""
    nine = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
    cron = parse("0 9 * * *")
    assert cron.last(nine) == nine
    assert cron.last(nine - timedelta(seconds=1)) == nine - timedelta(days=1)
    assert cron.last(nine + timedelta(microseconds=1)) == nine


@pytest.mark.parametrize(
    "text", ["9" * 5000 + " * * * *", "*/" + "9" * 5000 + " * * * *", "* * * * 1-" + "9" * 5000]
)
def test_a_number_of_thousands_of_digits_is_none(text: str) -> None:
    """Python refuses to read it."""
    with pytest.raises(CronError):
        parse(text)


PIECES = st.sampled_from(
    [*"*/-,#LW?0159 ", "MON", "jan", "31", "FRIL", "15W", "1-5", "*/7", "²", "٣", "ß", " * *"]
)


@pytest.mark.fuzz
@given(st.text() | st.lists(PIECES, max_size=25).map("".join))
def test_any_text_is_an_expression_or_a_cron_error(text: str) -> None:
    """Which points into the text; an expression has a next time."""
    try:
        cron = parse(text)
    except CronError as raised:
        error = raised
    else:
        assert cron.after(NOW) > NOW
        return
    assert 0 <= error.start <= len(text)
    assert error.length >= 0
