"""What a start must do with the log that a crash left behind, as a plan; then do it. (cooperative)

Called once, under the folder's lock, before anything is opened. Interrupted anywhere, it starts over and
comes to the same end: first everything is read and judged, and nothing is touched if the log is damaged; then
the log is synced, as what a killed process wrote may be in the system's memory alone; then each store gets the
newest form of each page in it, is cut to the size of its last whole commit, and synced; then the folders; and
only when all that is durable the segments go, oldest first, each durably gone before the next.

A store that has no record here is not looked at: its file is what its last checkpoint synced, or it confirmed
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from perdure._base.disk import Buffer, Disk
from perdure._base.limits import FRAME_HEADER_BYTES, PAGE_BYTES
from perdure._storage.journal.record import (
    ALIGN_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    DamagedBatchError,
    Header,
    Record,
    aligned,
    is_intact,
    judge,
    page_numbers,
    read_header,
    read_records,
)
from perdure._storage.layout import SYNCED_MODE, Layout, scratch_of, segment_number
from perdure._storage.notes import Note, add_notes
from perdure.errors import DataFolderError

_SCAN_BYTES: Final = 1024 * 1024
_PAGES_AT_A_TIME: Final = 1024  # of one store, in memory and in one write
_SEGMENT_SHIFT: Final = 32  # a place in the log is one number: segment << 32 | offset
_NO_FRAMES: Final = memoryview(b"")


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What recovery found and did."""

    stores: int = 0
    commits: int = 0
    bytes: int = 0
    """Size of the batches that counted."""
    torn: bool = False
    """The last batch, or more, was not whole: never confirmed, dropped."""
    seconds: float = 0.0


class _Batch(NamedTuple):
    """An intact batch, and what is in it but the pages themselves."""

    header: Header
    records: Sequence[tuple[Record, Sequence[int]]]
    """Each without its frames, and the numbers of the pages that these hold."""
    error: DamagedBatchError | None = None
    """Its inside makes no sense, which matters only if it counts."""


@dataclass(slots=True)
class _Plan:
    """What to write into one store."""

    pages: dict[int, int] = field(default_factory=dict)
    """Page number to the place of its newest form."""
    size_pages: int = 0
    commits: int = 0
    begun: dict[int, int] = field(default_factory=dict)
    """Pages of a commit whose last piece was not seen yet."""
    begun_number: int = 0
    pieces: int = 0
    replaced: str | None = None
    """Token of the file that these pages go into; None: it is the one that is there."""
    is_erased: bool = False
    """The last whole commit left nothing of the object."""


def recover(
    disk: Disk, layout: Layout, on_begin: Callable[[int, int], None] = lambda stores, size_bytes: None
) -> RecoveryReport:
    """
    Bring every store to its last whole commit in the log and remove the log.

    Args:
        on_begin: called when the log has been read and found sound: how many stores will be written, and the
            size of the log.

    Raises:
        DataFolderError: a part of the log that was durable cannot be read; nothing was touched.
    """
    began = time.monotonic()
    numbers = sorted(
        number for name in disk.list(layout.journal) if (number := segment_number(name)) is not None
    )
    if not numbers:
        return RecoveryReport()
    fds: dict[int, int] = {}
    try:
        for number in numbers:
            fds[number] = disk.open(layout.segment(number))
        batches, torn = _read_log(disk, layout, fds)
        plans, notes = _plan(layout, batches)
        _check(disk, layout, plans)
        size_bytes = sum(batch.header.size_bytes for batch in batches)
        on_begin(len(plans), size_bytes)
        _keep(disk, layout, fds.values())
        _apply(disk, layout, fds, plans)
        if notes:
            add_notes(disk, layout, notes)
    finally:
        for fd in fds.values():
            disk.close(fd)
    _remove(disk, layout, numbers, batches)
    return RecoveryReport(
        stores=len(plans),
        commits=sum(plan.commits for plan in plans.values()),
        bytes=size_bytes,
        torn=torn,
        seconds=time.monotonic() - began,
    )


def check_log(disk: Disk, layout: Layout) -> None:
    """
    Look whether the log that is there can be read, and touch nothing.

    Raises:
        DataFolderError: a part of it that was durable cannot be read.
    """
    numbers = [number for name in disk.list(layout.journal) if (number := segment_number(name)) is not None]
    fds: dict[int, int] = {}
    try:
        for number in sorted(numbers):
            fds[number] = disk.open(layout.segment(number))
        if fds:
            _read_log(disk, layout, fds)
    finally:
        for fd in fds.values():
            disk.close(fd)


# --- reading -------------------------------------------------------------------------------------------


def _read_log(disk: Disk, layout: Layout, fds: dict[int, int]) -> tuple[Sequence[_Batch], bool]:
    """Give the batches that count, in order, and whether a torn tail follows them."""
    found: dict[int, list[_Batch]] = {}

    def read(number: int) -> None:
        found[number] = list(_intact_batches(disk, fds[number], number))

    disk.for_each(read, list(fds))
    batches = [batch for number in fds for batch in found[number]]
    verdict = judge(list(fds), [batch.header for batch in batches])
    if verdict.damage is not None:
        segment, position = verdict.damage
        raise _damaged(layout, segment, position, verdict.reason)
    kept = batches[: verdict.kept]
    if verdict.torn:
        return kept, True
    # Nothing behind the end is intact. Something that claims to be of this log there was being written.
    segment, position = next(iter(fds)), 0
    if kept:
        last = kept[-1].header
        segment, position = last.segment, last.position + aligned(last.size_bytes)
    remains = read_header(disk.pread(fds[segment], HEADER_BYTES, position))
    return kept, remains is not None and (remains.segment, remains.position) == (segment, position)


def _intact_batches(disk: Disk, fd: int, number: int) -> Iterator[_Batch]:
    """
    Find every intact batch of this segment, also behind ones that are not.

    Those behind decide whether one that cannot be read was durable once.
    """
    position = 0
    while (found := _find(disk, fd, number, position)) is not None:
        position, header = found
        batch = disk.pread(fd, header.size_bytes, position)
        if is_intact(header, batch):
            if header.version != VERSION:
                raise DataFolderError(
                    f"segment {number} of the journal has format version {header.version}; this version of "
                    f"Perdure reads version {VERSION}. Start the newer version that wrote it once more."
                )
            yield _open_batch(header, batch)
            position += aligned(header.size_bytes)
        else:
            position += ALIGN_BYTES


def _open_batch(header: Header, data: bytes) -> _Batch:
    """Keep what a plan needs; the bytes themselves are read again when they are written."""
    try:
        return _Batch(
            header,
            [
                (record._replace(frames=_NO_FRAMES), list(page_numbers(record.frames)))
                for record in read_records(header, data)
            ],
        )
    except DamagedBatchError as error:
        return _Batch(header, (), error)


def _find(disk: Disk, fd: int, number: int, position: int) -> tuple[int, Header] | None:
    """Find the next header, at *position* or behind it, that says it stands where it does."""
    # Nearly always it is right here; the wide look is for what lies behind the end.
    size_bytes = ALIGN_BYTES
    while chunk := disk.pread(fd, size_bytes, position):
        at = -1
        while (at := chunk.find(MAGIC, at + 1)) >= 0:
            if at % ALIGN_BYTES:
                continue
            header = read_header(chunk, at)
            if header is not None and (header.segment, header.position) == (number, position + at):
                return position + at, header
        position += len(chunk)
        size_bytes = _SCAN_BYTES
    return None


def _plan(layout: Layout, batches: Sequence[_Batch]) -> tuple[dict[bytes, _Plan], list[Note]]:
    """Find, for each store, where the newest form of each of its pages is; and what commits told the catalog."""
    plans: dict[bytes, _Plan] = {}
    notes: list[Note] = []
    for batch in batches:
        header = batch.header
        try:
            if batch.error is not None:
                raise batch.error
            for record, pages in batch.records:
                plan = plans.get(record.key)
                if plan is None:
                    plan = plans[record.key] = _Plan()
                _take(plan, header, record, pages)
                if record.fields is not None and not record.more:
                    notes.append((record.key, record.fields))
        except DamagedBatchError as error:
            raise _damaged(layout, header.segment, header.position, str(error)) from error
    # A store of which only a commit without its end is here: all it confirmed is in its own file.
    return {key: plan for key, plan in plans.items() if plan.size_pages or plan.replaced}, notes


def _take(plan: _Plan, header: Header, record: Record, pages: Sequence[int]) -> None:
    if record.piece == 0:
        plan.begun = {}
        plan.begun_number = record.number
        plan.pieces = 0
    elif not plan.pieces:
        # The pieces before this one stood in segments that are gone, so a checkpoint covers this commit: what
        # is not here is in the store's file.
        plan.begun_number = record.number
        plan.pieces = record.piece
    elif (record.number, record.piece) != (plan.begun_number, plan.pieces):
        raise DamagedBatchError(
            f"piece {record.piece} of commit {record.number} follows piece {plan.pieces - 1} of commit "
            f"{plan.begun_number} of {record.key!r}"
        )
    plan.pieces += 1
    first = (header.segment << _SEGMENT_SHIFT) + header.position + record.offset + FRAME_HEADER_BYTES
    plan.begun.update(zip(pages, range(first, first + len(pages) * FRAME_BYTES, FRAME_BYTES), strict=True))
    if record.more:
        return
    plan.pages.update(plan.begun)
    plan.begun = {}
    plan.commits += 1
    if record.fields is not None and record.fields.replaced is not None:
        plan.pages = {}
        plan.size_pages = 0
        plan.replaced = record.fields.replaced
        plan.is_erased = False
    if record.pages:
        plan.size_pages = record.pages
        plan.is_erased = record.fields is not None and record.fields.erased


def _check(disk: Disk, layout: Layout, plans: dict[bytes, _Plan]) -> None:
    """
    A store's every page is in the log unless its file was synced once: without both, something was taken
    away.
    """
    for key, plan in plans.items():
        try:
            path = layout.store(key)
        except ValueError as error:
            raise DataFolderError(f"{layout.journal}: {error}") from error
        if plan.replaced is not None and disk.size(new := layout.replacement(key, plan.replaced)) is not None:
            path = new
        # The first commit of a store writes its page 1, so this one had a checkpoint.
        if 1 not in plan.pages and (disk.size(path) or 0) < PAGE_BYTES:
            raise DataFolderError(
                f"{path} is missing or cut short: the journal holds {plan.commits:,} later commits of this "
                "object, but not what they build on. Restore the whole data folder from a backup."
            )


def _damaged(layout: Layout, segment: int, position: int, reason: str) -> DataFolderError:
    return DataFolderError(
        f"{layout.segment(segment)} is damaged at byte {position:,}: {reason}. To start would be to lose "
        "confirmed writes, so nothing was touched. Restore the whole data folder from a backup."
    )


# --- writing -------------------------------------------------------------------------------------------


def _keep(disk: Disk, layout: Layout, fds: Iterable[int]) -> None:
    """
    Make the log itself durable: the process that wrote it may have been killed before it was.

    Else the power may go while stores are written from it, and take the log along when they have half of a commit.
    """
    disk.for_each(disk.datasync, list(fds))
    disk.sync_folder(layout.journal)


def _apply(disk: Disk, layout: Layout, fds: dict[int, int], plans: dict[bytes, _Plan]) -> None:
    keys = sorted(plans)
    folders = sorted({folder for key in keys for folder in layout.store_folders(key)}, reverse=True)
    for folder in folders:
        disk.make_folder(folder)

    def written() -> Iterator[tuple[str, int]]:
        for key in keys:
            path = layout.store(key)
            replaced = plans[key].replaced
            if replaced is not None and disk.size(new := layout.replacement(key, replaced)) is not None:
                disk.rename(new, path)
            if plans[key].is_erased:
                for gone in (*scratch_of(path), path):
                    disk.unlink(gone)
                continue
            fd = disk.open(path, create=True, mode=SYNCED_MODE)
            try:
                _write_store(disk, fd, fds, plans[key])
            except BaseException:
                disk.close(fd)
                raise
            yield path, fd

    def settle(store: tuple[str, int]) -> None:
        path, fd = store
        try:
            for scratch in scratch_of(path):
                disk.unlink(scratch)
            disk.fsync(fd)
        finally:
            disk.close(fd)

    # One thread writes and the others wait for the disk: shared among threads, writing took twice the processor time.
    disk.for_each(settle, written())
    disk.for_each(disk.sync_folder, folders)


def _remove(disk: Disk, layout: Layout, numbers: Sequence[int], batches: Sequence[_Batch]) -> None:
    """
    Remove the segments; an interruption between two of them leaves a log that recovers to the same.

    Those behind the end go first, newest first: in them may stand intact batches that do not count because
    one before them was torn, and without the torn one they would look like a log. Then the others, oldest
    first: what is left is always the end of the log.
    """
    end = batches[-1].header.segment if batches else 0
    behind = [number for number in reversed(numbers) if number > end]
    for number in [*behind, *(number for number in numbers if number <= end)]:
        disk.unlink(layout.segment(number))
        disk.sync_folder(layout.journal)


def _write_store(disk: Disk, fd: int, fds: dict[int, int], plan: _Plan) -> None:
    disk.chmod(fd, SYNCED_MODE)
    if not plan.size_pages:
        return  # a file that was replaced, and not written since
    disk.truncate(fd, plan.size_pages * PAGE_BYTES)
    places = plan.pages
    numbers = sorted(page for page in places if page <= plan.size_pages)
    for start in range(0, len(numbers), _PAGES_AT_A_TIME):
        chunk = numbers[start : start + _PAGES_AT_A_TIME]
        pages: list[Buffer] = []
        first = chunk[0]
        for begin, count in _runs(chunk, places):
            if begin != first + len(pages):
                disk.pwrite(fd, pages, (first - 1) * PAGE_BYTES)
                pages = []
                first = begin
            place = places[begin]
            frames = memoryview(
                disk.pread(
                    fds[place >> _SEGMENT_SHIFT],
                    count * FRAME_BYTES - FRAME_HEADER_BYTES,
                    place & ((1 << _SEGMENT_SHIFT) - 1),
                )
            )
            pages += [frames[at : at + PAGE_BYTES] for at in range(0, len(frames), FRAME_BYTES)]
        disk.pwrite(fd, pages, (first - 1) * PAGE_BYTES)


def _runs(numbers: Sequence[int], places: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Give the first number, and the count, of pages that follow one another in the store and in the log."""
    begin, count, place = numbers[0], 0, places[numbers[0]]
    for number in numbers:
        if number == begin + count and places[number] == place + count * FRAME_BYTES:
            count += 1
        else:
            yield begin, count
            begin, count, place = number, 1, places[number]
    yield begin, count
