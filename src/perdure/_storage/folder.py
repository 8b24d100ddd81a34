"""The data folder: taken by one runtime at a time, of a known format, with what to remember of it. (edge)"""

# Paths are plain strings in this layer.
# ruff: noqa: PTH100, PTH116

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from perdure._base.disk import Disk
from perdure._storage.files import RealDisk
from perdure._storage.fill_catalog import fill_catalog
from perdure._storage.layout import Layout
from perdure.errors import DataFolderError, DataFolderInUse

VERSION: Final = 2
"""Format of everything in the folder; a change that an older Perdure would misread counts it up."""

Step = Callable[[Disk, Layout], None]
STEPS: Final[Mapping[int, Step]] = {1: fill_catalog}
"""
How to get from a version to the next. A step may be cut short by a crash and is then run again from its
start.
"""

_HOLDER_BYTES: Final = 40  # of the file LOCK: who has the folder
_FORMAT: Final = re.compile(rb"perdure data (\d+)\n")


def is_unused(disk: Disk, layout: Layout, unique_key: str) -> bool:
    """Tell whether the namespace never had an object that used its storage."""
    return not disk.list(layout.namespace(unique_key))


class DataFolder:
    """
    A data folder that is ours until `close`.

    The lock is a POSIX record lock: the kernel drops it when the process dies, however it dies, and a forked
    child does not inherit it. It also drops it when the process closes *any* descriptor of the file, so
    `LOCK` is opened only here, and what else this process holds is looked up in `_held`, without opening it.

    Attributes:
        epoch: a random number of this opening, for the journal.
    """

    _held: dict[tuple[int, int], str] = {}

    def __init__(self, path: str, disk: Disk, lock: int, identity: tuple[int, int]) -> None:
        self.path = path
        self.disk = disk
        self.layout = Layout(path)
        self.epoch = int.from_bytes(os.urandom(8), "big")
        self._lock: int | None = lock
        self._identity = identity

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        disk: Disk | None = None,
        *,
        role: str = "",
        version: int = VERSION,
        steps: Mapping[int, Step] = STEPS,
    ) -> DataFolder:
        """
        Take the data folder at *path*, making it when there is none.

        What *role* says (see `DataFolderInUse`) is told to others who want the folder meanwhile.

        Raises:
            DataFolderInUse: another runtime has it, in this process or in another one.
            DataFolderError: its format is newer, it is damaged, or it cannot be read or written.
        """
        disk = disk or RealDisk()
        root = os.path.abspath(os.fspath(path))
        try:
            disk.make_folder(root)
            stat = os.stat(root)
            identity = (stat.st_dev, stat.st_ino)
            folder = cls(root, disk, cls._take(root, identity, role), identity)
        except OSError as error:
            raise DataFolderError(f"data folder {root}: {error.strerror}. Choose another one.") from error
        try:
            folder._prepare(version, steps)
        except OSError as error:
            folder.close()
            raise DataFolderError(
                f"data folder {root}: {error.filename or root}: {error.strerror}"
            ) from error
        except BaseException:
            folder.close()
            raise
        return folder

    @property
    def record(self) -> bytes | None:
        """What the folder remembers of its classes, None when it is new; whoever saved it knows its form."""
        record = self.disk.read(self.layout.classes)
        if record is None and self.disk.list(self.layout.objects):
            raise DataFolderError(
                f"{self.layout.classes} is missing, and there are objects. Their ids are derived from the unique "
                "keys in it. Restore it from a backup of the data folder."
            )
        return record

    def save_record(self, record: bytes) -> None:
        """Write the record: durable when this returns; after a crash it is the old one or the new one."""
        self.disk.replace(self.layout.classes, record)

    def close(self) -> None:
        """Give the folder back; calling it again does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            self._held.pop(self._identity, None)

    # --- the lock ---------------------------------------------------------------------------------------

    @classmethod
    def _take(cls, root: str, identity: tuple[int, int], role: str) -> int:
        if identity in cls._held:
            raise DataFolderInUse(
                f"data folder {root} is in use by another runtime in this process (pid {os.getpid()}). "
                "One runtime owns a data folder: share that one, or give each its own folder.",
                os.getpid(),
            )
        fd = os.open(Layout(root).lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder, _, other_role = (
                os.pread(fd, _HOLDER_BYTES, 0).decode("ascii", "replace").strip().partition(" ")
            )
            os.close(fd)
            if not isinstance(error, BlockingIOError | PermissionError):
                raise
            raise DataFolderInUse(
                f"data folder {root} is in use by process {holder or 'unknown'}. One process owns a data "
                "folder: stop that one, or give this one its own folder. Several workers of one server "
                "cannot share one either: run a single worker.",
                int(holder) if holder.isdigit() else None,
                other_role,
            ) from None
        # Whoever looks just now reads one holder or the other, and never half of one.
        os.pwrite(fd, f"{os.getpid()} {role}".strip().encode().ljust(_HOLDER_BYTES) + b"\n", 0)
        cls._held[identity] = root
        return fd

    # --- the format -------------------------------------------------------------------------------------

    def _prepare(self, version: int, steps: Mapping[int, Step]) -> None:
        text = self.disk.read(self.layout.format)
        if text is None:
            self._begin(version)
        else:
            self._migrate(text, version, steps)
        self.disk.make_folder(self.layout.journal)
        self.disk.make_folder(self.layout.objects)
        self.disk.unlink(self.layout.scratch)  # left by a look at databases that was cut short
        if self.disk.size(self.layout.backup) is not None:
            # From here on it has a life of its own, which the next backup must not build on.
            self.disk.unlink(self.layout.backup)
            self.disk.sync_folder(self.path)

    def _begin(self, version: int) -> None:
        """Make a new folder. `FORMAT` is written last: without it nothing else was begun."""
        for path in (self.layout.objects, self.layout.journal):
            if self.disk.list(path):
                raise DataFolderError(
                    f"data folder {self.path} has data in {path} but no FORMAT file: a part of it was taken "
                    "away. Restore the whole folder from a backup, or choose another one."
                )
        self._write_format(version)

    def _migrate(self, text: bytes, version: int, steps: Mapping[int, Step]) -> None:
        match = _FORMAT.fullmatch(text)
        if match is None:
            raise DataFolderError(
                f"{self.layout.format} is damaged: expected 'perdure data {version}', found {text[:40]!r}. "
                "Restore it from a backup."
            )
        found = int(match[1])
        if found > version:
            raise DataFolderError(
                f"data folder {self.path} has format {found}; this version of Perdure reads formats up to "
                f"{version}. Upgrade Perdure, or choose another data folder."
            )
        for step in range(found, version):
            steps[step](self.disk, self.layout)
            self._write_format(step + 1)

    def _write_format(self, version: int) -> None:
        self.disk.replace(self.layout.format, b"perdure data %d\n" % version)
