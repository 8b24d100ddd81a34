"""ReadableStream, WritableStream and TransformStream as JavaScript shows them. (cooperative)

What changes a stream begins at once, also when nobody awaits it. Chunks that are bytes come out as a Uint8Array
does: `JsBytes`, which is bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from perdure._cloudflare.exceptions import js_error, js_exception
from perdure._cloudflare.values import JsArray, JsBytes, JsObject, bytes_of, is_buffer, relaxed_call
from perdure._cloudflare.web.channel import Channel, Ending, begin, settled
from perdure._cloudflare.web.shape import WebObject, is_absent, read_options
from perdure.web import Body

READER_LOCK = "This ReadableStream is currently locked to a reader."
WRITER_LOCK = "This WritableStream is currently locked to a writer."
RELEASED = "This {kind} has been released."
CLOSED = "This WritableStream has been closed."


class ReadableStream(WebObject):
    """
    Chunks to be read once: by a reader, `async for`, a pipe, or as the body of a request or response.

    Args:
        source: what gives the chunks: `start(controller)`, `pull(controller)`, `cancel(reason)`, all optional.
        strategy: `highWaterMark`.
    """

    _chunks: Channel | Body | AsyncIterator[Any]

    def __init__(self, source: Any = None, strategy: Any = None, **named: Any) -> None:
        given = read_options(source, named, "start", "pull", "cancel")
        room = read_options(strategy, named, "highWaterMark").get("highWaterMark", 1)
        controller = ReadableStreamDefaultController()
        pull = given.get("pull")
        channel = Channel(
            pull and (lambda: relaxed_call(pull, controller)),
            given.get("cancel"),
            room if isinstance(room, int) else 1,
        )
        controller._channel = channel
        self._reset(channel)
        begin_with(channel, given.get("start"), controller)

    def _reset(self, chunks: Channel | Body | AsyncIterator[Any]) -> None:
        self._chunks = chunks
        self._reader: Any = None
        self._end = Ending()

    @classmethod
    def from_(cls, chunks: AsyncIterable[Any] | Iterable[Any]) -> ReadableStream:
        """Return a stream of what can be iterated over."""
        return view_stream(aiter(chunks) if isinstance(chunks, AsyncIterable) else _each(chunks))

    @property
    def locked(self) -> bool:
        return self._reader is not None

    def getReader(self, options: Any = None, **named: Any) -> ReadableStreamDefaultReader:
        self._lock_for(None)
        byob = read_options(options, named, "mode").get("mode") == "byob"
        self._reader = reader = (ReadableStreamBYOBReader if byob else ReadableStreamDefaultReader)(self)
        return reader

    def cancel(self, reason: Any = None) -> asyncio.Future[Any]:
        self._lock_for(None)
        self._reader = None
        return begin(self._close(reason))

    def pipeTo(self, destination: WritableStream, options: Any = None, **named: Any) -> asyncio.Future[Any]:
        """Write all chunks to *destination* and close it; `preventClose`, `preventAbort`, `preventCancel`, `signal`."""
        found = read_options(options, named, "preventClose", "preventAbort", "preventCancel", "signal")
        self._lock_for(destination)
        return begin(self._pipe(destination.getWriter(), found))

    def pipeThrough(self, transform: Any, options: Any = None, **named: Any) -> ReadableStream:
        """Write all chunks to `transform.writable` and return `transform.readable`."""
        readable, writable = (
            read_options(transform, {}, "readable", "writable")[each] for each in ("readable", "writable")
        )
        self.pipeTo(writable, options, **named)
        return readable  # type: ignore[no-any-return]

    def tee(self) -> JsArray:
        """Return two streams with the chunks of this one, which is theirs then."""
        self._lock_for(self)
        if isinstance(self._chunks, Body):
            other = self._chunks.tee()
            return JsArray([view_stream(self._chunks.take()), view_stream(other)])
        fork = _Fork(self)
        return JsArray([view_stream(fork.branch()), view_stream(fork.branch())])

    def values(self, _options: Any = None) -> ReadableStream:
        return self

    def __aiter__(self) -> AsyncIterator[Any]:
        self._lock_for(self)
        return self._each()

    async def _each(self) -> AsyncIterator[Any]:
        try:
            while True:
                try:
                    yield await self._next()
                except StopAsyncIteration:
                    return
        finally:
            await self._close()

    async def _next(self) -> Any:
        """Return the next chunk; StopAsyncIteration at the end."""
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._end.set()
            raise
        except Exception as error:
            self._end.set(error)
            raise
        return JsBytes(chunk) if type(chunk) is bytes else chunk

    async def _close(self, reason: Any = None) -> None:
        chunks = self._chunks
        if isinstance(chunks, Channel):
            await chunks.aclose(reason)
        elif (close := getattr(chunks, "aclose", None)) is not None:
            await close()
        self._end.set()

    def _lock_for(self, owner: Any) -> None:
        if self._reader is not None:
            raise js_error("TypeError", READER_LOCK)
        self._reader = owner

    async def _pipe(self, writer: WritableStreamDefaultWriter, options: dict[str, Any]) -> None:
        signal = options.get("signal")
        try:
            while True:
                if signal and signal.aborted:
                    raise signal.reason
                await writer.write(await self._next())
        except StopAsyncIteration:
            if not options.get("preventClose"):
                await writer.close()
        except Exception as error:
            if not options.get("preventAbort"):
                await writer.abort(error)
            if not options.get("preventCancel"):
                await self._close(error)
            raise
        finally:
            writer.releaseLock()

    def _as_body(self) -> Any:
        """Return what a message takes as its body; this stream is locked then."""
        self._lock_for(self)
        return self._chunks if isinstance(self._chunks, Body) else _Bytes(self)


def view_stream(chunks: Channel | Body | AsyncIterator[Any]) -> ReadableStream:
    """Return a stream of *chunks*."""
    stream = ReadableStream.__new__(ReadableStream)
    stream._reset(chunks)
    return stream


setattr(ReadableStream, "from", ReadableStream.from_)  # its name, which is a keyword of Python's


class _Bytes:
    """The chunks of a stream, for a body: bytes or str each."""

    def __init__(self, stream: ReadableStream) -> None:
        self._stream = stream

    def __aiter__(self) -> _Bytes:
        return self

    async def __anext__(self) -> Any:
        chunk = await self._stream._next()
        if is_buffer(chunk):
            return bytes_of(chunk)
        if isinstance(chunk, str):
            return chunk
        raise js_error(
            "TypeError",
            f"This TransformStream is being used as a byte stream; it gave {type(chunk).__name__}.",
        )

    async def aclose(self) -> None:
        await self._stream._close()


class _Fork:
    """One stream for two readers."""

    def __init__(self, source: ReadableStream) -> None:
        self._source = source
        self._branches: list[Channel] = []
        self._lock = asyncio.Lock()

    def branch(self) -> Channel:
        channel = Channel(lambda: self._pull(channel), self._cancel)
        self._branches.append(channel)
        return channel

    async def _pull(self, asking: Channel) -> None:
        async with self._lock:
            if asking.free < asking.room or not asking.is_open:
                return  # the other one's pull has brought something
            try:
                chunk = await self._source._next()
            except StopAsyncIteration:
                for branch in self._branches:
                    branch.close()
            except Exception as error:
                for branch in self._branches:
                    branch.fail(error)
            else:
                for branch in self._branches:
                    if branch.is_open:
                        branch.put(chunk)

    async def _cancel(self, reason: Any) -> None:
        if not any(branch.is_open for branch in self._branches):
            await self._source._close(reason)


class ReadableStreamDefaultReader(WebObject):
    """Reads one stream, which is locked meanwhile."""

    def __init__(self, stream: ReadableStream) -> None:
        self._stream: ReadableStream | None = stream

    @property
    def closed(self) -> asyncio.Future[Any]:
        return self._source()._end.wait()

    async def read(self) -> JsObject:
        """Return `{value, done}`."""
        try:
            return JsObject(value=await self._source()._next(), done=False)
        except StopAsyncIteration:
            return JsObject(value=None, done=True)

    def cancel(self, reason: Any = None) -> asyncio.Future[Any]:
        return begin(self._source()._close(reason))

    def releaseLock(self) -> None:
        if self._stream is not None:
            self._stream._reader = None
            self._stream = None

    def _source(self) -> ReadableStream:
        if self._stream is None:
            raise js_error("TypeError", RELEASED.format(kind="ReadableStream reader"))
        return self._stream


class ReadableStreamBYOBReader(ReadableStreamDefaultReader):
    """Reads as many bytes at once as there is room for in the caller's buffer."""

    def __init__(self, stream: ReadableStream) -> None:
        super().__init__(stream)
        self._rest = b""

    async def read(self, view: Any = None) -> JsObject:
        """Return `{value, done}`, where value has at most as many bytes as *view*."""
        return await self.readAtLeast(1, view)

    async def readAtLeast(self, least: int, view: Any = None) -> JsObject:
        """Return `{value, done}` with *least* bytes or more, fewer only at the end."""
        most = len(view) if view is not None else max(least, 65536)
        while len(self._rest) < least:
            try:
                self._rest += bytes_of(await self._source()._next())
            except StopAsyncIteration:
                break
        data, self._rest = self._rest[:most], self._rest[most:]
        return JsObject(value=JsBytes(data), done=not data)


class ReadableStreamDefaultController(WebObject):
    """What a source puts its chunks into."""

    _channel: Channel

    @property
    def desiredSize(self) -> int | None:
        return self._channel.free if self._channel.is_open else None

    def enqueue(self, chunk: Any = None) -> None:
        try:
            self._channel.put(chunk)
        except TypeError as error:
            raise js_exception(error) from error

    def close(self) -> None:
        self._channel.close()

    def error(self, reason: Any = None) -> None:
        self._channel.fail(as_error(reason))


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
            raise js_error("TypeError", RELEASED.format(kind="WritableStream writer"))
        return self._stream


class WritableStreamDefaultController(WebObject):
    """How a sink says that it can take no more."""

    def __init__(self, stream: WritableStream) -> None:
        self._stream = stream

    def error(self, reason: Any = None) -> None:
        self._stream._fail(as_error(reason))


class TransformStream(WebObject):
    """
    What is written to `writable` comes out of `readable`.

    Args:
        transformer: `start(controller)`, `transform(chunk, controller)`, `flush(controller)`, all optional; without
            `transform` chunks go through as they are.
    """

    def __init__(self, transformer: Any = None, *_strategies: Any, **named: Any) -> None:
        given = read_options(transformer, named, "start", "transform", "flush")
        self._channel = channel = Channel()
        self._controller = TransformStreamDefaultController(channel)
        self._transform, self._flush = given.get("transform"), given.get("flush")
        self._readable = view_stream(channel)
        self._writable = WritableStream._into(self._write, self._close, self._give_up)
        begin_with(channel, given.get("start"), self._controller)

    @property
    def readable(self) -> ReadableStream:
        return self._readable

    @property
    def writable(self) -> WritableStream:
        return self._writable

    async def _write(self, chunk: Any) -> None:
        await self._channel.has_room()
        if self._transform is None:
            self._channel.put(chunk)
        else:
            await self._run(self._transform, chunk)

    async def _close(self) -> None:
        if self._flush is not None:
            await self._run(self._flush)
        self._channel.close()

    def _give_up(self, reason: Any) -> None:
        self._channel.fail(as_error(reason))

    async def _run(self, function: Callable[..., Any], *args: Any) -> None:
        try:
            await settled(relaxed_call(function, *args, self._controller))
        except Exception as error:
            self._channel.fail(error)
            raise


class IdentityTransformStream(TransformStream):
    """Lets chunks through as they are."""

    def __init__(self, *_options: Any) -> None:
        super().__init__()


class FixedLengthStream(TransformStream):
    """Lets as many bytes through as were announced; TypeError for more or fewer."""

    def __init__(self, length: Any, *_options: Any) -> None:
        left = int(length)

        def transform(chunk: Any, controller: TransformStreamDefaultController) -> None:
            nonlocal left
            left -= len(chunk.encode()) if isinstance(chunk, str) else len(chunk)
            if left < 0:
                raise js_error("TypeError", "Attempt to write too many bytes through a FixedLengthStream.")
            controller.enqueue(chunk)

        def flush(_controller: Any) -> None:
            if left > 0:
                raise js_error(
                    "TypeError", "FixedLengthStream did not see all expected bytes before close()."
                )

        super().__init__({"transform": transform, "flush": flush})


class TransformStreamDefaultController(ReadableStreamDefaultController):
    """What a transformer puts its chunks into."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def terminate(self) -> None:
        self._channel.close()


def begin_with(channel: Channel, start: Callable[[Any], Any] | None, controller: Any) -> None:
    """Call the user's `start`, which may be a coroutine function; pulling waits for it."""
    started = relaxed_call(start, controller) if start else None
    if isinstance(started, Awaitable):
        channel.start = begin(_watch(channel, started))


async def _watch(channel: Channel, started: Awaitable[Any]) -> None:
    try:
        await started
    except Exception as error:
        channel.fail(error)


def as_error(reason: Any) -> BaseException:
    """Return *reason* as something that can be raised."""
    if isinstance(reason, BaseException):
        return reason
    return js_error("Error", "The stream was aborted." if is_absent(reason) else str(reason))


async def _all_done(last: asyncio.Future[Any] | None) -> None:
    if last is not None and not last.done():
        await asyncio.wait([last])


async def _each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _nothing(*_arguments: Any) -> None:
    return None
