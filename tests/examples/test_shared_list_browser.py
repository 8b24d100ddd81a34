"""The shared list in a real browser: npm's Cap'n Web client against the server, in two pages."""

from __future__ import annotations

import re

import pytest

from .browsing import PHONE
from .serving import operate, perdure_serve

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
BrowserContext, Page, expect = sync_api.BrowserContext, sync_api.Page, sync_api.expect

pytestmark = pytest.mark.browser

BACK_MS = 30_000  # a page that waited long may try again only so late


@pytest.fixture(scope="module")
def larder(tmp_path_factory):
    """Lists that the tests of a module share; each test has lists of its own."""
    served = perdure_serve("shared_list", tmp_path_factory.mktemp("list"))
    served.start()
    yield served
    served.stop()


def opened(context: BrowserContext, url: str, name: str, who: str = "Ann") -> Page:
    """Open a list in a new tab, come in, and wait until it is connected."""
    page = context.new_page()
    page.goto(f"{url}/?list={name}")
    page.get_by_label("What shall we call you?").fill(who)
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("#link")).to_have_text("Connected")
    return page


def add(page: Page, text: str) -> None:
    page.get_by_label("Add something").fill(text)
    page.keyboard.press("Enter")


def shows(page: Page, *texts: str, part: str = "open") -> None:
    """Expect exactly these items, in this order, all of them confirmed."""
    expect(page.locator(f"#{part} .what")).to_have_text(
        [re.compile(f"^{text}") for text in texts], timeout=BACK_MS
    )
    expect(page.locator(".pending")).to_have_count(0, timeout=BACK_MS)


def test_two_pages_keep_one_list(larder, visitor):
    """What one adds, ticks, writes anew and clears, the other shows, on a laptop and on a phone."""
    ann, bob = opened(visitor(), larder.url, "two", "Ann"), opened(visitor(**PHONE), larder.url, "two", "Bob")
    expect(ann.locator("#empty")).to_be_visible()
    add(ann, "Rye bread")
    add(ann, "Milk")
    for page in (ann, bob):
        shows(page, "Rye bread", "Milk")
    bob.get_by_role("checkbox", name="Milk").check()
    for page in (ann, bob):
        shows(page, "Rye bread")
        shows(page, "Milk", part="done")
    ann.get_by_role("button", name=re.compile("^Rye bread")).click()
    ann.keyboard.type("Oat bread")
    ann.keyboard.press("Enter")
    shows(bob, "Oat bread")
    bob.get_by_role("button", name="Clear").click()
    shows(ann, part="done")
    expect(bob.locator("#done-part")).to_be_hidden()


def test_a_page_shows_who_has_the_list_open(larder, visitor):
    """Until they close it."""
    ann = opened(visitor(), larder.url, "people", "Ann")
    other = visitor()
    opened(other, larder.url, "people", "Bob")
    expect(ann.locator("#people li")).to_have_text(["A", "B"])
    other.pages[0].close()
    expect(ann.locator("#people li")).to_have_text(["A"])


def test_what_is_added_without_a_connection_is_there_once_when_it_is_back(visitor, tmp_path):
    """The page says that it waits, and comes back by itself after `kill -9`."""
    larder = perdure_serve("shared_list", tmp_path / "data")
    larder.start()
    try:
        page = opened(visitor(), larder.url, "kill")
        add(page, "Rice")
        shows(page, "Rice")
        larder.kill()
        expect(page.locator("#link")).to_have_text(re.compile("Reconnecting"), timeout=BACK_MS)
        add(page, "Beans")
        expect(page.locator(".pending")).to_have_count(1)
        larder.start()
        shows(page, "Rice", "Beans")
        expect(page.locator("#link")).to_have_text("Connected")
    finally:
        larder.stop()


def test_a_page_joins_again_when_its_list_was_reset(larder, visitor):
    """The list's object lets the page's listener go, and so the page knows."""
    page = opened(visitor(), larder.url, "reset")
    add(page, "Tea")
    shows(page, "Tea")
    operate(larder, "abort", "List", "reset")
    expect(page.locator("#link")).to_have_text("Connected", timeout=BACK_MS)
    add(page, "Coffee")
    shows(page, "Tea", "Coffee")


def test_an_item_nobody_can_read_is_refused_in_words(larder, visitor):
    """The text comes from the object's own error."""
    page = opened(visitor(), larder.url, "refused")
    page.get_by_label("Add something").evaluate("(field) => field.removeAttribute('maxlength')")
    add(page, "x" * 130)
    expect(page.locator("#add-error")).to_have_text("An item has at most 120 characters, not 130.")
    shows(page)


def test_the_page_is_whole_on_a_phone(larder, visitor):
    """Nothing is wider than the screen, and all that is pressed is large enough."""
    page = opened(visitor(**PHONE), larder.url, "phone", "A person with a very long name")
    add(page, "Something" * 13)
    shows(page, "Something")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in page.locator("main button:visible").all():
        assert button.bounding_box()["height"] >= 36
