"""Unix sockets to listen on, and their files. (edge)"""

from __future__ import annotations

import contextlib
import os
import socket
import stat


class UnixListener(socket.socket):
    """A listening Unix socket that takes its file away when it is closed."""

    __slots__ = ("_file",)

    def remember_file(self, path: str) -> None:
        """Note which file is ours: when we end, another may be in its place."""
        facts = os.stat(path)  # noqa: PTH116
        self._file: tuple[str, int, int] | None = (os.path.abspath(path), facts.st_dev, facts.st_ino)  # noqa: PTH100

    def close(self) -> None:
        """Close the socket and remove its file, if that is still this socket's."""
        file, self._file = getattr(self, "_file", None), None
        if file is not None:
            path, device, inode = file
            with contextlib.suppress(OSError):
                facts = os.lstat(path)
                if (facts.st_dev, facts.st_ino) == (device, inode):
                    os.unlink(path)  # noqa: PTH108
        super().close()


def bind_unix(path: str, mode: int) -> UnixListener:
    """
    Return a socket bound to *path*, a file with these permission bits.

    A socket file is replaced if nobody listens on it; who was killed leaves one behind.

    Raises:
        FileExistsError: the file is no socket.
        OSError: somebody listens there (EADDRINUSE), or the file cannot be made.
    """
    _remove_stale(path)
    sock = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)  # from the first moment on nobody else may connect
    try:
        sock.bind(path)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    sock.remember_file(path)
    sock.setblocking(False)
    return sock


def _remove_stale(path: str) -> None:
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(facts.st_mode):
        raise FileExistsError(f"{path} is a file, not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a listener with a full backlog is one all the same
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108
        except OSError:
            return  # `bind` says what is wrong
