"""`ctx.storage.list`: order, ranges, limits (KVA-09…11)."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import in_object

SIX = {"a": 1, "ab": 2, "abc": 3, "b": 4, "ba": 5, "c": 6}


async def listed(entries: dict[str, Any], **options: Any) -> list[str]:
    """The keys that `list(**options)` gives of *entries*; `kv.list` must give the same."""

    async def work(storage: Any) -> Any:
        await storage.put(entries)
        found = await storage.list(**options)
        assert list(storage.kv.list(**options)) == list(found.items())
        assert {key: entries[key] for key in found} == found
        return list(found)

    return await in_object(work)


@pytest.mark.rows("KVA-09")
async def test_list_without_options_gives_everything() -> None:
    """`list()` is a dict of every pair (KVA-09)."""
    assert await listed(SIX) == list(SIX)


@pytest.mark.rows("KVA-09")
async def test_an_empty_store_lists_nothing() -> None:
    """`list()` of a store that never was written to is empty (KVA-09)."""
    assert await in_object(lambda storage: storage.list()) == {}


@pytest.mark.rows("KVA-09")
async def test_keys_come_in_utf8_byte_order() -> None:
    """The order is that of the keys' UTF-8 bytes: not of UTF-16 units, not of any language (KVA-09)."""
    keys = [
        "",
        "\0",
        " ",
        "A",
        "Z",
        "a",
        "a\0",
        "a\0b",
        "ab",
        "z",
        "é",
        "\ud7ff",
        "\ue000",
        "\uffee",
        "\U00010000",
    ]
    assert await listed(dict.fromkeys(reversed(keys), 0)) == sorted(keys, key=str.encode)


@pytest.mark.rows("KVA-09", "KVA-11")
@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"start": "b"}, ["b", "ba", "c"]),
        ({"start": "aa"}, ["ab", "abc", "b", "ba", "c"]),
        ({"start": ""}, list(SIX)),
        ({"start_after": "b"}, ["ba", "c"]),
        ({"start_after": "aa"}, ["ab", "abc", "b", "ba", "c"]),
        ({"start_after": ""}, list(SIX)),
        ({"end": "b"}, ["a", "ab", "abc"]),
        ({"end": "zz"}, list(SIX)),
        ({"end": ""}, []),
        ({"prefix": "a"}, ["a", "ab", "abc"]),
        ({"prefix": "ab"}, ["ab", "abc"]),
        ({"prefix": "zz"}, []),
        ({"prefix": "", "limit": 2}, ["a", "ab"]),
        ({"start": "ab", "end": "ba"}, ["ab", "abc", "b"]),
        ({"start_after": "ab", "end": "ba"}, ["abc", "b"]),
        ({"start": "b", "end": "b"}, []),
        ({"start": "c", "end": "a"}, []),
        ({"start_after": "b", "end": "ba"}, []),
        ({"prefix": "a", "start": "ab"}, ["ab", "abc"]),
        ({"prefix": "a", "start_after": "a"}, ["ab", "abc"]),
        ({"prefix": "a", "end": "ab"}, ["a"]),
        ({"prefix": "b", "start": "a"}, ["b", "ba"]),
        ({"prefix": "b", "start": "bb"}, []),
        ({"prefix": "b", "end": "a"}, []),
        ({"prefix": "b", "end": "z"}, ["b", "ba"]),
    ],
    ids=str,
)
async def test_a_range_is_where_its_options_meet(options: dict[str, Any], keys: list[str]) -> None:
    """`start` is in, `start_after` and `end` are out; a prefix narrows them further (KVA-11)."""
    assert await listed(SIX, **options) == keys


@pytest.mark.rows("KVA-11")
@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"reverse": True}, list(reversed(SIX))),
        ({"reverse": True, "limit": 2}, ["c", "ba"]),
        ({"reverse": True, "end": "b", "limit": 2}, ["abc", "ab"]),
        ({"reverse": True, "start": "ab", "limit": 2}, ["c", "ba"]),
        ({"reverse": True, "prefix": "a", "start_after": "ab"}, ["abc"]),
        ({"limit": 1}, ["a"]),
        ({"limit": 2, "start": "b"}, ["b", "ba"]),
        ({"limit": 100}, list(SIX)),
    ],
    ids=str,
)
async def test_reverse_turns_the_order_and_limit_counts_after_it(
    options: dict[str, Any], keys: list[str]
) -> None:
    """`reverse` leaves start and end what they are; `limit` takes the first of the turned order (KVA-11)."""
    assert await listed(SIX, **options) == keys


@pytest.mark.rows("KVA-11")
@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        ("a\x7f", ["a\x7f", "a\x7fz"], ["a\x80", "b"]),
        ("\ud7ff", ["\ud7ff", "\ud7ffx"], ["\ue000"]),
        ("\U0010ffff", ["\U0010ffff", "\U0010ffff\U0010ffff"], ["\uffff"]),
        ("a\U0010ffff", ["a\U0010ffff", "a\U0010ffffb"], ["a", "b"]),
    ],
)
async def test_a_prefix_ends_where_its_bytes_end(prefix: str, inside: list[str], outside: list[str]) -> None:
    """The end of a prefix is right also after the last character of a range of bytes (KVA-11)."""
    entries = dict.fromkeys([*inside, *outside], 0)
    assert await listed(entries, prefix=prefix) == sorted(inside, key=str.encode)


@pytest.mark.rows("KVA-11")
async def test_a_range_that_is_surely_empty_touches_no_storage() -> None:
    """A range that holds no key whatever is stored is answered without opening the store (KVA-11)."""

    def work(storage: Any) -> Any:
        storage.list(start="b", end="a")
        list(storage.kv.list(prefix="a", start="b"))
        return storage._live.used_store is None or storage._live.used_store.database is None

    assert await in_object(work) is True


@pytest.mark.rows("KVA-10")
async def test_start_and_start_after_together_are_a_type_error() -> None:
    """Both lower bounds at once are refused (KVA-10)."""

    def work(storage: Any) -> None:
        for list_ in (storage.list, storage.kv.list):
            with pytest.raises(
                TypeError, match=r"^list\(\) cannot be called with both start and start_after values\.$"
            ):
                list_(start="a", start_after="a")

    await in_object(work)


@pytest.mark.rows("KVA-10")
@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_below_one_is_a_type_error(limit: int) -> None:
    """`limit` must be positive (KVA-10)."""

    def work(storage: Any) -> None:
        for list_ in (storage.list, storage.kv.list):
            with pytest.raises(TypeError, match=r"^List limit must be positive\.$"):
                list_(limit=limit)

    await in_object(work)


@pytest.mark.rows("KVA-10")
@pytest.mark.parametrize(
    "options", [{"limit": 1.5}, {"limit": "2"}, {"limit": True}, {"start": 1}, {"prefix": b"a"}]
)
async def test_options_of_another_type_are_a_type_error(options: dict[str, Any]) -> None:
    """Python makes no numbers of text and no text of numbers: the error names option and type."""

    def work(storage: Any) -> None:
        with pytest.raises(TypeError, match=rf"^list\(\): {next(iter(options))} must be"):
            storage.list(**options)

    await in_object(work)


async def test_a_limit_may_be_larger_than_sqlite_can_count() -> None:
    """Python's integers have no end; a huge limit is none (KVA-09)."""
    assert await listed(SIX, limit=10**30) == list(SIX)


@pytest.mark.rows("KVA-09")
async def test_the_options_about_waiting_change_nothing_that_is_listed() -> None:
    """`allow_concurrency` and `no_cache` are accepted (KVA-09)."""

    async def work(storage: Any) -> Any:
        await storage.put(SIX)
        return await storage.list(allow_concurrency=True, no_cache=True, limit=1)

    assert await in_object(work) == {"a": 1}


@pytest.mark.rows("KVA-01", "KVA-09")
async def test_what_is_listed_is_a_copy() -> None:
    """Changing a listed value changes nothing that is stored (KVA-01)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", [1])
        (await storage.list())["k"].append(2)
        return await storage.list()

    assert await in_object(work) == {"k": [1]}
