"""`ctx.storage` under Cloudflare's names."""

from __future__ import annotations

import datetime

import pytest
from cloudflare.inside import within

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsDate, JsDict, JsMap, to_js


@pytest.mark.members("DurableObjectState.storage", "DurableObjectStorage.put", "DurableObjectStorage.get")
async def test_put_and_get_take_options_in_three_ways():
    """Options come as keywords, as a trailing dict, or as what `to_js` makes; unknown ones are ignored."""

    async def work(self):
        storage = self.ctx.storage
        await storage.put("a", 1, {"allowUnconfirmed": True, "noSuchOption": 1})
        await storage.put("b", 2, allowConcurrency=True)
        await storage.put("c", 3, to_js({"noCache": True}))
        await storage.put({"d": 4, "e": 5}, {"allowUnconfirmed": True})
        return [await storage.get(key, {"noCache": True}) for key in "abcde"]

    assert await within(work) == [1, 2, 3, 4, 5]


async def test_a_missing_key_is_none():
    """JavaScript's undefined and null are both None."""

    async def work(self):
        await self.ctx.storage.put("null", None)
        return await self.ctx.storage.get("missing"), await self.ctx.storage.get("null")

    assert await within(work) == (None, None)


async def test_stored_values_come_back_as_the_sdk_shows_them():
    """Dicts have attributes, bytes are a memoryview, a date is naive, a whole number an int."""

    async def work(self):
        when = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
        await self.ctx.storage.put(
            "value", {"bytes": b"abc", "when": when, "one": 1.0, 5: "five", "list": [{"x": 1}]}
        )
        return await self.ctx.storage.get("value")

    value = await within(work)
    assert type(value) is JsDict
    assert value.bytes == memoryview(b"abc")
    assert value.when == datetime.datetime(
        2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.UTC
    ).astimezone().replace(tzinfo=None)
    assert type(value.one) is int
    assert value["5"] == "five"
    assert type(value.list) is list
    assert value.list[0].x == 1


@pytest.mark.members("DurableObjectStorage.list", "DurableObjectStorage.delete")
async def test_several_keys_are_a_dict_in_order():
    """`get([…])` gives what there is, `delete([…])` counts it, `list` goes by its options."""

    async def work(self):
        storage = self.ctx.storage
        await storage.put({key: ord(key) for key in "cab"})
        got = await storage.get(["c", "a", "x"])
        listed = await storage.list(to_js({"start": "a", "end": "c"}))
        newest = await storage.list(reverse=True, limit=1)
        return (
            got,
            listed,
            newest,
            await storage.list({"prefix": None, "limit": None}),
            await storage.delete(["a", "x"]),
        )

    got, listed, newest, everything, deleted = await within(work)
    assert list(got) == ["a", "c"]
    assert list(listed) == ["a", "b"]
    assert dict(newest) == {"c": 99}
    assert list(everything) == ["a", "b", "c"]
    assert deleted == 1


async def test_a_write_counts_without_await():
    """What is called is done, awaited or not."""

    async def work(self):
        self.ctx.storage.put("a", 1)
        return await self.ctx.storage.get("a")

    assert await within(work) == 1


async def test_a_value_that_cannot_be_stored_is_refused():
    """A tuple is a TypeError, an instance of a class a DataCloneError; the path to it is told."""

    async def work(self):
        errors = []
        for value in ({"pair": (1, 2)}, {"thing": object()}, bytearray(b"x")):
            with pytest.raises((TypeError, JsException)) as caught:
                await self.ctx.storage.put("key", value)
            errors.append(caught.value)
        return errors, await self.ctx.storage.list()

    (pair, thing, raw), stored = await within(work)
    assert isinstance(pair, TypeError)
    assert "tuple cannot be sent" in str(pair)
    assert isinstance(thing, JsException)
    assert thing.name == "DataCloneError"
    assert '["thing"]' in str(thing)
    assert isinstance(raw, TypeError)
    assert stored == {}


async def test_a_wrong_call_says_so_in_cloudflares_names():
    """An error is a JsException and its Python class; it speaks of `startAfter`, not of `start_after`."""

    async def work(self):
        with pytest.raises(TypeError) as caught:
            await self.ctx.storage.list(start="a", startAfter="b")
        return caught.value

    error = await within(work)
    assert isinstance(error, JsException)
    assert error.name == "TypeError"
    assert error.message == "list() cannot be called with both start and startAfter values."


# --- the alarm ------------------------------------------------------------------------------------------


@pytest.mark.members(
    "DurableObjectStorage.setAlarm", "DurableObjectStorage.getAlarm", "DurableObjectStorage.deleteAlarm"
)
@pytest.mark.parametrize(
    "when",
    [
        4_000_000_000_000,
        4_000_000_000_000.0,
        datetime.datetime.fromtimestamp(4_000_000_000, datetime.UTC),
        datetime.datetime.fromtimestamp(4_000_000_000),
        JsDate(4_000_000_000_000),
    ],
    ids=["int", "float", "aware", "naive", "Date"],
)
async def test_an_alarm_is_set_in_milliseconds_or_to_a_date(when):
    """`getAlarm` tells milliseconds, whatever set it."""

    async def work(self):
        assert await self.ctx.storage.getAlarm() is None
        await self.ctx.storage.setAlarm(when)
        at = await self.ctx.storage.getAlarm()
        await self.ctx.storage.deleteAlarm()
        return at, await self.ctx.storage.getAlarm()

    assert await within(work) == (4_000_000_000_000, None)


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (0, "setAlarm() cannot be called with an alarm time <= 0"),
        (float("nan"), "not a valid Date"),
        (1e300, "doesn't support dates after 2189"),
        ("tomorrow", "setAlarm()"),
        (None, "setAlarm()"),
    ],
)
async def test_what_is_no_time_is_refused(when, text):
    """The error is a TypeError, and no alarm is set."""

    async def work(self):
        with pytest.raises(TypeError) as caught:
            await self.ctx.storage.setAlarm(when)
        return str(caught.value), await self.ctx.storage.getAlarm()

    message, at = await within(work)
    assert text in message
    assert at is None


# --- transactions ---------------------------------------------------------------------------------------


@pytest.mark.members(
    "DurableObjectStorage.transaction",
    "DurableObjectTransaction.put",
    "DurableObjectTransaction.list",
    "DurableObjectTransaction.setAlarm",
)
async def test_a_transaction_gives_its_closure_a_view():
    """`txn` has Cloudflare's names; what the closure returns is returned."""

    async def work(self):
        async def closure(txn):
            await txn.put({"a": 1, "b": 2})
            await txn.setAlarm(4_000_000_000_000)
            return {"sum": sum((await txn.list()).values())}

        result = await self.ctx.storage.transaction(closure)
        return (
            result.sum,
            await self.ctx.storage.getAlarm(),
            await self.ctx.storage.transaction(lambda: "no txn"),
        )

    assert await within(work) == (3, 4_000_000_000_000, "no txn")


@pytest.mark.members("DurableObjectTransaction.rollback")
async def test_an_exception_rolls_a_transaction_back():
    """The caller gets the exception, as its own class."""

    class MyError(Exception):
        pass

    async def work(self):
        async def closure(txn):
            await txn.put("a", 1)
            raise MyError("no")

        with pytest.raises(MyError, match="no"):
            await self.ctx.storage.transaction(closure)

        def callback():
            self.ctx.storage.kv.put("b", 2)
            raise MyError("neither")

        with pytest.raises(MyError, match="neither"):
            self.ctx.storage.transactionSync(callback)

        async def undone(txn):
            await txn.put("c", 3)
            txn.rollback()

        await self.ctx.storage.transaction(undone)
        return await self.ctx.storage.list()

    assert await within(work) == {}


async def test_an_error_in_a_synchronous_transaction_shows_what_came_before_it():
    """The error that was being handled when it was raised is not hidden on its way through."""

    async def work(self):
        def callback():
            try:
                raise ValueError("first")
            except ValueError:
                raise LookupError("second")  # noqa: B904

        with pytest.raises(LookupError) as caught:
            self.ctx.storage.transactionSync(callback)
        return caught.value.__context__, caught.value.__suppress_context__

    first, is_hidden = await within(work)
    assert str(first) == "first"
    assert not is_hidden


@pytest.mark.members("DurableObjectStorage.transactionSync", "DurableObjectStorage.sql")
async def test_a_synchronous_transaction_returns_its_result():
    """What the callback returns is converted as all results are."""

    async def work(self):
        def callback():
            self.ctx.storage.sql.exec("CREATE TABLE t (x)")
            return {"made": True}

        return self.ctx.storage.transactionSync(callback).made

    assert await within(work) is True


# --- storage.kv -----------------------------------------------------------------------------------------


@pytest.mark.members(
    "DurableObjectStorage.kv",
    "SyncKvStorage.get",
    "SyncKvStorage.put",
    "SyncKvStorage.delete",
    "SyncKvStorage.list",
)
async def test_the_synchronous_keys_and_values():
    """`kv` has get, put, delete and list, whose pairs are lists."""

    async def work(self):
        kv = self.ctx.storage.kv
        kv.put("a", {"x": 1})
        kv.put("b", [1, 2])
        pairs = list(kv.list({"prefix": "a"}))
        stepped = kv.list(reverse=True)
        first = stepped.next()
        return kv.get("a").x, kv.get("none"), pairs, first.value, first.done, kv.delete("a"), kv.delete("a")

    assert await within(work) == (1, None, [["a", {"x": 1}]], ["b", [1, 2]], False, True, False)


async def test_a_map_is_stored_with_its_keys():
    """A js Map keeps keys that are no text."""

    async def work(self):
        await self.ctx.storage.put("map", JsMap({1: "one"}))
        return await self.ctx.storage.get("map")

    assert await within(work) == {1: "one"}


async def test_what_storage_does_not_have_is_named():
    """The error names the member, and says what exists."""

    async def work(self):
        with pytest.raises(AttributeError) as caught:
            self.ctx.storage.getCurrentBookmark()
        assert not hasattr(self.ctx.storage, "delete_all")
        return str(caught.value)

    text = await within(work)
    assert text.startswith(
        "DurableObjectStorage has no 'getCurrentBookmark' here; it has delete, deleteAlarm, deleteAll"
    )


@pytest.mark.members("DurableObjectStorage.sync", "DurableObjectStorage.deleteAll")
async def test_everything_is_deleted():
    """`deleteAll` leaves nothing, `sync` waits until that is durable; both give None."""

    async def work(self):
        await self.ctx.storage.put("a", 1)
        self.ctx.storage.sql.exec("CREATE TABLE t (x)")
        gone = await self.ctx.storage.deleteAll()
        durable = await self.ctx.storage.sync()
        return gone, durable, await self.ctx.storage.list()

    assert await within(work) == (None, None, {})


@pytest.mark.members(
    "DurableObjectTransaction.get",
    "DurableObjectTransaction.delete",
    "DurableObjectTransaction.getAlarm",
    "DurableObjectTransaction.deleteAlarm",
    "DurableObjectTransaction.deleteAll",
)
async def test_a_transaction_reads_and_deletes():
    """`txn` reads what was there and what it wrote; everything at once it cannot delete."""

    async def work(self):
        await self.ctx.storage.put({"a": 1, "b": 2})
        await self.ctx.storage.setAlarm(4_000_000_000_000)

        async def closure(txn):
            seen = [
                await txn.get("a"),
                await txn.delete("a"),
                await txn.get(["a", "b"]),
                await txn.getAlarm(),
            ]
            await txn.deleteAlarm()
            with pytest.raises(JsException, match=r"Cannot call deleteAll\(\) within a transaction"):
                await txn.deleteAll()
            return seen

        return await self.ctx.storage.transaction(closure), await self.ctx.storage.getAlarm()

    assert await within(work) == ([1, True, {"b": 2}, 4_000_000_000_000], None)
