"""The thread that writes and syncs, and what stands in for it in tests. (edge)"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """
    One daemon thread with a queue.

    An executor does the same with a semaphore, a lock and a weak reference for each call; here a call costs
    one put. The thread is a daemon, so that a program which ends without closing its runtime ends: nothing
    unconfirmed is owed to anybody.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, function: Callable[[], T]) -> Future[T]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._queue.put((function, future))
        return future

    def stop(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while (item := self._queue.get()) is not None:
            function, future = item
            settle(function, future)
            # Between two calls nothing of the last one is kept alive.
            del item, function, future


class Inline:
    """Runs each function at once, in the caller's thread."""

    def submit(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        settle(function, future)
        return future

    def stop(self) -> None:
        pass


def settle(function: Callable[[], T], future: Future[T]) -> None:
    """Run *function* and tell *future* what it returned or raised."""
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
