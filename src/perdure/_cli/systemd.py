"""What systemd gives and is told: sockets that it opened, that we serve, that we stop, that we are alive. (edge)

Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Without systemd nothing here does anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Final

from perdure._config.problem import Problem, ProblemsFound

FIRST_DESCRIPTOR: Final = 3


def given_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """
    Return the listening sockets that systemd opened for this process (socket activation), or none.

    Programs that the application starts do not see the variables: the sockets are not theirs.

    Raises:
        ProblemsFound: one of them is no listening stream socket.
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    sockets = []
    for number in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(number, False)
        try:
            sock = socket.socket(fileno=number)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = 0
        if not listens:
            raise ProblemsFound(
                [
                    Problem(
                        "cli/not-a-listener",
                        f"systemd gave descriptor {number}, which is no socket that accepts connections",
                        help="in the .socket unit use ListenStream=, with Accept=no",
                    )
                ]
            )
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


class Notifier:
    """Tells systemd, if it asked for it, how this process does."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = address
        self.watchdog_s = watchdog_s
        """How long systemd waits for a sign of life; 0: it does not."""

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Notifier:
        """Read the variables, and take them away: programs that the application starts have nothing to tell."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        is_ours = pid in ("", str(os.getpid()))
        watchdog_s = int(microseconds) / 1e6 if address and is_ours and microseconds.isdigit() else 0.0
        return cls(address, watchdog_s)

    def ready(self) -> None:
        """Requests are answered."""
        self._send("READY=1\nSTATUS=serving")

    def stopping(self) -> None:
        """Nothing new is accepted; what is under way ends."""
        self._send("STOPPING=1\nSTATUS=finishing what is under way")

    async def keep_alive(self) -> None:
        """Give the signs of life that systemd waits for. They come from the event loop: one that is kept gives none."""
        while self.watchdog_s:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A first "@" stands for the zero byte of the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # Nobody who listens, or has room for it now, is no reason to serve worse.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)
            sock.sendto(message.encode(), address)
