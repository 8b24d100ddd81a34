"""`ctx.storage` keys and values: get, put, delete, and what their options mean (KVA)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.inside import Plain, an_object, attempt, in_object, inside

from perdure import DataCloneError, Runtime
from perdure._storage.database import own
from perdure.errors import SqlError, StorageError
from perdure.testing import evict_durable_object


@dataclass
class Point:
    x: int
    y: int


# --- get ---------------------------------------------------------------------------------------------


@pytest.mark.rows("KVA-01")
async def test_a_missing_key_is_none() -> None:
    """`get` of a key that is not there gives None (KVA-01)."""
    assert await in_object(lambda storage: storage.get("nothing")) is None


@pytest.mark.rows("KVA-01")
async def test_a_missing_key_is_the_default_when_there_is_one() -> None:
    """`get(key, default)` gives the default for a missing key, and the value for one that is there (KVA-01)."""

    async def work(storage: Any) -> Any:
        await storage.put("there", 0)
        return await storage.get("nothing", 7), await storage.get("there", 7)

    assert await in_object(work) == (7, 0)


@pytest.mark.rows("KVA-01")
async def test_each_get_gives_a_fresh_copy() -> None:
    """Changing what `get` gave changes neither what is stored nor what the next `get` gives (KVA-01)."""

    async def work(storage: Any) -> Any:
        await storage.put("list", [1])
        first = await storage.get("list")
        first.append(2)
        return first, await storage.get("list")

    assert await in_object(work) == ([1, 2], [1])


@pytest.mark.rows("KVA-02")
async def test_many_keys_give_a_dict_without_the_missing_ones() -> None:
    """`get([keys])` gives a dict; absent keys are not in it, and duplicates collapse (KVA-02)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "b": 2})
        return await storage.get(["b", "no", "a", "b"])

    assert await in_object(work) == {"a": 1, "b": 2}


@pytest.mark.rows("KVA-02")
async def test_many_keys_come_in_the_order_of_their_bytes() -> None:
    """The dict of `get([keys])` is in UTF-8 byte order, however the keys were asked for (KVA-02)."""
    keys = ["\U0001f600", "\uffee", "é", "b", "a", "B", ""]

    async def work(storage: Any) -> Any:
        await storage.put(dict.fromkeys(keys, 0))
        return list(await storage.get(keys))

    assert await in_object(work) == sorted(keys, key=str.encode)


@pytest.mark.rows("KVA-02")
async def test_no_keys_give_an_empty_dict() -> None:
    """`get([])` is an empty dict (KVA-02)."""
    assert await in_object(lambda storage: storage.get([])) == {}


@pytest.mark.rows("KVA-02")
async def test_the_keys_may_be_any_iterable() -> None:
    """A tuple, a set or a generator of keys does as well as a list (KVA-02)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "b": 2})
        return await storage.get(key for key in "ab"), await storage.get({"a"}), await storage.get(("b",))

    assert await in_object(work) == ({"a": 1, "b": 2}, {"a": 1}, {"b": 2})


@pytest.mark.rows("KVA-03")
async def test_the_options_of_get_change_nothing_that_is_read() -> None:
    """`allow_concurrency` and `no_cache` are accepted and have no effect on the value (KVA-03)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 1)
        return await storage.get("k", allow_concurrency=True, no_cache=True)

    assert await in_object(work) == 1


async def test_a_type_converts_what_is_read() -> None:
    """`get(key, type=…)` makes the type of plain data; without it the stored class comes back."""

    async def work(storage: Any) -> Any:
        await storage.put({"plain": {"x": 1, "y": 2}, "point": Point(3, 4)})
        return (
            await storage.get("plain", type=Point),
            await storage.get("point"),
            await storage.get(["plain", "point"], type=Point),
        )

    read = await in_object(work, modules=[__name__])
    assert read == (Point(1, 2), Point(3, 4), {"plain": Point(1, 2), "point": Point(3, 4)})


@pytest.mark.rows("ERR-26")
@pytest.mark.parametrize("key", [5, None, b"bytes", {"a": 1}, 1.5])
async def test_a_key_that_is_no_text_is_a_type_error(key: Any) -> None:
    """Python makes no text of other keys: a TypeError in Cloudflare's words (ERR-26)."""

    async def work(storage: Any) -> Any:
        with pytest.raises(
            TypeError, match="Failed to execute 'get' on 'DurableObjectStorage': parameter 1 is"
        ):
            storage.get(key)
        with pytest.raises(TypeError, match="Failed to execute 'delete' on"):
            storage.delete(key)

    await in_object(work)


async def test_a_key_among_many_that_is_no_text_is_a_type_error() -> None:
    """A wrong key among many is refused before anything is written or removed (ERR-26)."""

    async def work(storage: Any) -> Any:
        await storage.put("a", 1)
        with pytest.raises(TypeError, match="parameter 1 is not of type 'string'"):
            storage.delete(["a", 5])
        with pytest.raises(TypeError, match="parameter 1 is not of type 'string'"):
            storage.put({"a": 2, 5: 1})
        return await storage.list()

    assert await in_object(work) == {"a": 1}


# --- put ---------------------------------------------------------------------------------------------


@pytest.mark.rows("KVA-04")
async def test_a_put_is_seen_by_the_next_read() -> None:
    """What `put` wrote is read at once, in the same turn, awaited or not (KVA-04)."""

    async def work(storage: Any) -> Any:
        storage.put("k", "v")
        return await storage.get("k")

    assert await in_object(work) == "v"


@pytest.mark.rows("KVA-04")
async def test_the_value_is_taken_when_put_is_called() -> None:
    """A value that changes after `put` is stored as it was at the call (KVA-04)."""

    async def work(storage: Any) -> Any:
        value = [1]
        written = storage.put("k", value)
        value.append(2)
        await written
        return await storage.get("k")

    assert await in_object(work) == [1]


@pytest.mark.rows("KVA-04")
async def test_none_can_be_stored() -> None:
    """None is a value: the key exists, and a default does not replace it (KVA-04)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", None)
        return await storage.get("k", "default"), await storage.list(), await storage.delete("k")

    assert await in_object(work) == (None, {"k": None}, True)


@pytest.mark.rows("KVA-04")
async def test_put_without_a_value_is_a_type_error() -> None:
    """`put(key)` says that there is no value (KVA-04)."""

    async def work(storage: Any) -> Any:
        with pytest.raises(TypeError, match=r"^put\(\) called with undefined value\.$"):
            storage.put("k")
        return await storage.list()

    assert await in_object(work) == {}


async def test_a_put_replaces_what_was_there() -> None:
    """A key has one value, of any type at a time (KVA-04)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", [1, 2, 3])
        await storage.put("k", "text")
        return await storage.list()

    assert await in_object(work) == {"k": "text"}


@pytest.mark.rows("KVA-05")
async def test_a_mapping_puts_all_its_pairs() -> None:
    """`put(entries)` writes each pair (KVA-05)."""

    async def work(storage: Any) -> Any:
        await storage.put({"b": 2, "a": 1, "": 0})
        return await storage.list()

    assert await in_object(work) == {"": 0, "a": 1, "b": 2}


@pytest.mark.rows("KVA-05", "LIM-06")
async def test_a_mapping_may_have_more_than_128_pairs() -> None:
    """The documented limit of 128 pairs is not one of a store on SQLite, as in workerd (KVA-05, LIM-06)."""

    async def work(storage: Any) -> Any:
        many = {f"k{n:03}": n for n in range(300)}
        await storage.put(many)
        return await storage.get(list(many)) == many, await storage.delete(list(many)), await storage.list()

    assert await in_object(work) == (True, 300, {})


@pytest.mark.rows("KVA-05")
async def test_an_empty_mapping_writes_nothing() -> None:
    """`put({})` is no error and no write (KVA-05)."""

    async def work(storage: Any) -> Any:
        await storage.put({})
        return storage._live.used_store is None or storage._live.used_store.in_turn

    assert await in_object(work) is False


@pytest.mark.rows("KVA-05")
async def test_a_mapping_is_written_whole_or_not_at_all() -> None:
    """One pair that SQLite refuses undoes the others, and the turn goes on (KVA-05)."""

    async def work(storage: Any) -> Any:
        await storage.put("before", 1)
        with pytest.raises(SqlError, match="string or blob too big: SQLITE_TOOBIG"):
            storage.put({"a": 1, "b": b"x" * 9_000_000, "c": 3})
        await storage.put("after", 2)
        return await storage.list()

    assert await in_object(work) == {"before": 1, "after": 2}


@pytest.mark.rows("KVA-05")
async def test_a_mapping_with_a_value_that_cannot_be_stored_writes_nothing() -> None:
    """Every value is serialised before the first is written (KVA-05, KVA-12)."""

    async def work(storage: Any) -> Any:
        with pytest.raises(DataCloneError):
            storage.put({"a": 1, "b": print})
        return await storage.list()

    assert await in_object(work) == {}


@pytest.mark.rows("KVA-05")
async def test_a_mapping_and_a_value_together_are_a_type_error() -> None:
    """`put(entries, something)` tells both forms of the call (KVA-05)."""

    async def work(storage: Any) -> Any:
        with pytest.raises(TypeError, match=r"^put\(\) may only be called with a single key-value pair"):
            storage.put({"a": 1}, 5)
        return await storage.list()

    assert await in_object(work) == {}


@pytest.mark.rows("KVA-06")
async def test_the_options_of_put_are_keywords() -> None:
    """A third positional argument is not taken for options: a TypeError (KVA-06)."""

    async def work(storage: Any) -> Any:
        with pytest.raises(TypeError):
            storage.put("k", 1, {"allow_unconfirmed": True})
        with pytest.raises(TypeError, match="allowUnconfirmed"):
            storage.put("k", 1, allowUnconfirmed=True)
        return await storage.list()

    assert await in_object(work) == {}


@pytest.mark.rows("KVA-06")
async def test_a_confirmed_write_closes_the_output_gate() -> None:
    """By default a write holds back what leaves the object until it is durable (KVA-06, GATE-06)."""

    def work(storage: Any) -> Any:
        storage.put("k", 1)
        return storage._live.used_store.gate.is_open

    assert await in_object(work) is False


@pytest.mark.rows("KVA-06", "GATE-10")
async def test_an_unconfirmed_write_leaves_the_output_gate_open() -> None:
    """`allow_unconfirmed` writes without holding anything back (KVA-06, GATE-10)."""

    def work(storage: Any) -> Any:
        storage.put("k", 1, allow_unconfirmed=True, allow_concurrency=True, no_cache=True)
        storage.put({"l": 2}, allow_unconfirmed=True)
        storage.delete("k", allow_unconfirmed=True)
        return storage._live.used_store.gate.is_open

    assert await in_object(work) is True


@pytest.mark.rows("KVA-06", "GATE-10")
async def test_one_confirmed_write_confirms_the_whole_turn() -> None:
    """A confirmed write closes the gate for the unconfirmed ones of its turn, too (GATE-10)."""

    def work(storage: Any) -> Any:
        storage.put("a", 1, allow_unconfirmed=True)
        storage.put("b", 1)
        return storage._live.used_store.gate.is_open

    assert await in_object(work) is False


# --- delete ------------------------------------------------------------------------------------------


@pytest.mark.rows("KVA-07")
async def test_delete_tells_whether_the_key_was_there() -> None:
    """`delete(key)` is True if the key existed, and False the second time (KVA-07)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", 1)
        return await storage.delete("k"), await storage.delete("k"), await storage.get("k")

    assert await in_object(work) == (True, False, None)


@pytest.mark.rows("KVA-08")
async def test_delete_of_many_counts_those_that_were_there() -> None:
    """`delete([keys])` is how many existed; one named twice counts once (KVA-08)."""

    async def work(storage: Any) -> Any:
        await storage.put({"a": 1, "b": 2, "c": 3})
        return await storage.delete(["a", "a", "no", "c"]), await storage.delete([]), await storage.list()

    assert await in_object(work) == (2, 0, {"b": 2})


async def test_delete_in_an_empty_store_opens_no_turn() -> None:
    """Deleting what is not there writes nothing, so nothing waits for it (KVA-07)."""

    def work(storage: Any) -> Any:
        storage.delete("k")
        storage.delete(["a", "b"])
        return storage._live.used_store.in_turn

    assert await in_object(work) is False


# --- awaitables --------------------------------------------------------------------------------------


@pytest.mark.rows("GATE-04")
async def test_what_looks_asynchronous_is_already_done() -> None:
    """Every call acts when it is called; awaiting the result does not suspend (GATE-04)."""

    async def work(storage: Any) -> Any:
        order = []
        asyncio.get_running_loop().call_soon(order.append, "another")
        await storage.put("k", 1)
        await storage.get("k")
        await storage.list()
        await storage.delete("k")
        order.append("this turn")
        return list(order)

    assert await in_object(work) == ["this turn"]


@pytest.mark.rows("GATE-04")
async def test_the_result_is_a_coroutine_for_those_who_want_one() -> None:
    """`gather` and `TaskGroup` take what the calls return (GATE-04)."""

    async def work(storage: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(storage.put("a", 1))
            group.create_task(storage.put("b", 2))
        return await asyncio.gather(storage.get("a"), storage.get("b"), storage.delete("a"))

    assert await in_object(work) == [1, 2, True]


# --- consistency and durability -----------------------------------------------------------------------


@pytest.mark.rows("KVA-21")
async def test_a_read_reflects_the_writes_before_it_and_none_after() -> None:
    """A read that is awaited later still gives what was there when it was made (KVA-21)."""

    async def work(storage: Any) -> Any:
        storage.put("k", 1)
        read = storage.get("k")
        listed = storage.list()
        storage.put("k", 2)
        return await read, await listed, await storage.get("k")

    assert await in_object(work) == (1, {"k": 1}, 2)


@pytest.mark.rows("KVA-21", "LIFE-04")
async def test_values_survive_an_eviction() -> None:
    """The next instance finds what the one before wrote (KVA-21)."""
    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.put({"a": 1, "b": [2]}))
        await evict_durable_object(stub)
        assert await inside(stub, lambda instance: instance.ctx.storage.list()) == {"a": 1, "b": [2]}


@pytest.mark.rows("KVA-21", "LIFE-05")
async def test_values_survive_a_restart(data: Path) -> None:
    """Another runtime on the same folder finds what the one before wrote (KVA-21)."""
    async with an_object(data=data) as stub:
        await inside(stub, lambda instance: instance.ctx.storage.put("k", "v"))
    async with an_object(data=data) as stub:
        assert await inside(stub, lambda instance: instance.ctx.storage.get("k")) == "v"


async def test_objects_do_not_share_their_keys() -> None:
    """Each object has a store of its own, also beside others of its class."""
    async with Runtime(objects=[Plain]) as runtime:
        one, two = (runtime.namespace(Plain).get_by_name(name) for name in ("one", "two"))
        await inside(one, lambda instance: instance.ctx.storage.put("k", 1))
        assert await inside(two, lambda instance: instance.ctx.storage.list()) == {}


@pytest.mark.rows("KVA-19")
async def test_sync_waits_for_every_write_so_far() -> None:
    """`await sync()` ends when all writes issued before it are durable, unconfirmed ones too (KVA-19)."""

    async def work(storage: Any) -> Any:
        storage.put("a", 1)
        storage.put("b", 2, allow_unconfirmed=True)
        store = storage._live.used_store
        before = store.in_turn
        await storage.sync()
        return before, store.in_turn, store.is_durable

    assert await in_object(work) == (True, False, True)


@pytest.mark.rows("KVA-19")
async def test_sync_with_nothing_to_wait_for_is_done() -> None:
    """With no write pending `sync()` resolves at once (KVA-19)."""

    async def work(storage: Any) -> Any:
        return storage.sync().done()

    assert await in_object(work) is True


@pytest.mark.rows("KVA-19")
async def test_sync_does_not_wait_for_later_writes() -> None:
    """A write made after `sync()` was called is not what it waits for (KVA-19)."""

    async def work(storage: Any) -> Any:
        storage.put("a", 1)
        waiting = storage.sync()
        await asyncio.sleep(0)
        storage.put("b", 2)
        await waiting
        return storage._live.used_store.number

    assert await in_object(work) >= 1


@pytest.mark.rows("KVA-24")
async def test_storage_of_an_evicted_instance_is_closed() -> None:
    """An instance that is gone cannot read or write: `storage is no longer accessible` (KVA-24)."""
    async with an_object() as stub:
        storage = await inside(stub, lambda instance: instance.ctx.storage)
        await evict_durable_object(stub)
        for use in (
            lambda: storage.get("k"),
            lambda: storage.put("k", 1),
            lambda: storage.kv.get("k"),
            lambda: storage.sql.exec("SELECT 1"),
            lambda: storage.transaction_sync(lambda: None),
            lambda: storage.delete_all(),
        ):
            with pytest.raises(StorageError, match=r"^Durable Object storage is no longer accessible\.$"):
                use()


async def test_storage_belongs_to_the_loops_thread() -> None:
    """A read from another thread is refused, and says what to do instead."""

    async def work(storage: Any) -> Any:
        return await attempt(asyncio.to_thread(storage.kv.get, "k"))

    error = await in_object(work)
    assert isinstance(error, RuntimeError)
    assert "another thread" in str(error)


# --- the hidden table --------------------------------------------------------------------------------


@pytest.mark.rows("KVA-22", "SQL-32")
async def test_the_table_of_keys_is_made_by_the_first_write() -> None:
    """Reads make no table; the first `put` does, with the layout that workerd has (KVA-22)."""
    schema = "SELECT sql FROM sqlite_master"

    async def work(storage: Any) -> Any:
        await storage.get("k")
        await storage.list()
        await storage.delete("k")
        before = storage.sql.exec(schema).to_list()
        await storage.put("k", 1)
        return before, storage.sql.exec(schema).one().sql

    before, sql = await in_object(work)
    assert before == []
    assert " ".join(sql.split()) == "CREATE TABLE _cf_KV (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"


@pytest.mark.rows("KVA-22", "TXN-14")
async def test_the_table_of_keys_is_rolled_back_with_what_made_it() -> None:
    """A transaction that made the hidden table and is rolled back leaves none, and later writes work (KVA-22)."""

    async def work(storage: Any) -> Any:
        with pytest.raises(ZeroDivisionError):
            storage.transaction_sync(lambda: (storage.kv.put("k", 1), 1 / 0))
        tables = storage.sql.exec("SELECT name FROM sqlite_master").to_list()
        return tables, await storage.get("k"), await storage.put("k", 2), await storage.get("k")

    assert await in_object(work) == ([], None, None, 2)


@pytest.mark.rows("KVA-23")
async def test_a_value_that_cannot_be_read_names_its_key_and_size() -> None:
    """A damaged value is an error that names key and size, and never the content (KVA-23)."""

    async def work(storage: Any) -> Any:
        await storage.put("fine", 1)
        database = storage._live.store().begin_write()
        database.run(own("INSERT INTO _cf_KV VALUES ('broken', x'ff00c1c1c1')"))
        with pytest.raises(Exception) as one:  # noqa: PT011 - what matters is the note
            storage.get("broken")
        with pytest.raises(Exception) as many:  # noqa: PT011
            storage.list()
        return [one.value.__notes__, many.value.__notes__, await storage.get("fine")]

    one, many, fine = await in_object(work)
    assert one == many == ["while reading key 'broken' of Plain(one) (5 bytes)"]
    assert fine == 1


@pytest.mark.rows("KVA-12")
async def test_a_stored_class_that_is_not_known_is_named(data: Path) -> None:
    """A stored class that this application does not have is an error that names it, never a silent dict."""
    async with an_object(data=data, modules=[__name__]) as stub:
        await inside(stub, lambda instance: instance.ctx.storage.put("k", Point(1, 2)))
    async with an_object(data=data) as stub:
        error = await attempt(inside(stub, lambda instance: instance.ctx.storage.get("k")))
    assert isinstance(error, DataCloneError)
    assert f"{__name__}:Point" in str(error)
