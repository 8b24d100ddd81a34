"""What workerd keeps in an object's database, in Perdure's own form: values, and the time of the alarm. (edge)

The file is a copy that no store has open yet. Tables of SQL are the same in both; workerd's values are as V8 serialises
them, and its alarm is in nanoseconds.
"""

from __future__ import annotations

from typing import Final

from perdure._base import codec, v8
from perdure._storage import kv, metadata
from perdure._storage.database import PlainFile
from perdure.errors import DataCloneError, StorageError

UNREADABLE: Final = (
    "{source} has values that only JavaScript can read: {which}. Nothing of it was imported. Without them the rest can be: "
    "--leave-out."
)
_IN_PLACE: Final = (
    "PRAGMA synchronous=OFF",
    "PRAGMA journal_mode=MEMORY",
)  # whoever asked syncs, or drops the copy
_SHOWN_MAX: Final = 5


def take_over(path: str, source: str, *, leave_out: bool = False) -> list[tuple[str, str]]:
    """
    Rewrite what is workerd's in the database *path*, a copy of *source*; returns the keys left out, with the reasons.

    Raises:
        StorageError: a value has no equal in Python, and is not to be left out.
    """
    with PlainFile(path, writable=True) as file:
        for pragma in _IN_PLACE:
            file.run(pragma)
        metadata.rewrite_alarm(file)
        if not kv.has_foreign(file):
            return []
        unreadable: list[tuple[str, str]] = []
        with file.transaction():
            for key in kv.foreign_keys(file):
                try:
                    kv.replace(file, key, codec.dumps(v8.loads(kv.value_in(file, key))))
                except (ValueError, DataCloneError) as error:
                    unreadable.append((key, str(error)))
            if unreadable and not leave_out:
                which = "; ".join(f"{key!r}: {why}" for key, why in unreadable[:_SHOWN_MAX])
                if len(unreadable) > _SHOWN_MAX:
                    which += f"; and {len(unreadable) - _SHOWN_MAX} more"
                raise StorageError(UNREADABLE.format(source=source, which=which))
            for key, _ in unreadable:
                kv.remove(file, key)
        return unreadable
