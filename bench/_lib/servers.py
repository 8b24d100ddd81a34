"""The servers that are compared, each a process of its own on fresh storage. Only loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from _lib.tools import CAPNWEB_SERVER

import perdure

HERE = Path(__file__).resolve().parent
SOURCE = Path(perdure.__file__).parents[1]
START_S = 60.0
STOP_S = 20.0

CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      compatibilityDate = "2026-11-01",
      modules = [(name = "worker", esModule = embed "worker.js")],
      bindings = [
        (name = "PLAIN", durableObjectNamespace = "Plain"),
        (name = "ITEM", durableObjectNamespace = "Item"),
        (name = "ROOM", durableObjectNamespace = "Room"),
        (name = "WAKING", durableObjectNamespace = "Waking")
      ],
      durableObjectNamespaces = [
        (className = "Plain", uniqueKey = "bench-Plain", enableSql = true%(kept)s),
        (className = "Item", uniqueKey = "bench-Item", enableSql = true%(kept)s),
        (className = "Room", uniqueKey = "bench-Room", enableSql = true%(kept)s),
        (className = "Waking", uniqueKey = "bench-Waking", enableSql = true%(kept)s)
      ],
      durableObjectStorage = (localDisk = "storage")
    )),
    (name = "storage", disk = (path = "storage", writable = true))
  ],
  sockets = [(name = "http", address = "127.0.0.1:%(port)d", http = (), service = "main")]
);
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A process that answers on `port`; what it prints goes to a file beside its storage."""

    name = ""
    probe = "/none/-/-"
    """What is asked for to see that it answers."""

    def __init__(self, folder: Path, core: int | None) -> None:
        self.folder = folder
        self.port = free_port()
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None
        # As it is for users: byte code is written, and found at the next start.
        self.environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        self.environment["PYTHONPATH"] = str(SOURCE)
        folder.mkdir(parents=True)

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    @property
    def storage(self) -> Path:
        """The folder that holds what it stores."""
        return self.folder / "storage"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it; return the seconds until it has answered a request."""
        core = self._core
        began_s = time.perf_counter()
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdout=output,
                stderr=output,
                env=self.environment,
                preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
            )
        self.wait_until_ready()
        return time.perf_counter() - began_s

    def wait_until_ready(self) -> None:
        end_s = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                if self._process is not None and self._process.poll() is not None:
                    raise SystemExit(f"{self.name} ended at its start:\n{self.output}") from None
                if time.monotonic() > end_s:
                    raise SystemExit(f"{self.name} does not answer:\n{self.output}") from None
                time.sleep(0.002)
        self.get(self.probe)

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")[-4000:]

    def get(self, path: str) -> str:
        """Return the text of an answer; anything but 200 ends the run."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{self.name} answered {path} with {error.code}:\n{self.output}") from None

    def cpu_s(self) -> float:
        """Return the processor time it has used, in user code and in the kernel for it."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it without a word, as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Perdure(Server):
    """`serve.py`, also with a project for Cloudflare's Python Workers; with `command_line` the command itself."""

    name = "perdure"

    def __init__(
        self,
        folder: Path,
        core: int | None,
        *,
        idle_s: float | None = None,
        command_line: bool = False,
        keep_journal: bool = False,
        project: bool = False,
    ) -> None:
        super().__init__(folder, core)
        self._idle_s = idle_s
        self._command_line = command_line
        self._keep_journal = keep_journal
        self._project = project
        if project:
            self.name = "project"

    def command(self) -> Sequence[str]:
        if self._command_line:
            words = [sys.executable, "-m", "perdure", "serve", str(HERE / "app.py")]
            return [*words, "--port", str(self.port), "--data", str(self.storage)]
        words = [sys.executable, str(HERE / "serve.py"), str(self.port), str(self.storage)]
        if self._idle_s is not None:
            words += ["--idle", str(self._idle_s)]
        if self._keep_journal:
            words.append("--keep-journal")
        if self._project:
            words += ["--project", str(HERE / "cloudflare")]
        return words


class Workerd(Server):
    """workerd with its own SQLite storage on the disk."""

    name = "workerd"

    def __init__(self, folder: Path, core: int | None, binary: str, *, idle_s: float | None = None) -> None:
        super().__init__(folder, core)
        self._binary = binary
        self.storage.mkdir()
        kept = ", preventEviction = true" if idle_s is not None else ""
        (folder / "worker.js").write_text((HERE / "worker.js").read_text())
        (folder / "config.capnp").write_text(CONFIG % {"port": self.port, "kept": kept})

    def command(self) -> Sequence[str]:
        return [self._binary, "serve", "config.capnp"]


class Node(Server):
    """npm's `capnweb` with the sockets of `ws`; it stores nothing."""

    name = "Node"

    def __init__(self, folder: Path, core: int | None, binary: str) -> None:
        super().__init__(folder, core)
        self._binary = binary

    def command(self) -> Sequence[str]:
        return [self._binary, str(CAPNWEB_SERVER), str(self.port)]
