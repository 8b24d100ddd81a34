"""Real `perdure` processes, copies of one that has everything imported: a start costs a fork, not a fifth of a second. (edge)

The copy runs the command as `python -m perdure` would and ends as any Python does. Only what Python reads before it runs
anything cannot be given to a copy: a variable such as PYTHONWARNINGS.
"""

from __future__ import annotations

import array
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class Forked:
    """One command of `perdure`, with what tests use of `subprocess.Popen`; in a session of its own."""

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        cwd: Path | str,
        env: Mapping[str, str],
        files: Sequence[int] | None = None,
    ) -> None:
        """
        Start it.

        Args:
            files: Descriptors of the standard input, output and error of a command that ends by itself, and at once.
                Without, both outputs are the text `stdout`.
        """
        asked = {
            "arguments": [str(each) for each in arguments],
            "cwd": str(cwd),
            "env": dict(env),
            "at_once": files is not None,
        }
        reading, writing = os.pipe()
        self._told = open(reading, buffering=1)
        with open(os.devnull) as nothing:
            if files is None:
                reading, output = os.pipe()
                self.stdout = open(reading)
                _ask(asked, [nothing.fileno(), output, output, writing])
                os.close(output)
            else:
                _ask(asked, [*files, writing])
        os.close(writing)
        self.pid = int(self._told.readline())
        self.returncode: int | None = None
        self._one_reads = threading.Lock()

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"perdure, process {self.pid}", timeout or 0)
        with self._one_reads:
            if self.returncode is None:
                self.returncode = int(self._told.readline())
            return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@functools.cache
def _original() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the process that copies itself; it ends when nobody can ask it any more."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    source = str(Path(__file__).parents[2] / "src")
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(its.fileno())],
            env=os.environ | {"PYTHONPATH": source},
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    return ours, process


_one_starts = threading.Lock()


def _ask(asked: object, files: list[int]) -> None:
    with _one_starts:
        rights = array.array("i", files)
        _original()[0].sendmsg([json.dumps(asked).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def copy_on_demand(asking: socket.socket) -> bool:
    """Start what is asked for; return in each copy, whether it may end without Python's tidying."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who wait for the copies are waited for by nobody
    while True:
        message, files, _, _ = socket.recv_fds(asking, 1 << 20, 4)
        if not message:
            os._exit(0)
        if not os.fork():
            break
        for fd in files:
            os.close(fd)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asking.close()
    telling = files.pop()
    if copy := os.fork():
        for fd in files:
            os.close(fd)
        os.write(telling, b"%d\n" % copy)
        os.write(telling, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]))
        os._exit(0)
    os.close(telling)
    for number, fd in enumerate(files):
        os.dup2(fd, number)
    for fd in set(files):
        os.close(fd)
    os.setsid()
    asked = json.loads(message)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.path[:0] = [asked["cwd"]]
    sys.argv = ["perdure", *asked["arguments"]]
    return asked["at_once"]


IMPORTED = """
    uvloop perdure._http.server perdure._http.protocol perdure._admin.server perdure._telemetry.unconfirmed
    perdure._cli.run perdure._cli.supervise perdure._cli.call perdure._cli.directly perdure._cli.kv perdure._cli.live
    perdure._cli.sql perdure._cli.check
"""

if __name__ == "__main__":
    from perdure._cli.main import main

    for name in IMPORTED.split():
        importlib.import_module(name)
    gc.freeze()  # what is collected at the end of a copy would be copied first
    at_once = copy_on_demand(socket.socket(fileno=int(sys.argv[1])))
    try:
        main()
    except SystemExit as end:
        if at_once:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(end.code or 0))
        raise
