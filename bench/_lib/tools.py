"""What a run needs from outside: workerd from npm, wrk from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
WORKERD = "1.20261117.1"
"""The version compared with: one that is named, so that two runs mean the same."""
CAPNWEB = "0.12.0"


@dataclass(frozen=True, slots=True)
class Tools:
    workerd: str
    wrk: str | None
    """None: the load comes from `loader.py`."""


def say(text: str) -> None:
    """Tell what goes on; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def find(*, own_load: bool = False) -> Tools:
    """Return the tools, installed if they are not there."""
    return Tools(_workerd(), None if own_load else _wrk())


def _workerd() -> str:
    binary = CACHE / "node_modules" / ".bin" / "workerd"
    if not binary.exists() or WORKERD not in (CACHE / "package.json").read_text():
        if shutil.which("npm") is None:
            raise SystemExit("make bench compares with workerd, which npm installs: there is no npm here.")
        say(f"installing workerd {WORKERD} into {CACHE}")
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "package.json").write_text(
            f'{{"private": true, "dependencies": {{"workerd": "{WORKERD}"}}}}\n'
        )
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=CACHE, check=True)
    return str(binary.resolve())


def capnweb() -> Path:
    """Return the folder of packages with Node and the npm implementation of Cap'n Web, installed if they are not there."""
    folder = CACHE / "capnweb"
    if not (folder / "node_modules").exists() or CAPNWEB not in (folder / "package.json").read_text():
        if shutil.which("npm") is None:
            raise SystemExit("the question capnweb compares with npm's server: there is no npm here.")
        say(f"installing capnweb {CAPNWEB} into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        packages = f'"capnweb": "{CAPNWEB}", "ws": "8", "node": "22"'
        (folder / "package.json").write_text(f'{{"private": true, "dependencies": {{{packages}}}}}\n')
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder / "node_modules"


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
