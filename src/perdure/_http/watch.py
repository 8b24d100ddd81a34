"""Watch: what the client of an HTTP connection is waited for, since when, and what happens when it is late. (cooperative)

One timer watches the client. It is set when there is none and looks, when it goes off, what the client is waited for: so
a request that comes and goes quickly costs no timer.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal, Protocol

from perdure._http.limits import HttpLimits

HEAD: Final = "head"
"""The rest of a request's head, or a connection's first request."""
BODY: Final = "body"
"""The rest of a request's body."""
REQUEST: Final = "request"
"""A further request."""
END: Final = "end"
"""That it closes: it has got its last response."""

Awaited = Literal["head", "body", "request", "end"]

SILENT: Final = "The request body stopped arriving."
SLOW: Final = "The request body arrives too slowly."


class Watched(Protocol):
    """
    The connection.

    Attributes:
        body_bytes: received of the body that is being read.
        has_length: whether that body's length was announced.
    """

    transport: asyncio.Transport
    body_bytes: int

    @property
    def has_length(self) -> bool: ...

    def awaited(self) -> Awaited | None:
        """Tell what the client is waited for; None while it is our turn."""

    def late(self, awaited: Awaited, text: str) -> None:
        """Hear that it did not do that in time; *text* tells of a body what was wrong."""


class Watch:
    """
    See the module.

    Attributes:
        since_s: since when the client is waited for.
    """

    __slots__ = (
        "_at_s",
        "_connection",
        "_limits",
        "_loop",
        "_rate_since",
        "_stuck_at_s",
        "_stuck_bytes",
        "_timer",
        "since_s",
    )

    def __init__(self, connection: Watched, limits: HttpLimits, loop: asyncio.AbstractEventLoop) -> None:
        self.since_s = loop.time()
        self._connection = connection
        self._limits = limits
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._at_s = 0.0  # when that goes off
        self._rate_since = (0.0, 0)  # time and bytes of the body at that time
        self._stuck_at_s: float | None = None  # when the client last took something of what waits to be sent
        self._stuck_bytes = 0

    def now(self, *, begins_body: bool = False) -> None:
        """Count from now on."""
        self.since_s = self._loop.time()
        if begins_body:
            self._rate_since = (self.since_s, self._connection.body_bytes)
        self.set()

    def now_idle(self) -> None:
        """Count from now on to the next request: a timer that goes off before then will see what is to be done."""
        self.since_s = now_s = self._loop.time()
        if self._timer is None or self._at_s > now_s + self._limits.keep_alive_s:
            self.set()

    def set(self) -> None:
        """See that the timer goes off when the client is late, or before."""
        due_s = self._due_s(self._connection.awaited())
        if due_s is None:
            return
        if self._timer is not None:
            if self._at_s <= due_s:
                return
            self._timer.cancel()
        self._at_s = due_s
        self._timer = self._loop.call_at(due_s, self._look)

    def end(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def stuck(self) -> None:
        """Hear that the client does not take what was written, from now on."""
        self._stuck_at_s = self._loop.time()
        self._stuck_bytes = self._connection.transport.get_write_buffer_size()
        self.set()

    def taken(self) -> None:
        """Hear that it has taken most of it."""
        self._stuck_at_s = None
        self.since_s = self._loop.time()

    def _due_s(self, awaited: Awaited | None) -> float | None:
        """Return when the client must have done what it is waited for."""
        limits = self._limits
        due_s: float | None = None
        if awaited is END:
            due_s = self.since_s + limits.linger_s
        elif awaited is HEAD:
            due_s = self.since_s + limits.head_timeout_s
        elif awaited is BODY:
            due_s = min(self.since_s, self._rate_since[0]) + limits.body_idle_s
        elif awaited is REQUEST:
            due_s = self.since_s + limits.keep_alive_s
        if self._stuck_at_s is not None:
            stuck_s = self._stuck_at_s + limits.write_idle_s
            due_s = stuck_s if due_s is None else min(due_s, stuck_s)
        return due_s

    def _look(self) -> None:
        """See whether the client is late."""
        self._timer = None
        awaited = self._connection.awaited()
        due_s, now_s = self._due_s(awaited), self._loop.time()
        if due_s is not None and due_s <= now_s:
            if self._stuck_at_s is not None and self._stuck_at_s + self._limits.write_idle_s <= now_s:
                self._look_at_writing()
            elif awaited is BODY:
                self._look_at_body(now_s)
            elif awaited is not None:
                self._connection.late(awaited, "")
        self.set()

    def _look_at_body(self, now_s: float) -> None:
        """Refuse a body whose sender is silent, or slow with what is there to be sent."""
        connection = self._connection
        if self.since_s + self._limits.body_idle_s <= now_s:
            connection.late(BODY, SILENT)
            return
        since_s, before_bytes = self._rate_since
        enough = connection.body_bytes - before_bytes >= self._limits.body_rate * (now_s - since_s)
        if enough or not connection.has_length:  # a stream of unknown length may take its time
            self._rate_since = (now_s, connection.body_bytes)
        else:
            connection.late(BODY, SLOW)

    def _look_at_writing(self) -> None:
        """Break off a connection whose client takes nothing of what waits for it."""
        transport = self._connection.transport
        if transport.get_write_buffer_size() >= self._stuck_bytes:
            transport.abort()
        else:
            self.stuck()
