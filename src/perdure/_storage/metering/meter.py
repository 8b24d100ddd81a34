"""Rows read and written by one run of a statement: gathers the figures, and lets `walk` conclude. (edge)

SQLite without workerd's patch keeps no such counters, and what it does tell (`Watch`) costs as much as a
short statement. So nothing is asked before somebody wants to know:

- A reading statement is run once more, as far as its cursor had come, and watched. Whoever asks after
  changing what was read gets the counts of now.
- A writing statement cannot be run again. It is watched the first time its text is seen in the data folder; once
  counters of any store have been asked for, the first time its text is seen by a connection; and each time once
  those of that connection were. One run that was not watched is concluded from the number of rows it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from perdure._storage.database import Database, Error
from perdure._storage.metering.program import (
    AUTO_INDEX,
    CHANGES,
    DELETES,
    FULL_SCAN,
    INSERTS,
    ROWS,
    SORTS,
    STEPS,
    UPDATES,
    Program,
)
from perdure._storage.metering.walk import Counts, Walks, estimate

Listing = tuple[tuple[Any, ...], ...]
"""The rows of EXPLAIN."""

_FIGURES: Final = {
    STEPS: "SQLITE_STMTSTATUS_VM_STEP",
    FULL_SCAN: "SQLITE_STMTSTATUS_FULLSCAN_STEP",
    SORTS: "SQLITE_STMTSTATUS_SORT",
    AUTO_INDEX: "SQLITE_STMTSTATUS_AUTOINDEX",
}


@dataclass(slots=True)
class Watched:
    """What SQLite told of a run of a writing statement."""

    figures: dict[int, int] | None = None
    listing: Listing | None = None
    """If it changes the schema: afterwards it could not be explained any more."""


class Watching:
    """`with Watching(database) as watching:` around the run of a statement, then `figures`."""

    __slots__ = ("_database", "_watch")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Watching:
        self._watch = self._database.watch()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.stop()

    def figures(self, sql: str, changes: int) -> dict[int, int] | None:
        """Return the figures of the statement *sql*, which changed so many rows."""
        status = self._watch.status_of(sql)
        if status is None:
            return None
        figures = {place: status[name] for place, name in _FIGURES.items()}
        kinds = self._watch.inserted, self._watch.updated, self._watch.deleted
        if sum(kinds) == changes:  # SQLite does not tell of tables without rowid
            figures |= dict(zip((INSERTS, UPDATES, DELETES), kinds, strict=True))
        return figures


def explain(database: Database, sql: str, bindings: Sequence[Any]) -> Listing | None:
    """Return the program of *sql*, or None if it cannot be had."""
    database.internal = False
    try:
        return tuple(database.cursor().execute(f"EXPLAIN {sql}", bindings).fetchall())
    except (Error, ValueError):
        return None
    finally:
        database.internal = True


def of_reading(database: Database, sql: str, bindings: Sequence[Any], rows: int, *, finished: bool) -> Counts:
    """Count the rows read to give *rows* rows, and to find the end if it *finished*."""
    listing = explain(database, sql, bindings)
    if listing is None:
        return Counts(0, 0)
    try:
        with Watching(database) as watching:
            _run_again(database, sql, bindings, rows, finished)
    except (Error, ValueError):
        return Counts(rows, 0)
    figures = watching.figures(sql, 0) or {}
    return _conclude(database, listing, figures | {ROWS: rows, CHANGES: 0}, rows, 0, finished=finished)


def _run_again(database: Database, sql: str, bindings: Sequence[Any], rows: int, finished: bool) -> None:
    cursor = database.cursor()
    database.internal = False
    try:
        cursor.execute(sql, bindings)
        for _ in range(rows + finished):
            if cursor.fetchone() is None:
                break
    finally:
        database.internal = True
        cursor.close(True)


def of_writing(
    database: Database, sql: str, bindings: Sequence[Any], rows: int, changes: int, watched: Watched | None
) -> Counts:
    """Count the rows read and written by a run that gave *rows* rows and changed *changes*."""
    watched = watched or Watched()
    listing = watched.listing or explain(database, sql, bindings)
    if listing is None:
        return Counts(0, changes)
    figures = (watched.figures or {}) | {ROWS: rows, CHANGES: changes}
    if watched.listing is not None:
        _forget_changes(
            figures
        )  # the schema's rows do not count as changed, and what virtual tables put off does
    return _conclude(database, listing, figures, rows, changes, finished=True)


def _conclude(
    database: Database, listing: Listing, figures: dict[int, int], rows: int, changes: int, *, finished: bool
) -> Counts:
    walks = _walks(listing, finished)
    program = walks.program
    if program.clears or program.has_virtual:
        # The rows of an emptied table are not counted by steps; those of a virtual table's own tables by too many.
        _forget_changes(figures)
    counts = walks.counts(figures, finished=finished)
    if counts is None:
        return estimate(program, figures, rows, changes)
    counted = sum(database.count_rows(root) for root in program.counted)
    return Counts(counts.read + counted, counts.written + (changes if program.clears else 0))


def _forget_changes(figures: dict[int, int]) -> None:
    for place in (CHANGES, INSERTS, UPDATES, DELETES):
        figures.pop(place, None)


@lru_cache(maxsize=128)
def _walks(listing: Listing, finished: bool) -> Walks:
    return Walks(Program(listing, ends_early=not finished))
