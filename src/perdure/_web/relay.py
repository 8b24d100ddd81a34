"""A streamed body that leaves an object or a worker: pulled where it was made, held by its output gate. (cooperative)

The code behind a stream is its maker's. Each chunk is pulled in a task of the maker's context, so that an
object's generator runs under the object's gates whoever reads it, and no chunk leaves before the writes that
were issued before it are durable (GATE-06). While a stream is open its object stays alive.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from perdure._base.values import copy_exception
from perdure._web.body import Body
from perdure._web.message import Message

if TYPE_CHECKING:
    from perdure._engine.live import Live


def relay(message: Message, live: Live | None, loop: asyncio.AbstractEventLoop) -> None:
    """Let the body of *message*, if it is a stream, be pulled in this context; *live* is the object it belongs to."""
    body = message._body
    if body is not None and body.data is None:
        message._body = Body(source=_Relayed(body, live, loop))


class _Relayed:
    """The reader's end; also the token in `live.tasks` that keeps the object from eviction."""

    __slots__ = ("_body", "_context", "_error", "_live", "_loop")

    def __init__(self, body: Body, live: Live | None, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._live = live
        self._loop = loop
        self._context = contextvars.copy_context()
        self._error: BaseException | None = None
        if live is not None:
            live.tasks.add(self)

    def __aiter__(self) -> _Relayed:
        return self

    async def __anext__(self) -> bytes:
        if self._error is not None:
            raise self._error
        try:
            chunk = await self._loop.create_task(self._pull(), context=self._context)
        except asyncio.CancelledError:
            self._raise_if_gone()  # then nobody cancelled the reader
            raise
        if chunk is None:
            self._end()
            raise StopAsyncIteration
        live = self._live
        if live is not None:
            store = live.used_store
            if store is not None and not store.gate.is_open:
                await store.gate.wait()
        return chunk

    def _raise_if_gone(self) -> None:
        task = asyncio.current_task()
        if self._error is not None and not (task is not None and task.cancelling()):
            raise self._error from None

    async def _pull(self) -> bytes | None:
        # Not StopAsyncIteration: a task cannot end with it.
        try:
            return await anext(self._body, None)
        except BaseException:
            self._end()
            raise

    async def aclose(self) -> None:
        if self._error is None:
            self._end()
            await self._loop.create_task(self._body.aclose(), context=self._context)

    def cancel(self) -> Any:
        """The object was reset, or let go: the reader hears why."""
        broken = None if self._live is None else self._live.broken
        self._error = (
            ConnectionError("The stream ended early: its object is gone.")
            if broken is None
            else copy_exception(broken)
        )
        self._end()

    def _end(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.tasks.discard(self)
            if not live.tasks and not live.events:
                live.became_idle()
