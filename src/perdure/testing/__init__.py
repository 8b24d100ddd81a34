"""Tools to test durable objects with. (cooperative)"""

from __future__ import annotations

from typing import Any

from perdure.errors import PerdureError

__all__ = ["evict_durable_object"]


async def evict_durable_object(stub: Any) -> None:
    """
    Drop the object behind *stub* from memory, as idleness would; its data stays (TEST-05).

    Raises:
        PerdureError: it is not in memory, or something of it is in progress.
    """
    id = stub.id
    live = id._space.lives.get(id._bytes)
    if live is None or live.state != "running":
        raise PerdureError("Cannot evict Durable Object: it is not currently running.")
    if live.used_store is not None and not live.used_store.is_durable:
        await live.used_store.gate.wait(live.used_store.number)
    if live.events or live.tasks:
        raise PerdureError("Timed out waiting to evict Durable Object: it still has active references.")
    live.evict()
