"""What can be stored under a key, and how large it may be (KVA-12, KVA-13)."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from support.inside import in_object

from perdure import DataCloneError
from perdure.errors import SqlError


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


class Point(msgspec.Struct):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: int


async def stored(value: Any) -> Any:
    """What comes back of *value*, through `put` and `get`, `kv` and `list`, in another turn."""

    async def work(storage: Any) -> Any:
        await storage.put("k", value)
        await storage.sync()
        found = await storage.get("k")
        assert type(storage.kv.get("k")) is type((await storage.list())["k"]) is type(found)
        return found

    return await in_object(work, modules=[__name__])


@pytest.mark.rows("KVA-12")
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**63,
        -(2**70),
        0.5,
        float("inf"),
        "",
        "text \0 \U0001f600",
        b"",
        b"\0\xff",
        bytearray(b"ab"),
        [],
        [1, [2, [3]]],
        (),
        (1, "a"),
        {},
        {"a": {"b": None}},
        {1: "int", (1, 2): "tuple", None: "none", b"b": "bytes"},
        set(),
        pytest.param({1, "a"}, id="set of two types"),  # its repr is another in each process
        frozenset({1}),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
        dt.date(2026, 1, 2),
        dt.time(1, 2, 3),
        dt.timedelta(days=-1, microseconds=5),
        uuid.UUID(int=5),
        Decimal("1.10"),
        Colour.RED,
        Pair(1, 2),
        Point(1, 2),
        Node("root", [Node("leaf")]),
    ],
    ids=repr,
)
async def test_a_value_comes_back_as_it_was(value: Any) -> None:
    """Everything that structured clone carries and Python has is stored with its type (KVA-12)."""
    found = await stored(value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.rows("KVA-12")
async def test_nan_and_negative_zero_are_kept() -> None:
    """Numbers that compare oddly are stored as they are (KVA-12)."""
    nan, zero = await stored([float("nan"), -0.0])
    assert nan != nan
    assert str(zero) == "-0.0"


@pytest.mark.rows("KVA-12")
async def test_shared_references_stay_shared() -> None:
    """An object that stands twice in a value is one object in what comes back (KVA-12)."""
    part = [1]
    first, second = await stored([part, part])
    assert first is second


@pytest.mark.rows("KVA-12")
async def test_cycles_stay_cycles() -> None:
    """A value may hold itself (KVA-12)."""
    value: list[Any] = [1]
    value.append(value)
    found = await stored(value)
    assert found[1] is found


@pytest.mark.rows("KVA-12")
async def test_a_deep_value_is_stored() -> None:
    """Nesting is no recursion: a value far deeper than Python's stack is stored (KVA-12)."""
    value: list[Any] = []
    for _ in range(5000):
        value = [value]

    def depth(found: list[Any]) -> int:
        count = 0
        while found:
            found, count = found[0], count + 1
        return count

    assert depth(await stored(value)) == 5000


@pytest.mark.rows("KVA-12")
@pytest.mark.parametrize(
    "value",
    [print, lambda: None, object(), (n for n in ()), dt, int],
    ids=["builtin", "lambda", "object", "generator", "module", "class"],
)
async def test_what_cannot_be_cloned_cannot_be_stored(value: Any) -> None:
    """Functions, modules and the like are a DataCloneError, which is a TypeError (KVA-12)."""

    async def work(storage: Any) -> Any:
        for put in (storage.put, storage.kv.put):
            with pytest.raises(DataCloneError):
                put("k", value)
        return await storage.list()

    assert await in_object(work) == {}
    assert issubclass(DataCloneError, TypeError)


@pytest.mark.rows("KVA-12")
async def test_the_error_names_the_path_to_what_cannot_be_cloned() -> None:
    """One wrong part deep inside is found by its path (KVA-12)."""

    def work(storage: Any) -> None:
        with pytest.raises(DataCloneError, match=r'\["rows"\]\[1\]\["f"\]'):
            storage.put("k", {"rows": [1, {"f": print}]})

    await in_object(work)


@pytest.mark.rows("KVA-13", "LIM-04")
@pytest.mark.parametrize("size", [2_000_000, 8 * 1024 * 1024 - 100])
async def test_a_value_of_the_documented_size_is_stored(size: int) -> None:
    """2 MB are promised; as with workerd there is room for 8 MiB (KVA-13, LIM-04)."""

    async def work(storage: Any) -> Any:
        await storage.put("k", b"x" * size)
        return len(await storage.get("k"))

    assert await in_object(work) == size


@pytest.mark.rows("KVA-13", "LIM-04")
async def test_a_value_that_is_too_large_is_an_error_of_sqlite() -> None:
    """Beyond the limit SQLite's own error comes, and the turn goes on (KVA-13)."""

    async def work(storage: Any) -> Any:
        await storage.put("before", 1)
        for put in (storage.put, storage.kv.put):
            with pytest.raises(SqlError, match=r"^string or blob too big: SQLITE_TOOBIG$"):
                put("k", b"x" * (8 * 1024 * 1024 + 100))
        await storage.put("after", 1)
        return await storage.list()

    assert await in_object(work) == {"before": 1, "after": 1}


@pytest.mark.rows("KVA-13")
async def test_a_key_may_be_longer_than_2048_bytes() -> None:
    """A store on SQLite has no separate limit for keys (KVA-13)."""

    async def work(storage: Any) -> Any:
        await storage.put("k" * 10_000, 1)
        return await storage.get("k" * 10_000), len(next(iter(await storage.list())))

    assert await in_object(work) == (1, 10_000)


@pytest.mark.rows("KVA-13")
@pytest.mark.parametrize("key", ["", "\0", "a\0b", "é\U0001f600", " "])
async def test_any_text_is_a_key(key: str) -> None:
    """The empty text, and text with NUL, are keys like any other (KVA-13)."""

    async def work(storage: Any) -> Any:
        await storage.put({key: 1, key + "x": 2, "a": 3})
        return await storage.get(key), list(storage.kv.list(prefix=key))[0], await storage.delete(key)

    assert await in_object(work) == (1, (key, 1), True)


@pytest.mark.rows("KVA-13")
async def test_a_key_may_be_of_a_subclass_of_str() -> None:
    """A member of an Enum with text is the text (KVA-13)."""

    class Key(str, enum.Enum):  # noqa: UP042 - the form whose str() is not its text
        SEATS = "seats"

    async def work(storage: Any) -> Any:
        await storage.put(Key.SEATS, 1)
        storage.kv[Key.SEATS] += 1
        return await storage.list(), await storage.get([Key.SEATS]), storage.kv.delete(Key.SEATS)

    assert await in_object(work) == ({"seats": 2}, {"seats": 2}, True)


@pytest.mark.rows("KVA-13")
async def test_a_key_with_half_a_character_is_a_value_error() -> None:
    """A lone surrogate is no text of UTF-8; nothing is made of it in silence (KVA-13)."""

    async def work(storage: Any) -> Any:
        for use in (
            lambda: storage.put("x\ud800", 1),
            lambda: storage.put({"a": 1, "x\ud800": 1}),
            lambda: storage.get("x\ud800"),
            lambda: storage.delete("x\ud800"),
            lambda: storage.list(prefix="\ud800"),
        ):
            with pytest.raises(ValueError, match="surrogates not allowed"):
                use()
        return await storage.list()

    assert await in_object(work) == {}
