"""Carrier: a connection that is written to by a task, for libraries and servers whose sending has to be awaited. (cooperative)

It is the peer of an end. What the end says waits in a queue with a bound; a subclass knows how to send one piece of it,
and how to read.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from perdure._base.limits import WEBSOCKET_BUFFER_BYTES, WEBSOCKET_BUFFER_S, WEBSOCKET_BURST
from perdure._sockets.end import End, Peer
from perdure._sockets.rules import DISCONNECTED, INTERNAL_ERROR, TOO_SLOW, TRY_AGAIN_LATER

log = logging.getLogger("perdure")


class Carrier(ABC):
    """See the module; `run` is its life."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self._unsent: deque[tuple[Any, ...]] = deque()  # (data,), or (code, reason) of a Close
        self._unsent_bytes = 0
        self._full_since_s: float | None = None
        self._something = asyncio.Event()  # to be sent
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_closed = False  # nothing more is to be sent

    # --- what a subclass does -------------------------------------------------------------------------

    @abstractmethod
    async def receive(self) -> str | bytes | tuple[int | None, str] | None:
        """Return the next message, (code, reason) of a Close, or None when the connection is lost."""

    @abstractmethod
    async def send(self, data: str | bytes) -> None:
        """Send a message."""

    @abstractmethod
    async def send_close(self, code: int | None, reason: str) -> None:
        """Send a Close."""

    # --- its life -------------------------------------------------------------------------------------

    async def run(self, end: End) -> None:
        """Take the place of *end* and carry messages until the connection ends."""
        writer = asyncio.create_task(self._write())
        try:
            end.couple(self)
            if self.peer is None:
                self.take_loss()
            await self._read()
        finally:
            writer.cancel()  # not awaited: the coroutine of an object that was reset takes no further step
            peer, self.peer = self.peer, None
            if peer is not None:
                peer.take_loss()

    async def _read(self) -> None:
        while True:
            await self._may_read.wait()
            said = await self.receive()
            if isinstance(said, (str, bytes)):
                if self.peer is not None:
                    self.peer.take(said)
                continue
            self._is_closed = True  # whoever carries it has answered the Close
            peer, self.peer = self.peer, None
            if peer is not None and said is not None:
                peer.take_close(*said)
            elif peer is not None:
                peer.take_loss()
            return

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._unsent:
                said = self._unsent.popleft()
                try:
                    await (self.send(*said) if len(said) == 1 else self.send_close(*said))
                except Exception as error:  # the connection has ended: `_read` hears of it
                    log.debug("a WebSocket message was not sent: %s", error)
                    self._unsent.clear()
                    return
                if len(said) == 1:
                    self._unsent_bytes -= len(said[0])
                if self._full_since_s is not None and self._unsent_bytes <= WEBSOCKET_BUFFER_BYTES:
                    self._full_since_s = None
                    if self.peer is not None:
                        self.peer.go_on()

    def _has_room(self) -> bool:
        since_s = self._full_since_s
        return since_s is None or (
            asyncio.get_running_loop().time() - since_s < WEBSOCKET_BUFFER_S
            and self._unsent_bytes < WEBSOCKET_BUFFER_BYTES * WEBSOCKET_BURST
        )

    # --- the end (Peer) -------------------------------------------------------------------------------

    def take(self, data: str | bytes) -> None:
        if self._is_closed:
            return
        if not self._has_room():
            reason = TOO_SLOW.format(max=WEBSOCKET_BUFFER_BYTES)
            log.warning("a WebSocket was closed with 1013: %s", reason)
            peer, self.peer = self.peer, None
            self._unsent.clear()  # it may stay there for ever and take nothing
            self.take_close(TRY_AGAIN_LATER, reason)
            if peer is not None:
                peer.take_loss(reason, TRY_AGAIN_LATER)
            return
        self._unsent.append((data,))
        self._unsent_bytes += len(data)
        self._something.set()
        if self._full_since_s is None and self._unsent_bytes > WEBSOCKET_BUFFER_BYTES:
            self._full_since_s = asyncio.get_running_loop().time()
            if self.peer is not None:
                self.peer.hold()

    def take_close(self, code: int | None, reason: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._unsent.append((code, reason))
            self._something.set()

    def take_loss(self, reason: str = DISCONNECTED, code: int = 1006) -> None:
        self.peer = None
        self.take_close(INTERNAL_ERROR, reason)  # here nobody can leave without a word

    def take_error(self, error: Exception) -> None:
        self.take_loss(str(error))

    def hold(self) -> None:
        self._may_read.clear()

    def go_on(self) -> None:
        self._may_read.set()
