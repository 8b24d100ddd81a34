"""What was said in one room: a table that holds the last few thousand messages."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

PAGE = 40  # messages sent at once: a screen or two
CATCH_UP_MAX = 200  # who missed more than so many starts again with the newest page
MESSAGES_MAX = 5000

COLUMNS = "id, who, name, colour, text, ref"


@dataclass(frozen=True)
class Message:
    """
    One message.

    Attributes:
        id: When it was said, in milliseconds since the epoch; one more than the last, if that is later. So ids
            rise and are never used twice, even when a room was forgotten and begins anew.
        who: The author; `name` and `colour` are as they were then.
        ref: What the author's page called it. The same `ref` again is the same message.
    """

    id: int
    who: str
    name: str
    colour: int
    text: str
    ref: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class History:
    """
    The messages of one room.

    Reading makes no table, so a room in which nobody has said anything stores nothing.
    """

    def __init__(self, sql: Any) -> None:
        self.sql = sql
        self.count = 0
        self.is_stored = bool(sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'messages'").to_list())
        if self.is_stored:
            self.count = sql.exec("SELECT count(*) AS n FROM messages").one().n

    def add(self, who: str, name: str, colour: int, text: str, ref: str) -> tuple[Message, bool]:
        """Keep a message; return it and whether it is new. One that is known by its `ref` is returned as it was."""
        if not self.is_stored:
            self.sql.exec("""
                CREATE TABLE messages (
                    id INTEGER PRIMARY KEY,
                    who TEXT NOT NULL,
                    name TEXT NOT NULL,
                    colour INTEGER NOT NULL,
                    text TEXT NOT NULL,
                    ref TEXT NOT NULL,
                    UNIQUE (who, ref)
                )
            """)
            self.is_stored = True
        known = self._read("WHERE who = ? AND ref = ?", who, ref)
        if known:
            return known[0], False
        newest = self.sql.exec("SELECT max(id) AS id FROM messages").one().id or 0
        message = Message(max(newest + 1, now_ms()), who, name, colour, text, ref)
        self.sql.exec(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", message.id, who, name, colour, text, ref
        )
        self.count += 1
        if self.count > MESSAGES_MAX:
            self.sql.exec("DELETE FROM messages WHERE id = (SELECT min(id) FROM messages)")
            self.count -= 1
        return message, True

    def after(self, seen: int) -> tuple[list[Message], bool]:
        """Return what came after message `seen`, and whether that is all of it; if not, the newest page."""
        if seen:
            missed = self._read("WHERE id > ? ORDER BY id LIMIT ?", seen, CATCH_UP_MAX + 1)
            if len(missed) <= CATCH_UP_MAX:
                return missed, True
        return self._read("ORDER BY id DESC LIMIT ?", PAGE)[::-1], False

    def before(self, id: int) -> list[Message]:
        """Return the page before message `id`, the oldest first."""
        return self._read("WHERE id < ? ORDER BY id DESC LIMIT ?", id, PAGE)[::-1]

    def oldest(self) -> int | None:
        """Return the id of the first message that is still there."""
        return self.sql.exec("SELECT min(id) AS id FROM messages").one().id if self.is_stored else None

    def forget(self, until_ms: int) -> None:
        """Delete what was said until then."""
        if self.is_stored:
            gone = self.sql.exec("DELETE FROM messages WHERE id <= ? RETURNING id", until_ms).to_list()
            self.count -= len(gone)

    def _read(self, rest: str, *bindings: Any) -> list[Message]:
        if not self.is_stored:
            return []
        return [Message(**row) for row in self.sql.exec(f"SELECT {COLUMNS} FROM messages {rest}", *bindings)]


def now_ms() -> int:
    return int(time.time() * 1000)
