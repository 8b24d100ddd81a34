"""Transactions, nested in any way, leave what copies of a dict would leave (TXN)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model.world import World, play

pytestmark = pytest.mark.rows("TXN-02", "TXN-04", "TXN-06", "TXN-07", "TXN-10", "TXN-14", "KVS-09", "SQL-28")


class Oops(Exception):
    """What the transactions of these stories fail with."""


@dataclass(frozen=True)
class Put:
    key: str
    value: int
    by: str


@dataclass(frozen=True)
class Delete:
    key: str


@dataclass(frozen=True)
class Suspend:
    """Let the turn end; only where no synchronous transaction is open."""


@dataclass(frozen=True)
class Sync:
    """A synchronous transaction."""

    body: list[Any]
    fails: bool
    block: bool


@dataclass(frozen=True)
class Async:
    """An asynchronous transaction; *ending*: "commits", "fails", or "rolls back" before the last *rest*."""

    body: list[Any]
    ending: str
    rest: list[Any]
    block: bool


keys = st.sampled_from("abc")
writes = st.one_of(
    st.builds(Put, keys, st.integers(0, 9), st.sampled_from(["kv", "put", "many", "sql"])),
    st.builds(Delete, keys),
)
sync_bodies = st.recursive(
    st.lists(writes, max_size=3),
    lambda inner: st.lists(writes | st.builds(Sync, inner, st.booleans(), st.booleans()), max_size=3),
    max_leaves=6,
)
sync = st.builds(Sync, sync_bodies, st.booleans(), st.booleans())
flat = st.lists(st.one_of(writes, sync, st.builds(Suspend)), max_size=4)
endings = st.sampled_from(["commits", "fails", "rolls back"])
bodies = st.recursive(
    flat,
    lambda inner: st.lists(
        st.one_of(writes, sync, st.builds(Suspend), st.builds(Async, inner, endings, flat, st.booleans())),
        max_size=4,
    ),
    max_leaves=8,
)
events = st.one_of(st.tuples(bodies, st.booleans()), st.sampled_from(["evict", "restart"]))


@settings(max_examples=80)
@given(st.lists(events, min_size=1, max_size=6))
def test_transactions_leave_what_copies_of_a_dict_would(story: list[Any]) -> None:
    """Commits keep, failures and rollbacks undo, at every level; nothing else changes anything."""

    async def told(world: World) -> None:
        model: dict[str, int] = {}
        await world.event(lambda storage: storage.sql.exec("CREATE TABLE t (k TEXT PRIMARY KEY, v)") and None)
        for event in story:
            if event == "evict":
                await world.evict()
            elif event == "restart":
                await world.restart()
            else:
                body, fails = event
                try:
                    await world.event(
                        lambda storage, body=body, fails=fails: handler(storage, model, body, fails)
                    )
                except LookupError:
                    assert fails
            assert await world.event(read) == model

    play(told)


async def handler(storage: Any, model: dict[str, int], body: list[Any], fails: bool) -> None:
    """An event: what it wrote outside of transactions stays, also when it fails (SQL-28)."""
    await perform(storage, model, body)
    if fails:
        raise LookupError


def read(storage: Any) -> dict[str, int]:
    """Keys are kept twice, half of them as rows: both must have gone the same way."""
    rows = {row.k: row.v for row in storage.sql.exec("SELECT k, v FROM t")}
    pairs = dict(storage.kv.list())
    assert not rows.keys() & pairs.keys()
    return rows | pairs


def write(storage: Any, model: dict[str, int], action: Any) -> None:
    storage.sql.exec("DELETE FROM t WHERE k = ?", action.key)
    storage.kv.delete(action.key)
    model.pop(action.key, None)
    if isinstance(action, Put):
        model[action.key] = action.value
        match action.by:
            case "kv":
                storage.kv.put(action.key, action.value)
            case "put":
                storage.put(action.key, action.value, allow_unconfirmed=True)
            case "many":
                storage.put({action.key: action.value})
            case "sql":
                storage.sql.exec("INSERT INTO t VALUES (?, ?)", action.key, action.value)


def perform_sync(storage: Any, model: dict[str, int], body: list[Any]) -> None:
    for action in body:
        if isinstance(action, Sync):
            transact_sync(storage, model, action)
        else:
            write(storage, model, action)
        assert read(storage) == model


def transact_sync(storage: Any, model: dict[str, int], action: Sync) -> None:
    before = dict(model)

    def callback() -> None:
        perform_sync(storage, model, action.body)
        if action.fails:
            raise Oops

    try:
        if action.block:
            with storage.transaction_sync():
                callback()
        else:
            storage.transaction_sync(callback)
    except Oops:
        assert action.fails
        replace(model, before)


async def perform(storage: Any, model: dict[str, int], body: list[Any]) -> None:
    for action in body:
        match action:
            case Suspend():
                await asyncio.sleep(0)
            case Sync():
                transact_sync(storage, model, action)
            case Async():
                await transact(storage, model, action)
            case _:
                write(storage, model, action)
        assert read(storage) == model


async def transact(storage: Any, model: dict[str, int], action: Async) -> None:
    before = dict(model)

    async def closure(txn: Any) -> str:
        await perform(storage, model, action.body)
        if action.ending == "rolls back":
            txn.rollback()
            replace(model, before)
            await perform(storage, model, action.rest)
        if action.ending == "fails":
            raise Oops
        return "done"

    try:
        if action.block:
            async with storage.transaction() as txn:
                await closure(txn)
        else:
            assert await storage.transaction(closure) == "done"
    except Oops:
        assert action.ending == "fails"
        replace(model, before)


def replace(model: dict[str, int], before: dict[str, int]) -> None:
    model.clear()
    model.update(before)
