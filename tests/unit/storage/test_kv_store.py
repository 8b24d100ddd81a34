"""kv: keys and bytes in the hidden table."""

from __future__ import annotations

from typing import Any

import pytest
from support.stores import a_store

from perdure._storage import kv
from perdure._storage.database import own
from perdure._storage.keyrange import KeyRange, key_range
from perdure._storage.store import Store
from perdure.errors import SqlError, StorageError

ALL = KeyRange("", False, None)


def keys(store: Store, span: KeyRange | None = ALL, **options: Any) -> list[str]:
    assert span is not None
    settings = {"reverse": False, "limit": None, **options}
    read = [key for key, _ in kv.rows(store, span, **settings)]
    assert [key for key, _ in kv.iterate(store, span, **settings)] == read
    return read


@pytest.mark.rows("KVA-22")
async def test_reads_make_no_table() -> None:
    """Only the first write makes it, and the store remembers that."""
    async with a_store() as (store, _):
        assert (kv.get(store, "k"), kv.count(store), keys(store), kv.delete(store, ["k"])) == (None, 0, [], 0)
        assert (store.kv_exists, store.in_turn) == (False, False)
        kv.put(store, "k", b"1")
        assert store.kv_exists is True


@pytest.mark.rows("KVA-22")
async def test_a_store_opened_again_looks_for_the_table() -> None:
    """What is known of the table belongs to a connection."""
    async with a_store() as (store, _):
        kv.put(store, "k", b"1")
        store.end_turn()
        store.close()
        assert kv.get(store, "k") == b"1"


@pytest.mark.rows("KVA-22", "TXN-14")
async def test_a_rollback_forgets_the_table() -> None:
    """A table made in an undone turn is looked for, and made, again."""
    async with a_store() as (store, _):
        kv.put(store, "k", b"1")
        store.rollback()
        assert kv.get(store, "k") is None
        kv.put(store, "k", b"2")
        assert kv.get(store, "k") == b"2"


async def test_every_kind_of_range_has_its_statement() -> None:
    """Inclusive or not, bounded or not, forwards or backwards, limited or not."""
    async with a_store() as (store, _):
        kv.put_many(store, [(key, b"") for key in "edcba"])
        assert keys(store) == list("abcde")
        assert keys(store, reverse=True) == list("edcba")
        assert keys(store, KeyRange("b", False, None)) == list("bcde")
        assert keys(store, KeyRange("b", True, None)) == list("cde")
        assert keys(store, KeyRange("b", False, "d")) == list("bc")
        assert keys(store, KeyRange("b", True, "d"), reverse=True) == list("c")
        assert keys(store, limit=2, reverse=True) == list("ed")
        assert keys(store, key_range(prefix="c")) == ["c"]


@pytest.mark.rows("KVA-05")
async def test_many_pairs_are_written_whole_or_not_at_all() -> None:
    """The failure of one undoes the others, also when the table was made for them."""
    async with a_store() as (store, _):
        for bad, error in [(("b", b"x" * 9_000_000), SqlError), (("b\ud800", b""), UnicodeEncodeError)]:
            with pytest.raises(error):
                kv.put_many(store, [("a", b"1"), bad, ("c", b"3")])
            assert keys(store) == []
        kv.put_many(store, [("a", b"1"), ("c", b"3")])
        assert keys(store) == ["a", "c"]


@pytest.mark.rows("KVA-08")
async def test_delete_counts_each_key_once() -> None:
    """Keys that are named twice, or are not there, do not count."""
    async with a_store() as (store, _):
        kv.put_many(store, [("a", b"1"), ("b", b"2")])
        assert kv.delete(store, ["a", "a", "x"]) == 1
        assert keys(store) == ["b"]


@pytest.mark.rows("KVS-06")
async def test_there_is_one_iterator() -> None:
    """The next one ends the one before with an error; one at its end is left alone."""
    async with a_store() as (store, _):
        kv.put_many(store, [("a", b""), ("b", b"")])
        first = kv.iterate(store, ALL, reverse=False, limit=None)
        second = kv.iterate(store, ALL, reverse=False, limit=1)
        with pytest.raises(StorageError, match=r"kv\.list\(\) iterator was invalidated"):
            next(first)
        assert list(second) == [("a", b"")]
        kv.rows(store, ALL, reverse=False, limit=None)
        assert list(second) == []


async def test_an_iterator_at_its_end_holds_nothing() -> None:
    """The store may be closed then."""
    async with a_store() as (store, _):
        kv.put(store, "a", b"")
        store.end_turn()
        pairs = kv.iterate(store, ALL, reverse=False, limit=None)
        assert store.cursors
        list(pairs)
        assert not store.cursors
        assert store.iterator is None


async def test_finalising_ends_an_iterator() -> None:
    """Without a reason it is at its end, with one the next step raises it."""
    async with a_store() as (store, _):
        kv.put_many(store, [("a", b""), ("b", b"")])
        quiet = kv.iterate(store, ALL, reverse=False, limit=None)
        store.finalise_cursors()
        assert list(quiet) == []
        loud = kv.iterate(store, ALL, reverse=False, limit=None)
        store.finalise_cursors("canceled")
        with pytest.raises(StorageError, match="canceled"):
            next(loud)


@pytest.mark.rows("SQL-29")
async def test_an_error_of_sqlite_is_translated() -> None:
    """What SQLite answers comes in Cloudflare's form, and the turn goes on."""
    async with a_store() as (store, owner):
        kv.put(store, "a", b"")
        with pytest.raises(SqlError, match="string or blob too big: SQLITE_TOOBIG"):
            kv.put(store, "k", b"x" * 9_000_000)
        assert store.in_turn
        assert owner.errors == []
        assert store.database is not None
        assert store.database.run(own("SELECT count(*) FROM _cf_KV")).fetchone() == (1,)
