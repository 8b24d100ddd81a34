"""`ctx.storage.kv`: the same keys and values, synchronously and as a mapping (KVS)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from support.inside import an_object, in_object, inside

from perdure import DataCloneError
from perdure.errors import SqlError, StorageError
from perdure.testing import evict_durable_object

INVALIDATED = (
    r"^kv\.list\(\) iterator was invalidated because a new call to kv\.list\(\) was started\. Only one kv\.list\(\) "
    r"iterator can exist at a time\.$"
)


@pytest.mark.rows("KVS-01")
async def test_every_object_has_it() -> None:
    """Each object has SQLite behind it, so `kv` works without any configuration (KVS-01)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", 1)
        return storage.kv.get("k"), storage.kv is storage.kv

    assert await in_object(work) == (1, True)


@pytest.mark.rows("KVS-02")
async def test_get_is_synchronous() -> None:
    """`kv.get` gives the value itself, or the default (KVS-02)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", [1])
        return storage.kv.get("k"), storage.kv.get("no"), storage.kv.get("no", 5), storage.kv.get("k", 5)

    assert await in_object(work) == ([1], None, 5, [1])


@pytest.mark.rows("KVS-02", "KVS-08")
@pytest.mark.parametrize("key", [["a"], ("a",), 5, None, b"a"])
async def test_get_takes_one_key(key: Any) -> None:
    """There are no forms with many keys (KVS-02, KVS-08)."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match="Failed to execute 'get' on 'SyncKvStorage'"):
            storage.kv.get(key)
        with pytest.raises(TypeError, match="Failed to execute 'delete' on 'SyncKvStorage'"):
            storage.kv.delete(key)
        with pytest.raises(TypeError, match="Failed to execute 'put' on 'SyncKvStorage'"):
            storage.kv.put(key, 1)

    await in_object(work)


@pytest.mark.rows("KVS-03")
async def test_put_returns_nothing_and_is_seen_at_once() -> None:
    """`kv.put` writes one pair (KVS-03)."""

    def work(storage: Any) -> Any:
        return storage.kv.put("k", 1), storage.kv.get("k"), storage.kv.put("k", 2), storage.kv.get("k")

    assert await in_object(work) == (None, 1, None, 2)


@pytest.mark.rows("KVS-03")
async def test_put_stores_none() -> None:
    """None is a value like any other (KVS-03)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", None)
        return storage.kv.get("k", "default"), "k" in storage.kv

    assert await in_object(work) == (None, True)


@pytest.mark.rows("KVS-03")
async def test_put_is_confirmed() -> None:
    """`kv.put` closes the output gate (KVS-03)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", 1)
        return storage._live.used_store.gate.is_open

    assert await in_object(work) is False


@pytest.mark.rows("KVS-08")
@pytest.mark.parametrize("option", ["allow_unconfirmed", "allow_concurrency", "no_cache"])
async def test_there_are_no_options(option: str) -> None:
    """The options of the asynchronous form do not exist here (KVS-08)."""

    def work(storage: Any) -> None:
        for use in (
            lambda: storage.kv.put("k", 1, **{option: True}),
            lambda: storage.kv.get("k", **{option: True}),
            lambda: storage.kv.delete("k", **{option: True}),
            lambda: storage.kv.list(**{option: True}),
        ):
            with pytest.raises(TypeError, match=option):
                use()

    await in_object(work)


@pytest.mark.rows("KVS-08")
async def test_there_is_no_delete_all() -> None:
    """Everything is deleted by `ctx.storage.delete_all` alone (KVS-08)."""
    assert await in_object(lambda storage: hasattr(storage.kv, "delete_all")) is False


@pytest.mark.rows("KVS-04")
async def test_delete_tells_whether_the_key_was_there() -> None:
    """`kv.delete` is True if the key existed (KVS-04)."""

    def work(storage: Any) -> Any:
        storage.kv.put("k", 1)
        return storage.kv.delete("k"), storage.kv.delete("k"), storage.kv.get("k")

    assert await in_object(work) == (True, False, None)


@pytest.mark.rows("KVS-05")
async def test_list_gives_pairs_one_by_one() -> None:
    """`kv.list` is an iterator of pairs in key order (KVS-05); the options are those of `list`."""

    def work(storage: Any) -> Any:
        for key in ("c", "a", "b"):
            storage.kv.put(key, key * 2)
        pairs = storage.kv.list()
        assert iter(pairs) is pairs
        return next(pairs), list(pairs), list(pairs), list(storage.kv.list(start_after="a", reverse=True))

    first, rest, after, some = await in_object(work)
    assert first == ("a", "aa")
    assert rest == [("b", "bb"), ("c", "cc")]
    assert after == []
    assert some == [("c", "cc"), ("b", "bb")]


@pytest.mark.rows("KVS-05")
async def test_list_checks_its_options_when_called() -> None:
    """Wrong options are an error of the call, not of the first step (KVS-05)."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match="List limit must be positive"):
            storage.kv.list(limit=0)
        with pytest.raises(TypeError, match="both start and start_after"):
            storage.kv.list(start="a", start_after="b")

    await in_object(work)


@pytest.mark.rows("KVS-05")
async def test_list_sees_writes_ahead_of_it() -> None:
    """The iterator is lazy: a later key that is put, changed or deleted meanwhile is seen as it is (KVS-05)."""

    def work(storage: Any) -> Any:
        for key in ("a", "c", "e"):
            storage.kv.put(key, 1)
        seen = []
        for key, value in storage.kv.list():
            seen.append((key, value))
            if key == "a":
                storage.kv.put("b", 2)
                storage.kv.delete("c")
                storage.kv.put("e", 50)
        return seen

    assert await in_object(work) == [("a", 1), ("b", 2), ("e", 50)]


@pytest.mark.rows("KVS-05")
async def test_list_in_reverse_does_not_see_writes_behind_it() -> None:
    """A key on the side that was read already is not met again (KVS-05)."""

    def work(storage: Any) -> Any:
        for key in ("b", "c", "e"):
            storage.kv.put(key, 1)
        seen = []
        for key, _ in storage.kv.list(reverse=True):
            seen.append(key)
            if key == "e":
                storage.kv.put("d", 2)
                storage.kv.put("f", 2)
                storage.kv.delete("c")
        return seen

    assert await in_object(work) == ["e", "d", "b"]


@pytest.mark.rows("KVS-05")
async def test_every_key_can_be_deleted_while_listing() -> None:
    """Deleting the key in hand does not disturb the iterator (KVS-05)."""

    def work(storage: Any) -> Any:
        for number in range(100):
            storage.kv.put(f"{number:03}", number)
        for key, _ in storage.kv.list():
            storage.kv.delete(key)
        return list(storage.kv.list())

    assert await in_object(work) == []


@pytest.mark.rows("KVS-05")
async def test_an_iterator_lives_on_after_a_suspension() -> None:
    """An iterator kept over an await has no snapshot: it sees what was written since (KVS-05)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "c": 3})
        pairs = storage.kv.list()
        first = next(pairs)
        await storage.sync()
        storage.kv.put("b", 2)
        await storage.sync()
        return [first, *pairs]

    assert await in_object(work) == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.rows("KVS-06")
async def test_another_list_invalidates_the_one_before() -> None:
    """Only one iterator lives: a step of the earlier one says so (KVS-06)."""

    def work(storage: Any) -> Any:
        for key in "ab":
            storage.kv.put(key, key)
        earlier = storage.kv.list()
        next(earlier)
        later = storage.kv.list(prefix="zz")
        for _ in range(2):
            with pytest.raises(StorageError, match=INVALIDATED):
                next(earlier)
        latest = storage.kv.list()
        with pytest.raises(StorageError, match=INVALIDATED):
            next(later)
        return list(latest)

    assert await in_object(work) == [("a", "a"), ("b", "b")]


@pytest.mark.rows("KVS-06")
async def test_the_asynchronous_list_invalidates_it_too() -> None:
    """`ctx.storage.list` reads with the same statement, as in workerd (KVS-06)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "b": 2})
        pairs = storage.kv.list()
        next(pairs)
        await storage.list()
        with pytest.raises(StorageError, match=INVALIDATED):
            next(pairs)

    await in_object(work)


@pytest.mark.rows("KVS-06")
async def test_reads_and_writes_of_single_keys_leave_it_alone() -> None:
    """`get`, `put` and `delete` do not invalidate an iterator (KVS-06)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "b": 2})
        pairs = storage.kv.list()
        next(pairs)
        storage.kv.get("a")
        await storage.get(["a", "b"])
        storage.kv.put("c", 3)
        storage.kv.delete("a")
        return list(pairs)

    assert await in_object(work) == [("b", 2), ("c", 3)]


@pytest.mark.rows("KVS-06")
async def test_a_list_of_an_empty_range_invalidates_nothing() -> None:
    """Iterators over a range that is empty whatever is stored are exempt (KVS-06)."""

    def work(storage: Any) -> Any:
        for key in "ab":
            storage.kv.put(key, key)
        pairs = storage.kv.list()
        next(pairs)
        empty = storage.kv.list(start="z", end="a")
        return list(empty), list(pairs), list(empty)

    assert await in_object(work) == ([], [("b", "b")], [])


@pytest.mark.rows("KVS-06")
async def test_an_iterator_at_its_end_stays_there() -> None:
    """Who has seen everything is not told of later calls (KVS-06)."""

    def work(storage: Any) -> Any:
        storage.kv.put("a", 1)
        pairs = storage.kv.list()
        seen = list(pairs)
        storage.kv.list()
        return seen, list(pairs)

    assert await in_object(work) == ([("a", 1)], [])


@pytest.mark.rows("KVS-06", "KVS-09")
async def test_an_iterator_does_not_outlive_a_rollback() -> None:
    """A rollback ends an open iterator with an error of SQLite, never with rows that are not there (KVS-09)."""

    def work(storage: Any) -> Any:
        for key in "abc":
            storage.kv.put(key, key)
        pairs = storage.kv.list()
        next(pairs)
        with pytest.raises(ZeroDivisionError):
            storage.transaction_sync(lambda: (storage.kv.put("aa", 1), 1 / 0))
        with pytest.raises(SqlError, match="abort due to ROLLBACK: SQLITE_ABORT"):
            next(pairs)
        return list(pairs), [key for key, _ in storage.kv.list()]

    assert await in_object(work) == ([], ["a", "b", "c"])


@pytest.mark.rows("KVS-07")
async def test_it_is_the_same_data_as_the_asynchronous_form() -> None:
    """Both styles can be mixed within one turn (KVS-07)."""

    async def work(storage: Any) -> Any:
        storage.kv.put("a", 1)
        await storage.put("b", 2)
        seen = await storage.get("a"), storage.kv.get("b"), await storage.list(), list(storage.kv.list())
        await storage.delete("a")
        storage.kv.delete("b")
        return seen, await storage.list()

    seen, left = await in_object(work)
    assert seen == (1, 2, {"a": 1, "b": 2}, [("a", 1), ("b", 2)])
    assert left == {}


@pytest.mark.rows("KVS-07", "GATE-18")
async def test_it_writes_in_the_same_turn_as_everything_else() -> None:
    """Writes of `kv`, `put` and SQL in one turn are one commit (KVS-07)."""

    async def work(storage: Any) -> Any:
        store = storage._live.store()
        before = store.number
        storage.kv.put("a", 1)
        await storage.put("b", 2)
        storage.sql.exec("CREATE TABLE t (n)")
        await storage.sync()
        return store.number - before

    assert await in_object(work) == 1


@pytest.mark.rows("KVS-09")
async def test_it_is_rolled_back_with_a_synchronous_transaction() -> None:
    """What `kv` wrote inside `transaction_sync` is undone with it (KVS-09)."""

    def work(storage: Any) -> Any:
        storage.kv.put("a", 1)
        with suppress(ZeroDivisionError), storage.transaction_sync():
            storage.kv.put("a", 2)
            storage.kv.put("b", 2)
            1 / 0
        return list(storage.kv.list())

    assert await in_object(work) == [("a", 1)]


@pytest.mark.rows("KVS-09")
async def test_it_is_rolled_back_with_an_asynchronous_transaction() -> None:
    """So it is with `transaction` (KVS-09)."""

    async def work(storage: Any) -> Any:
        storage.kv.put("a", 1)
        with suppress(ZeroDivisionError):
            async with storage.transaction():
                storage.kv.delete("a")
                storage.kv.put("b", 2)
                1 / 0
        return list(storage.kv.list())

    assert await in_object(work) == [("a", 1)]


# --- the mapping -------------------------------------------------------------------------------------


@pytest.mark.rows("KVS-02", "KVS-03", "KVS-04")
async def test_it_is_a_mapping() -> None:
    """`kv[key]`, assignment, `del`, `in`, `len` and iteration over the keys are those of a dict."""

    def work(storage: Any) -> Any:
        kv = storage.kv
        assert len(kv) == 0
        kv["b"] = 2
        kv["a"] = [1]
        assert (kv["a"], "a" in kv, "z" in kv, 5 in kv, len(kv), list(kv)) == (
            [1],
            True,
            False,
            False,
            2,
            ["a", "b"],
        )
        del kv["a"]
        assert "a" not in kv
        with pytest.raises(KeyError, match="a"):
            kv["a"]
        with pytest.raises(KeyError, match="a"):
            del kv["a"]
        return list(kv)

    assert await in_object(work) == ["b"]


async def test_a_subscript_of_a_stored_none_is_none() -> None:
    """`kv[key]` of a key that holds None is None, not a KeyError."""

    def work(storage: Any) -> Any:
        storage.kv["k"] = None
        return storage.kv["k"]

    assert await in_object(work) is None


async def test_assignment_refuses_what_put_refuses() -> None:
    """`kv[key] = value` checks as `put` does."""

    def work(storage: Any) -> Any:
        with pytest.raises(DataCloneError):
            storage.kv["k"] = print
        with pytest.raises(TypeError):
            storage.kv[5] = 1
        return len(storage.kv)

    assert await in_object(work) == 0


async def test_an_open_iterator_does_not_keep_an_object_in_memory() -> None:
    """An object that keeps an iterator is evicted as any other, and the next instance works."""
    async with an_object() as stub:

        async def keep(instance: Any) -> None:
            await instance.ctx.storage.put({"a": 1, "b": 2})
            instance.kept = instance.ctx.storage.kv.list()
            next(instance.kept)

        await inside(stub, keep)
        await evict_durable_object(stub)
        assert await inside(stub, lambda instance: list(instance.ctx.storage.kv)) == ["a", "b"]
