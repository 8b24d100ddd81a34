"""What `perdure doctor` concludes from what it measured. (pure)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from perdure._base import limits

Verdict = Literal["ok", "warn", "fail"]

SYNC_SLOW_MS: Final = 10.0
SYNC_UNBELIEVABLE_MS: Final = 0.01
DESCRIPTORS_WISHED: Final = 16_384
DESCRIPTORS_MIN: Final = 1_024
SPACE_LOW_BYTES: Final = 4 * limits.JOURNAL_BUDGET_BYTES
SPACE_MIN_BYTES: Final = 2 * limits.JOURNAL_SEGMENT_BYTES
INODES_LOW: Final = 10_000
CLOCK_STEP_S: Final = 60.0
PYTHON_TESTED: Final = (3, 11)

IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
OF_NETWORK: Final = frozenset(
    "9p afs ceph cifs fuse.ceph fuse.glusterfs fuse.s3fs fuse.sshfs glusterfs lustre nfs nfs4 smb3 smbfs virtiofs".split()
)
OF_CONTAINER: Final = frozenset({"overlay", "aufs"})


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""
    """What to do next, unless all is well."""


def of_file_system(kind: str) -> Check:
    """Judge the kind of file system that the data folder is on."""
    name = "file system"
    if kind in IN_MEMORY:
        return Check(
            name,
            "fail",
            f"{kind} is memory: everything is gone after a restart of the machine",
            "put the data folder on a disk with --data",
        )
    if kind in OF_NETWORK:
        return Check(
            name,
            "warn",
            f"{kind} is a network or shared file system: locks and syncs are as good as the other side's",
            "use a disk of this machine, and copies by `perdure backup`",
        )
    if kind in OF_CONTAINER:
        return Check(
            name,
            "warn",
            f"{kind} belongs to a container and goes with it",
            "mount a volume for the data folder",
        )
    return Check(name, "ok", kind)


def of_syncs(median_ms: float, worst_ms: float) -> Check:
    """Judge how long the disk takes to make 4 KiB durable."""
    found = f"{median_ms:.2f} ms median, {worst_ms:.1f} ms at worst, for 4 KiB"
    if median_ms > SYNC_SLOW_MS:
        return Check(
            "sync",
            "warn",
            found,
            "each answer that follows a write waits for one of these: use a faster disk (an SSD with power-loss "
            "protection takes under 0.1 ms)",
        )
    if median_ms < SYNC_UNBELIEVABLE_MS:
        return Check(
            "sync",
            "warn",
            f"{found}: faster than any disk",
            "nothing seems to be written: look whether syncs are turned off (eatmydata, a virtual disk's cache mode)",
        )
    return Check("sync", "ok", found)


def of_descriptors(soft: int, hard: int) -> Check:
    """Judge `ulimit -n`; -1 is no limit. `dev` and `serve` raise the soft limit to the hard one."""
    shown = "no limit" if hard < 0 else f"{hard:,} (ulimit -Hn)"
    found = shown if soft == hard else f"{shown}; serve raises {soft:,} to it"
    if 0 <= hard < DESCRIPTORS_WISHED:
        stores = max(1, hard * 3 // 4 // limits.DESCRIPTORS_PER_STORE)
        return Check(
            "open files",
            "fail" if hard < DESCRIPTORS_MIN else "warn",
            found,
            f"an open database takes {limits.DESCRIPTORS_PER_STORE}, a connection one: this is room for "
            f"{stores:,} open databases. Raise it: LimitNOFILE=65536 in a systemd unit, --ulimit nofile=65536 with "
            "docker, `nofile` in /etc/security/limits.conf",
        )
    return Check("open files", "ok", found)


def of_space(free_bytes: int, free_inodes: int) -> Check:
    """Judge what is free on the disk; -1 inodes: the file system does not count them."""
    found = f"{free_bytes / limits.GIB:.1f} GiB free"
    if 0 <= free_inodes < INODES_LOW:
        return Check(
            "space",
            "warn",
            f"{found}, and names for {free_inodes:,} more files",
            "each object that stores something is a file: make room, or use another file system",
        )
    if free_bytes < SPACE_LOW_BYTES:
        return Check(
            "space",
            "fail" if free_bytes < SPACE_MIN_BYTES else "warn",
            found,
            f"the journal alone takes up to {limits.JOURNAL_BUDGET_BYTES // limits.MIB} MiB: make room",
        )
    return Check("space", "ok", found)


def of_clock(synchronised: bool | None, ahead_s: float) -> Check:
    """Judge the clock; *ahead_s* is how far the newest file of the data folder lies in the future."""
    if ahead_s > CLOCK_STEP_S:
        return Check(
            "clock",
            "warn",
            f"the data folder was written {ahead_s:,.0f} s in the future: the clock was set back",
            "set it right, and let a time service keep it (systemd-timesyncd, chrony)",
        )
    if synchronised is False:
        return Check(
            "clock",
            "warn",
            "not synchronised with other machines",
            "let a time service keep it (systemd-timesyncd, chrony), if times matter to the application",
        )
    return Check("clock", "ok", "synchronised" if synchronised else "no step backwards")


def of_mode(mode: int) -> Check:
    """Judge who may enter the data folder."""
    shown = f"mode {mode & 0o777:04o}"
    if mode & 0o077:
        return Check(
            "access", "warn", f"{shown}: other users may look into it", "chmod go= on the data folder"
        )
    return Check("access", "ok", f"{shown}: its owner alone")


def of_python(version: tuple[int, int, int]) -> Check:
    """Judge the interpreter."""
    shown = ".".join(map(str, version))
    if version[:2] == PYTHON_TESTED:
        return Check("python", "ok", shown)
    tested = ".".join(map(str, PYTHON_TESTED))
    return Check("python", "warn", shown, f"Perdure is tested on {tested}")


def of_event_loop(uvloop: str | None) -> Check:
    """Judge which event loop runs."""
    if uvloop is None:
        return Check("event loop", "warn", "asyncio's own", "`pip install uvloop` makes every request faster")
    return Check("event loop", "ok", f"uvloop {uvloop}")


def mount_kind(mounts: str, device: tuple[int, int], path: str) -> str:
    """Return the file system's kind from /proc/self/mountinfo: by device, else by the longest mount point."""
    found: list[tuple[bool, int, str]] = []
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = fields[4].encode().decode("unicode_escape", "replace")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        same = fields[2] == f"{device[0]}:{device[1]}"
        if inside or same:
            found.append((same, len(point) if inside else 0, right.split()[0]))
    return max(found)[2] if found else "unknown"


def as_json(checks: list[Check]) -> dict[str, object]:
    """Return the report as JSON data."""
    return {
        "ok": all(check.verdict != "fail" for check in checks),
        "checks": [
            {"name": check.name, "verdict": check.verdict, "found": check.found}
            | ({"advice": check.advice} if check.advice else {})
            for check in checks
        ],
    }
