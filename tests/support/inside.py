"""Run a test's own code inside an object, with the object's gates, turns and transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from perdure import DurableObject, Runtime
from perdure._engine.events import InternalEvent
from perdure._engine.live import Live
from perdure._storage.files import RealDisk
from perdure.testing.unsynced import UnsyncedDisk


class Unsynced(UnsyncedDisk):
    """Nothing waits for the device; the journal's work is in threads all the same, as in a server."""

    worker = RealDisk.worker


class Plain(DurableObject):
    """An object without code of its own: tests bring theirs with `inside`."""


async def inside(stub: Any, fn: Callable[[Any], Any]) -> Any:
    """
    Run `fn(instance)` as one event of the object behind *stub*; return what it returns.

    The value is handed over as it is, and only once the writes made before it are durable.
    """
    return await begin(stub, fn)


def begin(stub: Any, fn: Callable[[Any], Any]) -> asyncio.Future[Any]:
    """Start what `inside` does, without waiting."""
    return live_of(stub).call(InternalEvent, "test", fn, lambda value: value)


def live_of(stub: Any) -> Live:
    """The live object behind *stub*."""
    return stub.id._space.live(stub.id._bytes, stub.id.name)


@asynccontextmanager
async def an_object(cls: type = Plain, name: str = "one", **options: Any) -> AsyncIterator[Any]:
    """Give the stub of an object in a fresh runtime, on a folder that goes with it."""
    async with Runtime(objects=[cls], **{"disk": Unsynced(), **options}) as runtime:
        yield runtime.namespace(cls).get_by_name(name)


async def in_object(fn: Callable[[Any], Any], **options: Any) -> Any:
    """Run `fn(ctx.storage)` inside a fresh object; return what it returns."""
    async with an_object(**options) as stub:
        return await inside(stub, lambda instance: fn(instance.ctx.storage))


async def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
    """Let the loop run until *condition* holds."""
    deadline = monotonic() + timeout_s
    while not condition():
        assert monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0)


async def settled(runtime: Runtime) -> None:
    """Let every event and every run of an alarm that was begun come to its end."""
    host = runtime._running()
    await asyncio.sleep(0)
    await until(
        lambda: not any(live.events for space in host.spaces.values() for live in space.lives.values())
    )
    await until(lambda: not host._scheduler._running)


async def attempt(awaitable: Awaitable[Any]) -> Any:
    """What *awaitable* gives, or the exception that it raises."""
    try:
        return await awaitable
    except Exception as error:
        return error
