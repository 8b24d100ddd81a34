"""A worker called from the application's own code: `ctx.exports.Default.fetch(...)` or a method of it. (cooperative)

Every call makes an instance of its own (EP-01); values cross by copy, as on a stub of an object (EP-11).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from perdure._base.awaitables import Call, finish, invoke
from perdure._base.current import current, current_env
from perdure._base.exceptions import remote_error
from perdure._base.failure import for_caller, mark
from perdure._base.registry import Registry
from perdure._base.values import copy, copy_call
from perdure._engine import methods
from perdure._rpc import reach
from perdure._web.relay import relay
from perdure._web.response import check_upgrade
from perdure.context import ExecutionContext
from perdure.errors import PerdureError
from perdure.namespace import NO_FETCH, no_response
from perdure.web import Request, Response, copy_request, copy_response

NO_SCHEDULED: Final = "Handler does not export a scheduled() function"


@dataclass(slots=True)
class ScheduledController:
    """
    One run of a cron trigger, as `scheduled(controller)` of a worker gets it (EP-03).

    Attributes:
        scheduled_time: the time for which it runs, in UTC.
        cron: the expression as it is written in the configuration.
        type: always "scheduled".
        retries: False after `no_retry()`.
    """

    scheduled_time: datetime
    cron: str
    type: str = "scheduled"
    retries: bool = field(default=True, init=False)

    def no_retry(self) -> None:
        """Ask not to be run again should this run fail; here no run of a cron trigger is."""
        self.retries = False


class Entrypoint:
    """Makes instances of a worker class and runs them outside of any object."""

    def __init__(
        self,
        worker: type,
        make_context: Callable[[dict[str, Any]], ExecutionContext],
        env: Any,
        registry: Registry,
        props: Mapping[str, Any] | None = None,
    ) -> None:
        self._worker = worker
        self._make_context = make_context
        self._env = env
        self._registry = registry
        self._props = copy(dict(props or {}), label="props")

    def with_props(self, props: Mapping[str, Any]) -> Entrypoint:
        """Return the same worker, whose instances find *props* in their `ctx` (EP-12)."""
        return Entrypoint(self._worker, self._make_context, self._env, self._registry, props)

    async def fetch(self, request: Request) -> Response:
        """Answer *request* with a fresh instance, in this task."""
        response = await self._run(_fetch, request)
        if not isinstance(response, Response):
            raise no_response(response, self._worker.__name__)
        check_upgrade(response, request)
        return response

    async def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a public method with a fresh instance, in this task."""
        return await self._run(reach.call, name, args, kwargs)

    async def scheduled(self, controller: ScheduledController) -> None:
        """
        Run the worker's `scheduled` with a fresh instance, to the end of what it gave to `wait_until`.

        Raises:
            PerdureError: the worker has none.
            Exception: what it raised, else what the first task that failed raised.
        """
        current_env.set(self._env)
        ctx = self._context()
        handler = methods.handler(self._worker(ctx, self._env), "scheduled")
        if handler is None:
            controller.no_retry()
            raise PerdureError(NO_SCHEDULED)
        error: BaseException | None = None
        try:
            await finish(methods.call_with(handler, controller, self._env, ctx))
        except Exception as raised:
            error = raised
        except (SystemExit, KeyboardInterrupt) as raised:  # in a task these two would stop the loop
            error = remote_error(raised)
        failed = await ctx._settled()
        if error is not None or failed is not None:
            raise error or failed  # type: ignore[misc]

    def _context(self) -> ExecutionContext:
        return self._make_context(copy(self._props) if self._props else {})  # an instance may change its own

    async def _run(self, use: Callable[..., Any], *args: Any) -> Any:
        current_env.set(self._env)
        ctx = self._context()
        try:
            return await invoke(use, self._worker(ctx, self._env), *args)
        finally:
            ctx._answered()


def _fetch(worker: Any, request: Request) -> Any:
    handler = methods.handler(worker, "fetch")
    if handler is None:
        raise PerdureError(NO_FETCH)
    return handler(request)


class EntrypointStub:
    """A worker in `env` or `ctx.exports`: `await stub.fetch(url)`, `await stub.method(...)` (EP-09, EP-11)."""

    def __init__(self, entrypoint: Entrypoint, registry: Registry) -> None:
        self._entrypoint = entrypoint
        self._registry = registry
        self._running: set[asyncio.Task[None]] = set()

    def fetch(self, input: Request | str, **init: Any) -> Awaitable[Response]:
        """Send a request to the worker's `fetch`."""
        sent = copy_request(input) if isinstance(input, Request) and not init else Request(input, **init)
        relay(sent, current.get(), asyncio.get_running_loop())
        return self._start(lambda: self._entrypoint.fetch(sent), _pack_response)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name[:2] == "__":
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            sent_args, sent_kwargs, _, _ = copy_call(args, kwargs, registry=self._registry)
            return self._start(
                lambda: self._entrypoint.call(name, sent_args, sent_kwargs),
                lambda result: copy(result, registry=self._registry, label="result"),
            )

        return call

    def _start(self, work: Callable[[], Awaitable[Any]], pack: Callable[[Any], Any]) -> Call:
        """Run *work* when the caller's writes so far are durable; the future is its packed outcome."""
        loop = asyncio.get_running_loop()
        future = Call(loop=loop)
        # A context where no object is current: the worker's code is not the object's.
        context = contextvars.copy_context()
        context.run(current.set, None)

        def let_out(error: BaseException | None) -> None:
            if error is not None:
                future.cancel()  # the caller is being reset
            elif not future.done():
                task = loop.create_task(self._answer(work, pack, future), context=context)
                self._running.add(task)
                task.add_done_callback(self._running.discard)

        live = current.get()
        store = None if live is None else live.used_store
        if store is None or store.gate.is_open:
            let_out(None)
        else:
            store.gate.when(store.gate.issued, let_out)
        return future

    async def _answer(
        self, work: Callable[[], Awaitable[Any]], pack: Callable[[Any], Any], future: Call
    ) -> None:
        try:
            result = pack(await work())
        except BaseException as error:  # SystemExit and its like would stop the whole loop
            if not future.done():
                future.set_exception(mark(for_caller(error, self._registry), remote=True))
        else:
            if not future.done():
                future.set_result(result)


class LoopbackStub(EntrypointStub):
    """The stub that `ctx.exports` has; called with props, it gives one for a worker that has them (EP-12)."""

    def __call__(self, *, props: Mapping[str, Any]) -> EntrypointStub:
        if not isinstance(props, Mapping):
            raise TypeError(f"props must be a dict, not {type(props).__name__}.")
        return EntrypointStub(self._entrypoint.with_props(props), self._registry)


def _pack_response(response: Response) -> Response:
    answer = copy_response(response)
    relay(answer, None, asyncio.get_running_loop())
    return answer
