"""What an ASGI application is told about a request. (pure)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from perdure._web.headers import to_wire
from perdure.web import Request

ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
"""2.3, because Starlette then listens for a client that goes away while a response streams."""
CAN_REFUSE: Final = "websocket.http.response"
"""The extension by which an application refuses a WebSocket with a response."""


def to_scope(
    request: Request, env: Any, state: Mapping[str, Any] | None, *, websocket: bool
) -> dict[str, Any]:
    """Return the scope of *request*; `env` are the bindings, and *state* what the lifespan left, copied."""
    url = urlsplit(request.url)
    scheme = url.scheme
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": ASGI.copy(),
        "http_version": "1.1",
        "method": str(request.method),
        "scheme": scheme,
        "path": unquote(url.path),
        "raw_path": url.path.encode("ascii"),
        "query_string": url.query.encode("ascii"),
        "root_path": "",
        "headers": to_wire(request.headers),
        "server": (url.hostname, url.port or (443 if scheme == "https" else 80)),
        "env": env,
    }
    if request.client is not None:
        scope["client"] = (request.client.host, request.client.port or 0)
    if state is not None:
        scope["state"] = dict(state)
    if websocket:
        del scope["method"]
        offered = request.headers.get("sec-websocket-protocol") or ""
        scope.update(
            type="websocket",
            scheme="wss" if scheme == "https" else "ws",
            subprotocols=[name.strip() for name in offered.split(",") if name.strip()],
            extensions={CAN_REFUSE: {}},
        )
    return scope
