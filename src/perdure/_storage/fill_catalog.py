"""From format 1 to 2: find out which objects there are, once, from their files. (edge)

Names that no record of the journal tells are learnt when an object is next used by name.
"""

# Paths are plain strings in this layer.
# ruff: noqa: PTH116

from __future__ import annotations

import os
from collections.abc import Iterator

from perdure._base.disk import Disk
from perdure._base.limits import PAGE_BYTES
from perdure._storage.journal.record import Fields
from perdure._storage.journal.recovery import recover
from perdure._storage.layout import Layout, is_provisional
from perdure._storage.notes import Note, add_notes, read_notes

_CELLS_AT = 103
"""Where page 1, behind SQLite's header, counts the entries of the schema: two bytes."""


def fill_catalog(disk: Disk, layout: Layout) -> None:
    """Note every object for the catalog. Interrupted anywhere, it may be run again."""
    recover(disk, layout)
    told = read_notes(disk, layout)  # the names that the journal knew
    add_notes(disk, layout, [*_objects(disk, layout), *told])


def _objects(disk: Disk, layout: Layout) -> Iterator[Note]:
    for namespace in disk.list(layout.objects):
        for start in disk.list(f"{layout.objects}/{namespace}"):
            for name in disk.list(f"{layout.objects}/{namespace}/{start}"):
                if not name.endswith(".sqlite"):
                    continue
                key = f"{namespace}/{name.removesuffix('.sqlite')}".encode()
                path = layout.store(key)
                stat = os.stat(path)
                if is_provisional(stat.st_mode & 0o777, stat.st_size) or _is_empty(disk, path, stat.st_size):
                    continue
                yield key, Fields(used_s=stat.st_mtime)


def _is_empty(disk: Disk, path: str, size_bytes: int) -> bool:
    if size_bytes > PAGE_BYTES:
        return False
    page = disk.read(path) or b""
    return page[_CELLS_AT : _CELLS_AT + 2] in (b"", b"\0\0")
