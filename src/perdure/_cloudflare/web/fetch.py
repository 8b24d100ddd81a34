"""`fetch` as JavaScript shows it, and exchanges with perdure's own requests and responses. (edge)"""

from __future__ import annotations

import asyncio
from typing import Any

import perdure
from perdure._cloudflare.exceptions import js_exception
from perdure._cloudflare.web.abort import AbortSignal, abort_error
from perdure._cloudflare.web.request import Request
from perdure._cloudflare.web.response import Response, view_response


async def fetch(resource: Any, init: Any = None, **named: Any) -> Response:
    """
    Send a request and return the response.

    Args:
        resource: a URL, or a request.
        init: the options of `Request`.
    """
    request = Request(resource, init, **named)
    try:
        return view_response(await unless_aborted(perdure.fetch(request._native), request._signal))
    except Exception as error:
        raise js_exception(error) from error


async def unless_aborted(work: Any, signal: AbortSignal | None) -> Any:
    """Return what *work* comes to; when *signal* is given before, stop it and raise the reason."""
    if signal is None:
        return await work
    if signal.aborted:
        work.close()
        raise abort_error(signal.reason)
    task = asyncio.ensure_future(work)
    signal._when_given(lambda _reason: task.cancel())
    try:
        return await task
    except asyncio.CancelledError:
        if signal.aborted:
            raise abort_error(signal.reason) from None
        raise
