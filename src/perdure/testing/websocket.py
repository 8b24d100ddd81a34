"""WebSocketPeer: the test's side of a WebSocket, in memory: a client, or the server that a mock plays. (cooperative)

It is the peer of an end, as a client's connection is. What it says arrives in a step of the loop of its own, as from a
network, in order.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from perdure._sockets.end import End, Peer
from perdure._sockets.rules import DISCONNECTED, INTERNAL_ERROR, check_close, check_text
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure.web import Response

NO_CODE: Final = 1005
LOST: Final = 1006
RECEIVE_S: Final = 5.0


class WebSocketClosed(PerdureError):
    """
    The connection has ended and everything that came before was received.

    Attributes:
        code: of the other side's Close; 1005 if it had none, 1006 if the connection broke.
        reason: its reason.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"The WebSocket is closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocketRefused(PerdureError):
    """
    The handshake was answered with something else than a WebSocket.

    Attributes:
        response: the answer.
    """

    def __init__(self, url: str, response: Response) -> None:
        super().__init__(
            f"{url} answered the WebSocket handshake with status {response.status}, not with 101."
        )
        self.response = response


class WebSocketPeer:
    """
    One side of a connection, for a test to talk with; to the application's end it is its `Peer`.

    A Close of the other side is answered with one, as browsers do, unless it was made not to.

    Attributes:
        protocol: the subprotocol that was chosen, or "".
        close_code: of the other side's Close; 1005 if it had none, 1006 if the connection broke; None while open.
        close_reason: its reason, or "".
    """

    def __init__(
        self, *, protocol: str = "", receive_s: float | None = RECEIVE_S, answers_close: bool = True
    ) -> None:
        self.protocol = protocol
        self.close_code: int | None = None
        self.close_reason = ""
        self.peer: Peer | None = None
        self._receive_s = receive_s
        self._answers_close = answers_close
        self._loop = asyncio.get_running_loop()
        self._has_closed = False  # this side said Close, or is gone
        self._received: deque[str | bytes] = deque()
        self._news = asyncio.Event()  # something was received, or the connection has ended
        self._may_send = asyncio.Event()
        self._may_send.set()

    def take_place_of(self, end: End) -> None:
        """See the class."""
        end.couple(self)
        if self.peer is None:
            self.take_loss()

    # --- talking --------------------------------------------------------------------------------------

    async def send(self, data: str | bytes) -> None:
        """
        Send a message: a str as text, bytes as bytes. Waits while the other side has too much to handle.

        Raises:
            WebSocketClosed: the connection has ended, or this side has closed.
        """
        if isinstance(data, str):
            check_text(data)
        elif not isinstance(data, bytes):
            raise TypeError(
                f"A WebSocket message is a str or bytes; got {type(data).__name__}. For JSON: send_json()."
            )
        await self._may_send.wait()
        if self._has_closed:
            raise WebSocketClosed(self.close_code or NO_CODE, self.close_reason or "this side has closed it.")
        self._say(lambda peer: peer.take(data))

    async def send_json(self, value: Any) -> None:
        """Send *value* as JSON text."""
        await self.send(json.dumps(value))

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close this side, and wait for the other side's Close; what is received meanwhile stays to be received."""
        check_close(code, reason or None)
        if not self._has_closed:
            self._has_closed = True
            self._may_send.set()
            self._say(lambda peer: peer.take_close(code, reason))
        await self._until(lambda: self.close_code is not None, "the other side has not closed")

    def drop(self) -> None:
        """Break the connection off without a Close, as a lost network does."""
        self._has_closed = True
        self._may_send.set()
        peer, self.peer = self.peer, None
        self._end(LOST, "")
        if peer is not None:
            self._loop.call_soon(peer.take_loss, DISCONNECTED, context=Context())

    # --- hearing --------------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """
        Return the next message; wait for it, 5 seconds at most unless time is simulated.

        Raises:
            WebSocketClosed: there will be none.
            TimeoutError: none came.
        """
        await self._until(lambda: self._received or self.close_code is not None, "nothing was received")
        if self._received:
            return self._received.popleft()
        assert self.close_code is not None
        raise WebSocketClosed(self.close_code, self.close_reason)

    async def receive_json(self) -> Any:
        """Return the next message as the JSON that it is."""
        return json.loads(await self.receive())

    def received(self) -> list[str | bytes]:
        """Return, and take, what has come by now, without waiting."""
        messages = list(self._received)
        self._received.clear()
        return messages

    async def wait_closed(self) -> tuple[int, str]:
        """Wait for the end of the connection; return code and reason of the other side's Close."""
        await self._until(lambda: self.close_code is not None, "the connection is open")
        assert self.close_code is not None
        return self.close_code, self.close_reason

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed."""
        return not self._has_closed and self.close_code is None

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the messages until the connection ends."""
        try:
            while True:
                yield await self.receive()
        except WebSocketClosed:
            return

    async def _until(self, condition: Callable[[], Any], else_: str) -> None:
        try:
            async with asyncio.timeout(self._receive_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"{else_} within {self._receive_s:g} s") from None

    def _say(self, say: Callable[[Peer], None]) -> None:
        def arrive() -> None:
            if self.peer is not None:
                say(self.peer)

        self._loop.call_soon(arrive, context=Context())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.close_code is None:
            await self.close()
        elif self.peer is not None:
            self.drop()

    # --- the other side (Peer) ------------------------------------------------------------------------

    def take(self, data: str | bytes) -> None:
        """See the class."""
        if self.close_code is None:
            self._received.append(data)
            self._news.set()

    def take_close(self, code: int | None, reason: str) -> None:
        """See the class."""
        if self.close_code is None:
            self._end(NO_CODE if code is None else code, reason)
            if self._answers_close and not self._has_closed:
                self._has_closed = True
                self._say(lambda peer: peer.take_close(code, reason))

    def take_loss(self, reason: str = DISCONNECTED, code: int = LOST) -> None:
        """See the class."""
        self.peer = None
        self._has_closed = True
        self._end(code, "" if code == LOST else reason)

    def take_error(self, error: Exception) -> None:
        """See the class."""
        self.take_loss(str(error), INTERNAL_ERROR)

    def hold(self) -> None:
        """See the class."""
        self._may_send.clear()

    def go_on(self) -> None:
        """See the class."""
        self._may_send.set()

    def _end(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self._may_send.set()
        self._news.set()

    def __repr__(self) -> str:
        state = "open" if self.is_open else f"closed {self.close_code}" if self.close_code else "closing"
        return f"<WebSocketPeer {state}>"
