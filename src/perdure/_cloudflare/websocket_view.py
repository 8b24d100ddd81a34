"""WebSockets as Cloudflare has them: `js.WebSocketPair`, its ends, and what their listeners get. (cooperative)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import perdure
from perdure import websockets as perdure_websockets
from perdure._cloudflare import bridge
from perdure._cloudflare.convert import python_to_rpc, register_incoming
from perdure._cloudflare.exceptions import js_exception
from perdure._cloudflare.values import (
    JsArray,
    JsBytes,
    JsClass,
    JsValue,
    bytes_of,
    is_buffer,
    js_text,
    unproxied,
)
from perdure._cloudflare.views import Value, View, as_it_is, call, methods, raw
from perdure._cloudflare.web.events import CloseEvent, ErrorEvent, Event, MessageEvent
from perdure._engine.methods import call_with
from perdure.websockets import EVENT_TYPES

_AS_TEXT: Final = (bool, int, float)


class States:
    """The numbers that `readyState` may be, by name."""

    CONNECTING: Final = perdure.WebSocket.CONNECTING
    OPEN: Final = perdure.WebSocket.OPEN
    CLOSING: Final = perdure.WebSocket.CLOSING
    CLOSED: Final = perdure.WebSocket.CLOSED
    READY_STATE_CONNECTING: Final = CONNECTING
    READY_STATE_OPEN: Final = OPEN
    READY_STATE_CLOSING: Final = CLOSING
    READY_STATE_CLOSED: Final = CLOSED


class WebSocketView(View, States):
    """One end of a connection; two views of the same end are equal."""

    _js_name = "WebSocket"
    _members = {
        **{name: Value(as_it_is) for name in ("readyState", "url", "protocol", "extensions")},
        **methods("accept:0:allowHalfOpen close:2", result=as_it_is),
    }

    binaryType = "arraybuffer"
    """Accepted; messages of bytes have the members of all of JavaScript's kinds of bytes."""

    def send(self, data: Any) -> None:
        """Send a message: a text, or bytes of any kind."""
        if isinstance(data, _AS_TEXT):
            data = js_text(data)
        elif is_buffer(data):
            data = bytes_of(data)
        call(lambda: self._native.send(data))

    def serializeAttachment(self, value: Any) -> None:
        """Keep a copy of *value* with the connection, through hibernation."""
        attachment = python_to_rpc(value)
        call(lambda: self._native.serialize_attachment(attachment))

    def deserializeAttachment(self) -> Any:
        """Return a copy of what was kept last, None if nothing was."""
        return call(self._native.deserialize_attachment, raw)

    # --- listening ------------------------------------------------------------------------------------

    def addEventListener(self, type: str, listener: Any, *options: Any, **named: Any) -> None:
        """Call `listener(event)` for each event of *type*: "message", "close" or "error"."""
        given = {**(options[0] if options and isinstance(options[0], dict) else {}), **named}
        self._listen(type, _Listener(self, unproxied(listener)), once=bool(given.get("once")))

    def removeEventListener(self, type: str, listener: Any, *options: Any) -> None:
        """Call *listener* no more."""
        self._native.remove_event_listener(type, _Listener(self, unproxied(listener)))

    def _listen(self, type: str, listener: Any, *, once: bool = False) -> None:
        if type in EVENT_TYPES:  # what never happens may be listened for
            call(lambda: self._native.add_event_listener(type, listener, once=once))

    def __setattr__(self, name: str, value: Any) -> None:
        if name[:2] == "on" and name[2:] in EVENT_TYPES:
            self._native.remove_event_listener(name[2:], _HANDLER)
            if value is not None:
                self._listen(name[2:], _Handler(self, unproxied(value)))
        self.__dict__[name] = value

    onopen: Any = None
    onmessage: Any = None
    onclose: Any = None
    onerror: Any = None


class _Listener:
    """A listener of a project, as the native socket calls it."""

    def __init__(self, view: WebSocketView | None, function: Any) -> None:
        self._view = view
        self._function = function

    def __call__(self, event: Any) -> Any:
        function = getattr(self._function, "handleEvent", self._function)
        return bridge.begin(call_with, function, event_object(event, self._view))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._function == self._function

    def __hash__(self) -> int:
        return hash(self._function)


class _Handler(_Listener):
    """What was assigned to `ws.onmessage` and its like: one for each type of event, whatever view set it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handler)

    def __hash__(self) -> int:
        return hash(_Handler)


_HANDLER: Final = _Handler(None, None)


def event_object(event: Any, target: Any) -> Event:
    """Return an event of a native socket as JavaScript's listeners get it."""
    match event:
        case perdure_websockets.MessageEvent():
            shown: Event = MessageEvent("message", data=message_data(event.data))
        case perdure_websockets.CloseEvent():
            shown = CloseEvent("close", code=event.code, reason=event.reason, wasClean=event.was_clean)
        case perdure_websockets.ErrorEvent():
            shown = ErrorEvent("error", message=str(event.error), error=js_exception(event.error))
    shown.target = target
    return shown


def message_data(data: str | bytes) -> str | JsBytes:
    """Return a message as handlers and listeners get it."""
    return data if isinstance(data, str) else JsBytes(data)


def websocket_view(native: perdure.WebSocket) -> WebSocketView:
    """Return what a project holds of *native*."""
    return WebSocketView(native)


class WebSocketPair(JsValue, metaclass=JsClass):
    """`WebSocketPair.new()`: two ends of a new connection, by index, by `object_values()`, or unpacked."""

    def __init__(self) -> None:
        self._ends = JsArray(map(WebSocketView, perdure.WebSocketPair()))

    def __getitem__(self, index: int | str) -> WebSocketView:
        end: WebSocketView = self._ends[int(index)]
        return end

    def __getattr__(self, name: str) -> WebSocketView:
        if name in ("0", "1"):
            return self[name]
        raise AttributeError(f"WebSocketPair has no {name!r}; it has 0, 1 and object_values()")

    def __iter__(self) -> Iterator[WebSocketView]:
        return iter(self._ends)

    def __len__(self) -> int:
        return len(self._ends)

    def object_values(self) -> JsArray:
        """Return both ends."""
        return self._ends

    def object_keys(self) -> JsArray:
        return self._ends.object_keys()

    def object_entries(self) -> JsArray:
        return self._ends.object_entries()


class WebSocketRequestResponsePair(View, metaclass=JsClass):
    """`WebSocketRequestResponsePair.new("ping", "pong")`: what clients may send, and what they are answered."""

    _js_name = "WebSocketRequestResponsePair"
    _members = {"request": Value(), "response": Value()}

    def __init__(self, request: Any, response: Any) -> None:
        super().__init__(call(lambda: perdure.WebSocketRequestResponsePair(request, response), as_it_is))


def pair_view(native: perdure.WebSocketRequestResponsePair | None) -> WebSocketRequestResponsePair | None:
    """Return what a project holds of *native*."""
    return None if native is None else WebSocketRequestResponsePair(native.request, native.response)


register_incoming(perdure.WebSocket, WebSocketView)
