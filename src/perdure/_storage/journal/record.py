"""Commits to bytes and back: the journal's format, and what makes a batch valid. (pure)

    segment  = batches, each at a multiple of 512 bytes, from offset 0; behind the last one no valid batch
    batch    = header, records, zeros up to the next multiple of 512
    header   = "PRDJ", crc32 of all that follows but the zeros, version, 0, size in bytes (with the
               header, without the zeros), count of records, epoch, segment, position, sequence, first,
               durable
    record   = size of the key, flags, count of fields, piece, number of the commit, size of the database
               after it in pages, count of frames, key, fields, frames
    field    = type, size of the value, value
    frame    = as in SQLite's WAL: a header of 24 bytes that starts with the page number, and the page

Numbers are big-endian. A batch is valid when its checksum is right and it stands where it says it does: the
segment has the same number and the batch that position in it. So neither a batch that was there before the
segment was reused, nor one that sits inside a user's data, is ever taken for one of the log. `epoch` is a
random number of the run that wrote it; `sequence` counts a run's batches from 1 without gaps, across
segments; `first` is the sequence of the first batch in this segment; `durable` is the last sequence known to
be synced when this one was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import Enum, IntEnum
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

from perdure._base.disk import Buffer
from perdure._base.limits import FRAME_HEADER_BYTES, PAGE_BYTES

VERSION: Final = 1
MAGIC: Final = b"PRDJ"
ALIGN_BYTES: Final = (
    512  # a batch never shares a disk sector with an older one, which a torn write could take along
)
FRAME_BYTES: Final = FRAME_HEADER_BYTES + PAGE_BYTES

_HEADER: Final = struct.Struct(">4sIHHIIQQQQQQ")
_CHECKED_FROM: Final = 8
_REST: Final = struct.Struct(">HHIIQQQQQQ")  # the header behind its checksum
_RECORD: Final = struct.Struct(">HBBIQII")
_FIELD: Final = struct.Struct(">BI")
_PAGES: Final = struct.Struct(">I")
_ALARM: Final = struct.Struct(">q")
_TIME: Final = struct.Struct(">d")

HEADER_BYTES: Final = _HEADER.size
RECORD_HEAD_BYTES_MAX: Final = 6 * 1024  # a record without its frames: head, key, object name, alarm
NAME_CHARS_MAX: Final = 1024

# Flags of a record.
_WHOLE: Final = 1
_MORE: Final = 2


class _Kind(IntEnum):
    """Types of fields. A reader passes over those it does not know."""

    NAME = 1
    ALARM_SET = 2
    ALARM_CLEARED = 3
    USED = 4
    ERASED = 5
    REPLACED = 6


class Unchanged(Enum):
    """Says that a commit leaves the alarm as it was."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED

AlarmChange: TypeAlias = int | Unchanged | None
"""Due time in epoch milliseconds, None for cleared, or UNCHANGED."""


class Fields(NamedTuple):
    """
    What a commit tells of its object beside its pages. Few commits tell anything.

    In a record each is a typed field of its own. They ride on the last piece of a commit: with it they count.
    """

    name: str | None = None
    used_s: float | None = None
    """The object is there: the time, in seconds since the epoch, of a commit that says so."""
    erased: bool = False
    """The object has nothing any more; what it is told from the next commit on is of a new life."""
    alarm_ms: AlarmChange = UNCHANGED
    replaced: str | None = None
    """The store's file is another one from here on (`Layout.replacement` of this token); what was before counts no more."""


class Header(NamedTuple):
    """What stands in front of a batch."""

    epoch: int
    segment: int
    position: int
    sequence: int
    first: int
    durable: int
    size_bytes: int = 0
    records: int = 0
    crc: int = 0
    version: int = VERSION


class Record(NamedTuple):
    """One commit of one store, or one piece of a large one."""

    key: bytes
    number: int
    piece: int
    """
    Counts the pieces of one commit from 0; a piece 0 ends what an unfinished commit before it had begun.
    """
    more: bool
    """Further pieces follow: without the last one the whole commit counts for nothing."""
    whole: bool
    """These frames stand for all of this store's earlier records."""
    pages: int
    """
    Size of the database after this commit, in pages; 0 when it changes none, or when more pieces follow.
    """
    fields: Fields | None
    frames: memoryview
    offset: int
    """Where the frames begin, in bytes from the start of the batch."""


class DamagedBatchError(ValueError):
    """A batch with a right checksum whose inside makes no sense: a mistake of the writer, not of the disk."""


def aligned(size_bytes: int) -> int:
    """Round up to where the next batch may start."""
    return (size_bytes + ALIGN_BYTES - 1) & -ALIGN_BYTES


def record_size(key: bytes, fields: Fields | None, frames_bytes: int) -> int:
    """Tell how many bytes a record takes at most."""
    size = _RECORD.size + len(key) + frames_bytes
    return size if fields is None else size + len(_pack(fields)[1])


def _pack(fields: Fields) -> tuple[int, bytes]:
    """Return how many fields these are, and their bytes."""
    packed: list[tuple[int, bytes]] = []
    if fields.erased:
        packed.append((_Kind.ERASED, b""))
    if fields.replaced is not None:
        packed.append((_Kind.REPLACED, fields.replaced.encode("ascii")))
    if fields.name is not None:
        packed.append((_Kind.NAME, fields.name.encode("utf-8", "surrogatepass")))
    if fields.used_s is not None:
        packed.append((_Kind.USED, _TIME.pack(fields.used_s)))
    if fields.alarm_ms is None:
        packed.append((_Kind.ALARM_CLEARED, b""))
    elif fields.alarm_ms is not UNCHANGED:
        packed.append((_Kind.ALARM_SET, _ALARM.pack(fields.alarm_ms)))
    return len(packed), b"".join(_FIELD.pack(kind, len(value)) + value for kind, value in packed)


def _unpack(kind: int, value: memoryview) -> dict[str, object]:
    """Return the field of this type as an argument of `Fields`; nothing for a type that is not known."""
    match kind:
        case _Kind.NAME:
            return {"name": str(value, "utf-8", "surrogatepass")}
        case _Kind.USED:
            return {"used_s": _TIME.unpack(value)[0]}
        case _Kind.ERASED:
            return {"erased": True}
        case _Kind.REPLACED:
            return {"replaced": str(value, "ascii")}
        case _Kind.ALARM_SET:
            return {"alarm_ms": _ALARM.unpack(value)[0]}
        case _Kind.ALARM_CLEARED:
            return {"alarm_ms": None}
    return {}


class BatchWriter:
    """Gathers records and makes one batch of them."""

    __slots__ = ("_parts", "count", "size_bytes")

    def __init__(self) -> None:
        self._parts: list[Buffer] = []
        self.count = 0
        self.size_bytes = HEADER_BYTES

    def add(
        self,
        key: bytes,
        number: int,
        frames: Sequence[Buffer],
        *,
        piece: int = 0,
        more: bool = False,
        whole: bool = False,
        fields: Fields | None = None,
    ) -> None:
        """Add a record. Each buffer holds whole frames; their bytes are copied by `seal`, not here."""
        count, packed = (0, b"") if fields is None else _pack(fields)
        size = sum(map(len, frames))
        assert size % FRAME_BYTES == 0, f"{size} bytes are not a whole number of WAL frames"
        pages = 0
        if size and not more:
            last = frames[-1]
            (pages,) = _PAGES.unpack_from(last, len(last) - FRAME_BYTES + 4)
            assert pages, f"commit {number} of {key!r}: its last frame carries no commit mark"
        flags = (_WHOLE if whole else 0) | (_MORE if more else 0)
        head = _RECORD.pack(len(key), flags, count, piece, number, pages, size // FRAME_BYTES) + key + packed
        self._parts.append(head)
        self._parts.extend(frames)
        self.size_bytes += len(head) + size
        self.count += 1

    def seal(self, header: Header) -> list[Buffer]:
        """Make the batch's bytes, padded; `size_bytes`, `records`, `crc` of *header* are filled in here."""
        rest = _REST.pack(
            VERSION,
            0,
            self.size_bytes,
            self.count,
            header.epoch,
            header.segment,
            header.position,
            header.sequence,
            header.first,
            header.durable,
        )
        # One copy, one checksum, one buffer to write: each call on a large buffer lets go of the
        # interpreter's lock and, while the event loop computes, waits up to 5 ms to have it back; per-frame
        # calls would hold it instead.
        body = b"".join(self._parts)
        crc = crc32(body, crc32(rest))
        padding = bytes(aligned(self.size_bytes) - self.size_bytes)
        return [MAGIC + crc.to_bytes(4, "big") + rest, body, padding]


def read_header(data: Buffer, offset: int = 0) -> Header | None:
    """Read what claims to be a batch's header; None when it does not even claim it."""
    if len(data) - offset < HEADER_BYTES:
        return None
    magic, crc, version, _, size, records, epoch, segment, position, sequence, first, durable = (
        _HEADER.unpack_from(data, offset)
    )
    if magic != MAGIC or size < HEADER_BYTES:
        return None
    return Header(epoch, segment, position, sequence, first, durable, size, records, crc, version)


def is_intact(header: Header, batch: Buffer) -> bool:
    """Tell whether *batch*, from its header to its last record, has the checksum that *header* names."""
    return len(batch) == header.size_bytes and crc32(memoryview(batch)[_CHECKED_FROM:]) == header.crc


def read_records(header: Header, batch: Buffer) -> Iterator[Record]:
    """Take an intact batch apart; the frames are views of it."""
    view = memoryview(batch)
    offset = HEADER_BYTES
    try:
        for _ in range(header.records):
            key_size, flags, fields, piece, number, pages, frames = _RECORD.unpack_from(view, offset)
            offset += _RECORD.size
            key = bytes(view[offset : offset + key_size])
            offset += key_size
            told: dict[str, Any] = {}
            for _ in range(fields):
                kind, size = _FIELD.unpack_from(view, offset)
                offset += _FIELD.size
                told |= _unpack(kind, view[offset : offset + size])
                offset += size
            end = offset + frames * FRAME_BYTES
            if end > header.size_bytes:
                raise DamagedBatchError(
                    f"record of {key!r} ends at byte {end:,}, the batch at {header.size_bytes:,}"
                )
            yield Record(
                key,
                number,
                piece,
                bool(flags & _MORE),
                bool(flags & _WHOLE),
                pages,
                Fields(**told) if told else None,
                view[offset:end],
                offset,
            )
            offset = end
    except (struct.error, UnicodeDecodeError) as error:
        raise DamagedBatchError(f"at byte {offset:,}: {error}") from error
    if offset != header.size_bytes:
        raise DamagedBatchError(f"records end at byte {offset:,}, the batch at {header.size_bytes:,}")


_FRAME: Final = struct.Struct(f">I{FRAME_BYTES - 4}x")


def page_numbers(frames: Buffer) -> Iterator[int]:
    """Go through the page numbers of a record's frames, in order."""
    return (number for (number,) in _FRAME.iter_unpack(frames))


class Verdict(NamedTuple):
    """What `judge` found."""

    kept: int
    """So many batches, from the first, are the log."""
    damage: tuple[int, int] | None
    """Segment and position where the log is damaged."""
    reason: str
    torn: bool = False
    """Valid batches behind the end were dropped."""


def judge(segments: Sequence[int], headers: Sequence[Header]) -> Verdict:
    """
    Decide which of a log's valid batches count.

    A power loss may lose any part of what was not yet synced: a batch, and with it all behind it. That is a
    *torn tail*: it is dropped, nothing of it was ever confirmed. But a batch that is missing although a later
    one says that it had been durable is *damage*, and then nothing may be touched.

    Args:
        segments: numbers of the segments that are there, ascending.
        headers: of all batches in them that are intact and stand where they say, in order of segment and
            position.
    """
    if not headers:
        return Verdict(0, None, "")
    if len({header.epoch for header in headers}) > 1:
        other = next(header for header in headers if header.epoch != headers[0].epoch)
        return Verdict(0, (other.segment, other.position), "batches of two different runs stand in one log")
    durable = max(header.durable for header in headers)
    expected = headers[0].first
    end = (headers[0].segment, 0)
    if segments[0] < headers[0].segment and headers[0].first > 1:
        # The oldest segment holds no batch at all. Were its batches durable?
        end = (segments[0], 0)
        expected = headers[0].first - 1
    for count, header in enumerate(headers):
        if header.sequence != expected:
            if header.sequence < expected:
                return Verdict(
                    count, (header.segment, header.position), f"batch {header.sequence} stands there twice"
                )
            if expected <= durable:
                if end[0] < header.segment - 1 or (end[0] < header.segment and header.first <= expected):
                    end = (end[0] + 1, 0)  # it stood in a segment of which nothing is left, or in this one
                return Verdict(count, end, f"batch {expected} was durable and cannot be read")
            return Verdict(count, None, "", torn=True)
        end = (header.segment, header.position + aligned(header.size_bytes))
        expected += 1
    return Verdict(len(headers), None, "")
