"""Somebody in a chat room, as far as the room can tell: a WebSocket that speaks its language. (edge)"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from time import monotonic
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

HEARD_S = 10.0


class Guest:
    """
    One connection to a room.

    Args:
        url: Of the server.
        room: The room's name.
        name: Joins under this name at once; None stays at the door.
        key: Who it is; by default somebody new.
        seen: The last message that was seen before.
    """

    def __init__(
        self, url: str, room: str, name: str | None = "Ann", *, key: str = "", seen: int = 0
    ) -> None:
        address = f"{url.replace('http', 'ws', 1)}/rooms/{room}/websocket"
        self.line = connect(address, proxy=None, compression=None, max_queue=None).__enter__()
        self.url, self.room, self.name = url, room, name
        self.key = key or secrets.token_hex(16)
        self.welcome: dict[str, Any] = {}
        if name is not None:
            self.welcome = self.join(name, seen)

    def join(self, name: str, seen: int = 0) -> dict[str, Any]:
        self.send("join", key=self.key, name=name, seen=seen)
        return self.hear("welcome")

    def again(self, seen: int = 0) -> Guest:
        """Come back on a new connection."""
        return Guest(self.url, self.room, self.name, key=self.key, seen=seen)

    def send(self, kind: str, **fields: Any) -> None:
        self.line.send(json.dumps({"kind": kind, **fields}))

    def say(self, text: str, ref: str = "") -> dict[str, Any]:
        """Say something and wait until the room tells it to everybody; return the message."""
        ref = ref or secrets.token_hex(8)
        self.send("say", text=text, ref=ref)
        while (message := self.hear("said")["message"])["ref"] != ref:
            pass
        return message

    def hear(self, kind: str) -> dict[str, Any]:
        """Return the next news of a kind; what comes before it is passed over, but no error."""
        deadline = monotonic() + HEARD_S
        while True:
            news = json.loads(self.line.recv(timeout=max(0.0, deadline - monotonic())))
            if news["kind"] == kind:
                return news
            assert news["kind"] != "error", news

    def hears(self, text: str) -> dict[str, Any]:
        """Wait until somebody says *text*; return the message."""
        while (message := self.hear("said")["message"])["text"] != text:
            pass
        return message

    def sees(self, *names: str) -> None:
        """Wait until exactly these people are there, in the order they came."""
        while [member["name"] for member in self.hear("members")["members"]] != list(names):
            pass

    def ends_with(self) -> tuple[int, str]:
        """Read to the end of the connection; return the code and reason of its Close."""
        with suppress(ConnectionClosed):
            while True:
                self.line.recv(timeout=HEARD_S)
        assert self.line.close_code is not None
        return self.line.close_code, self.line.close_reason or ""

    def leave(self) -> None:
        self.line.close()

    def vanish(self) -> None:
        """Cut the connection without a Close, as a phone does that lost its network."""
        self.line.socket.close()


def fill(url: str, room: str, count: int) -> list[int]:
    """Have *count* messages said in a room, a few by each of many people; return their ids."""
    ids: list[int] = []
    while len(ids) < count:
        guest = Guest(url, room)
        ids += [guest.say(f"number {len(ids) + n}")["id"] for n in range(min(10, count - len(ids)))]
        guest.leave()
    return ids
