"""Unix sockets for one user alone, however long the path of their folder. (edge)

The file is for its owner (0600), and the kernel says who connects: the same user, or root. A socket's address holds
about a hundred bytes of path. So the folder is opened, and the socket named through the folder's descriptor:
`/proc/self/fd/<number>/<name>`. Where there is no /proc the path itself must fit.
"""

# Paths are plain strings here.
# ruff: noqa: PTH101, PTH108, PTH110, PTH116

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_PEER: Final = struct.Struct("3i")  # struct ucred: process, user, group


@contextmanager
def address(folder: str, name: str) -> Iterator[str]:
    """Give an address of the socket *name* in *folder*, for bind or connect."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = f"/proc/self/fd/{fd}"
        yield f"{short if os.path.exists(short) else folder}/{name}"
    finally:
        os.close(fd)


class PrivateSocket:
    """
    A listening socket and its file, which goes with it.

    A file that is there already was left by a process that died: whoever makes this owns the folder.

    Args:
        folder: where; it exists.
        name: of the file.
        backlog: how many may wait to be accepted.
    """

    def __init__(self, folder: str, name: str, backlog: int) -> None:
        self._path = f"{folder}/{name}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with address(folder, name) as path:
                with suppress(FileNotFoundError):
                    os.unlink(path)
                self.socket.bind(path)
                # Nobody can connect before `listen`.
                os.chmod(path, 0o600)
                stat = os.stat(path)
            self._identity = (stat.st_dev, stat.st_ino)
            self.socket.listen(backlog)
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise

    def remove(self) -> None:
        """Remove the file, unless another socket has its name by now; whoever uses the socket closes it."""
        with suppress(OSError):
            stat = os.stat(self._path)
            if (stat.st_dev, stat.st_ino) == self._identity:
                os.unlink(self._path)


def peer(connection: socket.socket) -> tuple[int, int] | None:
    """Return process and user of the other side; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    process, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _PEER.size))
    return process, user


def may_connect(connection: socket.socket) -> bool:
    """Whether the other side is the same user, or root."""
    found = peer(connection)
    return found is None or found[1] in (0, os.geteuid())
