"""Lantern Hall: the box office of a small theatre, one durable object per show."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from perdure import DurableObject, Request, Response, WorkerEntrypoint

SHOWS = {
    "glass-orchard": {
        "title": "The Glass Orchard",
        "day": "Thursday",
        "time": "19:30",
        "about": "A new play in two acts. 1 h 50, with an interval.",
    },
    "night-ferry": {
        "title": "Night Ferry",
        "day": "Friday",
        "time": "20:00",
        "about": "Songs and stories from the last boat home. 75 minutes, no interval.",
    },
    "paper-moons": {
        "title": "Paper Moons",
        "day": "Saturday",
        "time": "15:00",
        "about": "Shadow puppets for everyone from five up. 50 minutes.",
    },
    "small-hours": {
        "title": "Small Hours Trio",
        "day": "Saturday",
        "time": "21:30",
        "about": "Piano, bass and drums, close enough to touch. Two sets.",
    },
}
BANDS: tuple[dict[str, Any], ...] = (
    {"name": "Front", "rows": "AB", "price": 28},
    {"name": "Middle", "rows": "CDEF", "price": 22},
    {"name": "Back", "rows": "GH", "price": 16},
)
SEATS_PER_ROW = 10
PRICES = {
    f"{row}{number}": band["price"]
    for band in BANDS
    for row in band["rows"]
    for number in range(1, SEATS_PER_ROW + 1)
}

WATCH_S = 10.0  # how long an unchanged show keeps a watching page waiting before it answers anyway
NAME_CHARS_MAX = 60
BODY_BYTES_MAX = 4096
VISITOR_COOKIE = re.compile(r"(?:^|;\s*)visitor=([\w-]{22})(?=;|$)", re.ASCII)
TAB = re.compile(r"[\w-]{0,40}", re.ASCII)
SEAT = re.compile(r"[A-Z][0-9]{1,2}")
VERSION = re.compile(r"[0-9]{1,15}")
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is mistaken for its neighbour on paper


class Refused(Exception):
    """A request the box office says no to: an HTTP status, a short code, and a sentence for the visitor."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Guest:
    """Who asks. Bookings belong to the browser (`visitor`), seats on hold to one of its tabs."""

    visitor: str
    tab: str


class Show(DurableObject):
    """
    The seats of one show.

    Invariant: a seat is taken exactly when `taken` has a row for it, so its primary key is the rule "one
    seat, one guest". Each method checks and writes without an `await` in between: nobody gets in the middle,
    and what it wrote is committed as one transaction before anybody hears of it.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.kv = ctx.storage.kv
        self.hold_s = float(env.HOLD_SECONDS)
        self.seats_max = int(env.SEATS_MAX)
        self.changed = asyncio.Event()
        self.sql.exec("""
            CREATE TABLE IF NOT EXISTS bookings (
                code TEXT PRIMARY KEY,
                visitor TEXT NOT NULL,
                name TEXT NOT NULL,
                booked_at REAL NOT NULL
            );
            CREATE TABLE IF NOT EXISTS taken (
                seat TEXT PRIMARY KEY,
                visitor TEXT NOT NULL,
                tab TEXT NOT NULL,
                held_until REAL,                     -- NULL once it is sold
                code TEXT REFERENCES bookings (code) -- NULL while it is only held
            )
        """)

    async def watch(self, guest: Guest, seen: int | None) -> dict[str, Any]:
        """Answer as soon as there is something newer than version `seen`, or after WATCH_S as things are."""
        view = self._view(guest)
        if view["version"] != seen:
            return view
        try:
            async with asyncio.timeout(min(WATCH_S, self._next_expiry_s())):
                await self.changed.wait()
        except TimeoutError:
            pass
        return self._view(guest)

    async def hold(self, guest: Guest, seats: list[str]) -> dict[str, Any]:
        """Hold all of `seats` or none. The clock starts with the first seat; later ones share it."""
        self._let_go_expired()
        mine = self._held_by(guest)
        wanted = [seat for seat in dict.fromkeys(seats) if seat not in mine]
        for seat in wanted:
            if seat not in PRICES:
                raise Refused(404, "unknown-seat", f"There is no seat {seat} in this hall.")
            self._refuse_if_taken(guest, seat)
        if len(mine) + len(wanted) > self.seats_max:
            raise Refused(
                409,
                "too-many-seats",
                f"You can hold {self.seats_max} seats at a time. Let one go to take another.",
            )
        held_until = min(mine.values(), default=time.time() + self.hold_s)
        for seat in wanted:
            self.sql.exec(
                "INSERT INTO taken VALUES (?, ?, ?, ?, NULL)", seat, guest.visitor, guest.tab, held_until
            )
        if wanted:
            self._tell_watchers()
        return self._view(guest)

    async def release(self, guest: Guest, seats: list[str]) -> dict[str, Any]:
        """Let go of held seats. A seat that is not held by this guest any more is let go already."""
        for seat in self._held_by(guest).keys() & set(seats):
            self.sql.exec("DELETE FROM taken WHERE seat = ?", seat)
        self._tell_watchers()
        return self._view(guest)

    async def book(self, guest: Guest, name: str, seats: list[str]) -> dict[str, Any]:
        """Turn the seats this guest holds, which must be exactly `seats`, into a booking."""
        self._let_go_expired()
        held = self._held_by(guest)
        if not held:
            raise Refused(409, "hold-over", "Your time was up and the seats were let go. Nothing was booked.")
        if set(held) != set(seats):
            raise Refused(
                409, "hold-changed", "Your seats have changed. Have another look; nothing was booked."
            )
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(6))
        self.sql.exec("INSERT INTO bookings VALUES (?, ?, ?, ?)", code, guest.visitor, name, time.time())
        for seat in held:
            self.sql.exec("UPDATE taken SET held_until = NULL, code = ? WHERE seat = ?", code, seat)
        self._tell_watchers()
        return self._view(guest) | {"booked": code}

    async def cancel(self, guest: Guest, code: str) -> dict[str, Any]:
        """Cancel one of this visitor's bookings; its seats are free at once."""
        mine = self.sql.exec(
            "SELECT code FROM bookings WHERE code = ? AND visitor = ?", code, guest.visitor
        ).to_list()
        if not mine:
            raise Refused(
                404, "unknown-booking", "There is no such booking of yours. It may be cancelled already."
            )
        self.sql.exec("DELETE FROM taken WHERE code = ?", code)
        self.sql.exec("DELETE FROM bookings WHERE code = ?", code)
        self._tell_watchers()
        return self._view(guest)

    async def summary(self, guest: Guest) -> dict[str, int]:
        """Count the free seats, those this guest holds, and those this visitor has booked."""
        self._let_go_expired()
        row = self.sql.exec(
            "SELECT count(*) AS taken, count(code) FILTER (WHERE visitor = ?) AS yours FROM taken",
            guest.visitor,
        ).one()
        return {"free": len(PRICES) - row.taken, "held": len(self._held_by(guest)), "yours": row.yours}

    def _view(self, guest: Guest) -> dict[str, Any]:
        """Return the show as this guest sees it. Who the others are stays here."""
        self._let_go_expired()
        states = {}
        bookings: dict[str, dict[str, Any]] = {
            row.code: {"code": row.code, "name": row.name, "seats": []}
            for row in self.sql.exec(
                "SELECT code, name FROM bookings WHERE visitor = ? ORDER BY booked_at", guest.visitor
            )
        }
        for row in self.sql.exec("SELECT seat, visitor, tab, code FROM taken"):
            if row.code in bookings:
                bookings[row.code]["seats"].append(row.seat)
                states[row.seat] = "yours"
            elif row.code is not None:
                states[row.seat] = "sold"
            else:
                states[row.seat] = "mine" if Guest(row.visitor, row.tab) == guest else "held"
        held = self._held_by(guest)
        for booking in bookings.values():
            booking["seats"] = in_order(booking["seats"])
        return {
            "version": self.kv.get("version", 0),
            "seats": states,
            "free": len(PRICES) - len(states),
            "hold": {"seats": in_order(held), "left_s": min(held.values()) - time.time()} if held else None,
            "bookings": list(bookings.values()),
        }

    def _held_by(self, guest: Guest) -> dict[str, float]:
        rows = self.sql.exec(
            "SELECT seat, held_until FROM taken WHERE visitor = ? AND tab = ? AND code IS NULL",
            guest.visitor,
            guest.tab,
        )
        return {row.seat: row.held_until for row in rows}

    def _refuse_if_taken(self, guest: Guest, seat: str) -> None:
        rows = self.sql.exec("SELECT visitor, held_until FROM taken WHERE seat = ?", seat).to_list()
        if not rows:
            return
        own, held_until = rows[0].visitor == guest.visitor, rows[0].held_until
        if held_until is None:
            raise Refused(409, "seat-sold", f"{seat} is already yours." if own else f"Sorry, {seat} is sold.")
        if own:
            raise Refused(
                409, "seat-held", f"You are holding {seat} in another tab. Book it or let it go there."
            )
        left_s = max(1, round(held_until - time.time()))
        raise Refused(
            409,
            "seat-held",
            f"Somebody else is holding {seat}. If they do not book it, it is free in {minutes(left_s)}.",
        )

    def _let_go_expired(self) -> None:
        """
        Free the seats whose time is up.

        Whoever looks does this first, so a hold is over at its second even if the process was down then.
        """
        if self.sql.exec("DELETE FROM taken WHERE held_until <= ? RETURNING seat", time.time()).to_list():
            self._tell_watchers()

    def _next_expiry_s(self) -> float:
        until = self.sql.exec("SELECT min(held_until) AS until FROM taken").one().until
        return WATCH_S if until is None else max(0.0, until - time.time()) + 0.01

    def _tell_watchers(self) -> None:
        self.kv["version"] = self.kv.get("version", 0) + 1
        self.changed.set()
        self.changed = asyncio.Event()


class Default(WorkerEntrypoint):
    """`GET /api/shows`, `GET /api/shows/ID?tab=&seen=`, `POST /api/shows/ID/{hold,release,book,cancel}`."""

    async def fetch(self, request: Request) -> Response:
        url = urlsplit(request.url)
        visitor, is_new = visitor_of(request)
        try:
            answer = Response.json(await self.answer(request, url.path, parse_qs(url.query), visitor))
        except Refused as no:
            answer = Response.json({"error": no.code, "message": no.message}, status=no.status)
        answer.headers.set("cache-control", "no-store")
        if is_new:
            answer.headers.set(
                "set-cookie", f"visitor={visitor}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
            )
        return answer

    async def answer(self, request: Request, path: str, query: dict[str, list[str]], visitor: str) -> Any:
        match [part for part in path.split("/") if part]:
            case ["api", "shows"]:
                allow(request, "GET", "HEAD")
                return await self.programme(Guest(visitor, tab_of(query.get("tab", [""])[0])))
            case ["api", "shows", show_id]:
                allow(request, "GET", "HEAD")
                seen = query.get("seen", [""])[0]
                guest = Guest(visitor, tab_of(query.get("tab", [""])[0]))
                return await self.show(show_id).watch(guest, int(seen) if VERSION.fullmatch(seen) else None)
            case ["api", "shows", show_id, "hold" | "release" | "book" | "cancel" as action]:
                allow(request, "POST")
                show = self.show(show_id)
                body = await read_json(request)
                return await act(show, action, Guest(visitor, tab_of(body.get("tab", ""))), body)
            case _:
                raise Refused(404, "not-found", f"There is nothing at {path[:80]}.")

    async def programme(self, guest: Guest) -> dict[str, Any]:
        """List every show with its counts; the objects are asked at the same time."""
        summaries = await asyncio.gather(*(self.show(show_id).summary(guest) for show_id in SHOWS))
        shows = [{"id": key, **SHOWS[key], **summary} for key, summary in zip(SHOWS, summaries, strict=True)]
        hall = {"bands": BANDS, "seats_per_row": SEATS_PER_ROW}
        return {
            "shows": shows,
            "hall": hall,
            "hold_s": float(self.env.HOLD_SECONDS),
            "seats_max": int(self.env.SEATS_MAX),
        }

    def show(self, show_id: str) -> Any:
        # A name that is not in the programme would make an object nobody asked for.
        if show_id not in SHOWS:
            raise Refused(404, "unknown-show", "This show is not in the programme.")
        return self.env.SHOW.get_by_name(show_id)


async def act(show: Any, action: str, guest: Guest, body: dict[str, Any]) -> Any:
    """Do what a POST asks for, once its parts have been checked."""
    match action:
        case "hold":
            return await show.hold(guest, seats_of(body))
        case "release":
            return await show.release(guest, seats_of(body))
        case "book":
            return await show.book(guest, name_of(body), seats_of(body))
        case _:
            return await show.cancel(guest, code_of(body))


def allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise Refused(405, "method-not-allowed", f"Use {methods[0]} here, not {request.method}.")


async def read_json(request: Request) -> dict[str, Any]:
    """Read a small JSON object, and stop reading as soon as it is not small."""
    # A form on another site could post with this visitor's cookie, but not with this content type.
    if (request.headers.get("content-type") or "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "not-json", "Send the request as application/json.")
    data = bytearray()
    if request.body is not None:
        async for chunk in request.body:
            data += chunk
            if len(data) > BODY_BYTES_MAX:
                raise Refused(
                    413, "too-large", f"That is too much to read: at most {BODY_BYTES_MAX:,} bytes."
                )
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(400, "bad-json", "This is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Refused(400, "bad-json", "Send a JSON object.")
    return body


def visitor_of(request: Request) -> tuple[str, bool]:
    """Return the visitor's id from the cookie, or a new one and True."""
    found = VISITOR_COOKIE.search(request.headers.get("cookie") or "")
    return (found[1], False) if found else (secrets.token_urlsafe(16), True)


def tab_of(value: Any) -> str:
    if not isinstance(value, str) or not TAB.fullmatch(value):
        raise Refused(422, "bad-tab", "`tab` is at most 40 letters, digits and dashes.")
    return value


def seats_of(body: dict[str, Any]) -> list[str]:
    seats = body.get("seats")
    if not isinstance(seats, list) or not seats:
        raise Refused(422, "no-seats", "Choose at least one seat.")
    if len(seats) > len(PRICES):
        raise Refused(422, "too-many-seats", f"The whole hall has {len(PRICES)} seats.")
    for seat in seats:
        if not isinstance(seat, str) or not SEAT.fullmatch(seat):
            raise Refused(422, "bad-seat", "A seat is a row and a number, like C4.")
    return seats


def name_of(body: dict[str, Any]) -> str:
    name = body.get("name")
    name = " ".join(name.split()) if isinstance(name, str) else ""
    if not name:
        raise Refused(422, "no-name", "Please tell us a name for the booking.")
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise Refused(
            422, "bad-name", f"A name is at most {NAME_CHARS_MAX} letters, without control characters."
        )
    return name


def code_of(body: dict[str, Any]) -> str:
    code = body.get("code")
    if not isinstance(code, str) or not re.fullmatch(f"[{CODE_LETTERS}]{{6}}", code):
        raise Refused(422, "bad-code", "A booking code has six letters and digits.")
    return code


def in_order(seats: Iterable[str]) -> list[str]:
    return sorted(seats, key=lambda seat: (seat[0], int(seat[1:])))


def minutes(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02}"
