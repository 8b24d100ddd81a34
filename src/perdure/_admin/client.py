"""The other end of the control socket, for a command: connect, ask, wait. (edge)"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

from perdure._admin import protocol
from perdure._base import limits
from perdure._base.private_socket import address
from perdure._config.problem import ProblemsFound, from_json, refused

_NOBODY: Final = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}


class Gone(Exception):
    """The server stops and has done nothing."""


def connect(folder: str) -> socket.socket | None:
    """
    Return a connection to the runtime that has *folder*, or None when nobody listens there.

    Raises:
        ProblemsFound: this user may not.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(limits.CONTROL_WAIT_S)
    try:
        with address(folder, protocol.NAME) as path:
            connection.connect(path)
    except OSError as error:
        connection.close()
        if error.errno in _NOBODY:
            return None
        raise refused(
            "control/not-allowed",
            f"the server's control socket cannot be used: {error.strerror or error}",
            help="run this as the user that the server runs as, or as root",
        ) from None
    return connection


def ask(
    connection: socket.socket,
    request: bytes,
    tell: Callable[[int, int | None, str], None] = lambda done, total, text: None,
) -> Any:
    """
    Send *request*, a frame, and return the answer to it; the connection is closed.

    Raises:
        Gone: nothing was done; ask again.
        ProblemsFound: what stands in the way.
    """
    with connection:
        try:
            _greet(connection)
            return _exchange(connection, request, tell)
        except ValueError as error:  # also msgspec's
            if isinstance(error, ProblemsFound):
                raise
            raise refused(
                "control/bad-answer",
                f"what listens at the control socket does not speak as a server of Perdure: {error}",
                help="stop it; the next server makes the socket anew",
            ) from None


def _greet(connection: socket.socket) -> None:
    try:
        hello = _receive(connection)
    except TimeoutError:
        raise refused(
            "control/no-answer",
            f"the server has not answered for {connection.gettimeout():g} s",
            help="its event loop is blocked: it says by what, in its output",
        ) from None
    except OSError:
        hello = None
    if isinstance(hello, protocol.Failure):
        raise _failed(hello)
    if not isinstance(hello, protocol.Hello):
        raise Gone
    if hello.protocol != protocol.VERSION:
        raise refused(
            "control/version",
            f"the server is Perdure {hello.perdure}, of another version than this command",
            help="use the `perdure` of the server's environment, or restart the server",
        )


def _exchange(connection: socket.socket, request: bytes, tell: Callable[[int, int | None, str], None]) -> Any:
    connection.settimeout(None)  # from here on it may take as long as it takes
    try:
        connection.sendall(request)
        while isinstance(reply := _receive(connection), protocol.Progress):
            tell(reply.done, reply.total, reply.text)
    except OSError:
        reply = None
    match reply:
        case protocol.Answer():
            return reply.result
        case protocol.Failure():
            raise _failed(reply)
    raise refused(
        "control/lost",
        "the server ended before it answered",
        help="whether it was done is not known: look, and ask again",
    )


def _failed(reply: protocol.Failure) -> ProblemsFound | Gone:
    if any(problem.get("code") == protocol.STOPPING for problem in reply.problems):
        return Gone()
    return ProblemsFound(from_json(problem) for problem in reply.problems)


def _receive(connection: socket.socket) -> protocol.Reply | None:
    """Return the next message, or None at the end."""
    head = _exactly(connection, protocol.LENGTH_BYTES)
    if head is None:
        return None
    body = _exactly(connection, protocol.length(head, limits.CONTROL_REPLY_BYTES_MAX))
    return None if body is None else protocol.read_reply(body)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return bytes(data)
