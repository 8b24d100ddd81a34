"""`fetch` as JavaScript shows it: a signal ends the request, and the body of its response. (edge)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import perdure
from perdure._cloudflare.exceptions import js_exception
from perdure._cloudflare.web.abort import AbortSignal, abort_error
from perdure._cloudflare.web.request import Request
from perdure._cloudflare.web.response import Response, view_response
from perdure.web import copy_response


async def fetch(resource: Any, init: Any = None, **named: Any) -> Response:
    """
    Send a request and return the response.

    Args:
        resource: a URL, or a request.
        init: the options of `Request`.
    """
    request = Request(resource, init, **named)
    signal = request._signal
    try:
        response = await unless_aborted(perdure.fetch(request._native), signal)
    except Exception as error:
        raise js_exception(error) from error
    if signal is not None and response.websocket is None:
        response = copy_response(response, wrap=lambda chunks: _until(chunks, signal))
    return view_response(response)


async def unless_aborted(work: Coroutine[Any, Any, Any], signal: AbortSignal | None) -> Any:
    """Return what *work* comes to; when *signal* is given before, stop it and raise the reason."""
    if signal is None:
        return await work
    if signal.aborted:
        work.close()
        raise abort_error(signal.reason)
    task = asyncio.ensure_future(work)

    def stop(_reason: Any) -> None:
        task.cancel()

    signal._when_given(stop)
    try:
        return await task
    except asyncio.CancelledError:
        if signal.aborted:
            raise abort_error(signal.reason) from None
        raise
    finally:
        signal._forget(stop)


async def _until(chunks: Any, signal: AbortSignal) -> AsyncIterator[bytes]:
    """Iterate over *chunks*, the body of a response, until *signal* is given."""
    try:
        while True:
            try:
                chunk = await unless_aborted(chunks.__anext__(), signal)
            except StopAsyncIteration:
                return
            yield chunk
    finally:
        await chunks.aclose()
