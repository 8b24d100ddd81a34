"""A real `perdure serve` process with a scenario's classes, on a data folder of its own. (edge)"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.forks import Forked

import perdure

HERE = Path(__file__).parent
READY = re.compile(r"Ready on http://[^:/\s]+:(\d+)")
# Read once: servers start in threads, while pytest changes its own variables.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(perdure.__file__).parents[1])}
START_S = 30.0
STOP_S = 20.0


def application(
    scenario: dict[str, Any],
    module: Path,
    folder: Path,
    port: Callable[[str], str] = str,
    flags: Sequence[str] = (),
) -> Path:
    """Put *module*, its shared part and the configuration that *scenario* asks for into *folder*."""
    folder.mkdir()
    for source in (module, HERE / "lib.py"):
        (folder / source.name).write_text(port(source.read_text()))
    name, classes = scenario["id"], scenario["classes"]
    settings = {"name": f"oracle-{name}", "main": module.name, "compatibility_flags": list(flags)}
    if "compatibility_date" in scenario:
        settings["compatibility_date"] = scenario["compatibility_date"]
    settings |= {
        "durable_objects": {"bindings": [{"name": cls, "class_name": cls} for cls in classes]},
        "migrations": [{"tag": "v1", "new_sqlite_classes": list(classes)}],
        "unique_keys": {cls: of.get("unique_key", f"oracle-{name}-{cls}") for cls, of in classes.items()},
    }
    (folder / "wrangler.json").write_text(json.dumps(settings, indent=2))
    return folder


class Server:
    """Starts, stops and restarts the process; what it prints is kept for the failing test."""

    def __init__(self, app: Path, data: Path) -> None:
        self.app = app
        self.data = data
        self.port = 0
        self.output: list[str] = []
        self._process: Forked | None = None
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        self._ready.clear()
        command = ["serve", self.app, "--port", self.port, "--data", self.data]
        self._process = Forked(command, cwd=self.app, env=ENVIRONMENT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(START_S) or not self.port:
            self.stop()
            raise RuntimeError(f"perdure serve did not become ready:\n{self.text}")

    def _read(self) -> None:
        assert self._process is not None
        for line in self._process.stdout:
            self.output.append(line)
            if found := READY.search(line):
                self.port = int(found[1])
                self._ready.set()
        # The end of its output is the end of the process: nothing to wait for any more.
        self._ready.set()

    def stop(self) -> int:
        """Ask it to end as an operator does; the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
            self.output.append(f"(killed: it did not end within {STOP_S:.0f} s of SIGTERM)\n")
        assert self._reader is not None
        self._reader.join()
        return status

    def restart(self, down_ms: float) -> None:
        self.stop()
        time.sleep(down_ms / 1000)
        self.start()

    @property
    def text(self) -> str:
        return "".join(self.output)
