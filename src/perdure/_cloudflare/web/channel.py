"""Chunks between one who gives and one who takes: what all streams are made of. (cooperative)"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.tasks import keep
from perdure._cloudflare.values import relaxed_call
from perdure._cloudflare.web.shape import is_absent


class Channel:
    """
    An async iterator over chunks that are put in elsewhere.

    Args:
        pull: called when there is nothing to take, and again when that has led to a chunk; it may be a coroutine
            function.
        cancel: called with the reason when the taker wants no more.
        room: how many chunks may wait before `has_room` makes a giver wait.
    """

    def __init__(
        self,
        pull: Callable[[], Any] | None = None,
        cancel: Callable[[Any], Any] | None = None,
        room: int = 1,
    ) -> None:
        self.room = room
        self.ended = False
        self.failure: BaseException | None = None
        self.start: asyncio.Future[Any] | None = None
        self._pull = pull
        self._cancel = cancel
        self._pulled = False
        self._chunks: deque[Any] = deque()
        self._changed: list[asyncio.Future[None]] = []

    @property
    def free(self) -> int:
        """How many chunks may still be put in without waiting."""
        return self.room - len(self._chunks)

    @property
    def is_open(self) -> bool:
        """Whether chunks may be put in."""
        return not self.ended and self.failure is None

    def put(self, chunk: Any) -> None:
        """Add a chunk; TypeError when the stream is closed."""
        if self.failure is not None:
            raise self.failure
        if self.ended:
            raise TypeError("This stream has been closed.")
        self._pulled = False
        self._chunks.append(chunk)
        self._wake()

    async def has_room(self) -> None:
        """Return when a chunk may be put in, or the stream has ended."""
        while self.is_open and self.free <= 0:
            await self._change()

    def close(self) -> None:
        """Let the taker see the end once it has taken what is there."""
        self.ended = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Let the taker, and who puts in more, see *error*; what is there is dropped."""
        if self.is_open:
            self.failure = error
            self._chunks.clear()
            self._wake()

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> Any:
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._wake()
                return chunk
            if self.failure is not None:
                raise self.failure
            if self.ended:
                raise StopAsyncIteration
            if self._pull is None or self._pulled:
                await self._change()
                continue
            self._pulled = True
            try:
                if self.start is not None:
                    await self.start
                await settled(self._pull())
            except Exception as error:
                self.fail(error)

    async def aclose(self, reason: Any = None) -> None:
        """Take no more: who puts in more gets an error."""
        if not self.is_open:
            return
        self.failure = TypeError("This stream was cancelled by its reader.")
        self._chunks.clear()
        self._wake()
        if self._cancel is not None:
            await settled(relaxed_call(self._cancel, reason))

    async def _change(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._changed.append(future)
        await future

    def _wake(self) -> None:
        changed, self._changed = self._changed, []
        for future in changed:
            if not future.done():
                future.set_result(None)


class Ending:
    """How a stream came to its end, for all who wait for that."""

    def __init__(self) -> None:
        self.is_there = False
        self._error: BaseException | None = None
        self._future: asyncio.Future[None] | None = None

    def set(self, error: BaseException | None = None) -> None:
        """Tell the end, or the *error* that was it; the first time counts."""
        if not self.is_there:
            self.is_there = True
            self._error = error
            self._tell()

    def wait(self) -> asyncio.Future[None]:
        """Return what is done when the end is there."""
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
            self._future.add_done_callback(_look_at)
            self._tell()
        return self._future

    def _tell(self) -> None:
        if self._future is None or not self.is_there:
            return
        if self._error is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(self._error)


def as_error(reason: Any) -> BaseException:
    """Return *reason* as something that can be raised."""
    if isinstance(reason, BaseException):
        return reason
    return js_error("Error", "The stream was aborted." if is_absent(reason) else str(reason))


async def settled(value: Any) -> Any:
    """Return what *value*, the result of a user's function, comes to."""
    return await value if inspect.isawaitable(value) else value


def begin(work: Awaitable[Any]) -> asyncio.Future[Any]:
    """Start *work* at once, awaited or not, as JavaScript does; its failure is the stream's to tell."""
    task = keep(asyncio.ensure_future(work))
    task.add_done_callback(_look_at)
    return task


def _look_at(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()  # seen, so that nothing complains of it
