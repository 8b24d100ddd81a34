"""The body of a message: bytes at hand, or a stream that is pulled as its reader asks. (cooperative)

A body is used once. Whoever passes a message on takes the body over, and the giver's is then used too,
so that two readers never share one stream by accident; `clone()` is the way to read twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Set
from typing import Any, Final, TypeAlias

from perdure._base.limits import TEE_BUFFER_BYTES_MAX
from perdure._web.form_data import FormData, encode_form
from perdure._web.text import utf8
from perdure.errors import PerdureError

BodyInit: TypeAlias = "str | bytes | bytearray | memoryview | FormData | AsyncIterable[bytes | str] | Iterable[bytes | str] | None"
"""What a `body` parameter takes; text goes out as UTF-8, a form as `multipart/form-data`."""

USED: Final = (
    "Body has already been used. It can only be used once. Use tee() first if you need to read it twice."
)
DISTURBED: Final = "This stream is disturbed (has already been read from), and cannot be used as a body."


class BodyError(PerdureError):
    """
    A body ended before it was whole: the sender went away, broke a limit or sent nonsense.

    Attributes:
        status: the HTTP status that tells the sender what was wrong.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Body:
    """
    An async iterator over the bytes of one message.

    `size` is the number of bytes when it is known beforehand, else None. `used` tells that reading has
    begun or that the body was passed on.
    """

    __slots__ = ("_data", "_ended", "_source", "size", "used")

    def __init__(self, data: bytes | None = None, source: AsyncIterator[Any] | None = None) -> None:
        self._data = data
        self._source = source
        self._ended = False
        self.size = None if data is None else len(data)
        self.used = False

    @property
    def data(self) -> bytes | None:
        """The whole content when it was given as such, used or not; None for a stream."""
        return self._data

    def __aiter__(self) -> Body:
        if self._ended:
            raise TypeError(USED)
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        self.used = True
        source = self._source
        if source is None:
            self._ended = True
            if not self._data:
                raise StopAsyncIteration
            return self._data
        try:
            chunk = await source.__anext__()
        except BaseException:
            self._ended = True
            raise
        return chunk if type(chunk) is bytes else _bytes(chunk)

    async def read(self) -> bytes:
        """Return all of it; TypeError when reading has begun before."""
        if self.used:
            raise TypeError(USED)
        if self._data is not None:
            self.used = self._ended = True
            return self._data
        return b"".join([chunk async for chunk in self])

    def use(self) -> bytes | None:
        """Return the content when it is at hand, which leaves this body used; None for a stream."""
        if self._data is not None:
            self.used = self._ended = True
        return self._data

    def take(self) -> Body:
        """Return a body with this one's content, which leaves this one used."""
        if self.used:
            raise TypeError(USED if self._ended else DISTURBED)
        taken = Body(self._data, self._source)
        self.used = self._ended = True
        return taken

    def tee(self) -> Body:
        """Return a second body with the same content; this one stays as it is."""
        if self.used:
            raise TypeError(USED)
        if self._source is None:
            return Body(self._data)
        fork = _Fork(self._source)
        self._source = _Branch(fork, 0)
        return Body(source=_Branch(fork, 1))

    async def aclose(self) -> None:
        """Give up what was not read; a generator behind the stream runs its `finally` blocks."""
        self.used = self._ended = True
        source, self._source = self._source, None
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


def make_body(init: Any) -> tuple[Body | None, str | None]:
    """Return the body that *init* stands for and the content type it brings along."""
    if init is None:
        return None, None
    if isinstance(init, str):
        return Body(utf8(init)), "text/plain;charset=UTF-8"
    if isinstance(init, Body):
        return init.take(), None
    if isinstance(init, (bytes, bytearray, memoryview)):
        return Body(bytes(init)), None
    if isinstance(init, FormData):
        data, content_type = encode_form(init)
        return Body(data), content_type
    if isinstance(init, AsyncIterable):
        return Body(source=aiter(init)), None
    if isinstance(init, Iterable) and not isinstance(init, (Mapping, Set, list, tuple)):
        return Body(source=_FromIterator(iter(init))), None
    raise TypeError(
        f"A body is None, str, bytes or a stream of them; got {type(init).__name__}. "
        "For JSON use Response.json(data), or json.dumps(data) with a content-type header."
    )


def _bytes(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return utf8(chunk)
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    raise TypeError(f"A body stream gives bytes or str; it gave {type(chunk).__name__}.")


class _FromIterator:
    """A plain iterator as an asynchronous one."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> _FromIterator:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration

    async def aclose(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


class _Fork:
    """One source with two readers; what only one of them has read waits here for the other."""

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self.source = source
        self.waiting: list[deque[bytes] | None] = [deque(), deque()]  # None: that reader gave up
        self.waiting_bytes = [0, 0]
        self.lock = asyncio.Lock()
        self.ended = False
        self.failure: BaseException | None = None

    async def pull(self, reader: int) -> None:
        """Take one chunk off the source for both readers."""
        other = 1 - reader
        try:
            chunk = _bytes(await self.source.__anext__())
        except StopAsyncIteration:
            self.ended = True
            return
        except BaseException as error:
            # A source that was interrupted would look finished to the other reader; it is not.
            self.failure = error if isinstance(error, Exception) else BodyError("The body was cut off.")
            raise
        if self.waiting_bytes[other] + len(chunk) > TEE_BUFFER_BYTES_MAX:
            self.failure = BodyError(
                f"One copy of a cloned body is more than {TEE_BUFFER_BYTES_MAX} bytes behind the other. "
                "Read both at the same time, or read only one.",
                status=500,
            )
            raise self.failure
        for index, queue in enumerate(self.waiting):
            if queue is not None:
                queue.append(chunk)
                self.waiting_bytes[index] += len(chunk)


class _Branch:
    """One reader's end of a fork."""

    __slots__ = ("_fork", "_reader")

    def __init__(self, fork: _Fork, reader: int) -> None:
        self._fork = fork
        self._reader = reader

    def __aiter__(self) -> _Branch:
        return self

    async def __anext__(self) -> bytes:
        fork, reader = self._fork, self._reader
        queue = fork.waiting[reader]
        if queue is None:
            raise StopAsyncIteration
        while not queue:
            async with fork.lock:  # the other reader may be pulling: its chunk is ours too
                if queue:
                    break
                if fork.failure is not None:
                    raise fork.failure
                if fork.ended:
                    raise StopAsyncIteration
                await fork.pull(reader)
        chunk = queue.popleft()
        fork.waiting_bytes[reader] -= len(chunk)
        return chunk

    async def aclose(self) -> None:
        fork = self._fork
        fork.waiting[self._reader] = None
        fork.waiting_bytes[self._reader] = 0
        if fork.waiting == [None, None]:
            close = getattr(fork.source, "aclose", None)
            if close is not None:
                await close()
