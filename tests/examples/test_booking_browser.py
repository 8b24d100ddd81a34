"""The box office in a real browser: what a visitor sees, on a laptop and on a phone."""

from __future__ import annotations

import re

import pytest

from .browsing import LAPTOP, PHONE
from .serving import Visitor

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
BrowserContext, Page, expect = sync_api.BrowserContext, sync_api.Page, sync_api.expect

pytestmark = pytest.mark.browser


def opened(context: BrowserContext, url: str, show: str) -> Page:
    """Open a show in a new tab and wait until it is live."""
    page = context.new_page()
    page.goto(f"{url}/?show={show}")
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.get_by_role("button", name="Row A, seat 1,")).to_be_visible()
    return page


def seat(page: Page, name: str):
    return page.locator(f"[data-seat={name}]")


def looks(page: Page, name: str, state: str, within_ms: int = 5000) -> None:
    expect(seat(page, name)).to_have_attribute("data-state", state, timeout=within_ms)


def test_a_seat_taken_in_one_tab_is_seen_in_the_other_within_a_second(box_office, visitor):
    """The other tab follows without a reload."""
    context = visitor()
    one, two = opened(context, box_office, "night-ferry"), opened(context, box_office, "night-ferry")
    seat(one, "A1").click()
    looks(one, "A1", "mine")
    looks(two, "A1", "held", within_ms=1000)
    expect(seat(two, "A1")).to_have_accessible_name("Row A, seat 1, €28, held by somebody else")


def test_the_second_tab_is_refused_with_a_friendly_sentence(box_office, visitor):
    """Two tabs of one browser do not take each other's seats, and are told what is the matter."""
    context = visitor()
    one, two = opened(context, box_office, "night-ferry"), opened(context, box_office, "night-ferry")
    seat(one, "A2").click()
    looks(two, "A2", "held")
    seat(two, "A2").click()
    expect(two.locator("#toast")).to_have_text(
        "You are holding A2 in another tab. Book it or let it go there."
    )
    looks(one, "A2", "mine")


def test_a_page_that_does_not_know_yet_is_refused_too(box_office, visitor):
    """The page may be late, the object never is: no seat is sold twice."""
    page = opened(visitor(), box_office, "night-ferry")
    page.route("**/api/shows/night-ferry?*", lambda route: None)  # from now on it hears nothing
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    Visitor(box_office).books("Bob", "A3")
    looks(page, "A3", "free")
    seat(page, "A3").click()
    expect(page.locator("#toast")).to_have_text("Sorry, A3 is sold.")


def test_a_visitor_books_and_cancels(box_office, visitor):
    """From the first seat to the ticket, and back."""
    page = opened(visitor(), box_office, "glass-orchard")
    for name in ("C4", "C5"):
        seat(page, name).click()
        looks(page, name, "mine")
    expect(page.locator("#clock-text")).to_have_text(re.compile(r"^(2:00|1:5\d)$"))
    page.get_by_label("Name for the booking").fill("Ada Lovelace")
    page.get_by_role("button", name="Book 2 seats for €44").click()
    ticket = page.locator(".ticket")
    expect(ticket).to_contain_text("C4 and C5")
    expect(ticket).to_contain_text("For Ada Lovelace")
    expect(page.locator("#toast")).to_contain_text("Booked. Your code is")
    looks(page, "C4", "yours")
    cancel = ticket.get_by_role("button", name="Cancel booking")
    cancel.click()
    looks(page, "C4", "yours")  # asked once more before anything happens
    cancel.click()
    looks(page, "C4", "free")
    expect(page.locator("#bookings")).to_be_hidden()


def test_a_name_is_asked_for(box_office, visitor):
    """Without a name nothing is sent, and the field says what is missing."""
    page = opened(visitor(), box_office, "glass-orchard")
    seat(page, "D1").click()
    page.get_by_role("button", name="Book 1 seat").click()
    expect(page.locator("#name-error")).to_have_text("Please tell us a name for the booking.")
    expect(page.get_by_label("Name for the booking")).to_be_focused()


def test_what_is_written_in_a_name_is_text(box_office, visitor):
    """Markup in a name is shown as it was typed."""
    page = opened(visitor(), box_office, "glass-orchard")
    seat(page, "D2").click()
    page.get_by_label("Name for the booking").fill("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Book 1 seat").click()
    expect(page.locator(".ticket")).to_contain_text("For <img src=x onerror=alert(1)>")


def test_a_hold_runs_out(serve, visitor):
    """When the time is up both visitors see the seat free, and the holder is told."""
    url = serve("booking", "HOLD_SECONDS:2").url
    ada, bob = opened(visitor(), url, "night-ferry"), opened(visitor(), url, "night-ferry")
    seat(ada, "B1").click()
    looks(bob, "B1", "held")
    looks(bob, "B1", "free")
    looks(ada, "B1", "free")
    expect(ada.locator("#toast")).to_have_text("Your time is up: B1 is free again.")
    expect(ada.locator("#book")).to_be_hidden()


def test_a_booking_survives_kill_9_and_the_page_comes_back_by_itself(serve, visitor):
    """The page says that it is cut off, and goes on where it was without a reload."""
    served = serve("booking")
    page = opened(visitor(), served.url, "night-ferry")
    seat(page, "B5").click()
    page.get_by_label("Name for the booking").fill("Ada")
    page.get_by_role("button", name="Book 1 seat").click()
    looks(page, "B5", "yours")
    seat(page, "B6").click()
    looks(page, "B6", "mine")
    served.kill()
    expect(page.locator("#link")).to_have_text("Reconnecting…")
    seat(page, "B7").click()
    expect(page.locator("#toast")).to_contain_text("did not answer")
    served.start()
    expect(page.locator("#link")).to_have_text("Live", timeout=15_000)
    looks(page, "B5", "yours")
    looks(page, "B6", "mine")
    looks(page, "B7", "free")
    page.reload()
    expect(page.locator(".ticket")).to_contain_text("For Ada")


def test_seats_are_chosen_with_the_keyboard_alone(box_office, visitor):
    """Tab reaches the plan, arrows move in it, Enter takes a seat, and the rest is a form."""
    page = opened(visitor(), box_office, "paper-moons")
    page.locator("#shows a").last.focus()
    page.keyboard.press("Tab")
    expect(seat(page, "A1")).to_be_focused()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    looks(page, "B3", "mine")
    expect(seat(page, "B3")).to_be_focused()
    expect(seat(page, "B3")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Let seat B3 go")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    expect(page.locator(".ticket")).to_contain_text("B3")
    expect(page.get_by_role("heading", name="Your bookings")).to_be_focused()


def test_the_seat_with_the_focus_is_marked(box_office, visitor):
    """Whoever uses the keyboard sees where they are."""
    page = opened(visitor(), box_office, "paper-moons")
    page.locator("#shows a").last.focus()
    page.keyboard.press("Tab")
    assert seat(page, "A1").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_screen(box_office, visitor, width):
    """No page scrolls sideways, whether it is empty, holds seats or shows a message."""
    phone = PHONE | {"viewport": {"width": width, "height": 740}}
    page = opened(visitor(**phone), box_office, "small-hours")
    seat(page, "A1" if width < 700 else "A10").click()
    Visitor(box_office, "small-hours").hold("H10")
    looks(page, "H10", "held")
    seat(page, "H10").click()
    expect(page.locator("#toast")).to_have_class("toast on")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for mine in page.locator("[data-state=mine][data-seat]").all():
        mine.click()
    expect(page.locator("#book")).to_be_hidden()


def test_seats_can_be_hit_with_a_thumb(box_office, visitor):
    """On a phone each seat is at least 24 pixels wide and high, as WCAG 2.2 asks."""
    page = opened(visitor(**PHONE), box_office, "small-hours")
    box = seat(page, "E5").bounding_box()
    assert min(box["width"], box["height"]) >= 24


def test_a_phone_leads_from_the_plan_to_the_form(box_office, visitor):
    """The bar at the bottom shows the time and goes to the name; then it leaves."""
    page = opened(visitor(**PHONE), box_office, "small-hours")
    seat(page, "E6").tap()
    expect(page.locator("#bar")).to_contain_text("Held for")
    page.get_by_role("button", name="Continue").tap()
    expect(page.get_by_label("Name for the booking")).to_be_focused()
    expect(page.locator("#bar")).to_be_hidden()


@pytest.mark.parametrize("screen", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_plan_does_not_jump_when_it_arrives(box_office, visitor, screen):
    """The room that the plan will take is kept free before the first answer has come."""
    page = visitor(**screen).new_page()
    page.route("**/api/shows*", lambda route: None)  # the answer waits until the route is taken away
    with page.expect_request("**/api/shows*"):
        page.goto(f"{box_office}/?show=night-ferry")
    before = page.locator(".legend").bounding_box()
    page.unroute("**/api/shows*")
    expect(page.locator("#link")).to_have_text("Live")
    after = page.locator(".legend").bounding_box()
    assert after["y"] == pytest.approx(before["y"], abs=2)


def test_a_page_without_an_answer_says_so_and_recovers(box_office, visitor):
    """No empty plan that looks like a free one: the page tells that the box office does not answer."""
    page = visitor().new_page()
    page.clock.install(time=0)
    page.clock.pause_at(1000)  # it does not try again by itself
    page.route("**/api/**", lambda route: route.abort())
    page.goto(box_office)
    expect(page.get_by_text("The box office does not answer.")).to_be_visible()
    page.unroute("**/api/**")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.get_by_text("The box office does not answer.")).to_be_hidden()


def test_shows_are_changed_without_a_reload(box_office, visitor):
    """The address follows the show, and the browser's back button too."""
    page = opened(visitor(), box_office, "night-ferry")
    page.get_by_role("link", name="Paper Moons").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Paper Moons")
    assert page.url.endswith("?show=paper-moons")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Night Ferry")
    expect(page).to_have_title("Night Ferry · Lantern Hall")


def test_nothing_moves_for_who_asks_for_less_motion(box_office, visitor):
    """`prefers-reduced-motion` switches transitions and animations off."""
    page = opened(visitor(reduced_motion="reduce"), box_office, "night-ferry")
    assert seat(page, "H1").evaluate("e => getComputedStyle(e).transitionProperty") in {"none", "all"}
    assert seat(page, "H1").evaluate("e => parseFloat(getComputedStyle(e).transitionDuration)") == 0


def test_the_page_asks_nobody_else(box_office, visitor):
    """Every request of the page goes to the box office itself."""
    page = visitor().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(box_office)
    expect(page.locator("#link")).to_have_text("Live")
    assert [url for url in asked if not url.startswith(box_office)] == []
