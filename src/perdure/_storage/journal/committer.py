"""Group commit: many stores, one sync in flight. (cooperative)

Invariant: a commit is reported durable only after a sync that began after its bytes were written. The batch
is closed before it is handed over, so what is appended while the disk is busy waits for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from perdure._base.disk import Work

C = TypeVar("C")
R = TypeVar("R")


class Committer(Generic[C, R]):
    """
    Gathers commits while the last ones are being written.

    Args:
        write: makes a list of commits durable; runs in *work*.
        settle: called on the loop with the commits and what `write` returned or raised. What it returns is
            given to those who wait in `flush`: None when all went well.
    """

    def __init__(
        self,
        work: Work,
        write: Callable[[list[C]], R],
        settle: Callable[[list[C], R | None, BaseException | None], Exception | None],
    ) -> None:
        self._work = work
        self._write = write
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._busy = False
        """A batch is in flight, or one is about to be sent in this turn of the loop."""
        self._flying: list[C] = []
        self._waiting_for_flying: list[asyncio.Future[None]] = []
        self._waiting_for_gathered: list[asyncio.Future[None]] = []
        self.gathered: list[C] = []
        """Appended, not yet handed to the disk; `settle` may take some out."""

    def add(self, commit: C) -> None:
        """Append a commit: it goes with the next batch. Those of one turn of the loop go together."""
        self.gathered.append(commit)
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._send)

    @property
    def is_idle(self) -> bool:
        return not self._busy

    async def flush(self) -> None:
        """Wait until all that was appended so far is settled; raises what `settle` made of it."""
        if not self.gathered and not self._flying:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        (self._waiting_for_gathered if self.gathered else self._waiting_for_flying).append(waiter)
        await waiter

    def _send(self) -> None:
        if not self.gathered:
            self._busy = False
            self._release(self._waiting_for_gathered, None)
            return
        self._flying, self.gathered = self.gathered, []
        self._waiting_for_flying += self._waiting_for_gathered
        self._waiting_for_gathered = []
        self._work.submit(partial(self._write, self._flying)).add_done_callback(self._written)

    def _written(self, future: Future[R]) -> None:
        # In the worker's thread. A loop that was closed meanwhile has nobody left who could be told anything.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._land, future)

    def _land(self, future: Future[R]) -> None:
        commits, self._flying = self._flying, []
        waiters, self._waiting_for_flying = self._waiting_for_flying, []
        error = future.exception()
        failure = self._settle(commits, None if error is not None else future.result(), error)
        self._release(waiters, failure)
        # Not at once: who was waiting for these commits is woken first and may join the next batch.
        self._loop.call_soon(self._send)

    def _release(self, waiters: list[asyncio.Future[None]], failure: Exception | None) -> None:
        for waiter in waiters:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        waiters.clear()
