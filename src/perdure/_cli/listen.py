"""The listening sockets of `dev` and `serve`. (edge)"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from perdure._cli.options import RunOptions
from perdure._config.problem import Problem, ProblemsFound

_LOOPBACK = "--host 127.0.0.1 is this machine alone, --host 0.0.0.0 every address of it"
PORTS_TRIED = 50


def listen(options: RunOptions) -> list[socket.socket]:
    """
    Return the listening sockets of a run.

    Raises:
        ProblemsFound: the address, or the file of a Unix socket, cannot be had.
    """
    if options.uds is not None:
        return [listen_on_file(options.uds, options.uds_mode)]
    return listen_on_port(options.host, options.port)


def listen_on_file(path: str, mode: int) -> socket.socket:
    """Return a listening Unix socket; a file that nobody listens on any more is replaced."""
    from perdure._http.server import BACKLOG
    from perdure._http.unix import bind_unix

    try:
        sock = bind_unix(path, mode)
    except FileExistsError:
        raise ProblemsFound(
            [
                Problem(
                    "cli/not-a-socket",
                    f"--uds {path} is a file that is no socket",
                    help="it is left alone: name another path, or remove it",
                )
            ]
        ) from None
    except OSError as error:
        raise ProblemsFound([_file_problem(error, path)]) from None
    sock.listen(BACKLOG)
    return sock


def _file_problem(error: OSError, path: str) -> Problem:
    if error.errno == errno.EADDRINUSE:
        return Problem(
            "cli/socket-in-use",
            f"another program listens on {path}",
            help="stop it, or choose another path with --uds",
        )
    return Problem(
        "cli/no-socket",
        f"cannot make the Unix socket {path}: {error.strerror or error}",
        help="its folder must exist and be writable, and the path be shorter than about 100 bytes",
    )


def listen_on_port(host: str, port: int) -> list[socket.socket]:
    """
    Return listening sockets, one for each address of *host*; port 0 takes a free one, the same for all.

    Raises:
        ProblemsFound: the address cannot be had; a free port is proposed when the port is taken.
    """
    try:
        return _listen(host, port)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise ProblemsFound(
            [Problem("cli/unknown-host", f'"{host}" is no address of this machine: {reason}', help=_LOOPBACK)]
        ) from None
    except OSError as error:
        raise ProblemsFound([_problem(error, host, port)]) from None


def _listen(host: str, port: int) -> list[socket.socket]:
    from perdure._http.server import BACKLOG, bind

    sockets = bind(host, port)
    try:
        for sock in sockets:
            # At once, not when the server starts: only listening takes the port, and while a reload hands
            # over, connections wait here.
            sock.listen(BACKLOG)
    except OSError:
        close(sockets)
        raise
    return sockets


def close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _problem(error: OSError, host: str, port: int) -> Problem:
    if error.errno == errno.EADDRINUSE:
        free = next_free_port(host, port)
        return Problem(
            "cli/port-in-use",
            f"port {port} of {host} is in use by another program",
            help=f"port {free} is free: --port {free}" if free is not None else "choose another with --port",
        )
    if error.errno == errno.EACCES:
        return Problem(
            "cli/port-not-allowed",
            f"this user may not listen on port {port}",
            help="ports below 1024 belong to root; take one above, for instance --port 8787",
        )
    return Problem(
        "cli/unknown-host", f'cannot listen on "{host}": {error.strerror}', help="try --host 127.0.0.1"
    )


def next_free_port(host: str, port: int) -> int | None:
    """Return the next port that nobody listens on, or None when none is near."""
    for other in range(port + 1, min(port + PORTS_TRIED, 65536)):
        try:
            close(_listen(host, other))
        except OSError:
            continue
        return other
    return None
