"""The box office at the level of HTTP: who gets a seat, for how long, and what is refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import httpx
import pytest

from .serving import Served, Visitor, eventually


@pytest.fixture
def ada(box_office):
    return Visitor(box_office)


@pytest.fixture
def bob(box_office):
    return Visitor(box_office)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"error", "message"}
    assert body["message"].endswith((".", "!", "?"))
    return answer.status_code, body["error"]


# Holding


def test_a_held_seat_is_mine_and_held_for_others(ada, bob):
    """Both see the seat taken, only the holder sees that it is theirs."""
    assert ada.hold("A1").json()["seats"]["A1"] == "mine"
    assert bob.view()["seats"]["A1"] == "held"


def test_a_hold_lasts_two_minutes(ada):
    """The seconds that are left come with the answer."""
    assert 110 < ada.hold("A2").json()["hold"]["left_s"] <= 120


def test_a_second_seat_shares_the_clock_of_the_first(ada):
    """Taking more seats does not prolong the hold."""
    first = ada.hold("A3").json()["hold"]["left_s"]
    assert ada.hold("A4").json()["hold"]["left_s"] <= first


def test_a_seat_held_by_somebody_else_is_refused(ada, bob):
    """The second visitor is told who has it, in words, and how long at most."""
    ada.holds("A5")
    answer = bob.hold("A5")
    assert refusal(answer) == (409, "seat-held")
    assert "Somebody else is holding A5" in answer.json()["message"]


def test_a_seat_held_in_my_other_tab_is_refused_and_says_so(ada):
    """A hold belongs to a tab: the other tab of the same browser does not take it over."""
    ada.holds("A6")
    answer = ada.other_tab().hold("A6")
    assert refusal(answer) == (409, "seat-held")
    assert "in another tab" in answer.json()["message"]


def test_all_seats_are_held_or_none(ada, bob):
    """One taken seat among those asked for leaves the others free."""
    ada.holds("A7")
    assert refusal(bob.hold("A8", "A7")) == (409, "seat-held")
    assert "A8" not in ada.view()["seats"]


def test_holding_twice_changes_nothing(ada):
    """A repeated request is answered as the first was."""
    version = ada.hold("A9").json()["version"]
    assert ada.hold("A9").json()["version"] == version


def test_a_released_seat_is_free(ada, bob):
    """What one visitor lets go another can take."""
    ada.holds("A10")
    ada.post("release", seats=["A10"]).raise_for_status()
    assert bob.hold("A10").status_code == 200


def test_nobody_releases_a_seat_of_others(ada, bob):
    """A release of seats that are not mine does nothing."""
    ada.holds("B1")
    bob.post("release", seats=["B1"]).raise_for_status()
    assert ada.view()["seats"]["B1"] == "mine"


def test_more_seats_than_allowed_are_refused(ada):
    """Six seats at a time; the seventh is refused and the six stay."""
    six = ["H1", "H2", "H3", "H4", "H5", "H6"]
    ada.holds(*six)
    assert refusal(ada.hold("H7")) == (409, "too-many-seats")
    assert ada.view()["hold"]["seats"] == six


def test_of_many_visitors_at_once_one_gets_the_seat(box_office):
    """Requests at the same moment: one is served, all others are refused."""
    crowd = [Visitor(box_office) for _ in range(12)]
    with ThreadPoolExecutor(len(crowd)) as pool:
        answers = list(pool.map(lambda visitor: visitor.hold("B2").status_code, crowd))
    assert sorted(answers) == [200] + [409] * 11


def test_shows_are_separate(box_office):
    """The same seat of another show is another seat."""
    Visitor(box_office, "paper-moons").holds("A1")
    assert Visitor(box_office, "small-hours").hold("A1").status_code == 200


# Booking


def test_a_booking_has_a_code_and_its_seats_are_sold(ada, bob):
    """The visitor sees a booking, everybody else a sold seat."""
    code = ada.books("Ada", "C1", "C2")
    mine = ada.view()
    assert {"code": code, "name": "Ada", "seats": ["C1", "C2"]} in mine["bookings"]
    assert mine["hold"] is None
    assert mine["seats"]["C1"] == "yours"
    assert bob.view()["seats"]["C1"] == "sold"
    assert bob.view()["bookings"] == []


def test_a_sold_seat_is_refused(ada, bob):
    """Nobody holds what is sold."""
    ada.books("Ada", "C3")
    assert refusal(bob.hold("C3")) == (409, "seat-sold")


def test_a_hold_is_booked_once(ada):
    """The same confirmation sent twice makes one booking."""
    ada.books("Ada", "C4")
    assert refusal(ada.book("Ada", "C4")) == (409, "hold-over")
    assert len(ada.view()["bookings"]) == 1


def test_seats_that_are_held_by_others_are_not_booked(ada, bob):
    """Only the holder turns a hold into a booking."""
    ada.holds("C5")
    assert refusal(bob.book("Bob", "C5")) == (409, "hold-over")


def test_only_the_seats_on_the_page_are_booked(ada):
    """A page that shows other seats than are held books nothing."""
    ada.holds("C6", "C7")
    assert refusal(ada.book("Ada", "C6")) == (409, "hold-changed")


def test_a_booking_made_in_one_tab_is_seen_in_the_other(ada):
    """Bookings belong to the browser."""
    code = ada.books("Ada", "C8")
    assert code in [booking["code"] for booking in ada.other_tab().view()["bookings"]]


def test_a_cancelled_booking_frees_its_seats(ada, bob):
    """Its seats can be taken by others at once."""
    code = ada.books("Ada", "C9")
    assert ada.post("cancel", code=code).json()["bookings"] == []
    assert bob.hold("C9").status_code == 200


def test_a_booking_of_others_is_not_cancelled(ada, bob):
    """To anybody else the booking does not exist."""
    code = ada.books("Ada", "C10")
    assert refusal(bob.post("cancel", code=code)) == (404, "unknown-booking")
    assert ada.view()["seats"]["C10"] == "yours"


def test_the_programme_counts_free_and_own_seats(box_office):
    """Every show is listed with what is left, and with what this visitor has there."""
    visitor = Visitor(box_office, "glass-orchard")
    visitor.books("Ada", "D1", "D2")
    visitor.holds("D3")
    shows = visitor.http.get("/api/shows", params={"tab": visitor.tab}).json()["shows"]
    here = next(show for show in shows if show["id"] == "glass-orchard")
    assert (here["free"], here["held"], here["yours"]) == (77, 1, 2)


# Following


def test_a_waiting_page_hears_of_a_change_at_once(ada, bob):
    """A request that waits for news is answered by another visitor's hold, not by its own time limit."""
    seen = bob.view()["version"]
    with ThreadPoolExecutor(1) as pool:
        news = pool.submit(bob.view, seen)
        since = monotonic()
        ada.holds("D4")
        assert news.result()["seats"]["D4"] == "held"
        assert monotonic() - since < 1


# Time and death


def test_a_hold_expires(serve):
    """When the time is up a waiting page is told, and the seat is free for others."""
    url = serve("booking", "HOLD_SECONDS:1").url
    ada, bob = Visitor(url), Visitor(url)
    ada.holds("A1")
    seen = bob.view()
    assert seen["seats"] == {"A1": "held"}
    since = monotonic()
    assert bob.view(seen["version"])["seats"] == {}
    assert monotonic() - since < 3
    assert bob.hold("A1").status_code == 200


def test_an_expired_hold_is_not_booked(serve):
    """The confirmation that comes too late books nothing and says why."""
    ada = Visitor(serve("booking", "HOLD_SECONDS:0.2").url)
    ada.holds("A1")
    eventually(lambda: ada.view()["hold"] is None)
    assert refusal(ada.book("Ada", "A1")) == (409, "hold-over")


def killed_and_started_again(served: Served) -> None:
    served.kill()
    served.start()


def test_bookings_are_there_after_kill_9(serve):
    """A booking that was answered is on disk, and still belongs to its visitor."""
    served = serve("booking")
    ada = Visitor(served.url)
    code = ada.books("Ada", "E4", "E5")
    killed_and_started_again(served)
    assert ada.view()["bookings"] == [{"code": code, "name": "Ada", "seats": ["E4", "E5"]}]
    assert refusal(Visitor(served.url).hold("E4")) == (409, "seat-sold")


def test_a_hold_goes_on_after_kill_9(serve):
    """The rest of the two minutes is neither lost nor started anew."""
    served = serve("booking")
    ada = Visitor(served.url)
    before = ada.hold("E4").json()["hold"]["left_s"]
    killed_and_started_again(served)
    after = ada.view()["hold"]
    assert after["seats"] == ["E4"]
    assert after["left_s"] < before
    assert ada.book("Ada", "E4").status_code == 200


def test_a_hold_that_ended_while_the_server_was_down_is_over(serve):
    """Time does not stand still for a process that is not there."""
    served = serve("booking", "HOLD_SECONDS:0.1")
    ada = Visitor(served.url)
    ada.holds("E4")
    over_s = monotonic() + 0.1
    served.kill()
    eventually(lambda: monotonic() > over_s)
    served.start()
    assert ada.view()["seats"] == {}


# Bad input


@pytest.mark.parametrize(
    ("action", "body", "expected"),
    [
        ("hold", {}, (422, "no-seats")),
        ("hold", {"seats": []}, (422, "no-seats")),
        ("hold", {"seats": "A1"}, (422, "no-seats")),
        ("hold", {"seats": ["Z99"]}, (404, "unknown-seat")),
        ("hold", {"seats": ["A11"]}, (404, "unknown-seat")),
        ("hold", {"seats": ["a1; DROP TABLE taken"]}, (422, "bad-seat")),
        ("hold", {"seats": [1]}, (422, "bad-seat")),
        ("hold", {"seats": [None]}, (422, "bad-seat")),
        ("hold", {"seats": ["\ud800"]}, (422, "bad-seat")),
        ("hold", {"seats": ["A1"] * 81}, (422, "too-many-seats")),
        ("hold", {"seats": ["A1"], "tab": "x" * 41}, (422, "bad-tab")),
        ("hold", {"seats": ["A1"], "tab": ["one"]}, (422, "bad-tab")),
        ("book", {"seats": ["A1"]}, (422, "no-name")),
        ("book", {"seats": ["A1"], "name": " \t "}, (422, "no-name")),
        ("book", {"seats": ["A1"], "name": 5}, (422, "no-name")),
        ("book", {"seats": ["A1"], "name": "x" * 61}, (422, "bad-name")),
        ("book", {"seats": ["A1"], "name": "Ada\u0000"}, (422, "bad-name")),
        ("book", {"seats": ["A1"], "name": "\udc00"}, (422, "bad-name")),
        ("cancel", {}, (422, "bad-code")),
        ("cancel", {"code": "' OR 1=1"}, (422, "bad-code")),
        ("cancel", {"code": "ABCDEF"}, (404, "unknown-booking")),
        ("steal", {"seats": ["A1"]}, (404, "not-found")),
    ],
)
def test_a_bad_wish_is_refused_with_a_sentence(box_office, action, body, expected):
    """Whatever is wrong with a wish is said in a JSON error that the page can show."""
    ada = Visitor(box_office, "small-hours")
    answer = ada.http.post(
        f"/api/shows/small-hours/{action}",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert refusal(answer) == expected


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 4000, b'"A1"', b"NaN", b"[]"])
def test_a_body_that_is_no_json_object_is_refused(ada, body):
    """Half a document, a wrong encoding, deep nesting, another kind of value: 400."""
    headers = {"content-type": "application/json"}
    assert refusal(ada.http.post("/api/shows/night-ferry/hold", content=body, headers=headers)) == (
        400,
        "bad-json",
    )


def test_a_body_of_another_type_is_refused(ada):
    """A form of another site cannot act for a visitor."""
    answer = ada.http.post("/api/shows/night-ferry/hold", data={"seats": "A1"})
    assert refusal(answer) == (415, "not-json")


@pytest.mark.parametrize("kind", ["whole", "in pieces"])
def test_a_large_body_is_refused(ada, kind):
    """More than four kilobytes are not read, however they come."""
    body = b" " * 5000
    content = body if kind == "whole" else iter([body[:2500], body[2500:]])
    headers = {"content-type": "application/json"}
    answer = ada.http.post("/api/shows/night-ferry/hold", content=content, headers=headers)
    assert refusal(answer) == (413, "too-large")


@pytest.mark.parametrize("path", ["/api/shows/hamlet", "/api/shows/..%2fnight-ferry", "/api/shows/%00"])
def test_a_show_that_is_not_in_the_programme_is_unknown(ada, path):
    """No object is made for a name that nobody planned."""
    assert refusal(ada.http.get(path)) in {(404, "unknown-show"), (404, "not-found")}


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/shows"), ("GET", "/api/shows/night-ferry/hold")])
def test_a_wrong_method_is_refused(ada, method, path):
    """The answer names the right method."""
    assert refusal(ada.http.request(method, path)) == (405, "method-not-allowed")


@pytest.mark.parametrize("seen", ["", "-1", "x", "9" * 5000, "1e3", "٣"])
def test_a_strange_version_counts_as_none(ada, seen):
    """The page gets the show at once."""
    answer = ada.http.get("/api/shows/night-ferry", params={"tab": "one", "seen": seen})
    assert answer.status_code == 200
    assert "version" in answer.json()


def test_the_page_and_its_files_are_served(box_office):
    """Everything the page needs comes from here."""
    page = httpx.get(box_office)
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/style.css", "/app.js", "/icon.svg", "/fonts/figtree.woff2"):
        assert httpx.get(box_office + path).status_code == 200
        assert path in page.text
    assert "https://" not in page.text
