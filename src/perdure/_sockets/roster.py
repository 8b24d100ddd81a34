"""Roster: the hibernatable sockets of one object, and what stays of it while it is not in memory. (cooperative)

Source: WS-03…06, WS-18…28. Outlives the instance, not a reset. Messages that are the auto-response's request
are answered here; everything else is an event for the object, delivered by the callback that the engine gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from perdure._base import limits
from perdure._base.clock import Clock
from perdure._sockets.end import HIBERNATABLE, End
from perdure.errors import PerdureError

TOO_MANY: Final = "only {max} websockets can be accepted on a single Durable Object instance"
MESSAGE: Final = "websocket_message"
CLOSE: Final = "websocket_close"
ERROR: Final = "websocket_error"

Leave = Callable[..., None]
"""Called with a function and its arguments: it does that after what the object has said already."""
Deliver = Callable[[End, str, tuple[Any, ...], int], None]
"""Called with the end, the handler's name, its further arguments, and the size of the message."""


class Roster:
    """
    See the module.

    Attributes:
        auto_response: request and response texts, or None (WS-20).
        event_timeout_ms: limit for one handler, or None (WS-25).
        standard: ends accepted by `accept()`: they keep the object in memory.
        unsaid: what a constructor under way has said (WS-34).
    """

    __slots__ = (
        "_clock",
        "_deliver",
        "_leave",
        "_leaving",
        "_sockets",
        "_tagged",
        "auto_response",
        "event_timeout_ms",
        "standard",
        "unsaid",
    )

    def __init__(self, deliver: Deliver, leave: Leave, clock: Clock) -> None:
        self.auto_response: tuple[str, str] | None = None
        self.event_timeout_ms: int | None = None
        self.standard: set[End] = set()
        self.unsaid: list[Callable[[], None]] = []
        self._deliver = deliver
        self._leave = leave
        self._clock = clock
        self._sockets: dict[End, None] = {}  # in the order in which they were accepted
        self._tagged: dict[str, dict[End, None]] = {}
        self._leaving: set[End] = set()  # the client has closed, the object has not

    def accept(self, end: End, tags: tuple[str, ...]) -> None:
        """Take *end* in; from now on its events are the object's."""
        if len(self._sockets) >= limits.WEBSOCKETS_MAX:
            raise PerdureError(TOO_MANY.format(max=limits.WEBSOCKETS_MAX))
        end.tags = tags
        self._sockets[end] = None
        for tag in tags:
            self._tagged.setdefault(tag, {})[end] = None
        end.heard_by(self, HIBERNATABLE)

    def sockets(self, tag: str | None = None) -> Iterable[End]:
        """Return all, newest first, or those with *tag*, oldest first (WS-06)."""
        return list(reversed(self._sockets)) if tag is None else list(self._tagged.get(tag, ()))

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with this roster but settings."""
        return not self._sockets and not self.standard

    @property
    def has_settings(self) -> bool:
        """Whether the object has set something that holds for sockets to come."""
        return self.auto_response is not None or self.event_timeout_ms is not None

    # --- what the sockets hear (Hearer) ---------------------------------------------------------------

    def message(self, end: End, data: str | bytes) -> None:
        pair = self.auto_response
        if pair is not None and data == pair[0]:
            end.auto_response_at_s = self._clock.time_s()
            if not end.has_closed:
                self._leave(end.say, pair[1])
        else:
            self._deliver(end, MESSAGE, (data,), len(data))

    def closed(self, end: End, code: int, reason: str, was_clean: bool) -> None:
        if was_clean and not end.has_closed:
            # The object answers the Close, in its handler or later; a client is not kept waiting for ever (WS-12).
            self._leaving.add(end)
            answer = None if code == 1005 else code
            self._clock.call_later(
                limits.WEBSOCKET_CLOSE_GRACE_S, lambda: self._leave(end.close, answer, reason)
            )
        self._deliver(end, CLOSE, (code, reason, was_clean), 0)

    def failed(self, end: End, error: Exception) -> None:
        self._deliver(end, ERROR, (error,), 0)

    def over(self, end: End) -> None:
        self._leaving.discard(end)

    # --- the end --------------------------------------------------------------------------------------

    def forget(self, end: End) -> None:
        """Take *end* off the lists: its last event was dispatched."""
        if end in self._sockets:
            del self._sockets[end]
            for tag in end.tags:
                ends = self._tagged[tag]
                del ends[end]
                if not ends:
                    del self._tagged[tag]

    def hibernate(self) -> None:
        """Let go of what belongs to the instance; those that are closing anyway end with it."""
        for end in list(self._leaving):
            end.cut()
        for end in self._sockets:
            end.handle = None

    def cut(self, reason: str) -> None:
        """Break every connection off: the object was reset (WS-28)."""
        for end in self._all():
            end.cut(reason)

    def close(self, code: int, reason: str) -> None:
        """Close every connection, of an object that will not hear of it any more."""
        for end in self._all():
            end.go_away(code, reason)

    def _all(self) -> list[End]:
        ends = [*self._sockets, *self.standard, *self._leaving]
        self._sockets.clear()
        self._tagged.clear()
        self._leaving.clear()
        self.standard.clear()
        return ends
