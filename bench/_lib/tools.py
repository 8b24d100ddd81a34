"""What a run needs from outside: workerd, Node and its Cap'n Web from npm, wrk from Debian."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
WORKERD = "1.20261117.1"
PACKAGES = {"workerd": WORKERD, "capnweb": "0.12.0", "ws": "8.23.0", "node": "22.23.3"}
"""The versions compared with: named ones, so that two runs mean the same. Node is a package too: a machine's own may be older."""
CAPNWEB_SERVER = CACHE / "capnweb_server.mjs"
"""A copy, since Node looks for packages beside the program."""


@dataclass(frozen=True, slots=True)
class Tools:
    workerd: str
    node: str
    wrk: str | None
    """None: the load comes from `loader.py`."""


def say(text: str) -> None:
    """Tell what goes on; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def find(*, own_load: bool = False) -> Tools:
    """Return the tools, installed if they are not there."""
    _packages()
    shutil.copy(Path(__file__).with_name(CAPNWEB_SERVER.name), CAPNWEB_SERVER)
    return Tools(_program("workerd"), _program("node"), None if own_load else _wrk())


def _packages() -> None:
    wanted = json.dumps({"private": True, "dependencies": PACKAGES}) + "\n"
    listed = CACHE / "package.json"
    if listed.exists() and listed.read_text() == wanted and (CACHE / "node_modules").is_dir():
        return
    if shutil.which("npm") is None:
        raise SystemExit(
            "make bench compares with workerd and Node, which npm installs: there is no npm here."
        )
    say(f"installing {', '.join(PACKAGES)} into {CACHE}")
    CACHE.mkdir(parents=True, exist_ok=True)
    listed.write_text(wanted)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=CACHE, check=True)


def _program(name: str) -> str:
    return str((CACHE / "node_modules" / ".bin" / name).resolve())


def _wrk() -> str | None:
    if found := shutil.which("wrk"):
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing wrk")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "wrk"]):
            if subprocess.run(["apt-get", *words], check=False, **quiet).returncode:
                break
    found = shutil.which("wrk")
    if found is None:
        say("no wrk here (Debian's package `wrk`): the load comes from a slower process of our own")
    return found
