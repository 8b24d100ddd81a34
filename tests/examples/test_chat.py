"""Chat rooms at the level of their WebSockets: what is said and kept, who is there, and what is refused."""

from __future__ import annotations

import json
from time import time
from zlib import crc32

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .chatting import Guest, fill
from .serving import Served, eventually, operate


@pytest.fixture
def room(request) -> str:
    """A room that no other test uses."""
    return f"room-{crc32(request.node.nodeid.encode()):x}"


def refusal(guest: Guest) -> dict:
    """Return the next news, which must be an error with a sentence in it."""
    news = json.loads(guest.line.recv(timeout=10))
    assert news["kind"] == "error", news
    assert news["message"].endswith((".", "!"))
    return news


def objects(served: Served) -> dict[str, bool]:
    """Return the rooms that store something, and whether each is in memory."""
    found = json.loads(operate(served, "objects", "Room", "--json"))["objects"]
    return {each["name"]: each["live"] for each in found}


def texts(news: dict) -> list[str]:
    return [message["text"] for message in news["messages"]]


# Talking


def test_what_is_said_reaches_everybody_in_the_room(chat, room):
    """The author too: that is how a page knows that it came through."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    said = ann.say("hello")
    assert bob.hears("hello") == said
    assert (said["name"], said["who"]) == ("Ann", ann.welcome["you"]["who"])
    assert abs(said["id"] / 1000 - time()) < 30


def test_what_is_said_stays_in_its_room(chat, room):
    """Another room is another object."""
    ann, bob = Guest(chat.url, room), Guest(chat.url, f"{room}-other")
    ann.say("hello")
    bob.say("anybody here?")
    assert texts(bob.again().welcome) == ["anybody here?"]


def test_a_text_comes_back_as_it_was_written(chat, room):
    """Lines, signs and letters of all kinds; space around it is cut off."""
    text = "Grüße, 世界 👩\u200d🚀\n\tשלום <b>&amp;"
    assert Guest(chat.url, room).say(f"  {text}\n")["text"] == text


def test_the_longest_text_is_taken_however_it_is_written(chat, room):
    """2,000 characters that JSON may write as twelve each."""
    assert Guest(chat.url, room).say("🚀" * 2000)["text"] == "🚀" * 2000


# Who is there


def test_everybody_sees_who_comes_and_goes(chat, room):
    """In the order they came; a connection that breaks off is noticed as a proper farewell is."""
    ann = Guest(chat.url, room, "Ann")
    ann.sees("Ann")
    bob, cid = Guest(chat.url, room, "Bob"), Guest(chat.url, room, "Cid")
    ann.sees("Ann", "Bob", "Cid")
    bob.leave()
    ann.sees("Ann", "Cid")
    cid.vanish()
    ann.sees("Ann")


def test_one_person_in_two_tabs_is_there_once(chat, room):
    """And stays until the second one is closed."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    second = bob.again()
    cid = Guest(chat.url, room, "Cid")
    cid.sees("Ann", "Bob", "Cid")
    bob.leave()
    ann.sees("Ann", "Bob", "Cid")
    second.leave()
    ann.sees("Ann", "Cid")


def test_everybody_has_a_colour_of_their_own_as_long_as_there_are_enough(chat, room):
    """Two tabs of one person have the same, and so has the one who stays after others came."""
    guests = [Guest(chat.url, room, f"guest {n}") for n in range(8)]
    assert sorted(guest.welcome["you"]["colour"] for guest in guests) == list(range(8))
    assert guests[3].again().welcome["you"]["colour"] == guests[3].welcome["you"]["colour"]
    assert guests[5].join("renamed")["you"]["colour"] == guests[5].welcome["you"]["colour"]
    assert Guest(chat.url, room, "ninth").welcome["you"]["colour"] in range(8)


def test_a_new_name_is_for_what_is_said_from_then_on(chat, room):
    """What was said keeps the name it was said under."""
    ann = Guest(chat.url, room, "Ann")
    ann.say("first")
    ann.join("  Anna   Keller ")
    ann.sees("Anna Keller")
    ann.say("second")
    messages = Guest(chat.url, room, "Bob").welcome["messages"]
    assert [message["name"] for message in messages] == ["Ann", "Anna Keller"]
    assert len({message["who"] for message in messages}) == 1


def test_whoever_stands_at_the_door_hears_and_says_nothing(chat, room):
    """A connection that did not join is told to, and is nobody in the room."""
    ann, nobody = Guest(chat.url, room, "Ann"), Guest(chat.url, room, None)
    ann.say("between us")
    for kind in ("say", "typing", "older"):
        nobody.send(kind, text="hello", ref="12345678", before=5)
        assert refusal(nobody)["code"] == "not-joined"
    nobody.join("Bob")
    ann.sees("Ann", "Bob")


def test_a_key_is_told_to_nobody(chat, room):
    """Others know a person by something that is made from the key."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    ann.say("hello")
    everything = json.dumps([ann.welcome, bob.hear("said"), bob.again().welcome])
    assert ann.welcome["you"]["who"] in everything
    assert ann.key not in everything


def test_typing_is_told_and_not_kept(chat, room):
    """Who comes later hears nothing of it, and the room stores nothing for it."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    bob.send("typing")
    assert ann.hear("typing")["who"] == bob.welcome["you"]["who"]
    assert room not in objects(chat)


# History


def test_a_newcomer_gets_the_last_page_and_reads_back_to_the_beginning(chat, room):
    """Pages follow each other without a gap, and the first message is known."""
    ids = fill(chat.url, room, 90)
    ann = Guest(chat.url, room)
    page = ann.welcome
    assert page["is_complete"] is False
    found = [message["id"] for message in page["messages"]]
    assert found == ids[-40:]
    while found[0] > page["oldest"]:
        ann.send("older", before=found[0])
        page = ann.hear("older")
        found = [message["id"] for message in page["messages"]] + found
    assert found == ids


def test_who_comes_back_hears_what_was_missed(chat, room):
    """From the last message that was seen on, all of it and nothing twice."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    seen = ann.say("one")["id"]
    ann.vanish()
    for text in ("two", "three"):
        bob.say(text)
    back = ann.again(seen)
    assert (texts(back.welcome), back.welcome["is_complete"]) == (["two", "three"], True)
    bob.say("four")
    assert back.hear("said")["message"]["text"] == "four"


def test_who_missed_very_much_begins_with_the_newest_page(chat, room):
    """More than 200 messages are not sent at once: the page starts again, and reads back as it likes."""
    ids = fill(chat.url, room, 202)
    one_too_many = Guest(chat.url, room, seen=ids[0]).welcome
    assert one_too_many["is_complete"] is False
    assert [message["id"] for message in one_too_many["messages"]] == ids[-40:]
    just_enough = Guest(chat.url, room, seen=ids[1]).welcome
    assert just_enough["is_complete"] is True
    assert [message["id"] for message in just_enough["messages"]] == ids[2:]


def test_what_is_sent_twice_is_said_once(chat, room):
    """A page that lost the line sends again what was not confirmed; the ref tells that it is the same."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    first = ann.say("hello", "ref-of-hello")
    ann.vanish()
    back = ann.again()
    assert back.say("hello", "ref-of-hello") == first
    back.say("and more")
    assert [bob.hear("said")["message"]["text"] for _ in range(2)] == ["hello", "and more"]
    assert texts(bob.again().welcome) == ["hello", "and more"]


def test_a_ref_belongs_to_its_author(chat, room):
    """Two people who choose the same one do not get in each other's way."""
    Guest(chat.url, room, "Ann").say("from Ann", "the-same-ref")
    Guest(chat.url, room, "Bob").say("from Bob", "the-same-ref")
    assert texts(Guest(chat.url, room).welcome) == ["from Ann", "from Bob"]


# Sleep and death


def test_a_room_that_sleeps_is_woken_by_a_message_and_knows_everybody(chat, room):
    """The object goes, the sockets stay; the next message is told under the author's name to all of them."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    ann.say("before")
    operate(chat, "evict", "Room", room)
    assert objects(chat)[room] is False
    assert bob.say("after")["name"] == "Bob"
    assert ann.hears("after")["colour"] == bob.welcome["you"]["colour"]
    assert objects(chat)[room] is True
    cid = Guest(chat.url, room, "Cid")
    cid.sees("Ann", "Bob", "Cid")
    assert texts(cid.welcome) == ["before", "after"]


def test_a_page_that_asks_whether_the_line_is_alive_wakes_nobody(chat, room):
    """The answer to a ping comes from the connection itself."""
    ann = Guest(chat.url, room)
    ann.sees("Ann")
    ann.say("hello")
    operate(chat, "evict", "Room", room)
    ann.line.send("ping")
    assert ann.line.recv(timeout=10) == "pong"
    assert objects(chat)[room] is False


def test_a_room_goes_to_sleep_by_itself(chat, room):
    """Ten seconds after the last word, with everybody still connected."""
    ann = Guest(chat.url, room)
    ann.say("hello")
    assert objects(chat)[room] is True
    eventually(lambda: objects(chat)[room] is False, within_s=30)
    ann.say("still here")


def test_what_was_said_is_there_after_kill_9(serve):
    """Every message that somebody heard; who comes back sends the rest again, and nothing is lost or twice."""
    served = serve("chat")
    ann, bob = Guest(served.url, "lounge", "Ann"), Guest(served.url, "lounge", "Bob")
    heard = ann.say("confirmed", "ref-confirmed")
    ann.send("say", text="perhaps", ref="ref-perhaps")
    served.kill()
    with pytest.raises(ConnectionClosed):
        bob.hears("said by nobody")
    served.start()
    back = ann.again(seen=heard["id"])
    back.say("perhaps", "ref-perhaps")
    assert texts(Guest(served.url, "lounge").welcome) == ["confirmed", "perhaps"]
    assert bob.again(seen=heard["id"]).hear("members")


def test_old_messages_are_forgotten_on_time_although_the_process_was_killed(serve):
    """The alarm was set with the message. Nobody comes after the crash; the room empties itself all the same."""
    served = serve("chat", f"KEEP_HOURS:{6 / 3600}")
    said = Guest(served.url, "lounge").say("not for ever")
    served.kill()
    served.start()
    ann = Guest(served.url, "lounge")
    assert texts(ann.welcome) == ["not for ever"]
    assert ann.hear("forgotten")["oldest"] is None
    late_s = time() - (said["id"] / 1000 + 6)
    assert 0 <= late_s < 3
    assert texts(ann.again().welcome) == []
    eventually(lambda: objects(served) == {})
    ann.say("a new beginning")
    assert objects(served) == {"lounge": True}


def test_a_message_that_is_not_old_yet_stays(serve):
    """The alarm takes what is too old and is set anew for the rest."""
    served = serve("chat", f"KEEP_HOURS:{4 / 3600}")
    ann = Guest(served.url, "lounge")
    ann.say("first")
    first = ann.say("second")["id"]
    eventually(lambda: time() * 1000 > first + 500)
    third = ann.say("third")["id"]
    while (oldest := ann.hear("forgotten")["oldest"]) != third:
        assert oldest == first
    assert ann.hear("forgotten")["oldest"] is None


# Bad input

JOIN = {"kind": "join", "key": "0123456789abcdef", "name": "Mallory", "seen": 0}
SAY = {"kind": "say", "text": "hello", "ref": "12345678"}


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ("", "bad-json"),
        ("{", "bad-json"),
        ("[" * 4000, "bad-json"),
        ("9" * 5000, "bad-json"),
        ("[]", "bad-json"),
        ("NaN", "bad-json"),
        (b"{}", "bad-json"),
        (b"\xff\xfe", "bad-json"),
        (" " * 32_769, "too-long"),
        ("{}", "unknown-kind"),
        ({"kind": "dance"}, "unknown-kind"),
        ({"kind": ["say"]}, "unknown-kind"),
        ({"kind": {"say": 1}}, "unknown-kind"),
        (JOIN | {"name": ""}, "no-name"),
        (JOIN | {"name": " \t "}, "no-name"),
        (JOIN | {"name": None}, "no-name"),
        (JOIN | {"name": "x" * 33}, "bad-name"),
        (JOIN | {"name": "Ann\u0000"}, "bad-name"),
        (JOIN | {"name": "\ud800"}, "bad-name"),
        (JOIN | {"key": "short"}, "bad-key"),
        (JOIN | {"key": "x" * 65}, "bad-key"),
        (JOIN | {"key": 1234567890123456}, "bad-key"),
        (JOIN | {"seen": -1}, "bad-id"),
        (JOIN | {"seen": "1"}, "bad-id"),
        (JOIN | {"seen": True}, "bad-id"),
        (JOIN | {"seen": 1.5}, "bad-id"),
        (JOIN | {"seen": 2**63}, "bad-id"),
        (SAY | {"text": ""}, "no-text"),
        (SAY | {"text": " \n "}, "no-text"),
        (SAY | {"text": ["hello"]}, "no-text"),
        (SAY | {"text": "x" * 2001}, "too-long"),
        (SAY | {"text": "\u0007"}, "bad-text"),
        (SAY | {"text": "\udc00"}, "bad-text"),
        (SAY | {"ref": "short"}, "bad-ref"),
        (SAY | {"ref": "x" * 65}, "bad-ref"),
        (SAY | {"ref": None}, "bad-ref"),
        (SAY | {"ref": {"$gt": ""}}, "bad-ref"),
        ({"kind": "say", "text": "hello"}, "bad-ref"),
        ({"kind": "older", "before": "'; DROP TABLE messages"}, "bad-id"),
        ({"kind": "older", "before": None}, "bad-id"),
    ],
)
def test_a_bad_wish_is_answered_with_a_sentence_and_harms_nobody(chat, wish, code):
    """The socket stays, the room stays, the others hear nothing of it."""
    ann, mallory = Guest(chat.url, "bad-input", "Ann"), Guest(chat.url, "bad-input", "Mallory")
    mallory.line.send(json.dumps(wish) if isinstance(wish, dict) else wish)
    mallory.hear("members")
    assert refusal(mallory)["code"] == code
    said = mallory.say("sorry")
    assert ann.hear("said")["message"] == said


def test_a_refused_message_is_named_by_its_ref(chat, room):
    """So that a page can give the text back to its author."""
    ann = Guest(chat.url, room)
    ann.hear("members")
    ann.send("say", text="x" * 2001, ref="the-long-one")
    assert refusal(ann)["ref"] == "the-long-one"


def test_who_is_too_fast_is_told_how_long_to_wait(chat, room):
    """A burst is fine; then it is two messages a second, for this socket alone."""
    ann, bob = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Bob")
    ann.hear("members"), ann.hear("members")
    for number in range(24):
        ann.send("say", text=f"{number}", ref=f"message-{number}")
    news = [json.loads(ann.line.recv(timeout=10)) for _ in range(24)]
    refused = [each for each in news if each["kind"] == "error"]
    assert {each["code"] for each in refused} == {"too-fast"}
    assert 1 <= len(refused) <= 24 - 11  # the join took one of twelve
    assert all(0 < each["wait_ms"] <= 500 for each in refused)
    bob.say("I may still speak")


def test_who_floods_a_room_is_put_out(chat, room):
    """When 60 more were refused than taken; the others stay."""
    ann, mallory = Guest(chat.url, room, "Ann"), Guest(chat.url, room, "Mallory")
    for _ in range(120):
        mallory.send("typing")
    assert mallory.ends_with() == (1008, "Too many messages.")
    ann.sees("Ann")
    ann.say("peace")


def test_a_full_room_says_so(serve):
    """Whoever comes too late is told and may try again; when somebody leaves there is a place."""
    served = serve("chat", "PEOPLE_MAX:1")
    ann = Guest(served.url, "lounge", "Ann")
    late = Guest(served.url, "lounge", None)
    assert refusal(late)["code"] == "room-full"
    assert late.ends_with() == (1013, "The room is full.")
    ann.leave()
    assert Guest(served.url, "lounge", "Bob").welcome["you"]["name"] == "Bob"


# HTTP


@pytest.mark.parametrize("name", ["", "-a", "a-", "Lounge", "a" * 33, "a%20b", "..%2fx", "%00", "a_b", "ü"])
def test_a_name_that_no_room_has_makes_no_object(chat, name):
    """The answer says which names there are."""
    with pytest.raises(InvalidStatus) as refused:
        Guest(chat.url, name)
    assert refused.value.response.status_code == 404
    assert "message" in json.loads(refused.value.response.body)


def test_a_request_that_wants_no_websocket_is_told_to(chat):
    """In words; no object is made for it."""
    answer = httpx.get(f"{chat.url}/rooms/lounge/websocket")
    assert (answer.status_code, answer.json()) == (426, {"message": "Connect with a WebSocket."})


def test_rooms_in_which_something_was_said_are_listed(chat, room):
    """A room where people only looked in is not."""

    def listed() -> list[str]:
        return httpx.get(f"{chat.url}/rooms").json()["rooms"]

    ann = Guest(chat.url, room)
    assert room not in listed()
    ann.say("hello")
    assert room in listed()


def test_the_page_and_its_files_are_served(chat):
    """Everything the page needs comes from here."""
    page = httpx.get(chat.url)
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/style.css", "/app.js", "/icon.svg", "/fonts/figtree.woff2"):
        assert httpx.get(chat.url + path).status_code == 200
        assert path in page.text
    assert "https://" not in page.text
