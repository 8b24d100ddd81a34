"""JSON text to messages and back, as JavaScript writes and reads it. (pure)

`msgspec` does nearly all of it. What it does not take is left to the standard library: halves of surrogate pairs,
which JSON.stringify escapes and UTF-8 does not have, and numbers beyond a double, which JSON.parse makes infinite.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import msgspec

from perdure._base import limits

BINARY: Final = "Received a binary message; messages are text."
NOT_JSON: Final = "A message is a JSON array; this one is not: {error}"
TOO_LONG: Final = "Incoming message exceeds maximum size of {max} UTF-16 code units."
TOO_DEEP: Final = "Deserialization exceeded maximum allowed message depth of {max}."

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_encode_escaped: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


_SHOWN: Final = 100


class ProtocolError(Exception):
    """The peer said what the protocol does not allow; the session ends, and the peer is told this text."""


def write(message: list[Any]) -> str:
    """Return *message*, of what JSON has only, as text without line breaks."""
    try:
        return _encode(message).decode()
    except UnicodeEncodeError:
        return _encode_escaped(message)


def read(line: str | bytes, units_max: int = limits.CAPNWEB_MESSAGE_UNITS_MAX) -> list[Any]:
    """
    Return the message that *line* is.

    Raises:
        ProtocolError: it is not text, too long, too deep, or no JSON array.
    """
    if not isinstance(line, str):
        raise ProtocolError(BINARY)
    if len(line) * 2 > units_max and _units(line) > units_max:
        raise ProtocolError(TOO_LONG.format(max=units_max))
    try:
        message = _decode(line)
    except RecursionError:
        raise ProtocolError(TOO_DEEP.format(max=limits.CAPNWEB_DEPTH_MAX)) from None
    except (msgspec.MsgspecError, ValueError):
        message = _read_escaped(line)
    if type(message) is not list:
        raise ProtocolError(NOT_JSON.format(error=f"it is of type {type(message).__name__}"))
    return message


def _units(text: str) -> int:
    """Return the length of *text* as JavaScript counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _read_escaped(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ProtocolError(TOO_DEEP.format(max=limits.CAPNWEB_DEPTH_MAX)) from None
    except ValueError as error:
        raise ProtocolError(NOT_JSON.format(error=error)) from None


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no JSON")


def shown(given: Any) -> str:
    """Return a part of a message as people read it, cut short."""
    try:
        line = json.dumps(given)
    except (TypeError, ValueError, RecursionError):  # it was decoded in part
        line = f"[{given[0]!r}, …]" if type(given) is list and given else type(given).__name__
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
