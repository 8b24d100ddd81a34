"""
`asgi` and `workers.asgi`: ASGI applications (FastAPI, Starlette, Django …) behind a worker's or an object's `fetch`. (cooperative)

```python
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request, self.env)
```

or `Default = asgi.entrypoint(app)`, which serves WebSockets too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perdure._cloudflare.exchange import request_behind
from perdure._cloudflare.web.response import Response, view_response
from perdure._cloudflare.workers.asgi import http, lifespan, sockets
from perdure._cloudflare.workers.asgi.scope import to_scope
from perdure._cloudflare.workers.entrypoints import WorkerEntrypoint
from perdure._cloudflare.workers.gateway import BaseOptions
from perdure._cloudflare.workers.utils import wait_until
from perdure._web.response import asks_for_websocket

__all__ = [
    "Options",
    "entrypoint",
    "env",
    "fetch",
    "process_request",
    "process_websocket",
    "request_to_scope",
    "run_in_background",
    "start_application",
    "websocket",
]

logger = logging.getLogger("asgi")
background_tasks: set[asyncio.Future[Any]] = set()


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of `fetch` and `entrypoint`."""


DEFAULT_OPTIONS = Options()


async def fetch(app: Any, req: Any, env: Any, ctx: Any = None, *, options: Options | None = None) -> Response:
    """
    Return the response of the ASGI application *app* to *req*; the application finds *env* in `scope["env"]`.

    The application's lifespan starts with its first request and ends with the process. What it does after its response
    is complete goes on, as what is given to `wait_until` does.
    """
    span, over = await lifespan.use(app)
    try:
        response, task = await process_request(app, req, env, ctx, span.state, options or DEFAULT_OPTIONS)
    except BaseException:
        over()
        raise
    task.add_done_callback(lambda _: over())
    return response


async def websocket(app: Any, req: Any, env: Any = None) -> Response:
    """Return the answer of the ASGI application *app* to *req*, which asks for a WebSocket."""
    span, over = await lifespan.use(app)
    try:
        response, task = await _answer_websocket(app, req, env, span.state)
    except BaseException:
        over()
        raise
    task.add_done_callback(lambda _: over())
    return response


def entrypoint(app: Any, *, options: Options | None = None) -> type[WorkerEntrypoint]:
    """Return a worker that is the ASGI application *app*: `Default = asgi.entrypoint(app)`."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Any) -> Any:
            if asks_for_websocket(request_behind(request)):
                return await websocket(app, request, self.env)
            return await fetch(app, request, self.env, self.ctx, options=options)

    return Default


def __getattr__(name: str) -> Any:
    """Make `env`, a dependency of FastAPI's for the bindings, when it is asked for: not every project has FastAPI."""
    if name != "env":
        raise AttributeError(f"module 'asgi' has no attribute {name!r}; it has {', '.join(__all__)}")
    from fastapi import Depends
    from starlette.requests import HTTPConnection

    def bindings(connection):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return connection.scope["env"]

    bindings.__annotations__["connection"] = HTTPConnection  # by which FastAPI knows what to give
    globals()["env"] = Depends(bindings)
    return globals()["env"]


# --- the steps of these, which tests of projects call ----------------------------------------------------------


def request_to_scope(
    req: Any, env: Any, ws: bool = False, state: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return to_scope(request_behind(req), env, state, websocket=ws)


async def start_application(app: Any) -> tuple[Callable[[], Awaitable[None]], dict[str, Any]]:
    """Run the lifespan of *app* from its start; return what ends it, and the state that it left."""
    span = lifespan.Lifespan(app)
    await span.started()
    return span.stop, span.state


async def process_request(
    app: Any,
    req: Any,
    env: Any,
    ctx: Any = None,
    state: Mapping[str, Any] | None = None,
    options: Options = DEFAULT_OPTIONS,
) -> tuple[Response, asyncio.Future[None]]:
    """Return the response of *app*, whose lifespan goes on already, and the task that it runs in."""
    scope = request_to_scope(req, env, state=state)
    response, task = await http.serve(app, request_behind(req), scope, keep=wait_until)
    return view_response(response), task


async def process_websocket(app: Any, req: Any, env: Any = None) -> Response:
    """Return the answer of *app*, whose lifespan goes on already, to a request for a WebSocket."""
    response, _ = await _answer_websocket(app, req, env, None)
    return response


def run_in_background(work: Awaitable[Any]) -> asyncio.Future[Any]:
    """Let *work* go on, and log what it raises."""
    future = asyncio.ensure_future(work)
    background_tasks.add(future)
    future.add_done_callback(_background_ended)
    return future


def _background_ended(future: asyncio.Future[Any]) -> None:
    background_tasks.discard(future)
    if not future.cancelled() and future.exception() is not None:
        logger.error("Work in the background failed", exc_info=future.exception())


async def _answer_websocket(
    app: Any, req: Any, env: Any, state: Mapping[str, Any] | None
) -> tuple[Response, asyncio.Task[None]]:
    scope = request_to_scope(req, {} if env is None else env, ws=True, state=state)
    response, task = await sockets.serve(app, scope)
    return view_response(response), task
