"""What a client may ask of the HTTP server. (pure)"""

from __future__ import annotations

from dataclasses import dataclass

from perdure._base.limits import (
    DESCRIPTORS_PER_STORE,
    HTTP_BODY_BYTES_MAX,
    HTTP_BODY_IDLE_S,
    HTTP_BODY_RATE_MIN,
    HTTP_CONNECTIONS_MAX,
    HTTP_FIRST_REQUEST_GRACE_S,
    HTTP_HEAD_BYTES_MAX,
    HTTP_HEAD_TIMEOUT_S,
    HTTP_HEADERS_MAX,
    HTTP_KEEP_ALIVE_S,
    HTTP_LINGER_S,
    HTTP_REQUESTS_MAX,
    HTTP_WRITE_IDLE_S,
    OPEN_STORES_MAX,
    WEBSOCKET_BUFFER_BYTES,
    WEBSOCKET_MESSAGE_BYTES_MAX,
)


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """What a client on a WebSocket may ask for, and what is done for it."""

    message_bytes: int = WEBSOCKET_MESSAGE_BYTES_MAX
    """Bytes of one message; beyond that it is closed with 1009."""
    buffer_bytes: int = WEBSOCKET_BUFFER_BYTES
    """What may wait for a client to take it, for more than a moment; a further message closes it with 1013."""
    ping_s: float = 0.0
    """How often clients are pinged; one that is not heard of until the next time is cut off. 0: never."""
    deflate: bool = False
    """Whether clients may compress (permessage-deflate)."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The bounds of one server; each has its reason beside the constant."""

    connections: int = HTTP_CONNECTIONS_MAX
    """Open connections; further ones are told 503 and closed."""
    requests: int = HTTP_REQUESTS_MAX
    """Requests in progress on all connections; further ones are answered with 503."""
    head_bytes: int = HTTP_HEAD_BYTES_MAX
    """Request line and headers together; beyond that 431."""
    headers: int = HTTP_HEADERS_MAX
    """Header fields of one request; beyond that 431."""
    head_timeout_s: float = HTTP_HEAD_TIMEOUT_S
    """From the first byte, or the connection's start, to the end of the head; then 408."""
    body_bytes: int = HTTP_BODY_BYTES_MAX
    """Bytes of a request body; beyond that 413."""
    body_idle_s: float = HTTP_BODY_IDLE_S
    """Silence of a client in the middle of a body that the server is ready to read; then 408."""
    body_rate: float = HTTP_BODY_RATE_MIN
    """Bytes each second, on average over `body_idle_s`, of a body of announced length; then 408."""
    write_idle_s: float = HTTP_WRITE_IDLE_S
    """How long a client may take nothing of what waits to be sent; then the connection is cut."""
    keep_alive_s: float = HTTP_KEEP_ALIVE_S
    """How long a connection may wait for its next request."""
    first_request_grace_s: float = HTTP_FIRST_REQUEST_GRACE_S
    """How long a stopping server waits for the first request of a connection it has just accepted."""
    websocket: WebSocketLimits = WebSocketLimits()
    """Once a connection has become a WebSocket."""
    linger_s: float = HTTP_LINGER_S
    """How long a refused client may go on sending before the connection is closed under it."""


def connections_that_fit(descriptors: int) -> int:
    """
    Return how many connections a process has room for that may have so many files open.

    Stores come first; of what they leave a quarter is for the journal, outgoing requests and the application.
    """
    stores = min(OPEN_STORES_MAX * DESCRIPTORS_PER_STORE, descriptors * 3 // 4)
    return max(1, min(HTTP_CONNECTIONS_MAX, (descriptors - stores) * 3 // 4))
