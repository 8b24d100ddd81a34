"""store: turns, commits, what is durable, resets and checkpoints of one object's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.inside import until
from support.stores import Owner, a_store, an_engine, owned

from perdure._storage import kv
from perdure._storage.database import own
from perdure._storage.store import VIOLATION, Store
from perdure.errors import SqlError, StorageError, StorageReset


async def durable(store: Store) -> None:
    await until(lambda: store.is_durable)


def turn(store: Store, *pairs: tuple[str, bytes], confirmed: bool = True) -> None:
    for key, value in pairs:
        kv.put(store, key, value, confirmed=confirmed)
    store.end_turn()


# --- turns -------------------------------------------------------------------------------------------


async def test_a_store_opens_on_first_use() -> None:
    """Making a store opens nothing."""
    async with a_store() as (store, _):
        assert store.database is None
        assert kv.get(store, "k") is None
        assert store.database is not None


@pytest.mark.rows("GATE-18")
async def test_the_first_write_opens_a_turn_and_its_end_commits() -> None:
    """All writes between are one commit; the owner hears of the turn once."""
    async with a_store() as (store, owner):
        kv.put(store, "a", b"1")
        kv.put(store, "b", b"2")
        assert (store.in_turn, owner.open_turn, owner.turns, store.number) == (True, True, 1, 0)
        store.end_turn()
        assert (store.in_turn, owner.open_turn, store.number) == (False, False, 1)


async def test_the_end_of_no_turn_does_nothing() -> None:
    """`end_turn` without a turn makes no commit."""
    async with a_store() as (store, _):
        store.end_turn()
        kv.get(store, "k")
        store.end_turn()
        assert store.number == 0


@pytest.mark.rows("GATE-06")
async def test_a_confirmed_write_closes_the_gate_for_its_turn() -> None:
    """The gate is closed from the write on, and opens when the turn is durable."""
    async with a_store() as (store, _):
        kv.put(store, "k", b"1")
        closed = store.gate.is_open
        store.end_turn()
        still_closed = store.gate.is_open
        await durable(store)
        assert (closed, still_closed, store.gate.is_open) == (False, False, True)


@pytest.mark.rows("GATE-10")
async def test_an_unconfirmed_write_is_committed_behind_an_open_gate() -> None:
    """It becomes durable all the same."""
    async with a_store() as (store, _):
        turn(store, ("k", b"1"), confirmed=False)
        assert store.gate.is_open
        assert not store.is_durable
        await durable(store)


async def test_a_turn_that_wrote_nothing_is_durable_with_the_one_before() -> None:
    """A commit without frames needs no journal, but not before its predecessors."""
    async with a_store() as (store, _):
        turn(store, ("k", b"1"))
        store.begin_write()
        store.end_turn()
        assert (store.number, store.gate.released) == (2, 0)
        await durable(store)
        store.begin_write()
        store.end_turn()
        assert (store.number, store.is_durable) == (3, True)


@pytest.mark.rows("KVA-19")
async def test_when_durable_waits_for_the_open_turn() -> None:
    """Writes that are not committed yet count as issued."""
    async with a_store() as (store, _):
        heard: list[Any] = []
        kv.put(store, "k", b"1")
        store.when_durable(heard.append)
        await until(lambda: not heard or True)
        assert heard == []
        store.end_turn()
        await until(lambda: heard)
        assert heard == [None]


# --- undoing -----------------------------------------------------------------------------------------


async def test_a_rollback_throws_the_turn_away() -> None:
    """Its number is free again, and nobody waits for it."""
    async with a_store() as (store, owner):
        turn(store, ("k", b"1"))
        kv.put(store, "k", b"2")
        store.rollback()
        assert kv.get(store, "k") == b"1"
        assert (store.in_turn, owner.open_turn, owner.errors) == (False, False, [])
        turn(store, ("k", b"3"))
        await durable(store)
        assert store.gate.is_open


@pytest.mark.rows("GATE-09")
async def test_what_waits_for_a_turn_that_is_undone_hears_so() -> None:
    """An output that was sent after a write of the turn never leaves."""
    async with a_store() as (store, _):
        heard: list[Any] = []
        kv.put(store, "k", b"1")
        store.gate.when(store.gate.issued, heard.append)
        error = StorageReset("undone")
        store.rollback(error)
        assert heard == [error]


@pytest.mark.rows("SQL-26")
async def test_a_turn_that_cannot_be_committed_resets_the_object() -> None:
    """The owner hears why, the store goes back to the commit before, and is of no use until it is attached anew."""
    async with a_store() as (store, owner):
        turn(store, ("k", b"1"))
        database = store.begin_write()
        database.run(own("CREATE TABLE p (id PRIMARY KEY)"))
        database.run(own("CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)"))
        database.run(own("INSERT INTO c VALUES (1)"))
        store.end_turn()
        [error] = owner.errors
        assert str(error).startswith(VIOLATION + "FOREIGN KEY constraint failed")
        with pytest.raises(StorageReset):
            kv.put(store, "k", b"2")
        store.attach(Owner())
        assert kv.get(store, "k") == b"1"
        turn(store, ("k", b"2"))
        await durable(store)


@pytest.mark.rows("SQL-29")
async def test_a_statement_that_lost_the_transaction_resets_the_object() -> None:
    """SQLite rolled everything back by itself: the object must not go on."""
    async with a_store() as (store, owner):
        turn(store, ("kept", b"1"))
        kv.put(store, "lost", b"1")
        assert store.database is not None
        store.database.run(own("PRAGMA max_page_count = 5"))
        with pytest.raises(SqlError, match="SQLITE_FULL"):
            kv.put(store, "large", b"x" * 1_000_000)
        assert [str(error) for error in owner.errors] == ["database or disk is full: SQLITE_FULL"]
        store.end_turn()
        store.attach(Owner())
        assert (kv.get(store, "kept"), kv.get(store, "lost")) == (b"1", None)


async def test_commits_before_a_lost_turn_become_durable_all_the_same() -> None:
    """Only the turn is lost: what the journal already has stays."""
    async with a_store() as (store, owner):
        heard: list[Any] = []
        turn(store, ("k", b"1"))
        store.when_durable(heard.append)
        kv.put(store, "k", b"2")
        store.lose_turn(StorageReset("lost"))
        assert len(owner.errors) == 1
        await until(lambda: heard)
        assert heard == [None]
        store.attach(Owner())
        assert kv.get(store, "k") == b"1"


@pytest.mark.rows("KVA-16")
async def test_erasing_is_a_commit_of_its_own() -> None:
    """What the turn wrote is gone, and so is everything else; the gate waits for it."""
    async with a_store() as (store, _):
        turn(store, ("a", b"1"))
        kv.put(store, "b", b"2")
        store.erase()
        assert (store.in_turn, store.number, store.gate.is_open) == (False, 2, False)
        assert (kv.get(store, "a"), kv.get(store, "b")) == (None, None)
        await durable(store)


# --- closing and opening again -----------------------------------------------------------------------


async def test_a_closed_store_goes_on_where_it_was() -> None:
    """Commits are in the WAL, which stays as it is."""
    async with a_store() as (store, _):
        turn(store, ("k", b"1"))
        store.close()
        assert store.database is None
        assert kv.get(store, "k") == b"1"
        turn(store, ("k", b"2"))
        await durable(store)
        assert kv.get(store, "k") == b"2"


async def test_a_store_that_is_in_use_cannot_be_closed() -> None:
    """An open turn, a transaction or a held cursor would be lost."""
    async with a_store() as (store, _):
        turn(store, ("a", b"1"), ("b", b"2"))
        assert store.can_close
        kv.put(store, "k", b"1")
        assert not store.can_close
        store.end_turn()
        pairs = kv.iterate(store, kv.KeyRange("", False, None), reverse=False, limit=None)
        next(pairs)
        assert not store.can_close
        del pairs
        assert store.can_close


async def test_the_next_runtime_finds_every_commit(tmp_path: Path) -> None:
    """After an orderly end and a recovery the store holds what was committed."""
    from perdure._storage.files import RealDisk
    from perdure._storage.journal.recovery import recover
    from perdure._storage.layout import Layout

    async with an_engine(tmp_path) as engine:
        store, _ = owned(engine)
        turn(store, ("k", b"1"))
        turn(store, ("k", b"2"))
    recover(RealDisk(), Layout(str(tmp_path)))
    async with an_engine(tmp_path) as engine:
        store, _ = owned(engine)
        assert kv.get(store, "k") == b"2"


async def test_few_connections_are_open_at_a_time() -> None:
    """The least recently used store is closed for the next one, and opens again by itself."""
    async with an_engine(open_stores_max=3) as engine:
        stores = [owned(engine, number)[0] for number in range(6)]
        for number, store in enumerate(stores):
            turn(store, ("k", b"%d" % number))
        assert engine.open_count <= 3
        assert [kv.get(store, "k") for store in stores] == [b"%d" % number for number in range(6)]
        assert engine.open_count <= 3


# --- checkpoints -------------------------------------------------------------------------------------


async def test_a_checkpoint_empties_the_wal_of_a_durable_store() -> None:
    """Afterwards the file alone holds everything."""
    async with a_store() as (store, _):
        turn(store, ("k", b"1"))
        assert not store.try_checkpoint()
        await durable(store)
        assert store.try_checkpoint()
        assert (store.journaled, store.durable_frames) == (0, 0)
        await until(lambda: store.can_close)
        turn(store, ("k", b"2"))
        await durable(store)
        assert kv.get(store, "k") == b"2"


async def test_an_open_turn_or_transaction_is_in_the_way_of_a_checkpoint() -> None:
    """It is tried again later."""
    async with a_store() as (store, _):
        turn(store, ("k", b"1"))
        await durable(store)
        kv.put(store, "k", b"2")
        assert not store.try_checkpoint()
        store.end_turn()
        await durable(store)
        assert store.try_checkpoint()
        await until(lambda: store.can_close)


async def test_a_store_without_an_owner_cannot_write() -> None:
    """A turn that nobody would end is a mistake of ours."""
    async with an_engine() as engine:
        store, _ = owned(engine)
        engine.release(store)
        with pytest.raises(AssertionError, match="a write has an object"):
            kv.put(store, "k", b"1")
        store.attach(Owner())
        store.rollback()


async def test_a_broken_store_says_why() -> None:
    """Each use before the next instance raises the error that broke it."""
    async with a_store() as (store, _):
        kv.put(store, "k", b"1")
        error = StorageError("broken")
        store.lose_turn(error)
        with pytest.raises(StorageError) as caught:
            store.begin_write()
        assert caught.value is error


async def test_a_store_that_is_asked_to_make_way_while_it_does_is_at_rest_afterwards() -> None:
    """The journal asks every 50 ms. Wanting a checkpoint more, it would be remembered for ever."""
    async with a_store() as (store, _):
        turn(store, ("k", b"1"))
        await durable(store)
        store.make_way()
        assert store._syncing
        store.make_way()
        await until(lambda: not store._syncing)
        store.close()
        store.engine.release(store)
        assert store.is_at_rest
        assert store.key not in store.engine._stores
