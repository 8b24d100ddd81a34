"""Streams of a session: what flows to us, what flows from us, and how much may be on its way. (cooperative)

A stream crosses as a pipe: writes are calls to its writable end, each acknowledged when its chunk is taken at the
readable end. The sender lets so many bytes be under way and then waits; so neither side keeps more than a window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from perdure._base import limits
from perdure._base.awaitables import finish
from perdure._base.handover import MOVED, READ_TWICE
from perdure._base.values import copy, copy_exception
from perdure._rpc.capability import DISPOSED, Capability, OnBroken, Path
from perdure._rpc.capnweb.failures import as_failure
from perdure._rpc.crossing import Crossing
from perdure._rpc.imports import ImportCapability
from perdure._rpc.owner import run_soon, start
from perdure._rpc.promise import RpcPromise, failed
from perdure._rpc.settling import settle
from perdure._rpc.target import RpcTarget
from perdure._web.form_data import Blob
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure._rpc.imports import Import
    from perdure._rpc.session import Session

CANCELLED: Final = "The stream is not read any more."
NOT_CLOSED: Final = "WritableStream RPC stub was disposed without calling close()."
NO_METHOD: Final = "A WritableStream has write(), close() and abort(); it was asked for {path}."
NO_PROPERTY: Final = "Cannot access properties on a WritableStream stub."
BLOB_TOO_LARGE: Final = "A Blob may have up to {max:,} bytes."


class Pipe:
    """Chunks on their way from the peer's writes to a reader; a write is over when its chunk was taken."""

    __slots__ = ("_end", "_loop", "_queue", "_reader", "readable", "writable")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[tuple[Any, RpcPromise]] = deque()  # (chunk, of the write), (_LAST, of the close)
        self._end: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None
        self.writable = PipeEnd(self)
        self.readable = ReadableStream(self)

    def write(self, chunk: Any) -> RpcPromise:
        """Add a chunk; the promise is kept when somebody has taken it."""
        if self._end is not None:
            return failed(copy_exception(self._end))
        promise = RpcPromise(loop=self._loop)
        self._queue.append((chunk, promise))
        self._wake()
        return promise

    def fail(self, error: BaseException) -> None:
        """End both sides with *error*; what nobody has taken is gone."""
        if self._end is None:
            self._end = error
            queue, self._queue = self._queue, deque()
            for _, promise in queue:
                settle(promise, None, error)
            self._wake()

    async def read(self) -> Any:
        """Return the next chunk; `_LAST` at the end."""
        while not self._queue:
            if self._end is not None:
                if isinstance(self._end, _Closed):
                    return _LAST
                raise copy_exception(self._end)
            if self._reader is not None:
                raise RuntimeError(READ_TWICE)
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        chunk, promise = self._queue.popleft()
        if not promise.done():
            promise.set_result(None)
        if chunk is _LAST:
            self._end = _Closed(CANCELLED)
        return chunk

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


_LAST: Final = object()
_WRITE_BYTES_MIN: Final = 1024  # of the window, for each write: small ones cost, too


class _Closed(PerdureError):
    """The regular end of a pipe, for writes that come after it."""


class PipeEnd(Capability):
    """The peer's handle to the writable end of a pipe."""

    __slots__ = ("_is_closed", "_pipe")

    def __init__(self, pipe: Pipe) -> None:
        self._pipe: Pipe | None = pipe
        self._is_closed = False

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        pipe = self._pipe
        if pipe is None:
            return failed(PerdureError(DISPOSED))
        chunk = args[0] if args else None
        if path == ("write",):
            return pipe.write(chunk if type(chunk) is bytes else copy(chunk, cross=Crossing()))
        if path == ("close",):
            self._is_closed = True
            return pipe.write(_LAST)
        if path == ("abort",):
            self._is_closed = True
            pipe.fail(as_failure(chunk))
            promise = RpcPromise(loop=pipe._loop)
            promise.set_result(None)
            return promise
        return failed(TypeError(NO_METHOD.format(path=".".join(map(str, path)) or "a call")))

    def get(self, path: Path) -> RpcPromise:
        return failed(TypeError(NO_PROPERTY))

    def dup(self) -> Capability:
        return self

    def dispose(self) -> None:
        self.cut(PerdureError(NOT_CLOSED))

    def cut(self, error: BaseException) -> None:
        """End what was not closed with *error*."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None and not self._is_closed:
            pipe.fail(error)

    def on_broken(self, callback: OnBroken) -> None:
        """It breaks with its session, which tells of it."""

    def describe(self) -> str:
        return "a stream"


class ReadableStream:
    """
    A stream from elsewhere: `async for chunk in stream`.

    It may go on into a call, or be the body of a response. What is not read to its end is cancelled with `aclose()`,
    or when the last reference to it is gone; the sender is told.
    """

    __slots__ = ("__weakref__", "_pipe")

    def __init__(self, pipe: Pipe | None) -> None:
        self._pipe = pipe

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._pipe is None:
            raise TypeError(MOVED)
        chunk = await self._pipe.read()
        if chunk is _LAST:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Read no more; the sender's next write fails."""
        self._cancel()

    def _cancel(self) -> None:
        if self._pipe is not None:
            self._pipe.fail(PerdureError(CANCELLED))

    def __perdure_cross__(self, crossing: Any) -> ReadableStream:
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            raise TypeError(MOVED)
        return ReadableStream(pipe)

    def __del__(self) -> None:
        pipe = self._pipe
        if pipe is not None and pipe._end is None:
            run_soon(pipe._loop, partial(pipe.fail, PerdureError(CANCELLED)))


class WritableStream:
    """
    A stream that somebody else writes to, or that writes to somebody else.

    `WritableStream(sink)` passes `sink.write(chunk)`, and `sink.close()` and `sink.abort(reason)` if it has them, to
    whoever gets the stream: each may be async, and the next chunk comes when the one before is done with. Who gets
    it writes: `await stream.write(chunk)` waits while too much is under way, `await stream.close()` until all has
    arrived. `async with stream:` closes it, or aborts it if the block fails.
    """

    __slots__ = ("_failure", "_room", "_sink", "_target", "_under_way")

    def __init__(self, sink: Any) -> None:
        if not callable(getattr(sink, "write", None)):
            raise TypeError(
                f"A WritableStream is made of something with write(); {type(sink).__name__} has none."
            )
        self._begin(None, sink)

    def _begin(self, target: Capability | None, sink: Any = None) -> None:
        self._target = target
        self._sink = sink
        self._under_way = 0
        self._room: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None

    async def write(self, chunk: Any) -> None:
        """Send *chunk*; an error of an earlier one is raised here."""
        await self._send("write", [chunk], limits.CAPNWEB_WINDOW_BYTES)

    async def close(self) -> None:
        """Say that nothing more comes; returns when all was taken."""
        target = self._target
        await self._send("close", [], 0)
        if target is not None:
            target.dispose()

    async def abort(self, reason: Any = None) -> None:
        """Break the stream off; what was not taken is lost."""
        target = self._target
        self._failure = None
        with suppress(Exception):
            await self._send("abort", [reason], 0)
        if target is not None:
            target.dispose()

    async def _send(self, method: str, args: list[Any], window: int) -> None:
        target = self._target
        if target is None:
            # Its own sink: whoever made it writes to it as others do.
            if self._sink is None:
                raise TypeError(MOVED)
            await finish(getattr(self._sink, method, _nothing)(*args))
            return
        if self._failure is not None:
            raise copy_exception(self._failure)
        entry = target.entry if isinstance(target, ImportCapability) else None
        if entry is not None and entry.outcome is None:
            promise, size = entry.session.write(entry, method, args)
            size = max(size, _WRITE_BYTES_MIN)
            waits = not entry.session.one_way
        else:
            promise, size, waits = target.call((method,), tuple(args), {}), window, True
        self._under_way += size
        promise.add_done_callback(lambda promise: self._taken(promise, size))
        while waits and self._under_way > window and self._failure is None:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self._failure is not None:
            raise copy_exception(self._failure)

    def _taken(self, promise: Any, size: int) -> None:
        self._under_way -= size
        if promise.cancelled():
            self._failure = self._failure or PerdureError(CANCELLED)
        elif (error := promise.exception()) is not None:
            self._failure = self._failure or error
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def __aenter__(self) -> WritableStream:
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await (self.close() if error is None else self.abort(error if isinstance(error, Exception) else None))

    def capability(self) -> Capability:
        """Return the capability that takes the writes; it is the caller's."""
        target, self._target = self._target, None
        if target is not None:
            return target
        if self._sink is None:
            raise TypeError(MOVED)
        sink, self._sink = self._sink, None
        stub = Crossing().export(_Sink(sink))
        return stub._capability.dup()

    def __perdure_cross__(self, crossing: Any) -> WritableStream:
        return writable(self.capability())


def writable(target: Capability) -> WritableStream:
    """Return the stream that writes to *target*."""
    stream = WritableStream.__new__(WritableStream)
    stream._begin(target)
    return stream


def _nothing(*_: Any) -> None:
    return None


class _Sink(RpcTarget):
    """What a `WritableStream` of ours is for others: writes one after another, and one failure is the last."""

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._lock = asyncio.Lock()
        self._failure: BaseException | None = None
        self._is_over = False

    async def write(self, chunk: Any) -> None:
        async with self._lock:
            self._check()
            try:
                await finish(self._sink.write(chunk))
            except BaseException as error:
                self._failure = error
                raise

    async def close(self) -> None:
        async with self._lock:
            self._check()
            self._is_over = True
            await finish(getattr(self._sink, "close", _nothing)())

    async def abort(self, reason: Any = None) -> None:
        if not self._is_over:
            self._is_over = True
            async with self._lock:  # a write that is under way is not interrupted
                await finish(getattr(self._sink, "abort", _nothing)(as_failure(reason)))

    def _check(self) -> None:
        if self._failure is not None:
            raise copy_exception(self._failure)
        if self._is_over:
            raise PerdureError(CANCELLED)

    async def dispose(self) -> None:
        await self.abort(PerdureError(NOT_CLOSED))


# --- what flows from us ----------------------------------------------------------------------------------


def pump(session: Session, entry: Import, source: Any) -> None:
    """Let *source* flow into the pipe *entry*; whichever side ends first ends the other."""
    session.begin_work()
    stream = writable(ImportCapability(entry))
    task = start(_pump(stream, source), session.loop, Context())
    task.add_done_callback(lambda _: session.finish_work())


async def _pump(stream: WritableStream, source: Any) -> None:
    items = aiter(source)
    try:
        async for chunk in items:
            await stream.write(bytes(chunk) if isinstance(chunk, bytearray) else chunk)
    except Exception as error:
        if stream._failure is None:  # it is the source that failed
            await stream.abort(error)
        else:
            stream._target.dispose()  # type: ignore[union-attr]
    else:
        with suppress(Exception):  # nobody reads to the end
            await stream.close()
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            with suppress(Exception):
                await close()


def collect(stream: ReadableStream, type: str, promise: RpcPromise) -> None:
    """Let *promise* have the blob that *stream* holds."""
    start(_collect(stream, type, promise), promise.get_loop(), Context())


async def _collect(stream: ReadableStream, type: str, promise: RpcPromise) -> None:
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in stream:
            if not isinstance(chunk, bytes):
                raise TypeError("The stream of a Blob holds bytes.")
            size += len(chunk)
            if size > limits.RPC_MESSAGE_BYTES_MAX:
                raise PerdureError(BLOB_TOO_LARGE.format(max=limits.RPC_MESSAGE_BYTES_MAX))
            parts.append(chunk)
    except Exception as error:
        await stream.aclose()
        settle(promise, None, error)
    else:
        settle(promise, Blob(b"".join(parts), type), None)
