"""A session over a WebSocket: each text message is one of its messages. (cooperative)

A session needs its object in memory: the socket is one that was accepted in standard mode, never a hibernatable one.
Its messages are no events of the object; what they call is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from perdure._base.current import current, current_invocation
from perdure._base.exceptions import text_of
from perdure._base.limits import WEBSOCKET_REASON_BYTES_MAX
from perdure._engine.sockets import forget_standard, roster_of
from perdure._rpc.session import Closed, Session
from perdure._sockets.end import STANDARD, End
from perdure.errors import Disconnected

if TYPE_CHECKING:
    from perdure._engine.live import Live

ABORTED: Final = 3000
NORMAL: Final = 1000
PEER_CLOSED: Final = "Peer closed WebSocket: {code} {reason}"


class SocketSession:
    """Hears one end of a WebSocket (`Hearer`) for a session, and says what that has to say."""

    def __init__(
        self, end: End, make_session: Callable[..., Session], on_over: Callable[[], None] | None = None
    ) -> None:
        self._end = end
        self._live: Live | None = current.get()
        self._invocation: Any = None if self._live is not None else current_invocation.get()
        self._on_over = on_over
        self.session = make_session(send=end.say, on_end=self._ended)
        if self._live is not None and end.url is None:  # a connection of ours keeps it by its task (WS-32)
            roster_of(self._live).standard.add(end)
        if self._invocation is not None:
            self._invocation.retain()  # a worker's run lasts as long as its sessions (RPC-23)
        end.heard_by(self, STANDARD)

    def message(self, end: End, data: str | bytes) -> None:
        self.session.receive(data)

    def closed(self, end: End, code: int, reason: str, was_clean: bool) -> None:
        self.session.lose(Disconnected(PEER_CLOSED.format(code=code, reason=reason).rstrip()))
        end.close(None if code == 1005 else code, reason)

    def failed(self, end: End, error: Exception) -> None:
        self.session.lose(error)

    def over(self, end: End) -> None:
        if self._live is not None:
            forget_standard(self._live, end)
        if self._invocation is not None:
            self._invocation.let_go()
        if self._on_over is not None:
            self._on_over()

    def _ended(self, error: BaseException, is_ours: bool) -> None:
        if not self._end.has_closed:
            if isinstance(error, Closed):
                self._end.close(NORMAL)
            else:
                self._end.close(ABORTED, cut(text_of(error)))


def cut(text: str, size: int = WEBSOCKET_REASON_BYTES_MAX) -> str:
    """Return as much of *text* as so many bytes of UTF-8 hold."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
