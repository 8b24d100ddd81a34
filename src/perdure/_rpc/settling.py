"""Settling: how promises get their outcomes, one of them or many for one value. (cooperative)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from perdure._base.values import copy_exception
from perdure._rpc.promise import RpcPromise
from perdure.errors import Disconnected

CANCELLED: Final = "The call was cancelled."


def settle(promise: RpcPromise, value: Any, error: BaseException | None) -> None:
    """Give *promise* its outcome, if anybody still waits; nobody has to look at an error."""
    promise._pipeline = None  # what was asked of it before still finds the outcome by its entry
    if promise.done():
        return
    if error is None:
        promise.set_result(value)
    else:
        promise.set_exception(copy_exception(error) if isinstance(error, Exception) else error)
        promise._log_traceback = False


def follow(promise: RpcPromise, other: Any) -> None:
    """Give *promise* the outcome of *other*, which is done."""
    if other.cancelled():
        promise.cancel()
    else:
        error = other.exception()
        settle(promise, None if error is not None else other.result(), error)


def fill(slots: Iterable[tuple[Any, Any, Any]], then: Callable[[BaseException | None], None]) -> None:
    """
    Put the outcome of each promise in its place, then call *then*, with the first error if there is one.

    A slot is (holder, key, promise): `holder[key]` becomes the promise's value.
    """
    waiting = list(slots)
    left = len(waiting)
    failure: BaseException | None = None

    def arrived(holder: Any, key: Any, promise: Any) -> None:
        nonlocal left, failure
        left -= 1
        if promise.cancelled():
            failure = failure or Disconnected(CANCELLED)
        elif (error := promise.exception()) is not None:
            failure = failure or error
        else:
            holder[key] = promise.result()
        if not left:
            then(failure)

    if not waiting:
        then(None)
    for holder, key, promise in waiting:
        promise.add_done_callback(partial(arrived, holder, key))
