"""Explicit transactions and savepoints on a store, nested to any depth. (edge)

Level 1 of an asynchronous transaction is a real one (BEGIN … COMMIT): it closes the output gate only at its
commit (TXN-09). Every other level, and each synchronous one, is a savepoint inside what is open.
"""

from __future__ import annotations

from typing import Final

from perdure._storage.database import Error, own, translate
from perdure._storage.store import EARLIER_CRITICAL, Store
from perdure.errors import StorageError

COMMIT_WHILE_NESTED: Final = "Cannot commit an outer transaction while a nested transaction is still running."
GIVEN_UP: Final = "The transaction around this one failed and was rolled back."
OUTER_WHILE_NESTED: Final = (
    "Cannot roll back an outer transaction while a nested transaction is still running."
)


class Transaction:
    """
    One level, open until `commit` or `rollback`.

    Invariant: `store.depth` is the number of levels open; a level ends only as the innermost.
    """

    __slots__ = ("_level", "_losses", "_store", "_whole", "is_open")

    def __init__(self, store: Store, *, whole: bool) -> None:
        """Open a level; *whole*: a transaction of its own if it is the outermost, not part of the turn."""
        self._store = store
        self._whole = whole and store.depth == 0
        if self._whole:
            store.end_turn()  # writes of the turn before it are a commit of their own (TXN-06)
            database = store.database or store.open()
            if store.critical is not None:
                raise store.critical
            database.begin()
            store.confirmed_inside = False
        else:
            database = store.begin_write(confirmed=False)
            database.run(own(f"SAVEPOINT _cf_level_{store.depth + 1}"))
        store.depth += 1
        self._level = store.depth
        self._losses = store.losses
        self.is_open = True

    def commit(self) -> None:
        """Keep what this level wrote: for good at the outermost, else as part of the level around it."""
        store = self._store
        self._close()
        if store.critical is not None:
            raise StorageError(EARLIER_CRITICAL) from store.critical
        if not self._is_lost and store.depth != self._level:
            store.lose_levels(COMMIT_WHILE_NESTED)
        if self._is_lost:
            raise StorageError(store.loss)
        store.depth = self._level - 1
        if self._whole:
            if store.confirmed_inside:
                store.gate.issue(store.number + 1)
            store.commit()
            return
        self._run(f"RELEASE _cf_level_{self._level}")

    def rollback(self) -> None:
        """Undo what this level, and the levels inside it, wrote."""
        store = self._store
        if self.is_open and not self._is_lost and store.critical is None and store.depth != self._level:
            raise StorageError(OUTER_WHILE_NESTED)
        self._close()
        if self._is_lost or store.critical is not None:
            return
        store.depth = self._level - 1
        store.kv_exists = None
        if self._whole:
            store.rollback()
            return
        self._run(f"ROLLBACK TO _cf_level_{self._level}")
        self._run(f"RELEASE _cf_level_{self._level}")

    def give_up(self) -> None:
        """Undo what this level wrote because its code failed; levels that other code still holds inside it go too."""
        store = self._store
        if not self._is_lost and store.critical is None and store.depth != self._level:
            store.lose_levels(GIVEN_UP)
        self.rollback()

    @property
    def _is_lost(self) -> bool:
        return self._losses != self._store.losses

    def abandon(self) -> None:
        """Forget the level: its store was reset under it."""
        self.is_open = False

    def _close(self) -> None:
        if not self.is_open:
            raise StorageError("This transaction has ended already.")
        self.is_open = False

    def _run(self, sql: str) -> None:
        store = self._store
        assert store.database is not None
        try:
            store.database.run(own(sql))
        except Error as error:
            store.failed_statement(error)
            raise translate(error) from None
