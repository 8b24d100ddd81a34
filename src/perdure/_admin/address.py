"""Where the control socket is, however long the path of the data folder. (edge)

A socket's address holds about a hundred bytes of path. So the folder is opened, and the socket named through the
folder's descriptor: `/proc/self/fd/<number>/control.sock`. Where there is no /proc the path itself must fit.
"""

# Paths are plain strings here.
# ruff: noqa: PTH110

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NAME: Final = "control.sock"
_PEER: Final = struct.Struct("3i")  # struct ucred: process, user, group


@contextmanager
def address(folder: str) -> Iterator[str]:
    """Give an address of the control socket in *folder*, for bind or connect."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = f"/proc/self/fd/{fd}"
        yield f"{short if os.path.exists(short) else folder}/{NAME}"
    finally:
        os.close(fd)


def peer(connection: socket.socket) -> tuple[int, int] | None:
    """Return process and user of the other side; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    process, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _PEER.size))
    return process, user
