"""`ctx.storage` as Cloudflare has it: keys and values, the alarm in milliseconds, transactions. (cooperative)"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from perdure._cloudflare import bridge
from perdure._cloudflare.convert import python_from_rpc, python_to_rpc
from perdure._cloudflare.exceptions import js_error, the_projects_own
from perdure._cloudflare.sql_view import SqlView
from perdure._cloudflare.values import JsDate, JsIterator
from perdure._cloudflare.views import View, as_it_is, call, methods
from perdure._engine.methods import call_with

_READ: Final = "allowConcurrency,noCache"
_WRITE: Final = "allowConcurrency,allowUnconfirmed,noCache"
_RANGE: Final = "start,startAfter,end,prefix,reverse,limit"
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MS_MAX: Final = 253_402_300_799_000
"""The end of the year 9999, where datetimes end."""
_NO_DATE: Final = "The value cannot be converted because it is not a valid Date."


class KeyValueView(View):
    """What `storage` and the `txn` of a transaction have both."""

    _members = methods(
        f"get:1:{_READ} put:2:{_WRITE} delete:1:{_WRITE} list:0:{_RANGE},{_READ} deleteAll:0:{_WRITE} "
        "getAlarm:0:allowConcurrency setAlarm:1:allowConcurrency,allowUnconfirmed "
        "deleteAlarm:0:allowConcurrency,allowUnconfirmed"
    )

    def put(self, key: Any, *args: Any, **options: Any) -> Any:
        """Write `put(key, value, options)`, or all pairs of `put(entries, options)`."""
        member = self._members["put"]
        is_entries = isinstance(key, Mapping) and (
            not args or args[0] is None or isinstance(args[0], Mapping)
        )
        given, named = member.split((key, *args), options, 1 if is_entries else 2)
        return call(lambda: self._native.put(*map(python_to_rpc, given), **named))

    def getAlarm(self, *args: Any, **options: Any) -> Any:
        """Return the alarm's time in milliseconds since the epoch, or None."""
        _, named = self._members["getAlarm"].split(args, options)
        return call(lambda: self._native.get_alarm(**named), milliseconds)

    def setAlarm(self, when: Any, *args: Any, **options: Any) -> Any:
        """Set the alarm to a time: milliseconds since the epoch, or a date."""
        given, named = self._members["setAlarm"].split((when, *args), options)
        return call(lambda: self._native.set_alarm(_moment(given[0]), **named))


class TransactionView(KeyValueView):
    """What the closure of a transaction gets."""

    _js_name = "DurableObjectTransaction"
    _members = {**KeyValueView._members, **methods("rollback")}


class StorageView(KeyValueView):
    """`ctx.storage`."""

    _js_name = "DurableObjectStorage"
    _members = {**KeyValueView._members, **methods("sync transaction:1 transactionSync:1")}

    @cached_property
    def sql(self) -> SqlView:
        return SqlView(self._native.sql)

    @cached_property
    def kv(self) -> SyncKvView:
        return SyncKvView(self._native.kv)

    def transaction(self, closure: Any, *options: Any, **named: Any) -> Any:
        """Run `await closure(txn)` as one transaction; an exception rolls everything back."""
        if not callable(closure):
            return call(lambda: self._native.transaction(closure))

        async def run(txn: Any) -> Any:
            with the_projects_own():
                result = await bridge.run(call_with, closure, TransactionView(txn))
            return python_to_rpc(result)

        return call(lambda: self._native.transaction(run))

    def transactionSync(self, callback: Any) -> Any:
        """Run *callback* as a savepoint: an exception undoes what it wrote."""
        if not callable(callback):
            return call(lambda: self._native.transaction_sync(callback))

        def run() -> Any:
            with the_projects_own():
                result = callback()
            return python_to_rpc(result)

        return call(lambda: self._native.transaction_sync(run))


class SyncKvView(View):
    """`ctx.storage.kv`."""

    _js_name = "SyncKvStorage"
    _members = methods(f"get:1 put:2 delete:1 list:0:{_RANGE}")

    def list(self, *args: Any, **options: Any) -> JsIterator:
        """Iterate over the pairs of a range, each a list `[key, value]`."""
        _, named = self._members["list"].split(args, options)
        pairs = call(lambda: self._native.list(**named), as_it_is)
        return JsIterator([key, python_from_rpc(value)] for key, value in pairs)


def milliseconds(when: datetime.datetime | None) -> int | None:
    """Return an aware datetime as Cloudflare tells times: milliseconds since the epoch."""
    return None if when is None else round(when.timestamp() * 1000)


def _moment(when: Any) -> Any:
    """Return a time that the native API takes."""
    if isinstance(when, JsDate):
        when = when.getTime()
    if isinstance(when, datetime.datetime):
        return when.astimezone()  # a naive one is local time, as the project's own conversions take it
    if isinstance(when, (int, float)):
        if not math.isfinite(when):
            raise js_error("TypeError", _NO_DATE)
        return _EPOCH + datetime.timedelta(milliseconds=min(int(when), _MS_MAX))
    return python_to_rpc(when)
