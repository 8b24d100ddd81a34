"""Larder: a list that several people keep at once. The page calls the object's methods, and the object the page's."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import urlsplit

from perdure import DurableObject, Request, Response, RpcTarget, WorkerEntrypoint, rpc

TEXT_CHARS_MAX = 120
NAME_CHARS_MAX = 32
ITEMS_MAX = 500
PEOPLE_MAX = 100

LIST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
ID = re.compile(r"[0-9a-f]{16}")


class List(DurableObject):
    """
    One list: its items in the database, the people who look at it in memory.

    A page that has it open holds a `Seat`, and the list holds the page's listener. As long as somebody does, the
    object stays in memory; what it wrote is on disk before any page hears of it.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.seats: list[Seat] = []
        self.sql = ctx.storage.sql
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS items (id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, "
            "by TEXT NOT NULL, place INTEGER PRIMARY KEY AUTOINCREMENT)"
        )

    def join(self, name: str, listener: Any) -> Seat:
        """Let somebody in: *listener* is shown the list now, and everything that happens to it."""
        if len(self.seats) >= PEOPLE_MAX:
            raise ValueError("So many people have this list open that no more can join.")
        seat = Seat(
            self, readable(name, "A name", NAME_CHARS_MAX), listener.dup()
        )  # past the end of this call
        self.seats.append(seat)
        seat.listener.shown(self.items())
        self.tell("people", self.people())
        return seat

    def items(self) -> list[dict[str, Any]]:
        """Return all items, the oldest first."""
        rows = self.sql.exec("SELECT id, text, done, by FROM items ORDER BY place")
        return [{**row, "done": bool(row.done)} for row in rows]

    def people(self) -> list[str]:
        """Return who has the list open, in the order they came; somebody with two pages is there once."""
        return list(dict.fromkeys(seat.name for seat in self.seats))

    def leave(self, seat: Seat) -> None:
        if seat in self.seats:
            self.seats.remove(seat)
            seat.listener.dispose()
            self.tell("people", self.people())

    def tell(self, what: str, *about: Any) -> None:
        """Call a method of every page's listener; nobody waits for an answer, so a slow page delays no other."""
        for seat in self.seats:
            seat.listener[what](*about)


class Seat(RpcTarget):
    """What one page may do with a list. When the page is gone, closed or cut off, `dispose` runs."""

    def __init__(self, at: List, name: str, listener: Any) -> None:
        self.at, self.name, self.listener = at, name, listener

    def add(self, id: str, text: str) -> None:
        """Put something on the list. The page chooses the id, so that it may ask again when it heard no answer."""
        if not ID.fullmatch(id):
            raise ValueError("An id has 16 hexadecimal digits.")
        text = readable(text, "An item", TEXT_CHARS_MAX)
        if self.at.sql.exec("SELECT count(*) AS n FROM items").one().n >= ITEMS_MAX:
            raise ValueError(f"A list holds {ITEMS_MAX} items. Clear what is done first.")
        self.at.sql.exec(
            "INSERT INTO items (id, text, by) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
            id,
            text,
            self.name,
        )
        self.show(id)

    def tick(self, id: str, done: bool) -> None:
        """Mark an item as done, or not."""
        self.at.sql.exec("UPDATE items SET done = ?, by = ? WHERE id = ?", done, self.name, id)
        self.show(id)

    def edit(self, id: str, text: str) -> None:
        """Write an item anew."""
        text = readable(text, "An item", TEXT_CHARS_MAX)
        self.at.sql.exec("UPDATE items SET text = ?, by = ? WHERE id = ?", text, self.name, id)
        self.show(id)

    def remove(self, id: str) -> None:
        """Take an item off the list."""
        self.at.sql.exec("DELETE FROM items WHERE id = ?", id)
        self.at.tell("removed", [id])

    def clear(self) -> int:
        """Take off what is done; return how many that were."""
        gone = [row.id for row in self.at.sql.exec("DELETE FROM items WHERE done RETURNING id")]
        self.at.tell("removed", gone)
        return len(gone)

    def show(self, id: str) -> None:
        """Tell every page how an item is now, or that it is gone."""
        found = [item for item in self.at.items() if item["id"] == id]
        if found:
            self.at.tell("changed", found[0])
        else:
            self.at.tell("removed", [id])

    def dispose(self) -> None:
        self.at.leave(self)


class Api(RpcTarget):
    """What every page is given: the way to a list."""

    def __init__(self, env: Any) -> None:
        self._env = env

    def open(self, name: str) -> Any:
        """Return the list called *name*: a stub, on which the page calls `join` without waiting for this."""
        if not LIST.fullmatch(name):
            raise ValueError("A list's name has up to 32 of the characters a-z, 0-9 and - in it.")
        return self._env.LIST.get_by_name(name)


class Default(WorkerEntrypoint):
    """Cap'n Web at `/api`; the page is a static file."""

    async def fetch(self, request: Request) -> Response:
        if urlsplit(request.url).path == "/api":
            return await rpc.serve(request, Api(self.env))
        return Response("There is nothing here.", status=404)


def readable(text: str, what: str, chars_max: int) -> str:
    """Return *text* without needless spaces; an error if nobody could read it."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if not text:
        raise ValueError(f"{what} has at least one character.")
    if len(text) > chars_max:
        raise ValueError(f"{what} has at most {chars_max} characters, not {len(text)}.")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise ValueError(f"{what} has characters in it that nobody can read.")
    return text
