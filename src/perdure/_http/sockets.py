"""WebSocket requests. (cooperative)"""

from __future__ import annotations

from typing import Final

from perdure._http.convert import Receive, Scope, Send

_TEXT: Final = b"WebSockets are not served here.\n"


async def serve_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse the handshake: with 501 where the server can say that, else as the server does it."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(_TEXT))]
    await send({"type": "websocket.http.response.start", "status": 501, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": _TEXT})
