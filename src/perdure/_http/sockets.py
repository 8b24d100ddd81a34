"""WebSockets through other people's ASGI servers. (cooperative)

The server does framing, limits and the closing handshake; here its messages are told to the application's end, and
what the end says becomes messages. A connection has two tasks, as ASGI wants it: one that receives, one that sends.
"""

from __future__ import annotations

from typing import Any, Final

from perdure._http.convert import Message, Receive, Scope, Send, raw_path, to_request
from perdure._http.handshake import OWN_FIELDS
from perdure._http.head import response_fields, shown_path
from perdure._http.responder import ClientGone, Responder
from perdure._sockets.carrier import Carrier
from perdure._sockets.end import End
from perdure.web import BodyError, Request, Response
from perdure.websockets import take_end

CAN_REFUSE: Final = "websocket.http.response"
"""The extension of servers that can answer a handshake with a response."""


async def serve_websocket(scope: Scope, receive: Receive, send: Send, responder: Responder) -> None:
    """Ask the application about a handshake; carry the messages if it takes it."""
    await receive()  # websocket.connect
    exchange = _Handshake(scope, send)
    cut = await responder.serve(exchange)
    if exchange.end is not None:
        await _Connection(receive, send).run(exchange.end)
    elif cut is not None:
        raise cut if isinstance(cut, Exception) else RuntimeError("The response stream failed.") from cut


class _Handshake:
    """A request for a WebSocket, as a server passes it on (`responder.Exchange`)."""

    method = "GET"
    failure: BodyError | None = None

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._can_refuse = CAN_REFUSE in (scope.get("extensions") or {})
        self._is_refused = False
        self.end: End | None = None

    @property
    def path(self) -> str:
        return shown_path(raw_path(self._scope))

    def request(self) -> Request:
        scope = dict(self._scope)
        scope["method"] = "GET"
        scope["scheme"] = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http")
        request = to_request(scope, _no_body())
        request.headers.set("upgrade", "websocket")  # HTTP/2 has other words for it
        offered = scope.get("subprotocols") or []
        if offered and "sec-websocket-protocol" not in request.headers:
            request.headers.set("sec-websocket-protocol", ", ".join(offered))
        return request

    async def send_upgrade(self, response: Response) -> None:
        chosen = response.headers.get("sec-websocket-protocol")
        own = {*OWN_FIELDS, "sec-websocket-protocol"}
        raw = [
            (name.encode("ascii"), value.encode("latin-1"))
            for name, value in response.headers.items()
            if name not in own
        ]
        await self._give({"type": "websocket.accept", "subprotocol": chosen, "headers": raw})
        self.end = take_end(response)

    async def send_whole(self, response: Response, data: bytes) -> None:
        await self.send_head(response)
        if not self._is_refused:
            await self._give({"type": f"{CAN_REFUSE}.body", "body": data, "more_body": False})

    async def send_head(self, response: Response) -> None:
        if not self._can_refuse:
            self._is_refused = True
            await self._give({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        fields = response_fields(response, "GET")
        raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields]
        await self._give({"type": f"{CAN_REFUSE}.start", "status": response.status, "headers": raw})

    async def send_piece(self, piece: bytes) -> None:
        if not self._is_refused:
            await self._give({"type": f"{CAN_REFUSE}.body", "body": piece, "more_body": True})

    async def send_end(self) -> None:
        if not self._is_refused:
            await self._give({"type": f"{CAN_REFUSE}.body", "body": b"", "more_body": False})

    def when_gone(self, call: Any) -> Any:
        return lambda: None  # a refusal is sent, whoever is there

    async def _give(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise ClientGone from error


class _Connection(Carrier):
    """The client's side of a connection that the application has taken."""

    def __init__(self, receive: Receive, send: Send) -> None:
        super().__init__()
        self._receive = receive
        self._send = send

    async def receive(self) -> str | bytes | tuple[int | None, str] | None:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", 1005)
            return None if code == 1006 else (None if code == 1005 else code, message.get("reason") or "")
        text: str | None = message.get("text")
        data: str | bytes = message["bytes"] if text is None else text
        return data

    async def send(self, data: str | bytes) -> None:
        await self._send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})

    async def send_close(self, code: int | None, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code or 1000, "reason": reason})


async def _no_body() -> Any:
    return
    yield
