"""OutputGate: hold what leaves an object until the writes it depends on are durable. (cooperative)

Modelled on workerd's output gate, with numbers in place of promises: each commit of a store has a number,
an output waits for the highest confirmed commit that was begun before it (GATE-06, GATE-07). The gate
belongs to the store, not to the instance: after an abort the next instance's outputs wait for it too.

Invariants: `released <= issued`; callbacks run in the order in which they were added; after `break_`
nothing is ever released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

Callback = Callable[[BaseException | None], None]


class OutputGate:
    """
    Releases outputs once the commit they wait for is durable.

    Attributes:
        issued: number of the highest commit that closes the gate; it may still be open or on its way.
        released: every commit up to this number is durable.
        broken: why nothing will be released any more, or None.
    """

    __slots__ = ("_waiting", "broken", "issued", "released")

    def __init__(self, released: int = 0) -> None:
        self.issued = released
        self.released = released
        self.broken: BaseException | None = None
        self._waiting: Final[list[tuple[int, Callback]]] = []

    @property
    def is_open(self) -> bool:
        """Whether an output may leave now."""
        return self.released >= self.issued and self.broken is None

    def issue(self, number: int) -> None:
        """Close the gate for outputs from now on until commit *number* is durable."""
        if number > self.issued:
            self.issued = number

    def when(self, number: int, callback: Callback) -> None:
        """Run *callback* with None once commit *number* is durable, or with the error that broke the gate."""
        if self.broken is not None:
            callback(self.broken)
        elif self.released >= number and not self._waiting:
            callback(None)
        else:
            # In the order of numbers, and of calls for one number. Who asks for an earlier commit than the last
            # who asked is rare: a sync of unconfirmed writes went before.
            waiting = self._waiting
            place = len(waiting)
            while place and waiting[place - 1][0] > number:
                place -= 1
            waiting.insert(place, (number, callback))

    def wait(self, number: int | None = None) -> asyncio.Future[None]:
        """Return a future for `when`; without a *number*, for the outputs of this moment."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def opened(error: BaseException | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
                    future.exception()  # whoever waits was told otherwise too: an abort fails every call

        self.when(self.issued if number is None else number, opened)
        return future

    def release(self, number: int) -> None:
        """Let out what waits for commits up to *number*."""
        if self.broken is not None or number <= self.released:
            return
        self.released = number
        if self.issued < number:
            self.issued = number
        waiting = self._waiting
        while waiting and waiting[0][0] <= self.released:
            _tell(waiting.pop(0)[1], None)

    def take_back(self, number: int, error: BaseException) -> None:
        """Discard what waits for a commit after *number*: it was promised, and will never be made."""
        if self.issued > number:
            self.issued = number
        waiting = self._waiting
        taken = [callback for wanted, callback in waiting if wanted > number]
        if taken:
            kept = [entry for entry in waiting if entry[0] <= number]
            waiting.clear()
            waiting.extend(kept)
            for callback in taken:
                _tell(callback, error)

    def break_(self, error: BaseException) -> None:
        """Discard every waiting output: the writes they depend on are lost (GATE-09)."""
        if self.broken is None:
            self.broken = error
            while self._waiting:
                _tell(self._waiting.pop(0)[1], error)


def _tell(callback: Callback, error: BaseException | None) -> None:
    """Run *callback*; one that fails must not keep those behind it."""
    try:
        callback(error)
    except Exception as failure:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"{callback!r} failed", "exception": failure}
        )
