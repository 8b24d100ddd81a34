"""ASGI messages to `web.Request` and `web.Response`, and back. (pure)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from perdure._web.body import Body
from perdure._web.headers import Headers, from_wire, to_wire
from perdure._web.request import make_request
from perdure._web.url import normalise
from perdure.web import Request, Response

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about one connection: the server's own business, whatever the application says."""

CLIENT_CLOSED: Final = 499
"""Stands in log lines for an answer that nobody was there to receive."""

# RFC 3986 pchar and "/", for servers that give a decoded path only.
_PATH_SAFE: Final = "/-._~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who sent a request, as far as the server knows."""

    host: str | None = None
    """Address of the peer."""
    port: int | None = None
    http_version: str = "1.1"


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What there is to say of one finished request, for a line in the log."""

    method: str
    path: str
    """As the client sent it, without the query; control characters are escaped."""
    status: int
    """What the client was told; 499 when it had gone."""
    ms: float
    """From the head of the request to the last byte handed to the server."""
    error: BaseException | None = None
    """What the handler, or the stream it returned, raised."""
    reference: str = ""
    """The id of a failed request, which its client was given too; "" when the client itself is at fault."""
    disconnected: bool = False
    """The client went away before it had the whole answer."""


def to_request(scope: Scope, body: AsyncIterator[bytes]) -> Request:
    """
    Return the request of an `http` scope; TypeError when its head is nonsense.

    The URL is what the client sent: where the application is mounted (`root_path`) changes nothing.
    """
    headers = from_wire(scope["headers"])
    method: str = scope["method"]
    has_body = (
        "transfer-encoding" in headers
        or _length(headers) > 0
        or (method not in ("GET", "HEAD") and ("content-length" in headers or scope["http_version"][0] > "1"))
    )
    return make_request(_url(scope, headers), method, headers, Body(source=body) if has_body else None)


def client_info(scope: Scope) -> ClientInfo:
    """Return who sent the request."""
    host, port = scope.get("client") or (None, None)
    return ClientInfo(host, port, scope.get("http_version", "1.1"))


def start_message(response: Response, method: str) -> Message:
    """Return the `http.response.start` message; a body at hand gets its true length."""
    headers = response.headers
    dropped = HOP_BY_HOP
    if "connection" in headers:
        named = {name.strip().lower() for name in headers["connection"].split(",")}
        dropped = dropped | named
    body = response.body
    size = None if body is None else body.size
    if body is None and method != "HEAD" and response.status not in (204, 304):
        size = 0
    if size is not None or response.status == 204:
        dropped = dropped | {"content-length"}
    raw = to_wire(headers)
    if dropped is not HOP_BY_HOP or any(name in HOP_BY_HOP for name in headers):
        raw = [pair for pair in raw if pair[0].decode() not in dropped]
    if size is not None:
        raw.append((b"content-length", b"%d" % size))
    return {"type": "http.response.start", "status": response.status, "headers": raw}


def shown_path(scope: Scope) -> str:
    """Return the path for a log line: as sent, with what could disturb a terminal escaped."""
    path = _raw_path(scope)
    return path if path.isascii() and path.isprintable() else ascii(path)[1:-1]


def _length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0") or "0")
    except ValueError:
        return 0


def _url(scope: Scope, headers: Headers) -> str:
    host = headers.get("host")
    if not host:
        server = scope.get("server") or ("localhost", None)
        name = f"[{server[0]}]" if ":" in server[0] else server[0]
        host = name if server[1] is None else f"{name}:{server[1]}"
    elif "@" in host or "/" in host or "\\" in host or "?" in host or "#" in host:
        raise TypeError(f"Invalid Host header: {host!r}")
    scheme = scope.get("scheme", "http")
    query: bytes = scope.get("query_string", b"")
    url = f"{scheme}://{host}{_raw_path(scope)}"
    return normalise(f"{url}?{query.decode('latin-1')}" if query else url)


def _raw_path(scope: Scope) -> str:
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
