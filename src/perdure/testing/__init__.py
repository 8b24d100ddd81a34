"""Tools to test durable objects with. (cooperative)"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from perdure._base import limits
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure._engine.live import Live
    from perdure.runtime import Runtime

__all__ = ["evict_all_durable_objects", "evict_durable_object", "run_durable_object_alarm"]

NOT_RUNNING: Final = "Cannot evict Durable Object: it is not currently running."
STILL_BUSY: Final = "Timed out waiting to evict Durable Object: it still has active references."
_LOOK_S: Final = 0.001


async def evict_durable_object(stub: Any) -> None:
    """
    Drop the object behind *stub* from memory, as idleness would; its data stays (TEST-05).

    Waits up to 30 seconds for what is in progress.

    Raises:
        PerdureError: it is not in memory, or something of it is still in progress.
    """
    live = stub.id._space.lives.get(stub.id._bytes)
    if live is None:
        raise PerdureError(NOT_RUNNING)
    await _evict(live)


async def evict_all_durable_objects(runtime: Runtime) -> None:
    """Drop every object of *runtime* that is in memory; see `evict_durable_object`."""
    for space in runtime._running().spaces.values():
        for live in list(space.lives.values()):
            await _evict(live)


async def run_durable_object_alarm(stub: Any) -> bool:
    """
    Run the alarm of the object behind *stub* at once, whatever its time (TEST-02).

    Returns False if it has none. What the handler raises is raised here, and the alarm stays set.
    """
    space = stub.id._space
    live: Live = space.live(stub.id._bytes, stub.id.name)
    found: bool = await space.host.alarms.run_now(live)
    return found


async def _evict(live: Live) -> None:
    clock = live.host.clock
    deadline_s = clock.monotonic_s() + limits.EVICTION_WAIT_S
    while live.broken is None and not live.is_idle:
        if clock.monotonic_s() >= deadline_s:
            raise PerdureError(STILL_BUSY)
        await asyncio.sleep(_LOOK_S)
    if live.broken is None:
        live.evict()
