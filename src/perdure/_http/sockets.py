"""WebSockets through other people's ASGI servers. (cooperative)

The server does framing, limits and the closing handshake; here its messages are told to the application's end, and
what the end says becomes messages. A connection has two tasks, as ASGI wants it: one that receives, one that sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final

from perdure._base.limits import WEBSOCKET_BUFFER_BYTES, WEBSOCKET_BUFFER_S, WEBSOCKET_BURST
from perdure._http.convert import Message, Receive, Scope, Send, raw_path, to_request
from perdure._http.handshake import OWN_FIELDS
from perdure._http.head import response_fields, shown_path
from perdure._http.responder import ClientGone, Responder
from perdure._sockets.end import End, Peer
from perdure._sockets.rules import DISCONNECTED, TOO_SLOW, TRY_AGAIN_LATER
from perdure.web import BodyError, Request, Response
from perdure.websockets import take_end

log = logging.getLogger("perdure.http")

CAN_REFUSE: Final = "websocket.http.response"
"""The extension of servers that can answer a handshake with a response."""
INTERNAL_ERROR: Final = 1011


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


class _Connection:
    """The client's side of a connection that the application has taken (`Peer`)."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.peer: Peer | None = None
        self._receive = receive
        self._send = send
        self._unsent: deque[Message] = deque()
        self._unsent_bytes = 0
        self._full_since_s: float | None = None
        self._something = asyncio.Event()  # to be sent
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_closed = False  # nothing more is to be sent

    async def run(self, end: End) -> None:
        """Carry messages until one side is gone."""
        writer = asyncio.create_task(self._write())
        end.couple(self)
        if self.peer is None:
            self.take_loss()
        try:
            await self._read()
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            peer, self.peer = self.peer, None
            if peer is not None:
                peer.take_loss()

    async def _read(self) -> None:
        while True:
            await self._may_read.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._is_closed = True
                code = message.get("code", 1005)
                peer, self.peer = self.peer, None
                if peer is None:
                    return
                if code == 1006:
                    peer.take_loss(DISCONNECTED)
                else:  # the server has answered it
                    peer.take_close(None if code == 1005 else code, message.get("reason") or "")
                return
            text = message.get("text")
            if self.peer is not None:
                self.peer.take(message["bytes"] if text is None else text)

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._unsent:
                message = self._unsent.popleft()
                try:
                    await self._send(message)
                except Exception as error:  # the client has gone: `_read` hears of it
                    log.debug("a WebSocket message was not sent: %s", error)
                    self._unsent.clear()
                    return
                self._unsent_bytes -= _size(message)
                if self._unsent_bytes <= WEBSOCKET_BUFFER_BYTES:
                    self._full_since_s = None

    def _put(self, message: Message) -> None:
        self._unsent.append(message)
        self._unsent_bytes += _size(message)
        self._something.set()
        if self._full_since_s is None and self._unsent_bytes > WEBSOCKET_BUFFER_BYTES:
            self._full_since_s = asyncio.get_running_loop().time()

    def _has_room(self) -> bool:
        since_s = self._full_since_s
        return since_s is None or (
            asyncio.get_running_loop().time() - since_s < WEBSOCKET_BUFFER_S
            and self._unsent_bytes < WEBSOCKET_BUFFER_BYTES * WEBSOCKET_BURST
        )

    # --- the application's end (Peer) -----------------------------------------------------------------

    def take(self, data: str | bytes) -> None:
        if self._is_closed:
            return
        if not self._has_room():
            reason = TOO_SLOW.format(max=WEBSOCKET_BUFFER_BYTES)
            log.warning("a WebSocket was closed with 1013: %s", reason)
            peer, self.peer = self.peer, None
            self.take_close(TRY_AGAIN_LATER, reason)
            if peer is not None:
                peer.take_loss(reason, TRY_AGAIN_LATER)
        elif isinstance(data, str):
            self._put({"type": "websocket.send", "text": data})
        else:
            self._put({"type": "websocket.send", "bytes": data})

    def take_close(self, code: int | None, reason: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._put({"type": "websocket.close", "code": code or 1000, "reason": reason})

    def take_loss(self, reason: str = DISCONNECTED, code: int = 1006) -> None:
        self.peer = None
        self.take_close(INTERNAL_ERROR, reason)  # ASGI has no way to say nothing

    def take_error(self, error: Exception) -> None:
        self.take_loss(str(error))

    def hold(self) -> None:
        self._may_read.clear()

    def go_on(self) -> None:
        self._may_read.set()


def _size(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or "")


async def _no_body() -> Any:
    return
    yield
