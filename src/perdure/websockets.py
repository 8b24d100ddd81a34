"""WebSockets as user code sees them. (cooperative)

```python
class Room(DurableObject):
    async def fetch(self, request):
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, ws, message):
        for other in self.ctx.get_websockets():
            other.send(message)
```

Source: WS-01…35. A socket that the object took with `ctx.accept_websocket()` outlives the instance: its events come to
the class's handlers. One that was taken with `accept()` is heard by listeners, or by `async for message in ws`, and
keeps its object in memory.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

from perdure._base import codec, limits
from perdure._base.current import current
from perdure._base.refusal import stays
from perdure._engine.listening import Listener, Listening
from perdure._engine.sockets import check_thread, leave
from perdure._sockets.end import CLOSED, CLOSING, CONNECTING, GIVEN, HIBERNATABLE, NEW, OPEN, STANDARD, End
from perdure._sockets.end import pair as make_pair
from perdure._sockets.events import CloseEvent, ErrorEvent, MessageEvent
from perdure._sockets.rules import check_close, check_pair, check_text
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure._engine.live import Live
    from perdure.web import Response

__all__ = [
    "CloseEvent",
    "ErrorEvent",
    "MessageEvent",
    "WebSocket",
    "WebSocketPair",
    "WebSocketRequestResponsePair",
]

NOT_ACCEPTED: Final = (
    "You must call one of accept() or state.accept_websocket() on this WebSocket before sending messages."
)
SENT_AFTER_CLOSE: Final = "Can't call WebSocket send() after close()."
GIVEN_AWAY: Final = "Can't {what} WebSocket that was already used in a response."
ACCEPT_HIBERNATABLE: Final = "Can't accept() WebSocket after enabling hibernation."
RETURN_ACCEPTED: Final = "Can't return WebSocket in a Response after calling {what}()."
LARGE_ATTACHMENT: Final = (
    "A WebSocket 'attachment' cannot be larger than {max} bytes.'attachment' was {size} bytes."
)
EVENT_TYPES: Final = ("message", "close", "error", "open")


class WebSocket:
    """
    One end of a connection.

    Take it with `ctx.accept_websocket(ws)` (an object's own events, survives hibernation) or with `accept()`; the other
    end of a pair goes into a `Response`. `async for message in ws` reads a socket that was taken with `accept()` until
    it closes.

    Attributes:
        CONNECTING, OPEN, CLOSING, CLOSED: values of `ready_state`.
    """

    __slots__ = ("_end", "_is_given", "_listening")
    __perdure_cross__ = stays

    CONNECTING: Final = CONNECTING
    OPEN: Final = OPEN
    CLOSING: Final = CLOSING
    CLOSED: Final = CLOSED

    _end: End
    _is_given: bool
    _listening: Listening | None

    def __init__(self) -> None:
        raise TypeError(
            "A WebSocket is made by WebSocketPair(), or by connect_websocket(url); it has no constructor of its own."
        )

    # --- state ----------------------------------------------------------------------------------------

    @property
    def ready_state(self) -> int:
        """OPEN; CLOSING when one side has closed; CLOSED when both have (WS-17)."""
        return self._end.ready_state

    @property
    def url(self) -> str | None:
        """Where `connect_websocket` went; None for others."""
        return self._end.url

    @property
    def protocol(self) -> str:
        """The subprotocol that a server chose for a connection of ours, or ""."""
        return self._end.protocol

    @property
    def extensions(self) -> str:
        """Always "": what the connection compresses is its own affair."""
        return ""

    # --- talking --------------------------------------------------------------------------------------

    def accept(self, *, allow_half_open: bool = False) -> None:
        """
        Take this end in standard mode: listeners and `async for` hear it, and it keeps its object in memory.

        What came before is not lost. A Close of the other side is answered with one, unless *allow_half_open*.
        """
        end = self._end
        if self._is_given or end.mode is GIVEN:
            raise TypeError(GIVEN_AWAY.format(what="accept()"))
        if end.mode is HIBERNATABLE:
            raise TypeError(ACCEPT_HIBERNATABLE)
        if end.mode is NEW:
            self._hearing().accept(answers_close=not allow_half_open)

    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """
        Send a message: a str as text, anything else as bytes.

        It leaves when the writes that the object made before are durable; messages keep their order. After the other
        side has gone it is dropped without a word (WS-15).
        """
        if data.__class__ is not str and data.__class__ is not bytes:
            data = _plain(data)
        if isinstance(data, str) and not data.isascii():
            check_text(data)
        end = self._end
        if end.mode is not HIBERNATABLE and end.mode is not STANDARD:
            self._refuse_use()
        if end.has_closed:
            raise TypeError(SENT_AFTER_CLOSE)
        leave(end.say, data)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close this side; a second time is ignored (WS-16)."""
        check_close(code, reason)
        end = self._end
        if end.mode is not HIBERNATABLE and end.mode is not STANDARD:
            self._refuse_use()
        if not end.has_closed:
            check_thread()
            end.has_closed = True
            leave(end.say_close, code, reason or "")

    def _refuse_use(self) -> NoReturn:
        if self._is_given or self._end.mode is GIVEN:
            raise TypeError(GIVEN_AWAY.format(what="use a"))
        raise TypeError(NOT_ACCEPTED)

    # --- attachment -----------------------------------------------------------------------------------

    def serialize_attachment(self, value: Any) -> None:
        """Keep a copy of *value* with the connection, through hibernation; 16,384 bytes at most (WS-18)."""
        data = codec.dumps(value, _registry(), label="attachment")
        if len(data) > limits.WEBSOCKET_ATTACHMENT_BYTES_MAX:
            raise PerdureError(
                LARGE_ATTACHMENT.format(max=limits.WEBSOCKET_ATTACHMENT_BYTES_MAX, size=len(data))
            )
        self._end.attachment = data

    def deserialize_attachment(self) -> Any:
        """Return a fresh copy of what was kept last, None if nothing was (WS-19)."""
        data = self._end.attachment
        return None if data is None else codec.loads(data, _registry())

    # --- listening ------------------------------------------------------------------------------------

    def add_event_listener(self, type: str, listener: Listener, *, once: bool = False) -> None:
        """
        Call `listener(event)` for each event of *type*: "message", "close" or "error".

        A listener may be async. Events of a socket taken with `ctx.accept_websocket()` never come here (WS-14).
        """
        if type not in EVENT_TYPES:
            raise ValueError(f"A WebSocket has events of the types {', '.join(EVENT_TYPES)}; got {type!r}")
        if not callable(listener):
            raise TypeError(f"A listener is called with the event; got {listener.__class__.__name__}")
        self._hearing().add((type, listener, once))

    def remove_event_listener(self, type: str, listener: Listener) -> None:
        """Call *listener* no more."""
        listeners = self._hearing().listeners
        listeners[:] = [entry for entry in listeners if entry[:2] != (type, listener)]

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        if self._end.mode is HIBERNATABLE:
            raise TypeError(
                "The messages of a WebSocket that was taken with ctx.accept_websocket() come to websocket_message()."
            )
        if self._end.mode is not STANDARD:
            self._refuse_use()
        return self._hearing().reader()

    def _hearing(self) -> Listening:
        if self._listening is None:
            self._listening = Listening(self._end)
        return self._listening

    # --- handing on -----------------------------------------------------------------------------------

    def _moved(self) -> WebSocket:
        """Return what goes into a response in this one's place (WS-33)."""
        end = self._end
        if self._is_given or end.mode is GIVEN:
            raise TypeError(GIVEN_AWAY.format(what="return"))
        if end.mode is HIBERNATABLE:
            raise TypeError(RETURN_ACCEPTED.format(what="accept_websocket"))
        if end.mode is STANDARD:
            raise TypeError(RETURN_ACCEPTED.format(what="accept"))
        self._is_given = True
        end.attachment = None  # it was for whoever had this end
        return websocket(end)

    def __del__(self) -> None:
        # Nobody can take this end any more: who waits at the other one is told.
        end = getattr(self, "_end", None)
        if end is None or self._is_given or end.mode is not NEW or end.peer is None:
            return
        if isinstance(end.peer, End) and end.peer.hearer is None:
            return  # both ends of an unused pair
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        end.mode = GIVEN
        loop.call_soon(end.cut, context=contextvars.Context())

    def __repr__(self) -> str:
        states = ("connecting", "open", "closing", "closed")
        return f"<WebSocket {self._end.mode} {states[self.ready_state]}>"


def websocket(end: End) -> WebSocket:
    """Return what user code holds of *end*."""
    ws = WebSocket.__new__(WebSocket)
    ws._end = end
    ws._listening = None
    ws._is_given = False
    return ws


def websocket_of(end: End) -> WebSocket:
    """Return what an object holds of a hibernatable end: the same as long as the instance lives (WS-07)."""
    handle: WebSocket | None = end.handle
    if handle is None:
        handle = end.handle = websocket(end)
    return handle


def take_end(response: Response) -> End | None:
    """Return the end that *response* carries for whoever made the request, if it does; it is the caller's now."""
    ws: WebSocket | None = response.websocket
    if ws is None:
        return None
    taken = ws._moved()
    taken._is_given = True
    return taken._end


class WebSocketPair:
    """
    Two ends of a new connection: `client, server = WebSocketPair()`.

    What is sent on one arrives at the other. Take one, return the other in a `Response` (WS-01).
    """

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        one, other = make_pair()
        self._ends = (websocket(one), websocket(other))

    def __getitem__(self, index: int) -> WebSocket:
        return self._ends[index]

    def __iter__(self) -> Iterator[WebSocket]:
        return iter(self._ends)

    def __len__(self) -> int:
        return 2


class WebSocketRequestResponsePair:
    """A text that clients may send, and what they are answered without waking the object (WS-21)."""

    __slots__ = ("_texts",)

    def __init__(self, request: str, response: str) -> None:
        check_pair(request, response)
        self._texts = (request, response)

    @property
    def request(self) -> str:
        """What a client sends, to the letter."""
        return self._texts[0]

    @property
    def response(self) -> str:
        """What it is answered."""
        return self._texts[1]

    def __repr__(self) -> str:
        return f"WebSocketRequestResponsePair({self.request!r}, {self.response!r})"


def _plain(data: Any) -> str | bytes:
    """Return a message that is a str or bytes, and nobody else's."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if isinstance(data, str):
        return str.__str__(data)  # an Enum's own `str()` would be its name
    raise TypeError(
        "Failed to execute 'send' on 'WebSocket': parameter 1 is not of type 'str, bytes, bytearray or memoryview'; "
        f"got {type(data).__name__}. For JSON send json.dumps(value)."
    )


def _registry() -> Any:
    live: Live | None = current.get()
    return None if live is None else live.host.registry
