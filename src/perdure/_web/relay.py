"""A streamed body that leaves an object or a worker: made where it belongs, held by its output gate. (cooperative)

The code behind a stream is its maker's. One task of the maker's context iterates it and hands over a piece when
the reader asks, so that an object's generator runs under the object's gates whoever reads it. Nothing of it, not
even its end or its error, reaches the reader before the writes issued before it are durable (GATE-06, GATE-08).

The task keeps its object from eviction while somebody may still read. A reader that is forgotten ends it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from perdure._base.exceptions import remote_error
from perdure._base.values import copy_exception
from perdure._web.body import Body
from perdure._web.message import Message

if TYPE_CHECKING:
    from perdure._engine.live import Live


def relay(message: Message, live: Live | None, loop: asyncio.AbstractEventLoop) -> None:
    """Let the body of *message*, if it is a stream, be made in this context; *live* is the object it belongs to."""
    body = message._body
    if body is not None and body.data is None:
        message._body = Body(source=_Reader(_Handover(body, live, loop)))


class _Handover:
    """What the maker's task and the reader share: one piece at a time, when it is asked for."""

    __slots__ = ("_asked", "_body", "_given", "_live", "_loop", "_task")

    def __init__(self, body: Body, live: Live | None, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._live = live
        self._loop = loop
        self._asked: asyncio.Future[None] = loop.create_future()
        self._given: asyncio.Future[tuple[bytes | None, BaseException | None]] | None = None
        self._task = loop.create_task(self._make())

    # --- the maker's side -----------------------------------------------------------------------------

    async def _make(self) -> None:
        await self._asked
        try:
            async for piece in self._body:
                self._asked = self._loop.create_future()
                self._give(piece, None)
                await self._asked
        except GeneratorExit:  # the object was reset: nothing of it may run on
            self._give(None, self._gone())
            raise
        except asyncio.CancelledError:
            self._give(None, self._gone())
            await self._body.aclose()
            raise
        except BaseException as error:
            self._give(None, _for_reader(error, self._live))
        else:
            self._give(None, None)

    def _give(self, piece: bytes | None, error: BaseException | None) -> None:
        given, self._given = self._given, None
        if given is not None and not given.done():
            given.set_result((piece, error))

    def _gone(self) -> BaseException:
        broken = None if self._live is None else self._live.broken
        if broken is not None:
            return copy_exception(broken)
        return ConnectionError("The stream ended early: its maker is gone.")

    # --- the reader's side ----------------------------------------------------------------------------

    async def next(self) -> bytes | None:
        """Return the next piece, None at the end, once it may leave its object."""
        if self._task.done():
            raise self._gone()
        given: asyncio.Future[tuple[bytes | None, BaseException | None]] = self._loop.create_future()
        self._given = given
        if not self._asked.done():
            self._asked.set_result(None)
        piece, error = await given
        live = self._live
        store = None if live is None else live.used_store
        if store is not None and not store.gate.is_open:
            await store.gate.wait()
        if error is not None:
            raise error
        return piece

    def stop(self) -> None:
        """End the maker's task, from any thread."""
        if not self._task.done() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)


class _Reader:
    """The reader's end; when it goes, so does the maker's task."""

    __slots__ = ("_handover", "_is_over")

    def __init__(self, handover: _Handover) -> None:
        self._handover = handover
        self._is_over = False

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        try:
            piece = await self._handover.next()
        except Exception:
            self._is_over = True
            raise
        if piece is None:
            self._is_over = True
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Give up the rest."""
        self._is_over = True
        self._handover.stop()

    def __del__(self) -> None:
        self._handover.stop()


def _for_reader(error: BaseException, live: Live | None) -> BaseException:
    answer = copy_exception(error) if isinstance(error, Exception) else remote_error(error)
    if live is not None:
        with suppress(Exception):  # a class whose instances take no attributes
            setattr(answer, "remote", True)  # noqa: B010
    return answer
