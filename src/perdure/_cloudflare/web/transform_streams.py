"""TransformStream as JavaScript shows it, and those that let everything through. (cooperative)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import relaxed_call
from perdure._cloudflare.web.channel import Channel, as_error, settled
from perdure._cloudflare.web.readable_streams import (
    ReadableStream,
    ReadableStreamDefaultController,
    begin_with,
    view_stream,
)
from perdure._cloudflare.web.shape import WebObject, read_options
from perdure._cloudflare.web.writable_streams import WritableStream


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
