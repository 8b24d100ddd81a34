"""Chat rooms in a real browser: what people see, on a laptop and on a phone, with and without a connection."""

from __future__ import annotations

import re

import pytest

from .browsing import PHONE
from .chatting import Guest, fill

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
BrowserContext, Page, expect = sync_api.BrowserContext, sync_api.Page, sync_api.expect

pytestmark = pytest.mark.browser

BACK_MS = 30_000  # a page that waited long may try again only so late


def opened(context: BrowserContext, url: str, room: str, name: str = "Ann") -> Page:
    """Open a room in a new tab, come in, and wait until it is connected."""
    page = context.new_page()
    page.goto(f"{url}/?room={room}")
    page.get_by_label("What shall we call you?").fill(name)
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("#link")).to_have_text("Connected")
    return page


def say(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def shows(page: Page, *texts: str) -> None:
    """Expect exactly these messages, in this order, all of them confirmed."""
    expect(page.locator(".message .text")).to_have_text(list(texts), timeout=BACK_MS)
    expect(page.locator(".pending")).to_have_count(0, timeout=BACK_MS)


def test_two_people_talk(chat, visitor):
    """Each sees both messages; names and sides tell whose they are."""
    ann, bob = opened(visitor(), chat.url, "talk", "Ann"), opened(visitor(**PHONE), chat.url, "talk", "Bob")
    say(ann, "Hello, Bob")
    expect(bob.locator(".message").last).to_contain_text("Ann")
    say(bob, "Hello, Ann")
    for page in (ann, bob):
        shows(page, "Hello, Bob", "Hello, Ann")
        expect(page.locator(".mine")).to_have_count(1)
    expect(ann.get_by_label("Your message")).to_have_value("")


def test_everybody_sees_who_is_there(chat, visitor):
    """The list follows who comes and goes, and tells which of them is you."""
    ann = opened(visitor(), chat.url, "presence", "Ann")
    expect(ann.locator("#people li")).to_have_text([re.compile("Ann.*you")])
    guest = Guest(chat.url, "presence", "Bob")
    expect(ann.locator("#people .name")).to_have_text(["Ann", "Bob"])
    guest.vanish()
    expect(ann.locator("#people .name")).to_have_text(["Ann"])


def test_typing_is_shown_and_ends_with_the_message(chat, visitor):
    """The mark comes while somebody writes and goes when it is said."""
    ann, bob = opened(visitor(), chat.url, "typing", "Ann"), opened(visitor(), chat.url, "typing", "Bob")
    bob.get_by_label("Your message").press_sequentially("I am")
    expect(ann.locator("#typing")).to_have_text("Bob is typing…")
    expect(bob.locator("#typing")).to_have_text("")
    bob.keyboard.press("Enter")
    shows(ann, "I am")
    expect(ann.locator("#typing")).to_have_text("")


def test_a_typing_mark_of_somebody_who_stopped_goes_by_itself(chat, visitor):
    """Nobody has to say that they do not write any more."""
    ann = opened(visitor(), chat.url, "thinking", "Ann")
    Guest(chat.url, "thinking", "Bob").send("typing")
    expect(ann.locator("#typing")).to_have_text("Bob is typing…")
    expect(ann.locator("#typing")).to_have_text("", timeout=8000)


def test_both_pages_come_back_by_themselves_after_kill_9_and_nothing_is_lost(serve, visitor):
    """They say how it stands, keep what is written meanwhile, and send it once when the server is there again."""
    served = serve("chat")
    ann, bob = (
        opened(visitor(), served.url, "lounge", "Ann"),
        opened(visitor(**PHONE), served.url, "lounge", "Bob"),
    )
    say(ann, "before")
    shows(bob, "before")
    served.kill()
    for page in (ann, bob):
        expect(page.locator("#link")).to_have_text(re.compile(r"^Reconnecting in \d+ s…$"))
        expect(page.locator("#spoken")).to_have_text("The connection is lost. Reconnecting.")
        expect(page.locator("#lost")).to_be_visible()
    for text in ("while it was down", "and more"):
        say(ann, text)
    expect(ann.locator(".pending")).to_have_count(2)
    expect(ann.locator(".pending").first).to_contain_text("Not sent yet")
    served.start()
    for page in (ann, bob):
        expect(page.locator("#link")).to_have_text("Connected", timeout=BACK_MS)
        expect(page.locator("#spoken")).to_have_text("Connected again.")
        expect(page.locator("#lost")).to_be_hidden()
        shows(page, "before", "while it was down", "and more")
        expect(page.locator("#people .name")).to_have_count(2)
    say(bob, "welcome back")
    shows(ann, "before", "while it was down", "and more", "welcome back")


def test_a_reconnecting_page_can_be_told_to_try_now(serve, visitor):
    """Nobody has to watch a countdown."""
    served = serve("chat")
    page = opened(visitor(), served.url, "lounge")
    served.kill()
    expect(page.locator("#link")).to_have_text(re.compile(r"^Reconnecting in [2-9] s…$"), timeout=BACK_MS)
    served.start()
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#link")).to_have_text("Connected")


def test_what_was_written_without_a_connection_survives_a_reload(serve, visitor):
    """It waits in the tab and is sent by the next page."""
    served = serve("chat")
    page = opened(visitor(), served.url, "lounge")
    page.context.set_offline(True)
    say(page, "not lost")
    expect(page.locator(".pending")).to_have_count(1)
    page.context.set_offline(False)
    served.kill()
    served.start()
    page.reload()
    shows(page, "not lost")


def test_a_page_without_network_says_that_it_is_offline(chat, visitor):
    """In words at the top, and read out; back on the network it connects at once."""
    page = opened(visitor(), chat.url, "offline")
    page.context.set_offline(True)
    expect(page.locator("#link")).to_have_text("Offline")
    expect(page.locator("#spoken")).to_have_text("You are offline.")
    expect(page.locator("#spoken")).to_have_attribute("aria-live", "polite")
    page.context.set_offline(False)
    expect(page.locator("#link")).to_have_text("Connected")


def test_a_line_that_is_dead_without_having_said_so_is_noticed(chat, visitor):
    """When the page is looked at again it asks, and hearing nothing it connects anew."""
    page = visitor().new_page()
    page.clock.install()
    silent: list[bool] = []

    def between(ws) -> None:
        server = ws.connect_to_server()
        ws.on_message(lambda message: None if message == "ping" and not silent else server.send(message))

    page.route_web_socket("**/websocket", between)
    page.goto(f"{chat.url}/?room=dead-line")
    page.get_by_label("What shall we call you?").fill("Ann")
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("#link")).to_have_text("Connected")
    page.clock.run_for(27_000)
    expect(page.locator("#link")).not_to_have_text("Connected")
    silent.append(False)
    page.clock.run_for(1000)
    expect(page.locator("#link")).to_have_text("Connected")


def test_older_messages_come_when_one_scrolls_up(chat, visitor):
    """Page by page to the beginning, in order, and what one reads stays where it is."""
    fill(chat.url, "long", 100)
    page = opened(visitor(), chat.url, "long")
    texts = page.locator(".message .text")
    expect(texts).to_have_count(40)
    expect(texts.last).to_be_in_viewport()
    first = page.locator(".message").first
    anchor = page.locator(f"[data-id='{first.get_attribute('data-id')}']")
    page.locator("#scroll").evaluate("e => (e.scrollTop = 200)")
    before = anchor.bounding_box()["y"]
    expect(texts).to_have_count(80)
    assert anchor.bounding_box()["y"] == pytest.approx(before, abs=40)  # a line for the author may go
    page.locator("#scroll").evaluate("e => (e.scrollTop = 0)")
    expect(texts).to_have_text([f"number {n}" for n in range(100)])
    expect(page.locator("#start")).to_have_text("This is where the conversation begins.")


def test_who_reads_older_messages_is_not_pulled_down(chat, visitor):
    """A button tells of what is new, and leads there."""
    fill(chat.url, "reading", 40)
    page = opened(visitor(), chat.url, "reading")
    page.locator("#scroll").evaluate("e => (e.scrollTop = 400)")
    Guest(chat.url, "reading", "Bob").say("something new")
    page.get_by_role("button", name="New messages").click()
    expect(page.get_by_text("something new")).to_be_in_viewport()
    expect(page.locator("#newer")).to_be_hidden()


def test_many_messages_at_once_all_arrive_in_order(chat, visitor):
    """The page waits when the room asks it to, and loses nothing."""
    page = opened(visitor(), chat.url, "many")
    for number in range(15):
        say(page, f"{number}")
    shows(page, *(f"{number}" for number in range(15)))


def test_what_is_written_is_text(chat, visitor):
    """Markup is shown as it was typed; an address can be followed, and tells the other site nothing."""
    page = opened(visitor(), chat.url, "markup", "<b>Ann</b>")
    say(page, "<img src=x onerror=alert(1)> see https://example.org/a?b=c.")
    shows(page, "<img src=x onerror=alert(1)> see https://example.org/a?b=c.")
    expect(page.locator("#people .name")).to_have_text("<b>Ann</b>")
    link = page.locator(".text a")
    expect(link).to_have_attribute("href", "https://example.org/a?b=c")
    expect(link).to_have_attribute("rel", re.compile("noopener noreferrer"))


def test_a_message_that_the_room_refuses_goes_back_to_its_author(chat, visitor):
    """With the reason beside it, and the next one is sent."""
    page = opened(visitor(), chat.url, "refused")
    say(page, "\u0007 rings")
    expect(page.locator("#say-error")).to_have_text("That has characters in it that nobody can read.")
    expect(page.get_by_label("Your message")).to_have_value("\u0007 rings")
    expect(page.locator(".message")).to_have_count(0)
    say(page, "fine")
    shows(page, "fine")


def test_a_name_is_asked_for_once(chat, visitor):
    """An empty one is refused with a sentence; a reload and another room know it."""
    context = visitor()
    page = context.new_page()
    page.goto(f"{chat.url}/?room=names")
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("#name-error")).to_have_text("Please tell us a name.")
    expect(page.get_by_label("What shall we call you?")).to_be_focused()
    page.get_by_label("What shall we call you?").fill("Ann")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your message")).to_be_focused()
    expect(page.locator("#link")).to_have_text("Connected")
    page.reload()
    expect(page.locator("#people .name")).to_have_text(["Ann"])
    page.get_by_role("button", name="Change my name").click()
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")
    expect(page.locator("#people .name")).to_have_text(["Anna"])


def test_a_name_that_the_room_refuses_is_asked_for_again(chat, visitor):
    """With the reason; nobody has to reload the page."""
    page = visitor().new_page()
    page.goto(f"{chat.url}/?room=refused-name")
    for name in ("\u0007 Ann", "Ann"):
        page.get_by_label("What shall we call you?").fill(name)
        page.get_by_role("button", name="Come in").click()
        if name != "Ann":
            expect(page.locator("#name-error")).to_have_text(
                "That name has characters in it that nobody can read."
            )
    expect(page.locator("#people .name")).to_have_text(["Ann"])


@pytest.mark.parametrize("kept", ["{", "[]", "null", '{"key": 5, "name": {}}', '{"key": "x", "name": ""}'])
def test_what_somebody_else_wrote_into_the_storage_does_no_harm(chat, visitor, kept):
    """The page asks for a name as it does of somebody new."""
    page = visitor().new_page()
    page.add_init_script(f"localStorage.setItem('parlour', {kept!r})")
    page.goto(f"{chat.url}/?room=storage")
    page.get_by_label("What shall we call you?").fill("Ann")
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("#link")).to_have_text("Connected")


def test_rooms_are_changed_without_a_reload(chat, visitor):
    """By name or from the list; the address and the back button follow, and one is in one room at a time."""
    fill(chat.url, "kitchen", 1)
    page = opened(visitor(), chat.url, "hall")
    page.evaluate("window.isTheSame = true")
    say(page, "in the hall")
    shows(page, "in the hall")
    page.get_by_label("Open another room").fill("Garden House")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("garden-house")
    expect(page).to_have_url(re.compile("room=garden-house$"))
    expect(page.get_by_text("Nothing has been said here yet.")).to_be_visible()
    Guest(chat.url, "hall").sees("Ann")
    page.get_by_role("link", name="kitchen").click()
    shows(page, "number 0")
    page.go_back()
    page.go_back()
    expect(page).to_have_title("hall · Parlour")
    shows(page, "in the hall")
    assert page.evaluate("window.isTheSame")


def test_a_room_that_cannot_be_is_refused_in_words(chat, visitor):
    """Before anything is sent."""
    page = opened(visitor(), chat.url, "words")
    page.get_by_label("Open another room").fill("ü?")
    page.keyboard.press("Enter")
    expect(page.locator("#room-error")).to_have_text("Use letters a–z, digits and hyphens.")
    expect(page.get_by_role("heading", level=1)).to_have_text("words")


def test_a_line_break_is_written_with_shift(chat, visitor):
    """Enter sends; the field grows with what is in it."""
    page = opened(visitor(), chat.url, "lines")
    text = page.get_by_label("Your message")
    height = text.bounding_box()["height"]
    text.press_sequentially("one")
    for _ in range(3):
        page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert text.bounding_box()["height"] > height + 40
    page.keyboard.press("Enter")
    shows(page, "one\n\n\ntwo")
    assert text.bounding_box()["height"] == pytest.approx(height, abs=1)


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_screen(chat, visitor, width):
    """Long words, long names, a long room, no connection: nothing scrolls sideways, and one can still write."""
    screen = PHONE | {"viewport": {"width": width, "height": 640}}
    page = opened(visitor(**screen), chat.url, f"{'w' * 26}-{width}", "W" * 32)
    say(page, "w" * 400)
    shows(page, "w" * 400)
    page.context.set_offline(True)
    expect(page.locator("#lost")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for scroller in ("#scroll", "#side"):
        assert page.locator(scroller).evaluate("e => e.scrollWidth <= e.clientWidth")
    expect(page.locator("#link")).to_be_in_viewport(ratio=1)
    expect(page.get_by_label("Your message")).to_be_in_viewport(ratio=1)


def test_on_a_phone_rooms_and_people_are_behind_a_button(chat, visitor):
    """It tells how many are there, is big enough for a thumb, and Escape or a tap beside closes it."""
    page = opened(visitor(**PHONE), chat.url, "phone")
    menu = page.get_by_role("button", name="1 people here")
    box = menu.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    expect(page.locator("#side")).to_be_hidden()
    menu.tap()
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#people .name")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#side")).to_be_hidden()
    expect(menu).to_be_focused()
    menu.tap()
    page.touchscreen.tap(20, 300)
    expect(page.locator("#side")).to_be_hidden()


def test_a_keyboard_on_the_screen_leaves_the_last_message_in_sight(chat, visitor):
    """The page becomes as small as what is left, and the conversation stays at its end."""
    fill(chat.url, "keyboard", 30)
    page = opened(visitor(**PHONE), chat.url, "keyboard")
    expect(page.locator(".message").last).to_be_in_viewport()
    page.set_viewport_size({"width": 360, "height": 380})
    expect(page.locator(".message").last).to_be_in_viewport()
    expect(page.get_by_label("Your message")).to_be_in_viewport(ratio=1)


def test_nothing_moves_for_who_asks_for_less_motion(chat, visitor):
    """`prefers-reduced-motion` switches transitions and animations off."""
    page = opened(visitor(**PHONE, reduced_motion="reduce"), chat.url, "still")
    assert page.locator("#side").evaluate("e => parseFloat(getComputedStyle(e).transitionDuration)") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_that_is_written_can_be_read(chat, visitor, scheme):
    """Contrast of at least 4.5 to 1, for every colour that a person can have."""
    page = opened(visitor(color_scheme=scheme), chat.url, f"contrast-{scheme}")
    say(page, "hello")
    shows(page, "hello")
    page.evaluate(SPECTRUM)
    low = page.evaluate(
        CONTRAST, [".by b", ".by time", ".text", ".link", ".initial", ".rooms a", "h2", "#start", ".waits"]
    )
    assert low == []


# One message and one person of each colour.
SPECTRUM = """() => {
  for (const [list, kind] of [["log", "message"], ["people", ""]])
    for (let colour = 0; colour < 8; colour++) {
      const row = document.getElementById(list).lastElementChild.cloneNode(true);
      row.className = kind;
      row.dataset.colour = colour;
      document.getElementById(list).append(row);
    }
  document.querySelector("#log .message").insertAdjacentHTML("beforeend", "<p class='waits'>Not sent yet</p>");
}"""
# Texts whose contrast to the nearest painted background is below 4.5, as WCAG counts it.
CONTRAST = """(selectors) => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return colour !== "rgba(0, 0, 0, 0)" || !node.parentElement ? colour : behind(node.parentElement);
  };
  const low = [];
  for (const selector of selectors) {
    const nodes = [...document.querySelectorAll(selector)];
    if (!nodes.length) low.push(`${selector}: not there`);
    for (const node of nodes) {
      const pair = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
      const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
      if (ratio < 4.5) low.push(`${selector} ${node.closest("[data-colour]")?.dataset.colour ?? ""}: ${ratio.toFixed(2)}`);
    }
  }
  return low;
}"""


def test_the_page_asks_nobody_else(chat, visitor):
    """Every request of the page goes to its own server."""
    page = visitor().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url.replace("ws", "http", 1)))
    page.goto(chat.url)
    page.get_by_label("What shall we call you?").fill("Ann")
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_have_text("Connected")
    assert [url for url in asked if not url.startswith(chat.url)] == []
