"""Verify: the integrity of every store and of the journal, while they are in use. (cooperative)

A store is looked at in a copy of its last durable commit: what SQLite opened and closed beside the store would
drop this process's locks on it, and looking at a large database takes long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from perdure._base import limits
from perdure._storage.database import PlainFile
from perdure._storage.journal.recovery import check_log
from perdure._storage.layout import CATALOG_KEY
from perdure._storage.snapshot import Snapshot, hold, in_thread
from perdure.errors import DataFolderError, PerdureError, StorageError

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine

_TRIES = 5  # a log that is written meanwhile may look as if something in the middle were missing
_LINES_MAX = 20  # of what SQLite says of one file


class Finding(NamedTuple):
    """Something that is not as it should be."""

    path: str
    """The damaged file."""
    problem: str


async def verify(
    engine: StorageEngine, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Finding]:
    """
    Look at every object's database, at the catalog, and at the journal; return what is wrong, nothing if all is well.

    A start has looked at the whole journal before; this looks at what was written since.

    Args:
        on_progress: told how many databases were looked at, and how many there are.

    Raises:
        StorageError: it is running already.
    """
    if engine.is_verifying:
        raise StorageError("Another look at all databases is running already: wait for its end.")
    engine.is_verifying = True
    try:
        return await _verify(engine, on_progress)
    finally:
        engine.is_verifying = False


async def _verify(engine: StorageEngine, on_progress: Callable[[int, int], None]) -> list[Finding]:
    findings: list[Finding] = []
    total = engine.catalog.count() + 1
    done = 0
    key: bytes | None = None
    keys = [CATALOG_KEY]
    while keys:
        for key in keys:
            problem = await _look(engine, key)
            if problem is not None:
                findings.append(Finding(engine.layout.store(key), problem))
            done += 1
            on_progress(done, max(done, total))
        keys = engine.catalog.keys(None if key == CATALOG_KEY else key, limit=limits.OBJECTS_LISTED_MAX)
    problem = await in_thread(lambda: _log_problem(engine))
    if problem is not None:
        findings.append(Finding(engine.layout.journal, problem))
    return findings


async def _look(engine: StorageEngine, key: bytes) -> str | None:
    try:
        async with hold(engine, key) as snapshot:
            return await in_thread(lambda: _store_problem(engine, snapshot))
    except FileNotFoundError:
        return "The file is missing."
    except OSError as error:
        return f"It cannot be read: {error.strerror}."
    except StorageError:
        return None  # it was deleted meanwhile


def _store_problem(engine: StorageEngine, snapshot: Snapshot) -> str | None:
    copy = engine.layout.scratch
    try:
        if not snapshot.copy(copy, plain=True, synced=False):
            return "The file is empty."
        with PlainFile(copy) as database:
            lines = [str(line) for (line,) in database.run(f"PRAGMA integrity_check({_LINES_MAX})")]
    except PerdureError as error:
        return str(error)
    finally:
        engine.disk.unlink(copy)
    return None if lines == ["ok"] else "; ".join(lines)


def _log_problem(engine: StorageEngine) -> str | None:
    found: set[str] = set()
    for _ in range(_TRIES):
        try:
            check_log(engine.disk, engine.layout)
            return None
        except (DataFolderError, OSError) as error:
            if str(error) in found:
                return str(error)
            found.add(str(error))
    return None
