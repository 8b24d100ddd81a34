"""What the numbers were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import apsw
from _lib.servers import SOURCE
from _lib.tools import ROOT, WORKERD


def facts(folder: Path) -> dict[str, str | float]:
    """Return what to say beside the table; *folder* is where the servers store."""
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} x {cpu[0] if cpu else platform.machine()}",
        "memory": f"{memory_kb / 1024**2:.0f} GiB",
        "kernel": platform.release(),
        "disk": _file_system(folder),
        "fdatasync of 4 KiB, µs": round(sync_us(folder)),
        "load before": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "uvicorn": importlib.metadata.version("uvicorn"),
        "perdure": _commit(),
        "workerd": WORKERD,
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


def sync_us(folder: Path, times: int = 200) -> float:
    """Return the median microseconds of writing 4 KiB into a file of zeros and syncing it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        fd = file.fileno()
        os.pwrite(fd, bytes(4 << 20), 0)
        os.fsync(fd)
        took = []
        for n in range(times):
            began_s = time.perf_counter()
            os.pwrite(fd, b"x" * 4096, n * 4096)
            os.fdatasync(fd)
            took.append(time.perf_counter() - began_s)
    return sorted(took)[times // 2] * 1e6


def _file_system(folder: Path) -> str:
    best = ("", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        device, mount, kind, *_ = line.split()
        if str(folder.resolve()).startswith(mount) and len(mount) >= len(best[0]):
            best = (mount, f"{kind} on {device}")
    return best[1]


def _commit() -> str:
    if SOURCE != ROOT / "src":
        return f"of {SOURCE}"
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return commit.stdout.strip() + (" and changes that are not committed" if changed.stdout.strip() else "")
