"""`WebSocket.new(url)`: connections to servers outside. (cooperative)"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import perdure
from perdure import websockets
from perdure._cloudflare import bridge
from perdure._cloudflare.exceptions import js_error, js_exception
from perdure._cloudflare.tasks import start
from perdure._cloudflare.values import JsClass, js_text
from perdure._cloudflare.web.events import CloseEvent, ErrorEvent, Event, EventTarget
from perdure._cloudflare.websocket_view import States, WebSocketView, event_object
from perdure.errors import PerdureError

_NOT_OPEN: Final = (
    "Failed to execute {what!r} on 'WebSocket': it is still connecting: wait for its event \"open\" first."
)
_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_LOST: Final = 1006


class _WebSocketClass(JsClass):
    """Also knows the sockets of clients: `isinstance(ws, js.WebSocket)`."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, WebSocketView) or super().__instancecheck__(value)


class WebSocket(EventTarget, States, metaclass=_WebSocketClass):
    """
    A connection to a server, which begins at once.

    It tells of itself by the events "open", "message", "error" and "close"; then it needs no `accept()`. One in an
    object keeps that in memory for 15 minutes at most.
    """

    _handlers = ("open", "message", "error", "close")
    binaryType = "arraybuffer"
    bufferedAmount = 0

    def __init__(self, url: Any, protocols: Any = None) -> None:
        self.url = _checked(js_text(url))
        self._view: WebSocketView | None = None
        self._is_over = False
        offered = [protocols] if isinstance(protocols, str) else list(protocols or ())
        self._connecting = start(self._connect(offered), "new WebSocket()")

    async def _connect(self, protocols: list[str]) -> None:
        try:
            native = await perdure.connect_websocket(self.url, protocols=protocols)
        except (PerdureError, ValueError, OSError) as error:
            await self._failed(error)
            return
        self._view = WebSocketView(native)
        await self._tell_all(Event("open"))
        for type in ("message", "close", "error"):
            native.add_event_listener(type, self._hear)

    async def _hear(self, event: Any) -> None:
        """Tell the listeners of an event of the native socket."""
        match event:
            case websockets.MessageEvent():
                await self._tell_all(event_object(event, self))
            case websockets.CloseEvent():
                await self._closed(event.code, event.reason, event.was_clean)
            case websockets.ErrorEvent():
                await self._failed(event.error)

    async def _failed(self, error: BaseException) -> None:
        await self._tell_all(ErrorEvent("error", message=str(error), error=js_exception(error)))
        await self._closed(_LOST, "WebSocket disconnected without sending Close frame.", False)

    async def _closed(self, code: int, reason: str, was_clean: bool) -> None:
        if not self._is_over:
            self._is_over = True
            await self._tell_all(CloseEvent("close", code=code, reason=reason, wasClean=was_clean))

    async def _tell_all(self, event: Event) -> None:
        """Tell the listeners, and wait for those that are async: a peer that says more than they can take is held back."""
        await asyncio.gather(*await bridge.run(self._told, event))

    @property
    def readyState(self) -> int:
        if self._is_over:
            return self.CLOSED
        return self.CONNECTING if self._view is None else self._view.readyState

    @property
    def protocol(self) -> str:
        """The subprotocol that the server chose, or ""."""
        return "" if self._view is None else self._view.protocol

    @property
    def extensions(self) -> str:
        return ""

    def accept(self, *options: Any) -> None:
        """Nothing has to be accepted of a connection of one's own."""

    def send(self, data: Any) -> None:
        """Send a message: a text, or bytes of any kind."""
        if self._view is not None:
            self._view.send(data)
        elif not self._is_over:
            raise js_error("InvalidStateError", _NOT_OPEN.format(what="send"))

    def close(self, code: Any = None, reason: Any = None) -> None:
        """Close this side; while it is still connecting, give up."""
        if self._view is not None:
            self._view.close(code, reason)
        elif self._connecting.cancel():
            start(
                self._failed(js_error("Error", "WebSocket was closed before the connection was established"))
            )

    def __repr__(self) -> str:
        return f"WebSocket {{ url: {self.url!r}, readyState: {self.readyState} }}"


def _checked(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    if not colon or scheme.lower() not in _SCHEMES or "#" in rest:
        raise js_error("SyntaxError", f"WebSocket takes a ws: or wss: URL without a fragment; got {url!r}")
    return f"{_SCHEMES[scheme.lower()]}://{rest}"
