"""ReadableStream and its readers as JavaScript shows them. (cooperative)

What changes a stream begins at once, also when nobody awaits it. Chunks that are bytes come out as a Uint8Array
does: `JsBytes`, which is bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

from perdure._cloudflare.exceptions import js_error, js_exception
from perdure._cloudflare.values import JsArray, JsBytes, JsObject, bytes_of, is_buffer, relaxed_call
from perdure._cloudflare.web.abort import abort_error
from perdure._cloudflare.web.channel import Channel, Ending, as_error, begin
from perdure._cloudflare.web.shape import WebObject, read_options
from perdure._cloudflare.web.writable_streams import WritableStream, WritableStreamDefaultWriter
from perdure.web import Body

READER_LOCK: Final = "This ReadableStream is currently locked to a reader."
RELEASED: Final = "This ReadableStream reader has been released."


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
                    raise abort_error(signal.reason)
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
            raise js_error("TypeError", RELEASED)
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


async def _each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
