"""Listening: what hears a WebSocket that was taken with `accept()`: listeners, and a reader. (cooperative)

In an object each event is a delivery of its own, so that listeners run under the object's gates. What nobody hears is
kept for who comes later, up to a bound.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from perdure._base import limits
from perdure._base.current import current, current_invocation
from perdure._engine.events import SocketEvent
from perdure._engine.sockets import forget_standard, leave, roster_of
from perdure._sockets.end import STANDARD, End
from perdure._sockets.events import CloseEvent, ErrorEvent, Event, MessageEvent
from perdure._sockets.rules import TRY_AGAIN_LATER

if TYPE_CHECKING:
    from perdure._engine.live import Live

log = logging.getLogger("perdure")

Listener = Callable[[Any], Any]


class Listening:
    """Hears one end (`Hearer`); listeners may be added before the end is accepted."""

    __slots__ = (
        "_answers_close",
        "_context",
        "_end",
        "_invocation",
        "_is_dropping",
        "_live",
        "_loop",
        "_read",
        "_unread",
        "_unread_bytes",
        "listeners",
    )

    def __init__(self, end: End) -> None:
        self.listeners: list[tuple[str, Listener, bool]] = []  # type, listener, whether for one event only
        self._end = end
        self._live: Live | None = None
        self._invocation: Any = None  # the run of a worker, which lasts as long as this (RPC-23)
        self._answers_close = True
        self._loop = asyncio.get_running_loop()
        self._context: contextvars.Context | None = None
        self._unread: deque[str | bytes | Exception | None] = deque()  # None: the end
        self._unread_bytes = 0
        self._is_dropping = False  # nobody reads, and there is more than is kept
        self._read: asyncio.Event | None = None  # somebody reads

    def accept(self, *, answers_close: bool) -> None:
        """Hear the end from now on, for the object or the worker whose code runs."""
        live = self._live = current.get()
        self._answers_close = answers_close
        if live is None:
            self._context = contextvars.copy_context()
            invocation = self._invocation = current_invocation.get()
            if invocation is not None:
                invocation.retain()
        elif self._end.url is None:  # a connection of ours keeps the object by its task, for so long (WS-32)
            roster_of(live).standard.add(self._end)
        self._end.heard_by(self, STANDARD)

    # --- what the end hears (Hearer) ------------------------------------------------------------------

    def message(self, end: End, data: str | bytes) -> None:
        listens = any(entry[0] == "message" for entry in self.listeners)
        if listens:
            self._dispatch(MessageEvent(data), len(data))
        if self._read is not None or not listens:
            self._keep(end, data)

    def closed(self, end: End, code: int, reason: str, was_clean: bool) -> None:
        self._dispatch(CloseEvent(code, reason, was_clean))
        self._end_of_messages(None)

    def failed(self, end: End, error: Exception) -> None:
        self._dispatch(ErrorEvent(error))
        self._end_of_messages(error)

    def over(self, end: End) -> None:
        if self._invocation is not None:
            self._loop.call_soon(self._invocation.let_go)  # after what its listeners hear of the end
        if self._live is not None:
            forget_standard(self._live, end)

    # --- listeners ------------------------------------------------------------------------------------

    def add(self, entry: tuple[str, Listener, bool]) -> None:
        """Add a listener; what nobody has heard yet is for it."""
        self.listeners.append(entry)
        if entry[0] == "message" and self._read is None:
            kept, self._unread, self._unread_bytes = self._unread, deque(), 0
            for data in kept:
                if isinstance(data, (str, bytes)):
                    self._dispatch(MessageEvent(data), len(data))
                else:
                    self._unread.append(data)

    def _dispatch(self, event: Event, size: int = 0) -> None:
        self._end.begin(size)
        live = self._live
        if live is None:
            task = self._loop.create_task(self._run(event, size), context=self._context)
            _running.add(task)
            task.add_done_callback(_ended)
        elif live.broken is None:
            live.deliver(
                SocketEvent(
                    f"{event.type} listener",
                    lambda instance: self._run(event, size),
                    size,
                    partial(self._refused, size),
                )
            )

    def _refused(self, size: int, error: BaseException) -> None:
        self._end.finish(size)
        self._end.close(TRY_AGAIN_LATER, str(error))

    async def _run(self, event: Event, size: int) -> None:
        """
        Call the listeners of *event*; each has its chance, then the first failure counts.

        One that raises at a message ends the connection, as workerd does; one that fails while it awaits is logged.
        """
        end = self._end
        failure: Exception | None = None
        waiting: list[Awaitable[Any]] = []
        try:
            if isinstance(event, MessageEvent):
                if end.has_failed:
                    return  # it came before, and is behind the failure
            elif isinstance(event, ErrorEvent) or event.was_clean:
                end.told_close = True
            if (
                isinstance(event, CloseEvent)
                and event.was_clean
                and self._answers_close
                and not end.has_closed
            ):
                end.has_closed = True
                leave(end.say_close, None if event.code == 1005 else event.code, event.reason)
            entries = [entry for entry in self.listeners if entry[0] == event.type]
            if not entries and isinstance(event, MessageEvent) and self._read is None:
                self._keep(end, event.data)  # the last listener wanted one event only
            for entry in entries:
                if entry[2]:
                    self.listeners.remove(entry)
                try:
                    result = entry[1](event)
                    if hasattr(result, "__await__"):
                        waiting.append(result)
                except Exception as error:
                    failure = failure or error
            if failure is not None and isinstance(event, MessageEvent) and not end.heard_close:
                end.fail(failure)
            if isinstance(event, CloseEvent):
                end.told_close = True
            for awaitable in waiting:
                try:
                    await awaitable
                except Exception as error:
                    failure = failure or error
        finally:
            end.finish(size)
        if failure is not None:
            raise failure

    # --- a reader -------------------------------------------------------------------------------------

    def _keep(self, end: End, data: str | bytes) -> None:
        if self._read is None and self._unread_bytes >= limits.WEBSOCKET_UNREAD_BYTES:
            if not self._is_dropping:
                self._is_dropping = True
                log.warning(
                    "a WebSocket that was taken with accept() has no message listener and is not read: of its messages "
                    "the first %d bytes are kept for an `async for`, the others dropped",
                    limits.WEBSOCKET_UNREAD_BYTES,
                )
            return
        self._unread_bytes += len(data)
        if self._read is not None:
            end.begin(len(data))
        self._unread.append(data)
        self._wake()

    def _end_of_messages(self, error: Exception | None) -> None:
        self._unread.append(error)
        self._wake()

    def _wake(self) -> None:
        if self._read is not None:
            self._read.set()

    def reader(self) -> AsyncIterator[str | bytes]:
        """Return an iterator over the messages; the next one goes on where this one stops."""
        if self._read is None:
            self._read = asyncio.Event()
            for data in self._unread:
                if isinstance(data, (str, bytes)):
                    self._end.begin(len(data))
        return self._messages(self._read)

    async def _messages(self, arrived: asyncio.Event) -> AsyncIterator[str | bytes]:
        while True:
            while not self._unread:
                arrived.clear()
                await arrived.wait()
            data = self._unread[0]
            if isinstance(data, Exception):
                raise data
            if data is None:
                return
            self._unread.popleft()
            self._unread_bytes -= len(data)
            self._end.finish(len(data))
            yield data


_running: Final[set[asyncio.Task[None]]] = set()
"""Tasks of listeners outside of objects."""


def _ended(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a listener of a WebSocket failed", exc_info=error)
