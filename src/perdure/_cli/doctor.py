"""`perdure doctor`: is this machine fit to run Perdure, and what to do about it. (edge)"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import json
import os
import pathlib
import platform
import resource
import stat
import statistics
import sys
import tempfile
import time
from typing import Final

import perdure
from perdure._cli import exits, health, prepare
from perdure._cli.console import has_colour
from perdure._cli.health import Check
from perdure._cli.options import RunOptions
from perdure._cli.output import paint
from perdure._config.load import shown
from perdure._config.problem import refused

SYNCS: Final = 40
SYNCS_S: Final = 2.0
"""A slow disk is not asked for longer."""
_CLOCK_ERROR: Final = 5
"""What adjtimex(2) returns for a clock that nothing keeps right."""
STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(options: RunOptions, *, as_json: bool) -> int:
    """Print what was found; the exit code is 1 when something keeps Perdure from working safely."""
    checks = [*_versions(), *_machine(), *_folder(prepare.wanted_folder(options))]
    if as_json:
        print(json.dumps(health.as_json(checks), indent=2, ensure_ascii=False))
    else:
        _print(checks)
    return exits.PROBLEMS if any(check.verdict == "fail" for check in checks) else exits.OK


def _print(checks: list[Check]) -> None:
    colour = has_colour(sys.stdout)
    width = max(len(check.name) for check in checks)
    for check in checks:
        verdict = paint(check.verdict.ljust(4), STYLES[check.verdict], colour=colour)
        print(f"{verdict}  {check.name.ljust(width)}  {check.found}")
        if check.advice:
            print(f"{' ' * (width + 8)}{paint('→', 'dim', colour=colour)} {check.advice}")


def _versions() -> list[Check]:
    from perdure._storage.database import sqlite_version

    return [
        Check("perdure", "ok", perdure.__version__),
        health.of_python((sys.version_info.major, sys.version_info.minor, sys.version_info.micro)),
        Check("sqlite", "ok", sqlite_version()),
        health.of_event_loop(_version_of("uvloop")),
        Check("http", "ok", f"httptools {_version_of('httptools') or 'is missing'}"),
    ]


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine() -> list[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        Check(
            "system", "ok", f"{platform.system()} {platform.release()} {platform.machine()}, {cores} cores"
        ),
        health.of_descriptors(*(-1 if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard))),
    ]


def _folder(data: pathlib.Path) -> list[Check]:
    """Look at the data folder, or at the one it would be made in."""
    exists = data.is_dir()
    folder = data if exists else _existing(data)
    checks = [
        Check("data folder", "ok", shown(data) if exists else f"{shown(data)} (not made yet)"),
        health.of_file_system(_file_system(folder)),
    ]
    if exists:
        checks.append(health.of_mode(data.stat().st_mode))
    try:
        checks.append(health.of_syncs(*_time_syncs(folder)))
    except OSError as error:
        checks.append(
            Check(
                "sync",
                "fail",
                f"{shown(folder)} cannot be written: {error.strerror}",
                "let this user write there, or choose another folder with --data",
            )
        )
    free = os.statvfs(folder)
    checks.append(health.of_space(free.f_bavail * free.f_frsize, free.f_favail if free.f_files else -1))
    checks.append(health.of_clock(_is_synchronised(), _newest_s(data) - time.time() if exists else 0.0))
    return checks


def _existing(path: pathlib.Path) -> pathlib.Path:
    for folder in path.parents:
        if folder.is_dir():
            return folder
        if folder.exists():
            raise refused(
                "data/unusable", f"{shown(folder)} is not a folder", help="choose another with --data"
            )
    raise AssertionError("the root is a folder")


def _file_system(folder: pathlib.Path) -> str:
    try:
        mounts = pathlib.Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return "unknown"
    number = folder.stat().st_dev
    return health.mount_kind(mounts, (os.major(number), os.minor(number)), str(folder.resolve()))


def _time_syncs(folder: pathlib.Path) -> tuple[float, float]:
    """Return median and worst time, in ms, of syncing 4 KiB over written blocks, as the journal does."""
    datasync = getattr(os, "fdatasync", os.fsync)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".perdure-doctor-") as file:
        fd = file.fileno()
        os.pwrite(fd, bytes(4096 * SYNCS), 0)
        os.fsync(fd)
        took_ms: list[float] = []
        end_s = time.monotonic() + SYNCS_S
        for number in range(SYNCS):
            os.pwrite(fd, os.urandom(4096), 4096 * number)
            began_s = time.perf_counter()
            datasync(fd)
            took_ms.append((time.perf_counter() - began_s) * 1000)
            if time.monotonic() > end_s:
                break
    return statistics.median(took_ms), max(took_ms)


def _newest_s(data: pathlib.Path) -> float:
    """When a file at the top of the data folder or of its journal was written last; 0.0 if none can be seen."""
    newest_s = 0.0
    with contextlib.suppress(OSError):  # a folder of somebody else's, a segment that goes meanwhile
        for path in (*data.iterdir(), *data.glob("journal/*")):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                newest_s = max(newest_s, found.st_mtime)
    return newest_s


def _is_synchronised() -> bool | None:
    """Ask the kernel; None where it cannot be asked."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _CLOCK_ERROR
