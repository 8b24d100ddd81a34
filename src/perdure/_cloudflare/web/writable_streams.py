"""WritableStream and its writer as JavaScript shows them. (cooperative)

What is asked of a stream is done in order, and begins at once, also when nobody awaits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import relaxed_call
from perdure._cloudflare.web.channel import Ending, as_error, begin, settled
from perdure._cloudflare.web.shape import WebObject, read_options

WRITER_LOCK: Final = "This WritableStream is currently locked to a writer."
RELEASED: Final = "This WritableStream writer has been released."
CLOSED: Final = "This WritableStream has been closed."


class WritableStream(WebObject):
    """
    Takes chunks, one after the other.

    Args:
        sink: where they go: `start(controller)`, `write(chunk, controller)`, `close()`, `abort(reason)`, all optional.
    """

    def __init__(self, sink: Any = None, _strategy: Any = None, **named: Any) -> None:
        given = read_options(sink, named, "start", "write", "close", "abort")
        self._writer: Any = None
        self._last: asyncio.Future[Any] | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self._end = Ending()
        controller = WritableStreamDefaultController(self)
        write = given.get("write")
        self._write: Callable[[Any], Any] = (
            (lambda chunk: relaxed_call(write, chunk, controller)) if write else _nothing
        )
        self._finish: Callable[[], Any] = given.get("close") or _nothing
        self._abort: Callable[[Any], Any] = given.get("abort") or _nothing
        start = given.get("start")
        started = relaxed_call(start, controller) if start else None
        if hasattr(started, "__await__"):
            self._then(lambda: started)

    @classmethod
    def _into(
        cls, write: Callable[[Any], Any], close: Callable[[], Any], abort: Callable[[Any], Any]
    ) -> WritableStream:
        """Return a stream whose chunks go to *write*."""
        stream = cls()
        stream._write, stream._finish, stream._abort = write, close, abort
        return stream

    @property
    def locked(self) -> bool:
        return self._writer is not None

    def getWriter(self) -> WritableStreamDefaultWriter:
        if self._writer is not None:
            raise js_error("TypeError", WRITER_LOCK)
        self._writer = writer = WritableStreamDefaultWriter(self)
        return writer

    def close(self) -> asyncio.Future[Any]:
        if self._closed:
            raise js_error("TypeError", CLOSED)
        self._closed = True
        return self._then(self._finish, last=True)

    def abort(self, reason: Any = None) -> asyncio.Future[Any]:
        self._fail(as_error(reason))
        return begin(settled(relaxed_call(self._abort, reason)))

    def _add(self, chunk: Any) -> asyncio.Future[Any]:
        if self._closed:
            raise js_error("TypeError", CLOSED)
        return self._then(lambda: self._write(chunk))

    def _then(self, work: Callable[[], Any], last: bool = False) -> asyncio.Future[Any]:
        """Do *work* when all that was asked for before is done."""
        self._last = task = begin(self._after(self._last, work, last))
        return task

    async def _after(self, before: asyncio.Future[Any] | None, work: Callable[[], Any], last: bool) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        if self._failure is not None:
            raise self._failure
        try:
            await settled(work())
        except Exception as error:
            self._fail(error)
            raise
        if last:
            self._end.set()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._end.set(error)


class WritableStreamDefaultWriter(WebObject):
    """Writes to one stream, which is locked meanwhile."""

    def __init__(self, stream: WritableStream) -> None:
        self._stream: WritableStream | None = stream

    @property
    def ready(self) -> asyncio.Future[Any]:
        """When what was written before is done."""
        last = self._sink()._last
        return begin(_all_done(last))

    @property
    def closed(self) -> asyncio.Future[Any]:
        return self._sink()._end.wait()

    @property
    def desiredSize(self) -> int | None:
        stream = self._sink()
        if stream._failure is not None:
            return None
        return 1 if stream._last is None or stream._last.done() else 0

    def write(self, chunk: Any = None) -> asyncio.Future[Any]:
        return self._sink()._add(chunk)

    def close(self) -> asyncio.Future[Any]:
        return self._sink().close()

    def abort(self, reason: Any = None) -> asyncio.Future[Any]:
        return self._sink().abort(reason)

    def releaseLock(self) -> None:
        if self._stream is not None:
            self._stream._writer = None
            self._stream = None

    def _sink(self) -> WritableStream:
        if self._stream is None:
            raise js_error("TypeError", RELEASED)
        return self._stream


class WritableStreamDefaultController(WebObject):
    """How a sink says that it can take no more."""

    def __init__(self, stream: WritableStream) -> None:
        self._stream = stream

    def error(self, reason: Any = None) -> None:
        self._stream._fail(as_error(reason))


async def _all_done(last: asyncio.Future[Any] | None) -> None:
    if last is not None and not last.done():
        await asyncio.wait([last])


def _nothing(*_arguments: Any) -> None:
    return None
