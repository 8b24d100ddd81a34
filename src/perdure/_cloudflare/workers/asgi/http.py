"""One HTTP request through an ASGI application. (cooperative)

The application runs in a task of its own, so that a response leaves when it begins and its body as it is made. A piece
of a streamed body waits until the one before it was taken: a slow client slows the application down.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from perdure._cloudflare.workers.asgi.gone import ClientGone, is_about_gone_client
from perdure._cloudflare.workers.asgi.inline import stay_on_this_thread
from perdure._cloudflare.workers.asgi.running import until_answered
from perdure._web.headers import from_wire
from perdure._web.response import NULL_BODY_STATUSES
from perdure.web import BodyError, Request, Response

logger = logging.getLogger("asgi")

USED: Final = "The request's body was read before: an ASGI application needs it. Give it request.clone(), made before reading."
GONE: Final = "The client has gone: nobody receives the response any more."
NO_RESPONSE: Final = "The ASGI application did not generate a response."
INCOMPLETE: Final = "The ASGI application ended before its response was complete."
CUT_OFF: Final = "The ASGI application failed while it sent its response."


async def serve(
    app: Callable[..., Any],
    request: Request,
    scope: dict[str, Any],
    keep: Callable[[asyncio.Task[None]], object],
) -> tuple[Response, asyncio.Task[None]]:
    """
    Return the response of *app* to *request*, and the task that the application runs in.

    Args:
        keep: is given the task if that runs on when the response is complete, as it does for background work.

    Raises:
        Exception: what the application raised before its response began.
    """
    exchange = Exchange(request)
    response, task = await until_answered(exchange.run(app, scope), exchange.response)
    context = contextvars.copy_context()

    def complete() -> None:
        if not task.done():
            context.run(keep, task)

    if exchange.pieces is None:
        complete()
    else:
        exchange.pieces.when_ended = complete
    return response, task


class Exchange:
    """The application's side of one request: its `receive` and `send`, and the response that they make."""

    def __init__(self, request: Request) -> None:
        if request.body_used:
            raise TypeError(USED)
        self._body = request.body
        self._has_asked = False
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self.pieces: _Pieces | None = None
        self._is_over = asyncio.Event()  # the response is complete, or nobody waits for it
        self.response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def run(self, app: Callable[..., Any], scope: dict[str, Any]) -> None:
        """Run the application, in a task of this."""
        stay_on_this_thread()
        try:
            await app(scope, self._receive, self._send)
            if not self._is_over.is_set():
                raise RuntimeError(INCOMPLETE if self.response.done() else NO_RESPONSE)
        except Exception as error:
            if not is_about_gone_client(error) and (self._is_over.is_set() or self.response.done()):
                logger.error("The ASGI application failed after its response had begun", exc_info=error)
            self._end(error)
        except BaseException:
            self._end(ConnectionError(CUT_OFF))
            raise

    def _end(self, error: Exception) -> None:
        """Tell who waits for more than there is."""
        if not self.response.done():
            self.response.set_exception(error)
        elif self.pieces is not None and not self._is_over.is_set():
            # No end like others: what the client has is not all of it, and it must be able to tell.
            self.pieces.end(ConnectionError(CUT_OFF))
        self._is_over.set()

    async def _receive(self) -> dict[str, Any]:
        body = self._body
        if body is not None:
            try:
                return {"type": "http.request", "body": await anext(body), "more_body": True}
            except StopAsyncIteration:
                self._body = None
            except BodyError:
                self._body = None
                self._has_asked = True
                return {"type": "http.disconnect"}
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            self._headers = message.get("headers") or []
        elif kind == "http.response.body":
            if self.pieces is None and self.response.done() and not self.response.cancelled():
                return  # after the end, or of a status that has no body
            if self._is_over.is_set():
                raise ClientGone(GONE)
            await self._send_body(bytes(message.get("body") or b""), is_last=not message.get("more_body"))
        else:
            raise RuntimeError(
                f"An ASGI application answers a request by http.response.start and …body; not {kind!r}."
            )

    async def _send_body(self, piece: bytes, *, is_last: bool) -> None:
        if self._status is None:
            raise RuntimeError("The ASGI application sent http.response.body before http.response.start.")
        if self.pieces is None:
            if self._status in NULL_BODY_STATUSES:
                piece, is_last = b"", True
            if is_last:
                self._respond(piece or None)
                self._is_over.set()
                return
            self.pieces = _Pieces(self._is_over)
            self._respond(_Reader(self.pieces))
        if piece:
            await self.pieces.put(piece)
        if is_last:
            self.pieces.end()
            self._is_over.set()

    def _respond(self, body: Any) -> None:
        assert self._status is not None
        self.response.set_result(Response(body, status=self._status, headers=from_wire(self._headers)))


class _Pieces:
    """The body of a streamed response between the application and who reads it: one piece waits, at most."""

    def __init__(self, is_over: asyncio.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self._is_over = is_over
        self._piece: bytes | None = None
        self._error: Exception | None = None
        self._has_ended = False
        self._is_dropped = False
        self._waiting: list[asyncio.Future[None]] = []
        self.when_ended: Callable[[], object] | None = None
        """Called when the reader has seen the end."""

    @property
    def is_done(self) -> bool:
        """Whether everything was taken, or nobody will."""
        return self._is_dropped or (self._has_ended and self._piece is None)

    async def put(self, piece: bytes) -> None:
        while self._piece is not None and not self._is_dropped:
            await self._change()
        if self._is_dropped:
            raise ClientGone(GONE)
        self._piece = piece
        self._tell()

    def end(self, error: Exception | None = None) -> None:
        self._has_ended = True
        self._error = error
        self._tell()

    async def take(self) -> bytes:
        while self._piece is None:
            if self._error is not None:
                raise self._error
            if self._has_ended:
                if self.when_ended is not None:
                    self.when_ended()
                raise StopAsyncIteration
            await self._change()
        piece, self._piece = self._piece, None
        self._tell()
        return piece

    def drop(self) -> None:
        """Hear that nobody takes anything any more."""
        if self.is_done:
            return
        self._is_dropped = True
        self._is_over.set()
        self._tell()

    async def _change(self) -> None:
        changed = self.loop.create_future()
        self._waiting.append(changed)
        await changed

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)


class _Reader:
    """The reader's end; when it goes, the application hears that the client has gone."""

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        return await self._pieces.take()

    async def aclose(self) -> None:
        self._pieces.drop()

    def __del__(self) -> None:
        if self._pieces.is_done:
            return
        with suppress(RuntimeError):  # the loop is closed
            self._pieces.loop.call_soon_threadsafe(self._pieces.drop)
