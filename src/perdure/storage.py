"""`ctx.storage`: keys and values, transactions, and the way to `sql` and `kv`. (cooperative)

Source: KVA-*, KVS-*, TXN-*. Every method acts when it is called, awaited or not: reads and writes touch
memory and the page cache only, and the output gate holds what leaves the object until they are durable.
What looks asynchronous returns an awaitable that is already done.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from perdure._alarms.times import clock_ms, to_datetime, to_ms
from perdure._base.awaitables import NOTHING, Call, Done, invoke
from perdure._base.stack import need_frames
from perdure._engine.methods import handler, takes
from perdure._storage import metadata
from perdure._storage.transaction import Transaction
from perdure.errors import StorageError
from perdure.key_values import read, read_range, remove, write
from perdure.sql import NoSql, SqlStorage
from perdure.sync_kv import SyncKvStorage
from perdure.transactions import (
    MISSING,
    NO_DELETE_ALL,
    DurableObjectTransaction,
    SyncTransactionBlock,
    TransactionBlock,
)

if TYPE_CHECKING:
    from perdure._engine.live import Live

T = TypeVar("T")

NO_ALARM_HANDLER: Final = (
    "Your Durable Object class must have an alarm() handler in order to call set_alarm()"
)
_ENABLE: Final = (
    "change `new_classes` to `new_sqlite_classes` within the 'migrations' field in your wrangler.jsonc or "
    "wrangler.toml file. Note that this change cannot be made after the class is already deployed to production."
)
NO_SQL: Final = f"SQL is not enabled for this Durable Object class. To enable it, {_ENABLE}"
NO_SYNC_KV: Final = (
    "The storage.kv (synchronous KV) API is only available for SQLite-backed Durable Objects, but this object's "
    "namespace is not declared to use SQLite. You can use the older, asynchronous interface via methods of "
    f"`storage` itself (e.g. `storage.get()`). Alternatively, to enable SQLite, {_ENABLE}"
)


class DurableObjectStorage:
    """
    The durable data of one object; reached as `ctx.storage`.

    Attributes:
        sql: SQL on the object's own database.
        kv: the same keys and values, synchronously, and as a mapping.
    """

    __slots__ = ("_kv", "_live", "sql")

    def __init__(self, live: Live) -> None:
        self._live = live
        self.sql: SqlStorage = SqlStorage(live) if live.space.has_sql else cast(SqlStorage, NoSql(NO_SQL))
        self._kv: SyncKvStorage | None = None

    @property
    def kv(self) -> SyncKvStorage:
        if self._kv is None:
            has_sql = self._live.space.has_sql
            self._kv = SyncKvStorage(self._live) if has_sql else cast(SyncKvStorage, NoSql(NO_SYNC_KV))
        return self._kv

    # --- keys and values ------------------------------------------------------------------------------

    @overload
    def get(
        self,
        key: str,
        default: Any = None,
        *,
        type: None = None,
        allow_concurrency: bool = False,
        no_cache: bool = False,
    ) -> Done[Any]: ...
    @overload
    def get(
        self,
        key: str,
        default: T,
        *,
        type: type[T],
        allow_concurrency: bool = False,
        no_cache: bool = False,
    ) -> Done[T]: ...
    @overload
    def get(
        self,
        key: str,
        default: None = None,
        *,
        type: type[T],
        allow_concurrency: bool = False,
        no_cache: bool = False,
    ) -> Done[T | None]: ...
    @overload
    def get(
        self,
        key: Iterable[str],
        default: None = None,
        *,
        type: Any = None,
        allow_concurrency: bool = False,
        no_cache: bool = False,
    ) -> Done[dict[str, Any]]: ...
    def get(
        self,
        key: str | Iterable[str],
        default: Any = None,
        *,
        type: Any = None,
        allow_concurrency: bool = False,
        no_cache: bool = False,
    ) -> Done[Any]:
        """
        Read one value, or a dict of several.

        Args:
            key: a key, or an iterable of keys; then the result is a dict in key order without the missing
                ones (KVA-02).
            default: what stands for a missing value (KVA-01).
            type: convert the value to this type: a dataclass, Struct, Enum …
            allow_concurrency: accepted; reads never wait here (GATE-04).
            no_cache: accepted; there is no cache to pass by (KVA-03).
        """
        return Done(read(self._live, key, default, type, "DurableObjectStorage"))

    @overload
    def put(
        self,
        key: str,
        value: Any,
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
        no_cache: bool = False,
    ) -> Done[None]: ...
    @overload
    def put(
        self,
        entries: Mapping[str, Any],
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
        no_cache: bool = False,
    ) -> Done[None]: ...
    def put(
        self,
        key: str | Mapping[str, Any],
        value: Any = MISSING,
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
        no_cache: bool = False,
    ) -> Done[None]:
        """
        Write one pair, `put(key, value)`, or all pairs of a mapping, `put(entries)`: all or none (KVA-05).

        The value is serialised now: changing it later changes nothing stored (KVA-04).

        Args:
            key: the key, or the mapping of pairs.
            value: anything that can be stored.
            allow_unconfirmed: do not hold back what leaves the object for this write (GATE-10).
            allow_concurrency: accepted; writes never wait here.
            no_cache: accepted; there is no cache to pass by.

        Raises:
            DataCloneError: the value cannot be stored; the text names the path to the part that cannot.
            SqlError: key and value are too large (`SQLITE_TOOBIG`, KVA-13).
        """
        write(self._live, key, value, not allow_unconfirmed, "DurableObjectStorage")
        return NOTHING

    @overload
    def delete(
        self,
        key: str,
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
        no_cache: bool = False,
    ) -> Done[bool]: ...
    @overload
    def delete(
        self,
        keys: Iterable[str],
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
        no_cache: bool = False,
    ) -> Done[int]: ...
    def delete(
        self,
        key: str | Iterable[str],
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
        no_cache: bool = False,
    ) -> Done[Any]:
        """Remove a key: whether it existed (KVA-07). Or several keys: how many existed (KVA-08)."""
        return Done(remove(self._live, key, not allow_unconfirmed, "DurableObjectStorage"))

    def list(
        self,
        *,
        start: str | None = None,
        start_after: str | None = None,
        end: str | None = None,
        prefix: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
        allow_concurrency: bool = False,
        no_cache: bool = False,
    ) -> Done[dict[str, Any]]:
        """
        Read the pairs of a range as a dict, in the order of the keys' UTF-8 bytes (KVA-09…11).

        Args:
            start: first key, included.
            start_after: first key, excluded; not together with `start`.
            end: last key, excluded.
            prefix: only keys that begin so.
            reverse: from the last key to the first; the range stays the same.
            limit: at most so many pairs, counted after reversing.
            allow_concurrency: accepted; reads never wait here.
            no_cache: accepted; there is no cache to pass by.
        """
        return Done(read_range(self._live, start, start_after, end, prefix, reverse, limit))

    def delete_all(
        self, *, allow_concurrency: bool = False, allow_unconfirmed: bool = False, no_cache: bool = False
    ) -> Done[None]:
        """
        Remove everything: keys, tables, indexes, the alarm, and what this turn has written so far (KVA-16, ALM-23).

        The instance keeps running, with empty storage; open cursors end with an error.
        """
        store = self._live.store()
        if store.depth:
            raise StorageError(NO_DELETE_ALL)
        need_frames()
        store.erase()
        return NOTHING

    # --- the alarm ------------------------------------------------------------------------------------

    def get_alarm(self, *, allow_concurrency: bool = False) -> Done[datetime | None]:
        """
        Return the time of the object's alarm in UTC, or None (ALM-04).

        While `alarm` runs there is none, until a new one is set; before a failed one runs again it has its first time.
        """
        live = self._live
        due_ms = metadata.alarm(live.store())
        is_running = live.alarm is not None and live.alarm.due_ms == due_ms
        return Done(None if due_ms is None or is_running else to_datetime(due_ms))

    def set_alarm(
        self,
        when: datetime | timedelta | float,
        /,
        *,
        allow_concurrency: bool = False,
        allow_unconfirmed: bool = False,
    ) -> Done[None]:
        """
        Let `alarm` run at a time, in place of the time it had; an object has one alarm (ALM-01, ALM-02).

        It is a write like any other: part of the turn or transaction, and durable with it (ALM-06).

        Args:
            when: an aware datetime, a timedelta from now, or seconds since the epoch, as `time.time()`. A time that
                has passed means now.
            allow_unconfirmed: do not hold back what leaves the object for this write (GATE-10).
            allow_concurrency: accepted; writes never wait here.

        Raises:
            TypeError: the class has no `alarm`, or *when* is no time after 1970.
            ValueError: *when* could be misunderstood: a datetime without a time zone, or milliseconds.
        """
        live = self._live
        now_s = live.host.clock.time_s()
        due_ms = max(to_ms(when, now_s), clock_ms(now_s))
        if live.instance is not None and handler(live.instance, "alarm") is None:
            raise TypeError(NO_ALARM_HANDLER)
        if live.alarm is not None and live.alarm.due_ms == due_ms:
            due_ms += 1  # a new alarm, and so it is told from the one that runs (ALM-27)
        metadata.set_alarm(live.store(), due_ms, confirmed=not allow_unconfirmed)
        return NOTHING

    def delete_alarm(self, *, allow_concurrency: bool = False, allow_unconfirmed: bool = False) -> Done[None]:
        """Clear the alarm, if there is one; in `alarm` itself this also means: not again, should it fail (ALM-05)."""
        metadata.clear_alarm(self._live.store(), confirmed=not allow_unconfirmed)
        return NOTHING

    def sync(self) -> Awaitable[None]:
        """Wait until every write issued so far is durable, confirmed or not (KVA-19)."""
        live = self._live
        store = live.store()
        future = Call(loop=live.host.loop)

        def durable(error: BaseException | None) -> None:
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)

        store.when_durable(durable)
        return future

    # --- transactions ---------------------------------------------------------------------------------

    @overload
    def transaction(self) -> TransactionBlock: ...
    @overload
    def transaction(self, closure: Callable[[DurableObjectTransaction], Awaitable[T]]) -> Awaitable[T]: ...
    @overload
    def transaction(self, closure: Callable[[], Awaitable[T]]) -> Awaitable[T]: ...
    def transaction(self, closure: Any = MISSING) -> Any:
        """
        Run `await closure(txn)` as one transaction while no other event is delivered (TXN-01).

        An exception rolls everything back and reaches the caller. Every write of the object meanwhile
        belongs to the transaction, through `txn` or not. Without a closure: `async with … as txn:`.
        """
        if closure is MISSING:
            return TransactionBlock(self)
        if not callable(closure):
            raise TypeError(
                "Failed to execute 'transaction' on 'DurableObjectStorage': parameter 1 is not of type 'function'."
            )
        live = self._live
        live.store()

        async def run() -> Any:
            txn = DurableObjectTransaction(self, Transaction(live.store(), whole=True))
            try:
                result = await (invoke(closure, txn) if takes(closure, 1) else invoke(closure))
            except BaseException:
                txn._leave(commit=False)
                raise
            txn._leave(commit=True)
            return result

        return live.block(run, fatal=False)

    @overload
    def transaction_sync(self) -> SyncTransactionBlock: ...
    @overload
    def transaction_sync(self, callback: Callable[[], T]) -> T: ...
    def transaction_sync(self, callback: Any = MISSING) -> Any:
        """
        Run *callback* as a savepoint of the turn: an exception undoes what it wrote, and is raised (TXN-10).

        The callback is a plain function. Without one: `with ctx.storage.transaction_sync():`.
        """
        if callback is MISSING:
            return SyncTransactionBlock(self._live)
        if not callable(callback):
            raise TypeError(
                "Failed to execute 'transaction_sync' on 'DurableObjectStorage': parameter 1 is not of type 'function'."
            )
        with SyncTransactionBlock(self._live):
            result = callback()
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(
                    "transaction_sync() takes a plain function; this one is async, and nothing of it would run "
                    "inside the transaction. Use `await ctx.storage.transaction(closure)`."
                )
        return result

    def __repr__(self) -> str:
        return f"<storage of {self._live.label}>"
