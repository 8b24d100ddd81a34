"""Keys and values do what a dict does, whatever the order of calls, evictions and restarts (KVA, KVS)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.world import World, play

pytestmark = pytest.mark.rows(
    "KVA-02", "KVA-05", "KVA-08", "KVA-09", "KVA-11", "KVA-16", "KVA-21", "KVS-05", "KVS-07"
)

keys = st.sampled_from(
    ["", "a", "aa", "ab", "b", "b\0", "\x7f", "é", "\ud7ff", "\ue000", "\U0001f600", "\U0010ffff"]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=5,
)
bounds = st.none() | keys
ranges = st.fixed_dictionaries(
    {},
    optional={
        "start": bounds,
        "start_after": bounds,
        "end": bounds,
        "prefix": bounds,
        "reverse": st.booleans(),
        "limit": st.none() | st.integers(1, 5),
    },
).filter(lambda options: options.get("start") is None or options.get("start_after") is None)
styles = st.sampled_from(["async", "sync"])
operations = st.one_of(
    st.tuples(st.just("put"), styles, keys, values),
    st.tuples(st.just("put_many"), st.dictionaries(keys, values, max_size=4)),
    st.tuples(st.just("get"), styles, keys),
    st.tuples(st.just("get_many"), st.lists(keys, max_size=5)),
    st.tuples(st.just("delete"), styles, keys),
    st.tuples(st.just("delete_many"), st.lists(keys, max_size=5)),
    st.tuples(st.just("list"), styles, ranges),
    st.tuples(st.sampled_from(["suspend", "sync", "delete_all", "mapping"])),
)
events = st.one_of(
    st.lists(operations, min_size=1, max_size=8),
    st.sampled_from(["evict", "restart"]),
)


@settings(max_examples=60)
@given(st.lists(events, min_size=1, max_size=8))
def test_keys_and_values_are_those_of_a_dict(story: list[Any]) -> None:
    """Every answer of every form of every call is what a dict in byte order gives."""

    async def told(world: World) -> None:
        model: dict[str, Any] = {}
        for event in story:
            if event == "evict":
                await world.evict()
            elif event == "restart":
                await world.restart()
            else:
                await world.event(lambda storage, event=event: perform(storage, model, event))
        assert await world.event(lambda storage: storage.list()) == model

    play(told)


async def perform(storage: Any, model: dict[str, Any], event: list[Any]) -> None:
    for name, *arguments in event:
        await globals()[f"do_{name}"](storage, model, *arguments)


async def do_put(storage: Any, model: dict[str, Any], style: str, key: str, value: Any) -> None:
    await storage.put(key, value) if style == "async" else storage.kv.put(key, value)
    model[key] = value


async def do_put_many(storage: Any, model: dict[str, Any], entries: dict[str, Any]) -> None:
    await storage.put(entries)
    model.update(entries)


async def do_get(storage: Any, model: dict[str, Any], style: str, key: str) -> None:
    found = await storage.get(key, "none") if style == "async" else storage.kv.get(key, "none")
    assert found == model.get(key, "none")


async def do_get_many(storage: Any, model: dict[str, Any], wanted: list[str]) -> None:
    found = await storage.get(wanted)
    assert found == {key: model[key] for key in wanted if key in model}
    assert list(found) == in_order(found)


async def do_delete(storage: Any, model: dict[str, Any], style: str, key: str) -> None:
    gone = await storage.delete(key) if style == "async" else storage.kv.delete(key)
    assert gone is (key in model)
    model.pop(key, None)


async def do_delete_many(storage: Any, model: dict[str, Any], wanted: list[str]) -> None:
    assert await storage.delete(wanted) == len(model.keys() & set(wanted))
    for key in wanted:
        model.pop(key, None)


async def do_list(storage: Any, model: dict[str, Any], style: str, options: dict[str, Any]) -> None:
    found = (
        list((await storage.list(**options)).items())
        if style == "async"
        else list(storage.kv.list(**options))
    )
    assert found == [(key, model[key]) for key in selected(model, **options)]


async def do_suspend(storage: Any, model: dict[str, Any]) -> None:
    await asyncio.sleep(0)


async def do_sync(storage: Any, model: dict[str, Any]) -> None:
    await storage.sync()
    assert storage._live.store().is_durable


async def do_delete_all(storage: Any, model: dict[str, Any]) -> None:
    await storage.delete_all()
    model.clear()


async def do_mapping(storage: Any, model: dict[str, Any]) -> None:
    assert list(storage.kv) == in_order(model)
    assert len(storage.kv) == len(model)
    assert all(key in storage.kv and storage.kv[key] == value for key, value in model.items())


def in_order(found: Any) -> list[str]:
    return sorted(found, key=str.encode)


def selected(
    model: dict[str, Any],
    start: str | None = None,
    start_after: str | None = None,
    end: str | None = None,
    prefix: str | None = None,
    reverse: bool = False,
    limit: int | None = None,
) -> list[str]:
    """The keys that `list` must give, the plain way."""
    found = [
        key
        for key in in_order(model)
        if (start is None or key.encode() >= start.encode())
        and (start_after is None or key.encode() > start_after.encode())
        and (end is None or key.encode() < end.encode())
        and (prefix is None or key.startswith(prefix))
    ]
    return (found[::-1] if reverse else found)[:limit]
