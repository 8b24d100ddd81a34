"""What happens to a request between its head and its line in the log, whatever carried it here. (cooperative)

What must stay true: whatever a handler raises, `SystemExit` and recursion included, is one failed request.
Once a response has begun its status cannot change, so a failure after that cuts the stream: the client
sees a truncated answer, never a clean end (ERR-22). Bodies are pulled by their reader and pushed no faster
than the client takes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

from perdure._base.limits import OVERLOADED_RETRY_AFTER_S
from perdure._http.errors import error_response, new_reference, status_response
from perdure.web import Body, BodyError, Request, Response

logger = logging.getLogger("perdure.http")

STOPPING: Final = "the server stops"
"""With this message the server cancels a request's task."""

CLIENT_CLOSED: Final = 499
"""Stands in log lines for an answer that nobody was there to receive."""

Handle = Callable[[Request], Awaitable[Response]]


class ClientGone(Exception):
    """Nobody is there to receive the response."""


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What there is to say of one finished request, for a line in the log."""

    method: str
    path: str
    """As the client sent it, without the query; control characters are escaped."""
    status: int
    """What the client was told; 499 when it had gone."""
    ms: float
    """From the head of the request to the last byte handed to the server."""
    error: BaseException | None = None
    """What the handler, or the stream it returned, raised."""
    reference: str = ""
    """The id of a failed request, which its client was given too; "" when the client itself is at fault."""
    disconnected: bool = False
    """The client went away before it had the whole answer."""
    refused: bool = False
    """The server refused it before there was a whole request to ask the application about."""


class Exchange(Protocol):
    """One request and the way back to its client. What sends raises ClientGone when nobody takes it."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str:
        """For the log."""

    @property
    def failure(self) -> BodyError | None:
        """What ended the request's body early, if something did: it tells which status the client is owed."""

    def request(self) -> Request:
        """Make the request; TypeError when its head is nonsense."""

    async def send_whole(self, response: Response, data: bytes) -> None:
        """Send a response with all of its body."""

    async def send_upgrade(self, response: Response) -> None:
        """Let the connection become the WebSocket that *response* carries."""

    async def send_head(self, response: Response) -> None:
        """Begin a response whose body follows in pieces."""

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece of the body when the client has taken enough of those before."""

    async def send_end(self) -> None:
        """End the body in good order."""

    def when_gone(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call *call* when the client goes; return what takes that back."""


class Responder:
    """
    Gives each request to *handle* and the response to its client.

    Args:
        handle: makes the response.
        debug: show what failed, with source and stack, to the client. Otherwise it sees a reference id,
            which `on_request` gets together with the error.
        on_request: told of every finished request. Without it, failures go to the `perdure.http` logger.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        debug: bool = False,
        on_request: Callable[[RequestLine], None] | None = None,
    ) -> None:
        self._handle = handle
        self._debug = debug
        self._on_request = on_request

    async def serve(self, exchange: Exchange, given: Response | None = None) -> BaseException | None:
        """
        Answer one request; return what cut the response off, if something did.

        *given* is sent without asking the application; no line tells of it when it is a good one.
        """
        began_s = perf_counter()
        error: BaseException | None = None
        reference = ""
        if given is not None:
            response = given
        else:
            try:
                request = exchange.request()
            except TypeError as problem:
                response = status_response(400, str(problem))
            else:
                try:
                    response = _checked(await self._handle(request))
                except BaseException as raised:
                    response, error, reference = self._for_failure(raised, request, exchange)

        status, disconnected = response.status, False
        cut: BaseException | None = None
        try:
            await _send(response, exchange)
        except ClientGone:
            disconnected = True
        except BaseException as raised:
            if _is_ours_to_pass_on(raised):
                raise
            cut = error = raised
            if exchange.failure is not None and isinstance(raised, BodyError):
                disconnected = exchange.failure.status == CLIENT_CLOSED  # it was sent back as it came
            else:
                reference = reference or new_reference()

        if (self._on_request is not None or reference) and (given is None or not given.ok):
            disconnected = disconnected or status == CLIENT_CLOSED
            ms = (perf_counter() - began_s) * 1000
            self.report(
                RequestLine(exchange.method, exchange.path, status, ms, error, reference, disconnected)
            )
        return cut

    def report(self, line: RequestLine) -> None:
        """Tell of a finished request."""
        try:
            if self._on_request is not None:
                self._on_request(line)
            elif line.reference:
                logger.error(
                    "%s %s failed (reference %s)", line.method, line.path, line.reference, exc_info=line.error
                )
        except Exception:
            logger.exception("on_request failed")

    def _for_failure(
        self, raised: BaseException, request: Request, exchange: Exchange
    ) -> tuple[Response, BaseException | None, str]:
        """Return response, error and reference for a handler that raised; what is not a failure passes on."""
        if _was_stopped(raised):
            return unavailable("The server is stopping. Try again.", retry_after_s=1), None, ""
        if _is_ours_to_pass_on(raised):
            raise raised
        if exchange.failure is not None and isinstance(raised, BodyError):
            return status_response(exchange.failure.status, str(exchange.failure)), raised, ""
        reference = new_reference()
        overloaded = bool(getattr(raised, "overloaded", False))
        response = error_response(
            raised, request, status=503 if overloaded else 500, debug=self._debug, reference=reference
        )
        if overloaded:
            response.headers.set("retry-after", str(OVERLOADED_RETRY_AFTER_S))
        return response, raised, reference


def client_left() -> BodyError:
    """Return what the reader of a body hears when its client is gone."""
    return BodyError("The client disconnected before the whole request body arrived.", CLIENT_CLOSED)


def unavailable(text: str, *, retry_after_s: int) -> Response:
    """Return a 503 response that says when to come back."""
    response = status_response(503, text)
    response.headers.set("retry-after", str(retry_after_s))
    return response


def _checked(response: Response) -> Response:
    if not isinstance(response, Response):
        raise TypeError(
            f"A fetch handler returns a Response; it returned {type(response).__name__}. "
            "Wrap the value: Response(text) or Response.json(data)."
        )
    body = response.body
    if body is None:
        return response
    if body.used:
        raise TypeError(
            "The Response that the fetch handler returned has a body that was used already. "
            "Return a new Response, or a clone() made before the body was read."
        )
    if body.data is None:
        length = response.headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise TypeError(
                f"The content-length of a streamed Response is a number of bytes; the fetch handler gave {length!r}. "
                "Leave it out when the length is not known."
            )
    return response


async def _send(response: Response, exchange: Exchange) -> None:
    """Send *response*; ClientGone when nobody takes it."""
    if response.websocket is not None:
        await exchange.send_upgrade(response)
        return
    body = response.body
    if body is None:
        await exchange.send_whole(response, b"")
        return
    data = body.use()
    if exchange.method == "HEAD":
        await body.aclose()
        await exchange.send_whole(response, b"")
    elif data is not None:
        await exchange.send_whole(response, data)
    else:
        await exchange.send_head(response)
        await _stream(body, exchange)


async def _stream(body: Body, exchange: Exchange) -> None:
    """Send the body piece by piece; when the client goes, stop its source even where that is waiting."""
    task = asyncio.current_task()
    assert task is not None, "requests are served in tasks"
    cancels_before = task.cancelling()
    gone = False

    def stop() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    unwatch = exchange.when_gone(stop)
    try:
        async for piece in body:
            if gone:
                raise ClientGone
            if piece:
                await exchange.send_piece(piece)
    except asyncio.CancelledError:
        if gone and task.cancelling() == cancels_before + 1:
            raise ClientGone from None
        raise
    finally:
        unwatch()
        if gone:
            task.uncancel()
        await body.aclose()
    await exchange.send_end()


def _was_stopped(error: BaseException) -> bool:
    """Tell whether the server cancelled this task because it stops; from here on the task is its own again."""
    task = asyncio.current_task()
    if not isinstance(error, asyncio.CancelledError) or error.args != (STOPPING,) or task is None:
        return False
    task.uncancel()
    return True


def _is_ours_to_pass_on(error: BaseException) -> bool:
    """Tell an interruption of this very task from an exception that a handler raised."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError):
        return task is not None and task.cancelling() > 0
    # A coroutine that is thrown away is closed outside of its task.
    return isinstance(error, GeneratorExit) and task is None
