"""When a failed alarm runs again. Source: ALM-13…15, LIM-16."""

from __future__ import annotations

import pytest

from perdure._alarms.retry import FRESH, Tries


def tries_after(*kinds: bool) -> Tries | None:
    tries: Tries | None = FRESH
    for counts in kinds:
        assert tries is not None
        tries = tries.failed(counts=counts)
    return tries


@pytest.mark.rows("ALM-13")
def test_the_wait_doubles_from_two_seconds_up_to_1024() -> None:
    """However long it goes on."""
    tries = FRESH
    waits = []
    for _ in range(12):
        after = tries.failed(counts=False)
        assert after is not None
        tries = after
        waits.append(tries.delay_s(0))
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]


@pytest.mark.rows("ALM-13")
def test_chance_adds_up_to_a_quarter() -> None:
    """So alarms that failed together do not come back together."""
    tries = tries_after(True, True)
    assert tries is not None
    assert [tries.delay_s(0), tries.delay_s(0.5), tries.delay_s(1)] == [4, 4.5, 5]


@pytest.mark.rows("ALM-14")
def test_the_seventh_failure_is_the_last() -> None:
    """Six retries, seven runs."""
    assert tries_after(*[True] * 6) is not None
    assert tries_after(*[True] * 7) is None


@pytest.mark.rows("ALM-15")
def test_failures_that_do_not_count_use_up_no_try() -> None:
    """Before and after those that do."""
    tries = tries_after(*[False] * 50, *[True] * 6, *[False] * 50)
    assert tries is not None
    assert tries.counted == 6
    assert tries.failed(counts=True) is None


@pytest.mark.rows("ALM-15")
def test_another_kind_of_failure_begins_with_two_seconds_again() -> None:
    """The wait of an outage says nothing of the handler."""
    tries = tries_after(False, False, False, True)
    assert tries is not None
    assert tries.delay_s(0) == 2
