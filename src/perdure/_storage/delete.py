"""Delete: one object with everything it stored. (cooperative)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure._storage.snapshot import unreserved
from perdure.errors import ObjectReset

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine

DELETED = "The object was deleted."


async def delete_store(engine: StorageEngine, key: bytes) -> bool:
    """
    Delete the object; tells whether there was one. When this returns that is durable: also after a crash its file is gone.

    An instance in memory is reset, and its callers hear so. An event that comes later finds an empty object.
    """
    await unreserved(engine, key)
    if engine.catalog.get(key) is None:
        return False
    store = engine.store(key)
    if store.owner is not None:
        store.owner.storage_broke(ObjectReset(DELETED))
    store.critical = None
    store.erase()
    engine.release(store)
    await store.gate.wait(store.number)
    return True
