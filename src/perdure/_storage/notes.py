"""What logs that are gone told of objects, in a file until the catalog has it. (cooperative)

The file is one batch in the journal's form, of records without frames, in the order of the log. Telling the
same again, with all that came after it, changes nothing (`catalog`), so a crash at any moment may repeat it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from perdure._base.disk import Disk
from perdure._storage.journal.record import (
    BatchWriter,
    DamagedBatchError,
    Fields,
    Header,
    is_intact,
    read_header,
    read_records,
)
from perdure._storage.layout import Layout
from perdure.errors import DataFolderError

Note: TypeAlias = tuple[bytes, Fields]
"""Key of a store, and what it told. The key of a namespace, `<folder>/`, erased: every object in it is gone."""

_HEADER = Header(epoch=0, segment=0, position=0, sequence=1, first=1, durable=0)


def read_notes(disk: Disk, layout: Layout) -> list[Note]:
    """Read the file; an empty list when there is none."""
    data = disk.read(layout.notes)
    if data is None:
        return []
    header = read_header(data)
    try:
        if header is not None and is_intact(header, batch := memoryview(data)[: header.size_bytes]):
            return [(record.key, record.fields) for record in read_records(header, batch) if record.fields]
    except DamagedBatchError:
        pass
    raise DataFolderError(
        f"{layout.notes} is damaged: it says which objects there are. Restore the whole data folder from a backup."
    )


def add_notes(disk: Disk, layout: Layout, notes: Iterable[Note]) -> None:
    """Add to the file, durably: after a crash it is the old one or the new one."""
    writer = BatchWriter()
    for key, fields in (*read_notes(disk, layout), *notes):
        writer.add(key, 0, [], fields=fields)
    disk.replace(layout.notes, b"".join(writer.seal(_HEADER)))
