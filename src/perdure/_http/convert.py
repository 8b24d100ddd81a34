"""ASGI messages to `web.Request` and `web.Response`, and back. (pure)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from perdure._http.head import announces_body, authority, response_fields
from perdure._web.headers import from_wire
from perdure._web.request import make_request
from perdure._web.url import from_request
from perdure.web import Address, Body, Request, Response

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# RFC 3986 pchar and "/", for servers that give a decoded path only.
_PATH_SAFE: Final = "/-._~!$&'()*+,;=:@"


def to_request(scope: Scope, body: AsyncIterator[bytes]) -> Request:
    """
    Return the request of an `http` scope; TypeError when its head is nonsense.

    The URL is what the client sent: where the application is mounted (`root_path`) changes nothing.
    """
    headers = from_wire(scope["headers"])
    method: str = scope["method"]
    # The frames of HTTP/2 tell of a body that no header announces.
    framed = method not in ("GET", "HEAD") and scope["http_version"][0] > "1"
    has_body = framed or announces_body(
        method, headers.get("content-length"), chunked="transfer-encoding" in headers
    )
    query: bytes = scope.get("query_string", b"")
    path = raw_path(scope)
    return make_request(
        from_request(
            scope.get("scheme", "http"),
            headers.get("host") or _server(scope),
            f"{path}?{query.decode('latin-1')}" if query else path,
        ),
        method,
        headers,
        Body(source=body) if has_body else None,
        client=Address(*scope["client"]) if scope.get("client") else None,
    )


def start_message(response: Response, method: str) -> Message:
    """Return the `http.response.start` message."""
    fields = response_fields(response, method)
    raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields]
    return {"type": "http.response.start", "status": response.status, "headers": raw}


def raw_path(scope: Scope) -> str:
    """Return the path as the client sent it, as far as the server tells."""
    raw: bytes | None = scope.get("raw_path")
    if raw:
        # Some servers leave the query in raw_path, which the specification forbids.
        path = raw.partition(b"?")[0].decode("latin-1")
        return path if path.startswith("/") else f"/{path}"  # `OPTIONS *`
    path = scope["path"]
    root: str = scope.get("root_path", "")
    if root and not path.startswith(root):
        path = root + path
    return quote(path or "/", safe=_PATH_SAFE)


def _server(scope: Scope) -> str:
    host, port = scope.get("server") or ("localhost", None)
    return authority(host, port)
