"""The box office's tests: run `pytest`."""

import pytest
from app import Guest, Refused

ANN, BOB = Guest("ann", "tab"), Guest("bob", "tab")


@pytest.fixture
def show(perdure):
    """Return a show of this test's own; the runtime starts with the test."""
    return lambda: perdure.env.SHOW.get_by_name("night-ferry")


async def test_a_seat_is_one_guests(perdure, show):
    await show().hold(ANN, ["C4"])
    with pytest.raises(Refused):
        await show().hold(BOB, ["C4"])


async def test_a_booking_outlives_a_crash(perdure, show):
    await show().hold(ANN, ["C4", "C5"])
    booked = await show().book(ANN, "Ann", ["C4", "C5"])
    await perdure.crash()
    view = await show().watch(ANN, None)
    assert [booking["code"] for booking in view["bookings"]] == [booked["booked"]]


@pytest.mark.perdure(vars={"HOLD_SECONDS": 0})
async def test_a_seat_that_is_not_booked_in_time_is_free(perdure, show):
    await show().hold(ANN, ["C4"])
    await show().hold(BOB, ["C4"])


async def test_the_page_is_told_why_not(perdure):
    response = await perdure.fetch("/api/shows/nothing/hold", json={"seats": ["C4"]})
    assert response.status == 404
    assert (await response.json())["error"] == "unknown-show"
