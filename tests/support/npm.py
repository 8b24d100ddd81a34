"""Packages of npm for programs that a test runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def install(folder: Path, *packages: str) -> Path:
    """Install *packages* into *folder*, where a script of Node finds them."""
    npm = shutil.which("npm")
    assert npm is not None, "this test needs Node and npm"
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *packages]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    return folder


def run(folder: Path, script: str, *arguments: object) -> str:
    """Run *script* of *folder* under Node; return what it printed."""
    command = ["node", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, check=True, timeout=100, capture_output=True, text=True)
    return done.stdout
