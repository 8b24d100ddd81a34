"""The ASGI application in front of a worker's `fetch`. (cooperative)

What must stay true: whatever a handler raises, `SystemExit` and recursion included, is one failed request.
Once a response has begun its status cannot change, so a failure after that cuts the stream: the client
sees a truncated answer, never a clean end (ERR-22). Bodies are pulled by their reader and pushed no faster
than the client takes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter

from perdure._base.limits import OVERLOADED_RETRY_AFTER_S
from perdure._http.convert import (
    CLIENT_CLOSED,
    ClientInfo,
    Message,
    Receive,
    RequestLine,
    Scope,
    Send,
    client_info,
    shown_path,
    start_message,
    to_request,
)
from perdure._http.errors import error_response, new_reference, status_response
from perdure._http.incoming import Incoming
from perdure._http.sockets import serve_websocket
from perdure.web import Body, BodyError, Request, Response

logger = logging.getLogger("perdure.http")

STOPPING = "the server stops"
"""With this message the server cancels a request's task."""

Handle = Callable[[Request, ClientInfo], Awaitable[Response]]
Hook = Callable[[], Awaitable[None]]


class ClientGone(Exception):
    """Nobody is there to receive the response."""


class HttpApp:
    """
    An ASGI 3 application that gives each request to *handle*.

    Args:
        handle: makes the response.
        debug: show what failed, with source and stack, to the client. Otherwise it sees a reference id,
            which `on_request` gets together with the error.
        on_start, on_stop: run at the server's lifespan events.
        on_request: told of every finished request. Without it, failures go to the `perdure.http` logger.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        debug: bool = False,
        on_start: Hook | None = None,
        on_stop: Hook | None = None,
        on_request: Callable[[RequestLine], None] | None = None,
    ) -> None:
        self._handle = handle
        self._debug = debug
        self._on_start = on_start
        self._on_stop = on_stop
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "websocket":
                await serve_websocket(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case kind:
                raise RuntimeError(f"This application serves http, websocket and lifespan; not {kind!r}")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s = perf_counter()
        incoming = Incoming(receive)
        error: BaseException | None = None
        reference = ""
        try:
            request = to_request(scope, incoming)
        except TypeError as problem:
            response = status_response(400, str(problem))
        else:
            try:
                response = await self._answer(request, client_info(scope))
            except BaseException as raised:
                if _was_stopped(raised):
                    response = status_response(503, "The server is stopping. Try again.")
                    response.headers.set("retry-after", "1")
                elif _is_ours_to_pass_on(raised):
                    raise
                elif incoming.failure is not None and isinstance(raised, BodyError):
                    error = raised
                    response = status_response(incoming.failure.status, str(incoming.failure))
                else:
                    error = raised
                    reference = new_reference()
                    response = self._failure(error, request, reference)

        status, disconnected = response.status, False
        cut: BaseException | None = None
        try:
            await _send(response, scope["method"], send, incoming)
        except ClientGone:
            disconnected = True
        except BaseException as raised:
            if _is_ours_to_pass_on(raised):
                raise
            cut = error = raised
            if incoming.failure is not None and isinstance(raised, BodyError):
                disconnected = incoming.failure.status == CLIENT_CLOSED  # it was sent back as it came
            else:
                reference = reference or new_reference()

        disconnected = disconnected or status == CLIENT_CLOSED
        ms = (perf_counter() - began_s) * 1000
        self._report(
            RequestLine(scope["method"], shown_path(scope), status, ms, error, reference, disconnected)
        )
        if cut is not None:
            # An exception is how an ASGI application tells its server to break the connection off.
            raise cut if isinstance(cut, Exception) else RuntimeError("The response stream failed.") from cut

    async def _answer(self, request: Request, client: ClientInfo) -> Response:
        response = await self._handle(request, client)
        if not isinstance(response, Response):
            raise TypeError(
                f"A fetch handler returns a Response; it returned {type(response).__name__}. "
                "Wrap the value: Response(text) or Response.json(data)."
            )
        if response.body_used:
            raise TypeError(
                "The Response that the fetch handler returned has a body that was used already. "
                "Return a new Response, or a clone() made before the body was read."
            )
        return response

    def _failure(self, error: BaseException, request: Request, reference: str) -> Response:
        """Return the response for a handler that raised *error*."""
        overloaded = bool(getattr(error, "overloaded", False))
        response = error_response(
            error, request, status=503 if overloaded else 500, debug=self._debug, reference=reference
        )
        if overloaded:
            response.headers.set("retry-after", str(OVERLOADED_RETRY_AFTER_S))
        return response

    def _report(self, line: RequestLine) -> None:
        try:
            if self._on_request is not None:
                self._on_request(line)
            elif line.reference:
                logger.error(
                    "%s %s failed (reference %s)", line.method, line.path, line.reference, exc_info=line.error
                )
        except Exception:
            logger.exception("on_request failed")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            starting = message["type"] == "lifespan.startup"
            step = "startup" if starting else "shutdown"
            hook = self._on_start if starting else self._on_stop
            try:
                if hook is not None:
                    await hook()
            except Exception as error:
                logger.exception("%s failed", step)
                await send({"type": f"lifespan.{step}.failed", "message": f"{type(error).__name__}: {error}"})
                return
            await send({"type": f"lifespan.{step}.complete"})
            if not starting:
                return


async def _send(response: Response, method: str, send: Send, incoming: Incoming) -> None:
    """Send *response*; ClientGone when nobody takes it."""
    start = start_message(response, method)
    body = response.body
    if body is not None and body.data is None and method != "HEAD":
        await _give(send, start)
        await _stream(body, send, incoming)
        return
    data = b"" if body is None or method == "HEAD" else await body.read()
    if body is not None:
        await body.aclose()
    await _give(send, start)
    await _give(send, {"type": "http.response.body", "body": data, "more_body": False})


async def _stream(body: Body, send: Send, incoming: Incoming) -> None:
    """Send the body piece by piece; when the client goes, stop its source even where that is waiting."""
    task = asyncio.current_task()
    assert task is not None, "ASGI applications run in tasks"
    cancels_before = task.cancelling()
    gone = False

    def stop(watch: asyncio.Future[None]) -> None:
        nonlocal gone
        if not watch.cancelled() and watch.exception() is None:
            gone = True
            task.cancel()

    watch = asyncio.ensure_future(incoming.disconnected())
    watch.add_done_callback(stop)
    try:
        async for chunk in body:
            if gone:
                raise ClientGone
            if chunk:
                await _give(send, {"type": "http.response.body", "body": chunk, "more_body": True})
    except asyncio.CancelledError:
        if gone and task.cancelling() == cancels_before + 1:
            raise ClientGone from None
        raise
    finally:
        watch.remove_done_callback(stop)
        watch.cancel()
        if gone:
            task.uncancel()
        await body.aclose()
    await _give(send, {"type": "http.response.body", "body": b"", "more_body": False})


async def _give(send: Send, message: Message) -> None:
    try:
        await send(message)
    except OSError as error:  # what servers raise when the client has gone (ASGI specification 2.4)
        raise ClientGone from error


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
