"""Handover: a stream that leaves an object or a worker: made where it belongs, held by its output gate. (cooperative)

The code behind a stream is its maker's. One task of the maker's context iterates it and hands over a piece when
the reader asks, so that an object's generator runs under the object's gates whoever reads it. Nothing of it, not
even its end or its error, reaches the reader before the writes issued before it are durable (GATE-06, GATE-08).

The task keeps its object from eviction while somebody may still read. A reader that is forgotten ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from perdure._base.exceptions import remote_error
from perdure._base.values import copy_exception

ENDED_EARLY: Final = "The stream ended early: its maker is gone."
MOVED: Final = "The stream was passed on: whoever got it reads it."
READ_TWICE: Final = "The stream is being read already: it gives one item after the other."
_END: Final[Any] = type("End", (), {"__repr__": lambda _: "<the end>"})()


class Maker(Protocol):
    """The object that a stream belongs to (`_engine.live.Live`)."""

    broken: BaseException | None

    @property
    def used_store(self) -> Any: ...


class Handover:
    """
    What the maker's task and the reader share: one piece at a time, when it is asked for.

    Args:
        pieces: what is iterated; its `aclose`, if it has one, is called when the reader goes.
        maker: the object that it belongs to, or None.
        loop: where its code runs.
        pack: turns a piece into what the reader gets, in the maker's context.
    """

    __slots__ = ("_asked", "_given", "_loop", "_maker", "_pack", "_piece", "_pieces", "_task")

    def __init__(
        self,
        pieces: AsyncIterator[Any],
        maker: Maker | None,
        loop: asyncio.AbstractEventLoop,
        pack: Callable[[Any], Any] | None = None,
    ) -> None:
        self._pieces = pieces
        self._maker = maker
        self._loop = loop
        self._pack = pack
        self._asked: asyncio.Future[None] = loop.create_future()
        self._piece: tuple[Any, BaseException | None] | None = None  # made, and not taken yet
        self._given: asyncio.Future[None] | None = None  # tells a reader that waits
        self._task = loop.create_task(self._make())
        self._task.add_done_callback(self._over)

    # --- the maker's side -----------------------------------------------------------------------------

    async def _make(self) -> None:
        pieces, pack = self._pieces, self._pack
        try:
            await self._asked
            async for piece in pieces:
                packed = piece if pack is None else pack(piece)
                self._asked = self._loop.create_future()
                self._give(packed, None)
                del piece, packed  # while it waits, the reader's is the only one
                await self._asked
        except asyncio.CancelledError:
            self._give(_END, self._gone())
            await self._close()
            raise
        except BaseException as error:
            if self._maker is not None and self._maker.broken is not None:  # nothing of it may run on
                self._give(_END, self._gone())
                raise
            self._give(_END, _for_reader(error, self._maker))
            with suppress(Exception):
                await self._close()
        else:
            self._give(_END, None)

    def _over(self, _: object) -> None:
        """Hear that the task is done. An object that is reset before its first step ends it without any: nothing was told."""
        if self._given is not None:
            self._give(_END, self._gone())

    async def _close(self) -> None:
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()

    def _give(self, piece: Any, error: BaseException | None) -> None:
        self._piece = (piece, error)
        given, self._given = self._given, None
        if given is not None and not given.done():
            given.set_result(None)

    def _gone(self) -> BaseException:
        broken = None if self._maker is None else self._maker.broken
        return ConnectionError(ENDED_EARLY) if broken is None else copy_exception(broken)

    # --- the reader's side ----------------------------------------------------------------------------

    async def next(self) -> Any:
        """
        Return the next piece once it may leave its object; StopAsyncIteration at the end.

        A reader that is cancelled while it waits takes nothing: the piece is for the next call.
        """
        if self._piece is None:
            if self._task.done():
                raise self._gone()
            given = self._given = self._loop.create_future()
            if not self._asked.done():
                self._asked.set_result(None)
            await given
        store = None if self._maker is None else self._maker.used_store
        if store is not None and not store.gate.is_open:
            await store.gate.wait()
        if self._maker is not None and self._maker.broken is not None:
            raise self._gone()  # its writes may be lost, and then the gate waits for them no more
        assert self._piece is not None, "one reader at a time"
        (piece, error), self._piece = self._piece, None
        if error is not None:
            raise error
        if piece is _END:
            raise StopAsyncIteration
        return piece

    def stop(self) -> None:
        """End the maker's task, from any thread."""
        if not self._task.done() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)


class Reader:
    """The reader's end; when it goes, so does the maker's task."""

    __slots__ = ("_handover", "_is_over", "_is_reading")

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._is_over = False
        self._is_reading = False

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Any:
        if self._is_over:
            raise StopAsyncIteration
        if self._is_reading:
            raise RuntimeError(READ_TWICE)
        self._is_reading = True
        try:
            return await self._handover.next()
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self._is_over = True
            raise
        finally:
            self._is_reading = False

    async def aclose(self) -> None:
        """Give up the rest."""
        self._is_over = True
        self._handover.stop()

    def __del__(self) -> None:
        self._handover.stop()


def _for_reader(error: BaseException, maker: Maker | None) -> BaseException:
    answer = copy_exception(error) if isinstance(error, Exception) else remote_error(error)
    if maker is not None:
        with suppress(Exception):  # a class whose instances take no attributes
            setattr(answer, "remote", True)  # noqa: B010
    return answer
