"""transaction: levels on a store, and the gate's part in them."""

from __future__ import annotations

import pytest
from support.inside import until
from support.stores import a_store

from perdure._storage import kv
from perdure._storage.store import SUSPENDED, Store
from perdure._storage.transaction import COMMIT_WHILE_NESTED, OUTER_WHILE_NESTED, Transaction
from perdure.errors import StorageError, StorageReset


def put(store: Store, key: str, *, confirmed: bool = True) -> None:
    kv.put(store, key, b"", confirmed=confirmed)


def keys(store: Store) -> list[str]:
    return [key for key, _ in kv.rows(store, kv.KeyRange("", False, None), reverse=False, limit=None)]


@pytest.mark.rows("TXN-06")
async def test_a_whole_transaction_commits_the_turn_before_it() -> None:
    """What the turn had written is a commit of its own."""
    async with a_store() as (store, _):
        put(store, "before")
        level = Transaction(store, whole=True)
        assert (store.number, store.in_turn, store.depth) == (1, False, 1)
        put(store, "inside")
        level.commit()
        assert (store.number, store.depth, keys(store)) == (2, 0, ["before", "inside"])


@pytest.mark.rows("TXN-09")
@pytest.mark.parametrize(("confirmed", "open_after"), [(True, False), (False, True)])
async def test_a_whole_transaction_closes_the_gate_at_its_commit(confirmed: bool, open_after: bool) -> None:
    """Not before, and only if it holds a confirmed write."""
    async with a_store() as (store, _):
        level = Transaction(store, whole=True)
        put(store, "k", confirmed=confirmed)
        assert store.gate.is_open
        level.commit()
        assert store.gate.is_open is open_after


@pytest.mark.rows("TXN-09")
async def test_what_one_transaction_confirmed_the_next_has_not() -> None:
    """Each explicit transaction starts without a confirmed write."""
    async with a_store() as (store, _):
        first = Transaction(store, whole=True)
        put(store, "k")
        first.commit()
        await until(lambda: store.is_durable)
        second = Transaction(store, whole=True)
        put(store, "l", confirmed=False)
        second.commit()
        assert store.gate.is_open


@pytest.mark.rows("TXN-10")
async def test_a_savepoint_is_part_of_the_turn() -> None:
    """A synchronous level opens the turn, and its end does not commit."""
    async with a_store() as (store, owner):
        level = Transaction(store, whole=False)
        assert (store.in_turn, owner.turns) == (True, 1)
        put(store, "k")
        assert not store.gate.is_open
        level.commit()
        assert (store.in_turn, store.number) == (True, 0)
        store.end_turn()
        assert (store.number, keys(store)) == (1, ["k"])


@pytest.mark.rows("TXN-07", "TXN-10")
@pytest.mark.parametrize("whole", [True, False])
async def test_levels_nest(whole: bool) -> None:
    """An inner rollback undoes the inner writes, an outer one all."""
    async with a_store() as (store, _):
        outer = Transaction(store, whole=whole)
        put(store, "outer")
        inner = Transaction(store, whole=whole)
        put(store, "inner")
        inner.rollback()
        assert keys(store) == ["outer"]
        inner = Transaction(store, whole=whole)
        put(store, "inner")
        inner.commit()
        outer.rollback()
        assert (keys(store), store.depth) == ([], 0)


@pytest.mark.rows("TXN-07")
async def test_an_outer_level_is_not_rolled_back_under_an_inner_one() -> None:
    """The refusal changes nothing."""
    async with a_store() as (store, _):
        outer = Transaction(store, whole=True)
        inner = Transaction(store, whole=True)
        with pytest.raises(StorageError) as caught:
            outer.rollback()
        assert str(caught.value) == OUTER_WHILE_NESTED
        inner.rollback()
        outer.rollback()
        assert store.depth == 0


@pytest.mark.rows("TXN-07")
async def test_a_commit_over_an_open_inner_level_undoes_both() -> None:
    """Neither is kept, both hear why, and the store goes on."""
    async with a_store() as (store, _):
        outer = Transaction(store, whole=True)
        put(store, "outer")
        inner = Transaction(store, whole=False)
        put(store, "inner")
        for level in (outer, inner):
            with pytest.raises(StorageError) as caught:
                level.commit()
            assert str(caught.value) == COMMIT_WHILE_NESTED
        assert (keys(store), store.depth) == ([], 0)
        put(store, "after")
        store.end_turn()
        assert keys(store) == ["after"]


@pytest.mark.rows("TXN-02", "TXN-07")
async def test_a_level_that_fails_takes_those_inside_it_along() -> None:
    """Code that still holds an inner level must not keep the outer one from being undone."""
    async with a_store() as (store, _):
        outer = Transaction(store, whole=True)
        inner = Transaction(store, whole=False)
        put(store, "inner")
        outer.give_up()
        assert (keys(store), store.depth) == ([], 0)
        with pytest.raises(StorageError, match="The transaction around this one failed"):
            inner.commit()


@pytest.mark.rows("TXN-11")
async def test_a_turn_that_ends_over_a_savepoint_undoes_it() -> None:
    """The turn's other writes are committed; the level hears at its commit, and says nothing at a rollback."""
    async with a_store() as (store, _):
        put(store, "before")
        first, second = Transaction(store, whole=False), Transaction(store, whole=False)
        put(store, "inside")
        store.end_turn()
        assert (keys(store), store.depth, store.number) == (["before"], 0, 1)
        second.rollback()
        with pytest.raises(StorageError) as caught:
            first.commit()
        assert str(caught.value) == SUSPENDED


@pytest.mark.rows("TXN-11")
async def test_a_level_that_was_lost_does_not_touch_later_ones() -> None:
    """A new level may have the number of the lost one."""
    async with a_store() as (store, _):
        lost = Transaction(store, whole=False)
        store.end_turn()
        fresh = Transaction(store, whole=False)
        put(store, "fresh")
        lost.rollback()
        fresh.commit()
        store.end_turn()
        assert (keys(store), store.depth) == (["fresh"], 0)


async def test_a_level_ends_once() -> None:
    """A second end is a mistake that is told."""
    async with a_store() as (store, _):
        level = Transaction(store, whole=False)
        level.commit()
        with pytest.raises(StorageError, match="has ended already"):
            level.rollback()


@pytest.mark.rows("TXN-12")
async def test_a_critical_error_inside_fails_the_commit() -> None:
    """A level whose store was reset under it cannot be kept, and can be given up."""
    async with a_store() as (store, _):
        level, other = Transaction(store, whole=True), Transaction(store, whole=False)
        store.lose_turn(StorageReset("full"))
        with pytest.raises(
            StorageError, match="Cannot commit transaction due to an earlier SQL critical error"
        ):
            level.commit()
        other.abandon()
        assert not other.is_open
