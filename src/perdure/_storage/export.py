"""Export: one object's last durable commit as a file. (edge)"""

# Paths are plain strings in this layer.
# ruff: noqa: PTH116

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from perdure._storage.files import is_inside
from perdure._storage.snapshot import hold, in_thread
from perdure.errors import StorageError

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine


_ASIDE: Final = re.compile(r"exported-[0-9a-f]{16}\.sqlite")
_ASIDE_S_MAX: Final = 60.0
"""Whoever asked for a copy aside has opened it by then."""


async def export_store(engine: StorageEngine, key: bytes, target_path: str) -> int:
    """
    Write the object's database to *target_path*, which is replaced as a whole or not at all; returns its size in bytes.

    The file needs nothing beside it: every SQLite program opens it. Keys and values are in its table `_cf_KV`.
    The object goes on meanwhile; what it commits from now on is not in the file.

    Raises:
        StorageError: there is no such object, or the file would stand in the data folder.
        OSError: the file cannot be written.
    """
    if is_inside(target_path, engine.layout.root):
        raise StorageError(f"{target_path} is inside the data folder: choose another place for the file.")
    disk = engine.disk
    new = f"{target_path}.new"

    def replace() -> int:
        try:
            size_bytes = snapshot.copy(new, plain=True)
            disk.rename(new, target_path)
        except BaseException:
            disk.unlink(new)
            raise
        disk.sync_folder(target_path.rpartition("/")[0] or ("/" if target_path[:1] == "/" else "."))
        return size_bytes

    async with hold(engine, key) as snapshot:
        return await in_thread(replace)


async def export_aside(engine: StorageEngine, key: bytes) -> str:
    """
    Write the same to a new file in the data folder, not synced; returns its path. The caller removes it.

    There whoever may ask for it may read it, and the server may write it, whatever folders each of them sees.
    """
    await in_thread(lambda: remove_left(engine))
    path = engine.layout.exported(secrets.token_hex(8))
    async with hold(engine, key) as snapshot:
        try:
            await in_thread(lambda: snapshot.copy(path, plain=True, synced=False))
        except BaseException:
            engine.disk.unlink(path)
            raise
    return path


def remove_left(engine: StorageEngine) -> None:
    """Remove the copies aside of commands that were killed before they could."""
    root = engine.layout.root
    for name in engine.disk.list(root):
        if _ASIDE.fullmatch(name):
            with suppress(FileNotFoundError):  # its command has just removed it
                if time.time() - os.stat(f"{root}/{name}").st_mtime > _ASIDE_S_MAX:
                    engine.disk.unlink(f"{root}/{name}")
