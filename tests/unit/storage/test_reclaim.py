"""Who needs which segment."""

from __future__ import annotations

import pytest

from perdure._storage.journal.reclaim import Ledger


@pytest.fixture
def ledger():
    """Three segments of 100 bytes; stores a and b in the first, b in the second, c in the third."""
    ledger = Ledger()
    for segment, keys in ((1, (b"a", b"b")), (2, (b"b",)), (3, (b"c",))):
        ledger.open(segment, 100)
        for key in keys:
            ledger.place(segment, key, segment * 10)
    return ledger


def test_a_segment_is_free_when_no_store_needs_it(ledger):
    ledger.checkpointed(b"a", 10)
    assert ledger.take_free() == []
    ledger.checkpointed(b"b", 10)
    assert ledger.take_free() == [(1, 100)]
    assert ledger.take_free() == []


def test_segments_go_oldest_first(ledger):
    """A newer segment that nobody needs waits for the older ones."""
    ledger.checkpointed(b"b", 20)
    assert ledger.take_free() == []
    ledger.checkpointed(b"a", 10)
    assert ledger.take_free() == [(1, 100), (2, 100)]


def test_the_newest_segment_is_never_free(ledger):
    for key in (b"a", b"b", b"c"):
        ledger.checkpointed(key, 30)
    assert ledger.take_free() == [(1, 100), (2, 100)]


def test_a_checkpoint_of_older_commits_keeps_the_newer_ones(ledger):
    """Commits made while the file was being synced are still needed from the journal."""
    assert ledger.checkpointed(b"b", 19)
    assert not ledger.checkpointed(b"b", 20)


def test_a_record_that_stands_for_all_earlier_ones_frees_their_segments(ledger):
    """A store that cannot be checkpointed writes its pages once more instead."""
    ledger.checkpointed(b"a", 10)
    ledger.place(3, b"b", 30)
    ledger.begin_whole(3, b"b")
    assert ledger.take_free() == []
    ledger.finish_whole(b"b")
    assert ledger.take_free() == [(1, 100), (2, 100)]
    assert ledger.stores() == {b"b", b"c"}


def test_a_record_that_stands_for_all_keeps_the_segments_it_is_in(ledger):
    """It began in the second segment and ended in the third: both are needed."""
    ledger.checkpointed(b"a", 10)
    ledger.place(2, b"b", 30)
    ledger.begin_whole(2, b"b")
    ledger.place(3, b"b", 30)
    ledger.begin_whole(3, b"b")
    ledger.finish_whole(b"b")
    assert ledger.take_free() == [(1, 100)]
    assert ledger.checkpointed(b"b", 29)


def test_stores_of_the_oldest_segments_are_chosen_first(ledger):
    assert ledger.oldest(1) == [b"a"]
    assert ledger.oldest(9) == [b"a", b"b"]  # the newest segment is left alone


def test_a_store_is_chosen_once(ledger):
    assert ledger.oldest(9).count(b"b") == 1


def test_used_bytes_count_old_segments_whole_and_the_newest_as_far_as_it_is_filled(ledger):
    ledger.fill(40)
    assert ledger.used_bytes == 240
    ledger.checkpointed(b"a", 10)
    ledger.checkpointed(b"b", 10)
    ledger.take_free()
    assert ledger.used_bytes == 140


def test_a_log_that_somebody_needs_is_not_given_away(ledger):
    assert ledger.take_all() == []
    for key in (b"a", b"b", b"c"):
        ledger.checkpointed(key, 30)
    assert ledger.take_all() == [(1, 100), (2, 100), (3, 100)]
