"""End: one end of a WebSocket, whatever carries it. (cooperative)

An end talks to its *peer*: the other end of a pair, or the connection of a client once the other end was
returned in a response. What the peer says is heard by a *hearer*: the listeners of a standard socket, or the
roster of an object for a hibernatable one. Until there is a hearer it is kept.

Invariants: each side closes once; after that it says nothing more. The hearer is told of the end of the
connection once: `closed` or `failed`; and of its last sign of life once: `over`. An idle end is a few words
of memory: no task, no queue, no timer.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from perdure._base import limits
from perdure._sockets.rules import DISCONNECTED, TOO_MUCH, TRY_AGAIN_LATER

NEW: Final = "new"
STANDARD: Final = "standard"
HIBERNATABLE: Final = "hibernatable"
GIVEN: Final = "given"
"""Used in a response: a connection, or whoever got the response, has taken its place."""

CONNECTING: Final = 0
OPEN: Final = 1
CLOSING: Final = 2
CLOSED: Final = 3


class Peer(Protocol):
    """The other side; it has a peer too, which is what it talks to."""

    peer: Peer | None

    def take(self, data: str | bytes) -> None:
        """Take a message."""

    def take_close(self, code: int | None, reason: str) -> None:
        """Take a Close; None is one without a code."""

    def take_loss(self, reason: str = DISCONNECTED, code: int = 1006) -> None:
        """Hear that there is nobody any more, without a Close."""

    def take_error(self, error: Exception) -> None:
        """Hear that the other side broke a rule; nothing more comes from it."""

    def hold(self) -> None:
        """Bring no messages for now."""

    def go_on(self) -> None:
        """Bring messages again."""


class Hearer(Protocol):
    """Who hears what an end is told."""

    def message(self, end: End, data: str | bytes) -> None: ...
    def closed(self, end: End, code: int, reason: str, was_clean: bool) -> None: ...
    def failed(self, end: End, error: Exception) -> None: ...
    def over(self, end: End) -> None:
        """Hear that nothing can be said or heard any more."""


class End:
    """See the module."""

    __slots__ = (
        "_backlog",
        "_is_held",
        "_waiting",
        "_waiting_bytes",
        "attachment",
        "auto_response_at_s",
        "handle",
        "has_closed",
        "has_failed",
        "heard_close",
        "hearer",
        "is_lost",
        "mode",
        "peer",
        "protocol",
        "tags",
        "told_close",
        "url",
    )

    def __init__(self, protocol: str = "", url: str | None = None) -> None:
        self.peer: Peer | None = None
        self.hearer: Hearer | None = None
        self.mode = NEW
        self.has_closed = False  # this side said Close
        self.heard_close = False  # the other side did, or broke a rule, or is lost
        self.told_close = False  # and the code that holds this end has been told
        self.has_failed = False  # code that heard it failed
        self.is_lost = False
        self.attachment: bytes | None = None
        self.tags: tuple[str, ...] = ()
        self.auto_response_at_s: float | None = None
        self.handle: Any = None  # what user code holds of it, while its object is in memory
        self.protocol = protocol
        self.url = url
        self._backlog: list[tuple[str, tuple[Any, ...]]] | None = None
        self._waiting = 0  # messages whose handlers have not finished
        self._waiting_bytes = 0
        self._is_held = False

    @property
    def ready_state(self) -> int:
        """OPEN, CLOSING when one side has closed, CLOSED when both have; what has not been told has not happened."""
        if self.has_failed:
            return CLOSED
        if self.has_closed:
            return CLOSED if self.told_close else CLOSING
        return CLOSING if self.told_close else OPEN

    # --- to the other side ----------------------------------------------------------------------------

    def say(self, data: str | bytes) -> None:
        """Give a message to the other side; to nobody if that is gone."""
        if self.peer is not None:
            self.peer.take(data)

    def say_close(self, code: int | None, reason: str = "") -> None:
        """Tell the other side that nothing more comes; `has_closed` is set already."""
        if self.peer is not None:
            self.peer.take_close(code, reason)
        self._look_whether_over()

    def close(self, code: int | None, reason: str = "") -> None:
        """Close this side if it is not closed."""
        if not self.has_closed:
            self.has_closed = True
            self.say_close(code, reason)

    def cut(self, reason: str = DISCONNECTED) -> None:
        """Break the connection off, without a word to the hearer."""
        self.has_closed = self.heard_close = self.told_close = True
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.take_loss(reason)
        self._look_whether_over()

    def fail(self, error: Exception) -> None:
        """Break the connection off because a listener failed; the hearer is told that it did."""
        peer, self.peer = self.peer, None
        self.has_failed = True
        self.take_error(error)
        if peer is not None:
            peer.take_loss()

    def go_away(self, code: int, reason: str) -> None:
        """
        Close because the runtime or the server stops; what this end still says goes to nobody.

        An object is not woken for that. Listeners and readers are told, as somebody may be waiting for them to end.
        """
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.take_close(code, reason)
        if self.mode is HIBERNATABLE:
            self.hearer = DEAF
        else:
            self.take_loss(reason, code)

    # --- from the other side (Peer) -------------------------------------------------------------------

    def take(self, data: str | bytes) -> None:
        hearer = self.hearer
        if (
            self._waiting >= limits.WEBSOCKET_UNHEARD_MAX
            or self._waiting_bytes >= limits.WEBSOCKET_UNHEARD_BYTES_MAX
        ):
            self._overflow()
        elif hearer is None:
            self._keep("take", data)
            self.begin(len(data))
        elif not self.heard_close:
            hearer.message(self, data)

    def take_close(self, code: int | None, reason: str) -> None:
        hearer = self.hearer
        if hearer is None:
            self._keep("take_close", code, reason)
        elif not self.heard_close:
            self.heard_close = True
            hearer.closed(self, 1005 if code is None else code, reason, True)
            self._look_whether_over()

    def take_loss(self, reason: str = DISCONNECTED, code: int = 1006) -> None:
        hearer = self.hearer
        if hearer is None:
            self._keep("take_loss", reason, code)
            return
        self.is_lost = True
        self.peer = None
        if not self.heard_close:
            self.heard_close = True
            hearer.closed(self, code, reason, False)
        self._look_whether_over()

    def take_error(self, error: Exception) -> None:
        hearer = self.hearer
        if hearer is None:
            self._keep("take_error", error)
            return
        self.is_lost = True
        self.peer = None
        if not self.heard_close:
            self.heard_close = True
            hearer.failed(self, error)
        self._look_whether_over()

    def hold(self) -> None:
        """Within the process there is nobody to hold back."""

    def go_on(self) -> None:
        """See `hold`."""

    def _keep(self, name: str, *said: Any) -> None:
        if self._backlog is None:
            self._backlog = []
        self._backlog.append((name, said))

    def _overflow(self) -> None:
        """End a connection within the process whose one side says far more than the other takes."""
        reason = TOO_MUCH.format(most=limits.WEBSOCKET_UNHEARD_MAX, max=limits.WEBSOCKET_UNHEARD_BYTES_MAX)
        peer, self.peer = self.peer, None
        self.take_loss(reason, TRY_AGAIN_LATER)
        if peer is not None:
            peer.take_loss(reason, TRY_AGAIN_LATER)

    def _tell(self, listener: Any) -> None:
        """Let *listener*, a peer, take what was kept."""
        backlog, self._backlog = self._backlog, None
        for name, said in backlog or ():
            if name == "take":
                self.finish(len(said[0]))
            getattr(listener, name)(*said)

    def _look_whether_over(self) -> None:
        hearer = self.hearer
        if hearer is not None and (self.is_lost or (self.has_closed and self.heard_close)):
            hearer.over(self)

    # --- who is at the two ends -----------------------------------------------------------------------

    def heard_by(self, hearer: Hearer, mode: str) -> None:
        """Let *hearer* have what was said so far, and everything from now on."""
        self.hearer = hearer
        self.mode = mode
        self._tell(self)

    def couple(self, connection: Peer) -> None:
        """
        Let *connection* take this end's place; what the other side has said already goes to it first.

        Its `peer` is the other side from now on, or None if that is gone.
        """
        other = self.peer
        self.mode = GIVEN
        connection.peer = other
        if other is not None:
            other.peer = connection
        self._tell(connection)
        self.peer = None

    # --- how much is waiting --------------------------------------------------------------------------

    def begin(self, size: int) -> None:
        """Count a message that is being handled; when they are too many the other side has to wait."""
        self._waiting += 1
        self._waiting_bytes += size
        if not self._is_held and (
            self._waiting >= limits.WEBSOCKET_WAITING_MAX
            or self._waiting_bytes >= limits.WEBSOCKET_WAITING_BYTES_MAX
        ):
            self._is_held = True
            if self.peer is not None:
                self.peer.hold()

    def finish(self, size: int) -> None:
        """Take it that such a message is done with."""
        self._waiting -= 1
        self._waiting_bytes -= size
        if (
            self._is_held
            and self._waiting <= limits.WEBSOCKET_WAITING_MAX // 2
            and self._waiting_bytes <= limits.WEBSOCKET_WAITING_BYTES_MAX // 2
        ):
            self._is_held = False
            if self.peer is not None:
                self.peer.go_on()


class _Deaf:
    """Hears nothing: of a socket that is only being closed."""

    def message(self, end: End, data: str | bytes) -> None: ...
    def closed(self, end: End, code: int, reason: str, was_clean: bool) -> None: ...
    def failed(self, end: End, error: Exception) -> None: ...
    def over(self, end: End) -> None: ...


DEAF: Final = _Deaf()


def pair() -> tuple[End, End]:
    """Return two ends that talk to each other (WS-01)."""
    one, other = End(), End()
    one.peer, other.peer = other, one
    return one, other
