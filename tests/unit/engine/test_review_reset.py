"""What an object that was reset may still do: nothing that anybody sees."""

from __future__ import annotations

import asyncio

import pytest
from support.inside import Plain, attempt, begin, inside, live_of

from perdure import Runtime
from perdure.errors import ObjectReset, StorageReset

pytestmark = pytest.mark.rows("GATE-09")


def call_at_the_end(instance, other):
    instance.ctx.storage.kv.put("n", 1)
    try:
        instance.ctx.abort("enough")
    finally:
        other.no_such_method()


def call_after_a_lost_turn(instance, other):
    instance.ctx.storage.kv.put("n", 1)
    instance.ctx._live.used_store.lose_turn(StorageReset("the disk is full"))
    other.no_such_method()


def call_later(instance, other):
    asyncio.get_running_loop().call_later(0.02, other.no_such_method)
    instance.ctx.abort("enough")


@pytest.mark.parametrize("way", [call_at_the_end, call_after_a_lost_turn, call_later])
async def test_no_call_leaves_an_object_that_was_reset(way):
    """Not from `finally`, not from code that caught the error, not from a timer: the writes it tells of are gone."""
    async with Runtime(objects=[Plain]) as runtime:
        namespace = runtime.namespace(Plain)
        one, other = namespace.get_by_name("one"), namespace.get_by_name("other")
        assert isinstance(
            await attempt(begin(one, lambda instance: way(instance, other))), (ObjectReset, StorageReset)
        )
        await asyncio.sleep(0.06)
        assert live_of(other).instance is None
        assert await inside(one, lambda instance: instance.ctx.storage.kv.get("n")) is None
