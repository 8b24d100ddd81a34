"""Parlour: chat rooms, one durable object per room, whose sockets stay open while the object sleeps."""

from __future__ import annotations

import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from history import History, Message, now_ms

from perdure import (
    DurableObject,
    Request,
    Response,
    WebSocket,
    WebSocketPair,
    WebSocketRequestResponsePair,
    WorkerEntrypoint,
)

NAME_CHARS_MAX = 32
TEXT_CHARS_MAX = 2000
FRAME_CHARS_MAX = 32_768  # the longest text fits in, however JSON writes it
COLOURS = 8
BURST = 12  # messages a socket may send at once …
PER_S = 2  # … and then so many a second
FLOOD = 60  # who has so many more refused than taken is put out
ROOMS_LISTED = 30

ROOM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
REF = re.compile(r"[A-Za-z0-9_-]{8,64}")
BAD_REF = "What is said needs a ref: 8 to 64 letters and digits of your own choice."
ID_MAX = 2**53  # beyond it JavaScript counts no more


class Refused(Exception):
    """What a client is told when it asked for something that is not to be had: a code and a sentence."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(code, message)
        self.code, self.message, self.more = code, message, more


@dataclass
class Allowance:
    """How much a socket may send now: it grows with time, and each message takes one."""

    left: float
    at_s: float
    refused: int = 0  # so many more than were taken

    def take(self) -> float:
        """Take one and return 0, or return how many seconds there are to wait for it."""
        now_s = time.monotonic()
        self.left = min(BURST, self.left + (now_s - self.at_s) * PER_S)
        self.at_s = now_s
        if self.left < 1:
            self.refused += 1
            return (1 - self.left) / PER_S
        self.left -= 1
        self.refused = max(0, self.refused - 1)
        return 0


class Room(DurableObject):
    """
    One room: who is there, and what was said.

    Who is there stands in the attachments of the sockets and what was said in the database, so nothing is lost
    when the object leaves memory: ten seconds after the last word it does, and the next word makes it anew.
    A handler does all of its work without waiting for anything in between. So whoever joins gets either the
    history with a message in it or that message afterwards, and what is broadcast is on disk before it leaves.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.history = History(ctx.storage.sql)
        self.keep_ms = float(env.KEEP_HOURS) * 3_600_000
        # Only in memory: an object that sleeps had no message for ten seconds, and by then every allowance is full.
        self.allowances: dict[WebSocket, Allowance] = {}
        ctx.set_websocket_auto_response(WebSocketRequestResponsePair("ping", "pong"))

    async def fetch(self, request: Request) -> Response:
        client, server = WebSocketPair()
        if len(self.ctx.get_websockets()) < int(self.env.PEOPLE_MAX):
            self.ctx.accept_websocket(server)
        else:
            # A browser shows a page no refused handshake: let it in to tell it.
            server.accept()
            send(server, "error", code="room-full", message="This room is full. We keep trying.")
            server.close(1013, "The room is full.")
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, ws: WebSocket, message: str | bytes) -> None:
        if ws.ready_state != WebSocket.OPEN:
            return  # we put it out, and it had sent more
        allowance = self.allowances.setdefault(ws, Allowance(BURST, time.monotonic()))
        ref = None
        try:
            wait_s = allowance.take()
            wish = read(message)
            ref = ref_of(wish) if "ref" in wish else None
            if wait_s:
                raise Refused("too-fast", "That was very fast. Wait a moment.", wait_ms=ceil(wait_s * 1000))
            await self.act(ws, wish, ref)
        except Refused as no:
            send(ws, "error", code=no.code, message=no.message, ref=ref, **no.more)
        if allowance.refused >= FLOOD:
            ws.close(1008, "Too many messages.")

    async def websocket_close(self, ws: WebSocket, code: int, reason: str, was_clean: bool) -> None:
        self.leave(ws)
        ws.close()

    async def websocket_error(self, ws: WebSocket, error: Exception) -> None:
        self.leave(ws)

    async def alarm(self) -> None:
        """Forget what is too old; a room of which nothing is left stores nothing any more."""
        self.history.forget(int(now_ms() - self.keep_ms))
        oldest = self.history.oldest()
        if oldest is not None:
            await self.forget_later(oldest)
        else:
            await self.ctx.storage.delete_all()
            self.history = History(self.ctx.storage.sql)
        self.tell("forgotten", oldest=oldest)

    async def act(self, ws: WebSocket, wish: dict[str, Any], ref: str | None) -> None:
        """Do what a client asks for; `ref` is its own name for a message."""
        me = ws.deserialize_attachment()
        kind = wish.get("kind")
        if me is None and kind in ("say", "typing", "older"):
            raise Refused("not-joined", "Send a join first, to tell who you are.")
        match kind:
            case "join":
                self.join(ws, wish)
            case "say":
                await self.say(ws, me, text_of(wish), ref)
            case "typing":
                self.tell("typing", who=me["who"])
            case "older":
                page = self.history.before(id_of(wish, "before"))
                send(ws, "older", messages=as_json(page), oldest=self.history.oldest())
            case _:
                raise Refused("unknown-kind", "A message has a kind: join, say, typing or older.")

    def join(self, ws: WebSocket, wish: dict[str, Any]) -> None:
        """Let a socket in, or take its new name, and bring its page up to date."""
        name, seen = name_of(wish), id_of(wish, "seen")
        who = who_of(wish)
        joined_at = (ws.deserialize_attachment() or {}).get("joined_at", now_ms())
        me = {"who": who, "name": name, "colour": self.colour_of(who), "joined_at": joined_at}
        ws.serialize_attachment(me)
        messages, is_complete = self.history.after(seen)
        send(
            ws,
            "welcome",
            you=me,
            messages=as_json(messages),
            is_complete=is_complete,
            oldest=self.history.oldest(),
        )
        self.tell("members", members=self.members())

    async def say(self, ws: WebSocket, me: dict[str, Any], text: str, ref: str | None) -> None:
        if ref is None:
            raise Refused("bad-ref", BAD_REF)
        message, is_new = self.history.add(me["who"], me["name"], me["colour"], text, ref)
        if not is_new:
            # Its page did not hear that it had come through, and said it again.
            send(ws, "said", message=message.as_json())
            return
        if await self.ctx.storage.get_alarm() is None:
            await self.forget_later(message.id)
        self.tell("said", message=message.as_json())

    def leave(self, ws: WebSocket) -> None:
        self.allowances.pop(ws, None)
        self.tell("members", members=self.members())

    async def forget_later(self, oldest: int) -> None:
        """Have the alarm run when that message is too old; but not for each message by itself."""
        due_at_ms = max(oldest + self.keep_ms, now_ms() + self.keep_ms / 100)
        await self.ctx.storage.set_alarm(datetime.fromtimestamp(due_at_ms / 1000, UTC))

    def here(self) -> Iterator[tuple[WebSocket, dict[str, Any]]]:
        """Yield each open socket that has joined, and who it is."""
        for ws in self.ctx.get_websockets():
            me = ws.deserialize_attachment()
            if me is not None and ws.ready_state == WebSocket.OPEN:
                yield ws, me

    def members(self) -> list[dict[str, Any]]:
        """Return who is there, in the order they came; somebody with two tabs is there once."""
        found: dict[str, dict[str, Any]] = {}
        for _, me in sorted(self.here(), key=lambda pair: pair[1]["joined_at"]):
            found.setdefault(me["who"], me)
        return list(found.values())

    def colour_of(self, who: str) -> int:
        """Return somebody's colour: the one they have here already, else one that nobody has, if there is one."""
        here = [me for _, me in self.here()]
        own = [me["colour"] for me in here if me["who"] == who]
        usual = int(who[:2], 16) % COLOURS
        taken = {me["colour"] for me in here}
        free = [(usual + step) % COLOURS for step in range(COLOURS) if (usual + step) % COLOURS not in taken]
        return [*own, *free, usual][0]

    def tell(self, kind: str, **fields: Any) -> None:
        """Send to everybody who has joined."""
        text = json.dumps({"kind": kind, **fields})
        for ws, _ in self.here():
            ws.send(text)


class Default(WorkerEntrypoint):
    """`GET /rooms`, and WebSockets at `/rooms/NAME/websocket`; the page is a static file."""

    async def fetch(self, request: Request) -> Response:
        match urlsplit(request.url).path.split("/")[1:]:
            case ["rooms"]:
                return Response.json({"rooms": self.rooms()}, headers={"cache-control": "no-store"})
            case ["rooms", name, "websocket"] if ROOM.fullmatch(name):
                if (request.headers.get("upgrade") or "").lower() != "websocket":
                    return problem(426, "Connect with a WebSocket.")
                return await self.env.ROOM.get_by_name(name).fetch(request)
            case ["rooms", _, "websocket"]:
                # Any name would make an object: these are short, and look the same to everybody.
                return problem(404, "A room's name has up to 32 of the characters a-z, 0-9 and - in it.")
            case _:
                return problem(404, "There is nothing here.")

    def rooms(self) -> list[str]:
        """Return the names of rooms in which something was said, the latest used first."""
        found = self.env.ROOM.list()
        latest = sorted(found, key=lambda room: room.last_used, reverse=True)
        return [room.name for room in latest if room.name][:ROOMS_LISTED]


def problem(status: int, message: str) -> Response:
    return Response.json({"message": message}, status=status)


def send(ws: WebSocket, kind: str, **fields: Any) -> None:
    ws.send(json.dumps({"kind": kind, **fields}))


def as_json(messages: list[Message]) -> list[dict[str, Any]]:
    return [message.as_json() for message in messages]


# What clients send is checked here, before anything is done with it.


def read(message: str | bytes) -> dict[str, Any]:
    """Read a message as a JSON object."""
    if not isinstance(message, str):
        raise Refused("bad-json", "Send text, not bytes.")
    if len(message) > FRAME_CHARS_MAX:
        raise Refused("too-long", f"That is too long: {TEXT_CHARS_MAX} characters at most.")
    try:
        wish = json.loads(message)
    except (ValueError, RecursionError):
        raise Refused("bad-json", "That is not JSON.") from None
    if not isinstance(wish, dict):
        raise Refused("bad-json", "Send a JSON object.")
    return wish


def text_of(wish: dict[str, Any]) -> str:
    text = wish.get("text")
    if not isinstance(text, str) or not text.strip():
        raise Refused("no-text", "There is nothing to say in that.")
    if len(text) > TEXT_CHARS_MAX:
        raise Refused("too-long", f"That is too long: {TEXT_CHARS_MAX} characters at most, not {len(text)}.")
    if not is_readable(text, besides="\n\t"):
        raise Refused("bad-text", "That has characters in it that nobody can read.")
    return text.strip()


def name_of(wish: dict[str, Any]) -> str:
    name = wish.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Refused("no-name", "Please tell us a name.")
    if len(name) > NAME_CHARS_MAX:
        raise Refused("bad-name", f"A name has at most {NAME_CHARS_MAX} characters.")
    if not is_readable(name):
        raise Refused("bad-name", "That name has characters in it that nobody can read.")
    return unicodedata.normalize("NFC", " ".join(name.split()))


def is_readable(text: str, besides: str = "") -> bool:
    """Return whether a text has neither control characters nor halves of characters in it."""
    return all(char in besides or unicodedata.category(char) not in ("Cc", "Cs") for char in text)


def who_of(wish: dict[str, Any]) -> str:
    """Return the public name of a browser: its key stays between it and us, so nobody can speak for another."""
    key = wish.get("key")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise Refused("bad-key", "A key has 16 to 64 letters and digits.")
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def ref_of(wish: dict[str, Any]) -> str:
    ref = wish["ref"]
    if not isinstance(ref, str) or not REF.fullmatch(ref):
        raise Refused("bad-ref", BAD_REF)
    return ref


def id_of(wish: dict[str, Any], field: str) -> int:
    """Return the id of a message, 0 for none."""
    id = wish.get(field, 0)
    if type(id) is not int or not 0 <= id <= ID_MAX:
        raise Refused("bad-id", f"{field} is the id of a message, or 0.")
    return id
