"""Heads of messages: what a request's says, and how a response's is written. (pure)"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from perdure._web.response import reason
from perdure.web import Response

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

_LOOKED_AT: Final = HOP_BY_HOP | {"content-length"}
_STATUS_LINES: Final = {int(s): f"HTTP/1.1 {int(s)} {s.phrase}\r\n" for s in HTTPStatus}


def authority(host: str, port: int | None) -> str:
    """Return what a Host header would say of this address."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def announces_body(method: str, length: str | None, *, chunked: bool) -> bool:
    """Tell whether a request has a body, be it an empty one, from its content length and transfer encoding."""
    if length is None or chunked:
        return chunked
    return method not in ("GET", "HEAD") or (length.isascii() and length.isdigit() and int(length) > 0)


def response_fields(response: Response, method: str) -> list[tuple[str, str]]:
    """Return the headers to send, without those about the connection; a body at hand gets its true length."""
    fields = response.headers._pairs.copy()
    body = response.body
    size = None if body is None else body.size
    if body is None and method != "HEAD" and response.status not in (204, 304):
        size = 0
    for name, _ in fields:
        if name in _LOOKED_AT:
            fields = _without(fields, drop_length=size is not None or response.status == 204)
            break
    if size is not None:
        fields.append(("content-length", str(size)))
    return fields


def head_bytes(status: int, fields: list[tuple[str, str]], date: str, *, close: bool) -> bytes:
    """Return status line and headers as they are sent; *date* is a whole header line."""
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} {reason(status)}\r\n"]
    for name, value in fields:
        lines.append(f"{name}: {value}\r\n")
        if name == "date":
            date = ""
    lines.append(date)
    lines.append("connection: close\r\n\r\n" if close else "\r\n")
    return "".join(lines).encode("latin-1")


def shown_path(target: str) -> str:
    """Return the path of *target* for a log line: as sent, with what could disturb a terminal escaped."""
    path = target.partition("?")[0]
    return path if path.isascii() and path.isprintable() else ascii(path)[1:-1]


def _without(fields: list[tuple[str, str]], *, drop_length: bool) -> list[tuple[str, str]]:
    dropped = set(HOP_BY_HOP)
    for name, value in fields:
        if name == "connection":
            dropped |= {named.strip().lower() for named in value.split(",")}
    if drop_length:
        dropped.add("content-length")
    return [field for field in fields if field[0] not in dropped]
