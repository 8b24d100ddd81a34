"""A worker called from the application's own code: `ctx.exports.Default.fetch(...)` or a method of it. (cooperative)

Every call makes an instance of its own (EP-01); values cross by copy, as on a stub of an object (EP-11).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from perdure._base.current import current, current_env
from perdure._base.registry import Registry
from perdure._base.values import copy, copy_call
from perdure._engine import methods
from perdure._engine.failure import for_caller, mark
from perdure._engine.turn import invoke
from perdure.context import ExecutionContext, confirmed
from perdure.errors import PerdureError
from perdure.namespace import NO_FETCH, no_response
from perdure.web import Request, Response, copy_request


class Entrypoint:
    """Makes instances of a worker class and runs them outside of any object."""

    def __init__(
        self, worker: type, make_context: Callable[[], ExecutionContext], env: Any, registry: Registry
    ) -> None:
        self._worker = worker
        self._make_context = make_context
        self._env = env
        self._registry = registry

    async def fetch(self, request: Request) -> Response:
        """Answer *request* with a fresh instance, in this task."""
        response = await self._run(lambda worker: _handler(worker)(request))
        if not isinstance(response, Response):
            raise no_response(response, self._worker.__name__)
        return response

    async def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a public method with a fresh instance, in this task."""
        return await self._run(lambda worker: methods.call(worker, name, args, kwargs))

    async def _run(self, use: Callable[[Any], Any]) -> Any:
        current_env.set(self._env)
        ctx = self._make_context()
        try:
            return await invoke(use, self._worker(ctx, self._env))
        finally:
            ctx._answered()


def _handler(worker: Any) -> Callable[[Request], Any]:
    handler: Callable[[Request], Any] | None = methods.handler(worker, "fetch")
    if handler is None:
        raise PerdureError(NO_FETCH)
    return handler


class EntrypointStub:
    """What `ctx.exports` has for a worker: `await stub.fetch(url)`, `await stub.method(...)`."""

    def __init__(self, entrypoint: Entrypoint, registry: Registry) -> None:
        self._entrypoint = entrypoint
        self._registry = registry

    async def fetch(self, input: Request | str, **init: Any) -> Response:
        """Send a request to the worker's `fetch`."""
        request = copy_request(input) if isinstance(input, Request) and not init else Request(input, **init)
        return cast(Response, await self._run(self._entrypoint.fetch(request)))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name[:2] == "__":
            raise AttributeError(name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            sent_args, sent_kwargs, _ = copy_call(args, kwargs, registry=self._registry)
            result = await self._run(self._entrypoint.call(name, sent_args, sent_kwargs))
            return copy(result, registry=self._registry, label="result")

        return call

    async def _run(self, work: Any) -> Any:
        await confirmed()
        # In a context where no object is current: the worker's code is not the object's.
        token = current.set(None)
        try:
            task = asyncio.get_running_loop().create_task(_outcome(work))
        finally:
            current.reset(token)
        result, error = await task
        if error is not None:
            raise mark(for_caller(error, self._registry), remote=True) from None
        return result


async def _outcome(work: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """Return what came of *work*: in a task of its own, SystemExit and its like would stop the whole loop."""
    try:
        return await work, None
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return None, error
