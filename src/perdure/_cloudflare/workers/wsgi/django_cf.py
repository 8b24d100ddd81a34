"""django-cf's database in durable objects: each object sees its own. (cooperative)

The package keeps *the* storage in a global of the process: the one of the object that was made last, whichever object
asks. Here many objects live in a process, so what it keeps is one that asks which object's code runs.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

from perdure._base.current import current
from perdure._engine.lifecycle import EVICTED

MODULE: Final = "django_cf.db.backends.do.storage"


class StorageOfTheObject:
    """Stands for `ctx.storage.sql` of whichever object's code runs."""

    def __init__(self) -> None:
        self._of: dict[Any, Any] = {}  # live object → its `ctx.storage.sql`

    def set(self, sql: Any) -> None:
        """Take what the running object's constructor gives."""
        for live in [
            live for live in self._of if live and (live.broken is not None or live.state is EVICTED)
        ]:
            del self._of[live]
        self._of[current.get()] = sql

    def __getattr__(self, name: str) -> Any:
        live = current.get()
        if live not in self._of:
            where = (
                "outside of durable objects"
                if live is None
                else f"in {live.label}, which did not give its storage"
            )
            raise RuntimeError(
                f"django_cf.db.backends.do was used {where}: a class with DjangoCFDurableObject among its bases gives it."
            )
        return getattr(self._of[live], name)


def keep_storages_apart() -> None:
    """Put a storage that asks whose it is into django-cf, if the project uses that."""
    if "django_cf" not in sys.modules:
        return
    try:
        module: Any = sys.modules.get(MODULE) or importlib.import_module(MODULE)
    except ImportError:  # a version that has it elsewhere
        return
    kept = module.storage
    if isinstance(kept, StorageOfTheObject):
        return
    module.storage = StorageOfTheObject()
    module.set_storage = module.storage.set
    if kept is not None:
        module.set_storage(kept)
