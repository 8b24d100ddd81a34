"""What may be said over a WebSocket: close codes, reasons, tags, auto-responses. (pure)

Source: WS-04, WS-16, WS-21; the texts are workerd's with our spelling of names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from perdure._base import limits
from perdure.errors import PerdureError

NEVER_SENT: Final = frozenset({1004, 1005, 1006, 1015})
"""Codes that only tell what happened, or mean nothing yet: no Close frame carries them (RFC 6455, 7.4.1)."""
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
RESTARTING: Final = "The server is restarting. Connect again."
TRY_AGAIN_LATER: Final = 1013
TOO_SLOW: Final = "More than {max} bytes wait for the client to take them."
TOO_MUCH: Final = "More than {most} messages, or {max} bytes, wait for the other side to take them."
DISCONNECTED: Final = "WebSocket disconnected without sending Close frame."
TOO_MANY_TAGS: Final = "a Hibernatable WebSocket cannot have more than {max} tags"
LONG_TAG: Final = '"{tag}" is longer than the max tag length ({max} characters).'
LONG_REASON: Final = "WebSocket close reason must not be longer than {max} bytes when UTF-8 encoded."
REASON_ALONE: Final = "If you specify a WebSocket close reason, you must also specify a code."
HALF_SURROGATE: Final = (
    "A WebSocket carries text as UTF-8; this one holds half of a surrogate pair at position {at}, which UTF-8 does "
    "not have. Send text.encode('utf-8', 'surrogatepass') as bytes, or replace it."
)
LARGE_PAIR: Final = "{what} cannot be larger than {max} bytes. A {which} of size {size} was provided."


def check_close(code: int | None, reason: str | None) -> None:
    """Refuse what no Close frame may carry."""
    if code is None:
        if reason is not None:
            raise ValueError(REASON_ALONE)
        return
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(f"A WebSocket close code is an int; got {type(code).__name__}")
    if not 1000 <= code < 5000 or code in NEVER_SENT:
        raise ValueError(f"Invalid WebSocket close code: {code}.")
    if reason is not None:
        if not isinstance(reason, str):
            raise TypeError(f"A WebSocket close reason is a str; got {type(reason).__name__}")
        if check_text(reason) > limits.WEBSOCKET_REASON_BYTES_MAX:
            raise ValueError(LONG_REASON.format(max=limits.WEBSOCKET_REASON_BYTES_MAX))


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return *tags* without repeats, in order; once there are as many as may be, nothing may follow."""
    found: dict[str, None] = {}
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"A WebSocket tag is a str; got {type(tag).__name__}")
        if len(found) >= limits.WEBSOCKET_TAGS_MAX:
            raise PerdureError(TOO_MANY_TAGS.format(max=limits.WEBSOCKET_TAGS_MAX))
        if len(tag.encode("utf-8", "surrogatepass")) > limits.WEBSOCKET_TAG_BYTES_MAX:  # no frame carries it
            raise PerdureError(LONG_TAG.format(tag=tag, max=limits.WEBSOCKET_TAG_BYTES_MAX))
        found[tag] = None
    return tuple(found)


def check_pair(request: str, response: str) -> None:
    """Refuse an auto-response whose texts are too long."""
    for what, text in (("request", request), ("response", response)):
        if not isinstance(text, str):
            raise TypeError(
                f"Failed to construct 'WebSocketRequestResponsePair': the {what} is not of type 'string'."
            )
        size = check_text(text)
        if size > limits.WEBSOCKET_AUTO_RESPONSE_BYTES_MAX:
            raise ValueError(
                LARGE_PAIR.format(
                    what=what.capitalize(),
                    which=what,
                    max=limits.WEBSOCKET_AUTO_RESPONSE_BYTES_MAX,
                    size=size,
                )
            )


def check_text(text: str) -> int:
    """Return the size of *text* in a frame, which carries UTF-8."""
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(HALF_SURROGATE.format(at=error.start)) from None
