"""Transactions as users see them: what a closure gets, and the two kinds of block. (cooperative)

Source: TXN-01…12. On SQLite the `txn` is a formality: every operation of the object meanwhile belongs to the
transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from perdure._base.awaitables import Done
from perdure._gates.input import Section
from perdure._storage.transaction import Transaction
from perdure.errors import StorageError

if TYPE_CHECKING:
    from perdure._engine.live import Live
    from perdure.storage import DurableObjectStorage

NO_DELETE_ALL: Final = "Cannot call delete_all() within a transaction"
MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda _: "..."})()
"""Stands for an argument that was not given."""


class DurableObjectTransaction:
    """What a `transaction` closure gets: the object's keys and values, and `rollback` (TXN-03)."""

    __slots__ = ("_done", "_level", "_storage")

    def __init__(self, storage: DurableObjectStorage, level: Transaction) -> None:
        self._storage = storage
        self._level = level
        self._done = False

    def _use(self, operation: str) -> DurableObjectStorage:
        if self._done:
            raise StorageError(
                f"Cannot call {operation} on transaction that has already committed: did you move `txn` outside "
                "of the closure?"
            )
        if not self._level.is_open:
            raise StorageError(f"Cannot {operation} on rolled back transaction")
        return self._storage

    def get(self, key: Any, default: Any = None, **options: Any) -> Done[Any]:
        """See `DurableObjectStorage.get`."""
        return self._use("get()").get(key, default, **options)

    def put(self, key: Any, value: Any = MISSING, /, **options: Any) -> Done[None]:
        """See `DurableObjectStorage.put`."""
        return self._use("put()").put(key, value, **options)

    def delete(self, key: Any, /, **options: Any) -> Done[Any]:
        """See `DurableObjectStorage.delete`."""
        return self._use("delete()").delete(key, **options)

    def list(self, **options: Any) -> Done[dict[str, Any]]:
        """See `DurableObjectStorage.list`."""
        return self._use("list()").list(**options)

    def get_alarm(self, **options: Any) -> Done[datetime | None]:
        """See `DurableObjectStorage.get_alarm`."""
        return self._use("get_alarm()").get_alarm(**options)

    def set_alarm(self, when: datetime | timedelta | float, /, **options: Any) -> Done[None]:
        """See `DurableObjectStorage.set_alarm`; undone with the transaction (TXN-13)."""
        return self._use("set_alarm()").set_alarm(when, **options)

    def delete_alarm(self, **options: Any) -> Done[None]:
        """See `DurableObjectStorage.delete_alarm`; undone with the transaction (TXN-13)."""
        return self._use("delete_alarm()").delete_alarm(**options)

    def delete_all(self, **options: Any) -> Done[None]:
        """Refuse: everything cannot be deleted within a transaction (KVA-17)."""
        raise StorageError(NO_DELETE_ALL)

    def rollback(self) -> None:
        """Undo everything; the closure may go on, and its value is still returned (TXN-04)."""
        if self._done:
            self._use("rollback()")
        if self._level.is_open:
            self._level.rollback()

    def _leave(self, *, commit: bool) -> None:
        if self._level.is_open and self._storage._live.broken is None:
            self._level.commit() if commit else self._level.give_up()
        self._done = True


class TransactionBlock:
    """`async with ctx.storage.transaction() as txn:`; an exception rolls back."""

    __slots__ = ("_section", "_storage", "_txn")

    def __init__(self, storage: DurableObjectStorage) -> None:
        self._storage = storage
        self._section: Section | None = None
        self._txn: DurableObjectTransaction | None = None

    async def __aenter__(self) -> DurableObjectTransaction:
        live = self._storage._live
        live.store()
        self._section = await live.enter_section()
        try:
            self._txn = DurableObjectTransaction(self._storage, Transaction(live.store(), whole=True))
        except BaseException:
            live.leave_section(self._section)
            raise
        return self._txn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._section is not None
        assert self._txn is not None
        try:
            self._txn._leave(commit=error is None)
        finally:
            self._storage._live.leave_section(self._section)


class SyncTransactionBlock:
    """`with ctx.storage.transaction_sync():`; an exception undoes what the block wrote."""

    __slots__ = ("_level", "_live")

    def __init__(self, live: Live) -> None:
        self._live = live
        self._level: Transaction | None = None

    def __enter__(self) -> None:
        self._level = Transaction(self._live.store(), whole=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        level = self._level
        assert level is not None
        if self._live.broken is not None:
            level.abandon()
        elif error is None:
            level.commit()
        else:
            level.give_up()
