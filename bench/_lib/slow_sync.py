"""Makes each sync of a server take longer, alike for both, and counts them; the work of `slow_sync.c`."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from _lib.servers import Server
from _lib.tools import say

SOURCE = Path(__file__).with_suffix(".c")


def compiled(folder: Path) -> Path | None:
    """Return the library, made in *folder*; None where there is no C compiler that can."""
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "slow_sync.so"
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    made = subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        say(made.stderr)
        return None
    return library


class SlowSync:
    """Slows the syncs of *server*, which has not started, by *longer_us*."""

    def __init__(self, server: Server, library: Path, longer_us: int) -> None:
        self._file = server.folder / "syncs"
        self._file.write_bytes(bytes(8))
        server.environment |= {
            "LD_PRELOAD": str(library),
            "SLOW_SYNC_US": str(longer_us),
            "SLOW_SYNC_COUNT": str(self._file),
        }

    @property
    def count(self) -> int:
        """How many there were."""
        return struct.unpack("=Q", self._file.read_bytes())[0]
