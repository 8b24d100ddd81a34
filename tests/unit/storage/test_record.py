"""Batches to bytes and back, and which batches of a log count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.log import frame

from perdure._storage.journal.record import (
    ALIGN_BYTES,
    HEADER_BYTES,
    UNCHANGED,
    BatchWriter,
    DamagedBatchError,
    Fields,
    Header,
    aligned,
    is_intact,
    judge,
    page_numbers,
    read_header,
    read_records,
    record_size,
)

HEADER = Header(epoch=2**64 - 1, segment=3, position=1024, sequence=12, first=10, durable=11)

commits = st.fixed_dictionaries(
    {
        "key": st.binary(min_size=1, max_size=100),
        "number": st.integers(0, 2**64 - 1),
        "piece": st.integers(0, 2**32 - 1),
        "pages": st.lists(st.integers(1, 2**32 - 1), max_size=3),
        "more": st.booleans(),
        "whole": st.booleans(),
        "fields": st.none()
        | st.builds(
            Fields,
            name=st.none() | st.text(max_size=50),
            used_s=st.none() | st.floats(allow_nan=False),
            erased=st.booleans(),
            alarm_ms=st.none() | st.just(UNCHANGED) | st.integers(-(2**63), 2**63 - 1),
            replaced=st.none() | st.text("0123456789abcdef", min_size=1, max_size=16),
        ),
    }
)


def seal(commits: list[dict]) -> tuple[bytes, list[bytes]]:
    writer = BatchWriter()
    written = []
    for commit in commits:
        fields = dict(commit)
        frames = [frame(page, page, pages=5) for page in fields.pop("pages")]
        writer.add(fields.pop("key"), fields.pop("number"), frames, **fields)
        written.append(b"".join(frames))
    return b"".join(writer.seal(HEADER)), written


def read(data: bytes) -> Header:
    header = read_header(data)
    assert header is not None
    return header


@given(st.lists(commits, max_size=5))
def test_a_batch_reads_as_it_was_written(written):
    """Each record comes back with its key, number, flags, fields and frames, in order."""
    data, frames = seal(written)
    header = read(data)
    batch = data[: header.size_bytes]
    assert is_intact(header, batch)
    assert header[:6] == HEADER[:6]
    records = list(read_records(header, batch))
    assert len(records) == len(written) == header.records
    for record, commit, content in zip(records, written, frames, strict=True):
        for field in ("key", "number", "piece", "more", "whole"):
            assert getattr(record, field) == commit[field]
        assert record.fields == (None if commit["fields"] == Fields() else commit["fields"])
        assert bytes(record.frames) == content == batch[record.offset : record.offset + len(content)]
        assert list(page_numbers(record.frames)) == commit["pages"]
        assert record.pages == (5 if commit["pages"] and not commit["more"] else 0)


@given(st.lists(commits, max_size=3))
def test_a_batch_ends_where_the_next_may_begin(written):
    """Its bytes are whole sectors, and the header names the size without the padding."""
    data, _ = seal(written)
    assert len(data) % ALIGN_BYTES == 0
    assert len(data) == aligned(read(data).size_bytes)


@given(st.lists(commits, max_size=5))
def test_the_size_of_a_record_is_known_before_it_is_made(written):
    """`record_size` never says too little: a batch that is said to fit, fits."""
    data, frames = seal(written)
    said = sum(
        record_size(commit["key"], commit["fields"], len(content))
        for commit, content in zip(written, frames, strict=True)
    )
    assert read(data).size_bytes <= HEADER_BYTES + said


@pytest.mark.fuzz
@given(st.lists(commits, min_size=1, max_size=3), st.data())
def test_a_batch_with_one_wrong_bit_is_not_intact(written, data):
    """A torn or rotten batch is dropped whole: its checksum covers header and records."""
    batch, _ = seal(written)
    size = read(batch).size_bytes
    position = data.draw(st.integers(0, size - 1))
    wrong = bytearray(batch)
    wrong[position] ^= 1 << data.draw(st.integers(0, 7))
    header = read_header(wrong)
    assert header is None or not is_intact(header, wrong[: header.size_bytes])


@pytest.mark.fuzz
@given(st.lists(commits, min_size=1, max_size=3), st.data())
def test_a_batch_of_which_a_part_was_written_is_not_intact(written, data):
    """Whatever sectors of the old content remain, the batch does not count unless it is whole."""
    batch, _ = seal(written)
    old = data.draw(st.sampled_from([b"\0", b"\xff", b"PRDJ"]))
    kept = data.draw(st.lists(st.booleans(), min_size=len(batch) // 512, max_size=len(batch) // 512))
    torn = b"".join(
        batch[i * 512 : i * 512 + 512] if keep else (old * 512)[:512] for i, keep in enumerate(kept)
    )
    header = read_header(torn)
    intact = header is not None and is_intact(header, torn[: header.size_bytes])
    size = read(batch).size_bytes
    assert intact == (torn[:size] == batch[:size])


def test_zeros_are_no_batch():
    """A fresh segment holds nothing."""
    assert read_header(bytes(4096)) is None


def test_a_header_that_is_cut_off_is_no_batch():
    """A file may end anywhere."""
    data, _ = seal([])
    assert read_header(data[: HEADER_BYTES - 1]) is None


def test_a_reader_passes_over_fields_it_does_not_know():
    """A later version may add typed fields to a record."""
    writer = BatchWriter()
    writer.add(b"k", 1, [], fields=Fields(name="n", alarm_ms=5))
    data = b"".join(writer.seal(HEADER)).replace(b"\x01\x00\x00\x00\x01n", b"\x7f\x00\x00\x00\x01n")
    header = read(data)
    (record,) = read_records(header, data[: header.size_bytes])
    assert record.fields == Fields(alarm_ms=5)


@pytest.mark.parametrize("at", [68, 71, 88, 91])  # sizes of the key, fields and frames
def test_records_that_make_no_sense_are_damage(at):
    """A right checksum over nonsense is an error that says where, never a record."""
    writer = BatchWriter()
    writer.add(b"k", 1, [frame(1, pages=1)])
    data = bytearray(b"".join(writer.seal(HEADER)))
    header = read(data)
    data[at] ^= 0xFF
    with pytest.raises(DamagedBatchError):
        list(read_records(header, data[: header.size_bytes]))


def test_a_commit_whose_last_frame_has_no_commit_mark_is_not_written():
    """Frames without a database size at their end are a part of a commit, not a commit."""
    with pytest.raises(AssertionError, match="commit mark"):
        BatchWriter().add(b"k", 1, [frame(1)])


# --- which batches count ---------------------------------------------------------------------------------


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_are_a_header_or_none(data, offset):
    """Only what begins as one is looked at any further."""
    header = read_header(data, offset)
    assert header is None or (data[offset : offset + 4] == b"PRDJ" and header.size_bytes >= HEADER_BYTES)


@pytest.mark.fuzz
@given(st.lists(commits, max_size=3), st.integers(0, 5), st.data())
def test_a_batch_whose_inside_makes_no_sense_is_an_error_that_says_so(written, records, data):
    """Even with the right checksum, as a mistake of the writer would have it: nothing else is raised, and no record reaches outside."""
    batch = bytearray(seal(written)[0])
    header = read(batch)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(HEADER_BYTES, max(HEADER_BYTES, header.size_bytes - 1)))
        if at < header.size_bytes:
            batch[at] = data.draw(st.integers(0, 255))
    size = data.draw(st.just(header.size_bytes) | st.integers(HEADER_BYTES, header.size_bytes))
    header = header._replace(size_bytes=size, records=data.draw(st.sampled_from([header.records, records])))
    try:
        for record in read_records(header, memoryview(batch)[:size]):
            assert HEADER_BYTES <= record.offset <= record.offset + len(record.frames) <= size
    except DamagedBatchError:
        pass


def log(*batches: tuple[int, int, int]) -> list[Header]:
    """Headers from (segment, sequence, durable), each of one sector."""
    headers: list[Header] = []
    for segment, sequence, durable in batches:
        same = [header for header in headers if header.segment == segment]
        first = same[0].first if same else sequence
        position = len(same) * 512
        headers.append(Header(7, segment, position, sequence, first, durable, size_bytes=100))
    return headers


def test_a_log_without_gaps_counts_to_its_end():
    headers = log((1, 1, 0), (1, 2, 1), (2, 3, 2))
    assert judge([1, 2, 3], headers)[:2] == (3, None)


def test_a_log_may_begin_anywhere():
    """Older segments were checkpointed and are gone."""
    assert judge([5], log((5, 90, 89), (5, 91, 90)))[:2] == (2, None)


def test_what_follows_a_lost_batch_of_the_same_sync_is_dropped():
    """Two batches were under one sync that never returned; of the first a sector is missing."""
    verdict = judge([1], log((1, 1, 0), (1, 3, 1)))
    assert (verdict.kept, verdict.damage, verdict.torn) == (1, None, True)


def test_a_lost_batch_that_was_durable_is_damage():
    """A later batch says that it had been synced."""
    verdict = judge([1], log((1, 1, 0), (1, 3, 2)))
    assert verdict.damage == (1, 512)
    assert "batch 2 was durable" in verdict.reason


def test_a_missing_segment_is_damage():
    verdict = judge([1, 3], log((1, 1, 0), (3, 9, 8)))
    assert verdict.damage == (2, 0)


def test_damage_is_named_where_the_batch_stood():
    """The end of the older segment, or the newer segment when its first batch is the one that is missing."""
    assert judge([1, 2], log((1, 1, 0), (2, 3, 2))).damage == (1, 512)
    headers = [*log((1, 1, 0)), Header(7, 2, 512, 3, 2, 2, 100)]
    assert judge([1, 2], headers).damage == (2, 0)


def test_a_first_batch_that_is_lost_and_was_durable_is_damage():
    headers = [Header(7, 4, 512, 31, 30, 30, 100)]
    assert judge([4], headers).damage == (4, 0)


def test_a_first_batch_that_is_lost_with_its_sync_is_a_torn_tail():
    headers = [Header(7, 1, 512, 2, 1, 0, 100)]
    verdict = judge([1], headers)
    assert (verdict.kept, verdict.damage, verdict.torn) == (0, None, True)


def test_an_old_segment_of_which_nothing_is_left_is_damage():
    assert judge([4, 5], log((5, 31, 30))).damage == (4, 0)


def test_batches_of_two_runs_are_damage():
    """A segment of another data folder was put between."""
    headers = log((1, 1, 0), (2, 2, 1))
    headers[1] = headers[1]._replace(epoch=8)
    assert judge([1, 2], headers).damage == (2, 0)


def test_the_same_batch_twice_is_damage():
    headers = log((1, 1, 0), (1, 2, 1), (2, 2, 1))
    assert judge([1, 2], headers).damage == (2, 0)


def test_no_batch_at_all_is_an_empty_log():
    assert judge([1, 2], [])[:2] == (0, None)


@given(st.data())
def test_a_crash_never_looks_like_damage(data):
    """
    Whatever a power loss takes of the batches that were not synced, all durable ones count and nothing is refused.

    Batches are written in syncs of one to four; of the last sync any may be lost.
    """
    syncs = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    batches = []
    sequence = durable = 0
    for count in syncs:
        durable = sequence
        for _ in range(count):
            sequence += 1
            batches.append((1 + sequence // 5, sequence, durable))
    survives = data.draw(st.lists(st.booleans(), min_size=syncs[-1], max_size=syncs[-1]))
    headers = log(*batches)
    kept = headers[:durable] + [h for h, keep in zip(headers[durable:], survives, strict=True) if keep]
    verdict = judge(sorted({header.segment for header in headers}), kept)
    assert verdict.damage is None
    assert verdict.kept >= durable
    assert [header.sequence for header in kept[: verdict.kept]] == list(range(1, verdict.kept + 1))
