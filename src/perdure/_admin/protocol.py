"""The control socket's language: frames of a length and MessagePack. (pure)

    frame       4 bytes, big-endian: how many follow; then one message

    server      hello {perdure, protocol, pid}
    client      request {protocol, operation}            one a connection
    server      progress {done, total, text}             any number
    server      answer {result}  |  failure {problems}   then both close

The socket belongs to one version of Perdure; another one is told so, and not guessed at.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from perdure._admin.operations import AnyOperation

VERSION: Final = 1
NAME: Final = "control.sock"
"""Of the file, in the data folder."""
LENGTH_BYTES: Final = 4
STOPPING: Final = "control/stopping"
"""Code of the problem that says: nothing was done, ask whoever comes next."""


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """Who answers here."""

    perdure: str
    protocol: int
    pid: int


class Progress(msgspec.Struct, tag="progress", frozen=True):
    """How far a long operation is; `total` is None while nobody knows."""

    done: int
    total: int | None = None
    text: str = ""


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """The end, when all went well."""

    result: Any


class Failure(msgspec.Struct, tag="failure", frozen=True):
    """The end, when it did not: problems as `_config.problem.as_json` writes them."""

    problems: list[dict[str, Any]]


Reply = Hello | Progress | Answer | Failure


class Request(msgspec.Struct, frozen=True):
    """What a client asks for."""

    protocol: int
    operation: AnyOperation


class _Version(msgspec.Struct):
    protocol: int


class WrongVersion(ValueError):
    """The other side speaks another version of this language."""


_encoder: Final = msgspec.msgpack.Encoder()
_replies: Final = msgspec.msgpack.Decoder(Reply)
_requests: Final = msgspec.msgpack.Decoder(Request)
_versions: Final = msgspec.msgpack.Decoder(_Version)


def frame(message: Reply | Request) -> bytes:
    """Return *message* as it is sent."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def length(head: bytes, bytes_max: int) -> int:
    """
    Return the length that the first bytes of a frame tell.

    Raises:
        ValueError: it is longer than *bytes_max*.
    """
    size = int.from_bytes(head, "big")
    if size > bytes_max:
        raise ValueError(f"a message of {size:,} bytes; at most {bytes_max:,} are taken")
    return size


def read_request(body: bytes) -> Request:
    """
    Return the request in *body*.

    Raises:
        WrongVersion: another version wrote it.
        ValueError: it is none.
    """
    found = _versions.decode(body)  # first: what another version asks for may look like nothing we know
    if found.protocol != VERSION:
        raise WrongVersion(found.protocol)
    return _requests.decode(body)


def read_reply(body: bytes) -> Reply:
    """Return the reply in *body*; a ValueError if it is none."""
    reply: Reply = _replies.decode(body)
    return reply
