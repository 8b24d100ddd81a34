"""Bodies of WSGI requests and responses: files and iterables that may wait. (cooperative)"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from perdure._cloudflare import bridge
from perdure.web import Body

_END: Final[Any] = object()


class BodyFile(io.RawIOBase):
    """A request's body as a file, each read of which waits for what the client sends."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._piece = memoryview(b"")
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._piece and not self._has_ended:
            piece = bridge.run_sync(self._next())
            self._has_ended = piece is None
            self._piece = memoryview(piece or b"")
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    async def _next(self) -> bytes | None:
        return await anext(self._body, None)


async def to_file(body: Body | None) -> io.BufferedIOBase:
    """Return *body* as a file; where reading it could not wait, it is read first."""
    if body is None:
        return io.BytesIO(b"")
    if body.data is None and bridge.can_run_sync():
        return io.BufferedReader(BodyFile(body))
    return io.BytesIO(await body.read())


class Chunks:
    """A response's body, made by the application as it is read; `close` is called at its end, once."""

    def __init__(self, chunks: Iterator[bytes], close: Callable[[], None]) -> None:
        self._chunks = chunks
        self._close = close
        self._is_closed = False
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await bridge.run(next, self._chunks, _END)
        except BaseException:
            await self.aclose()
            raise
        if chunk is _END:
            await self.aclose()
            raise StopAsyncIteration
        return bytes(chunk)

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await bridge.run(self._close)

    def __del__(self) -> None:
        if not self._is_closed:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._close)
