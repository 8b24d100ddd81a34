"""The ASGI messages of one request: its body, and the news that the client has gone. (cooperative)

A server has one queue of messages for each request. Whoever reads the body takes the next message from
it only when the handler asks for more, which is the back pressure. While a response is streamed somebody
else waits for the `http.disconnect` message; this file lets both use the one queue.
"""

from __future__ import annotations

import asyncio

from perdure._http.convert import Message, Receive
from perdure._http.responder import client_left
from perdure.web import BodyError


class Incoming:
    """
    An async iterator over the request's body.

    `failure` is the error that ended the body early: the client left.
    """

    __slots__ = ("_ahead", "_final", "_lock", "_receive", "_taken", "complete", "failure")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._lock = asyncio.Lock()  # held while waiting for the server: by the reader or by the watch
        self._ahead: Message | None = None  # a piece of the body that the watch came upon
        self._taken: asyncio.Event | None = None  # set when `_ahead` has found its reader
        self._final = False  # the last piece of the body has come from the server
        self.complete = False
        self.failure: BodyError | None = None

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> bytes:
        while not self.complete:
            if self._ahead is None:
                async with self._lock:
                    if self._ahead is None and not self.complete and self.failure is None:
                        await self._read()
            if self._ahead is not None:
                message, self._ahead = self._ahead, None
                if self._taken is not None:
                    self._taken.set()
                self.complete = self._final
                body: bytes = message.get("body", b"")
                if body:
                    return body
            elif self.failure is not None:
                raise self.failure
        raise StopAsyncIteration

    async def disconnected(self) -> None:
        """Return when the client has gone. Of a body that is not being read this takes one piece at most."""
        while self.failure is None:
            if self._ahead is not None and not self._final:
                self._taken = asyncio.Event()
                await self._taken.wait()
            async with self._lock:
                if self.failure is None and (self._ahead is None or self._final):
                    await self._read()

    async def _read(self) -> None:
        """Wait for the next message; the caller holds the lock."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.failure = self.failure or client_left()
            return
        self._final = not message.get("more_body", False)
        if message.get("body"):
            self._ahead = message
        elif self._final:
            self.complete = True
