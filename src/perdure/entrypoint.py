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

from perdure._base.awaitables import finish, invoke
from perdure._base.current import OTHER_THREAD, current, current_env, current_invocation
from perdure._base.exceptions import remote_error
from perdure._base.registry import Registry
from perdure._base.values import copy, copy_call
from perdure._engine import methods
from perdure._rpc.capability import Capability, OnBroken, Path
from perdure._rpc.crossing import Arguments, check_size, result_for
from perdure._rpc.owner import Invocation, leave, settle, start
from perdure._rpc.promise import RpcPromise
from perdure._rpc.reach import call_path, read_path
from perdure._web.body import Body
from perdure._web.relay import relay
from perdure._web.response import check_upgrade
from perdure.context import ExecutionContext
from perdure.errors import PerdureError
from perdure.object_stub import NO_FETCH, ServiceStub, no_response
from perdure.web import Request, Response, copy_response, follow

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
        debug: bool = False,
        props: Mapping[str, Any] | None = None,
    ) -> None:
        self._worker = worker
        self._make_context = make_context
        self._env = env
        self._registry = registry
        self.debug = debug
        self._props = copy(dict(props or {}), label="props")

    @property
    def name(self) -> str:
        """The worker's class, for people."""
        return self._worker.__name__

    def with_props(self, props: Mapping[str, Any]) -> Entrypoint:
        """Return the same worker, whose instances find *props* in their `ctx` (EP-12)."""
        return Entrypoint(self._worker, self._make_context, self._env, self._registry, self.debug, props)

    async def fetch(self, request: Request) -> Response:
        """Answer *request* with a fresh instance, in this task."""
        request._redirect = "manual"  # passed on, it is its sender who is told of a redirect
        response: Response = await self.run(lambda worker: _fetch(worker, request), self._checked(request))
        return response

    def _checked(self, request: Request) -> Callable[[Any], Response]:
        def check(response: Any) -> Response:
            if not isinstance(response, Response):
                raise no_response(response, self._worker.__name__)
            check_upgrade(response, request)
            body = response.body
            if body is not None and body.data is None:
                response._body = Body(source=_Held(body, current_invocation.get()))
            return response

        return check

    async def run(self, work: Callable[[Any], Any], pack: Callable[[Any], Any]) -> Any:
        """Run *work* on a fresh instance, in this task; *pack* makes of what comes of it what leaves the worker."""
        current_env.set(self._env)
        ctx = self._context()
        current_invocation.set(ctx._invocation)
        try:
            return pack(await invoke(work, self._worker(ctx, self._env)))
        finally:
            ctx._answered()

    async def scheduled(self, controller: ScheduledController) -> None:
        """
        Run the worker's `scheduled` with a fresh instance, to the end of what it gave to `wait_until`.

        Raises:
            PerdureError: the worker has none.
            Exception: what it raised, else what the first task that failed raised.
        """
        current_env.set(self._env)
        ctx = self._context()
        current_invocation.set(ctx._invocation)
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
        ctx._invocation.let_go()
        if error is not None or failed is not None:
            raise error or failed  # type: ignore[misc]

    def _context(self) -> ExecutionContext:
        return self._make_context(copy(self._props) if self._props else {})  # an instance may change its own


class _Held:
    """A streamed body; its worker's run lasts as long as it does, so that what it lent can be used so long."""

    __slots__ = ("_invocation", "_pieces")

    def __init__(self, pieces: Body, invocation: Invocation) -> None:
        self._pieces = pieces
        self._invocation: Invocation | None = invocation
        invocation.retain()

    def __aiter__(self) -> _Held:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._pieces.__anext__()
        except BaseException:
            self._let_go()
            raise

    async def aclose(self) -> None:
        """Give up the rest."""
        self._let_go()
        await self._pieces.aclose()

    def _let_go(self) -> None:
        invocation, self._invocation = self._invocation, None
        if invocation is not None:
            invocation.let_go()

    def __del__(self) -> None:
        if self._invocation is not None:
            self._invocation.let_go_soon()


def _fetch(worker: Any, request: Request) -> Any:
    handler = methods.handler(worker, "fetch")
    if handler is None:
        raise PerdureError(NO_FETCH)
    return handler(request)


class EntrypointCapability(Capability):
    """A handle to a worker: each call makes an instance of its own (EP-01)."""

    __slots__ = ("entrypoint", "registry")

    def __init__(self, entrypoint: Entrypoint, registry: Registry) -> None:
        self.entrypoint = entrypoint
        self.registry = registry

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        args, kwargs, size, arguments = copy_call(args, kwargs, registry=self.registry, lend=Arguments)
        check_size(size)
        return self._start(path, lambda worker: call_path(worker, path, args, kwargs), arguments)

    def get(self, path: Path) -> RpcPromise:
        return self._start(path, lambda worker: read_path(worker, path), None)

    def _start(self, path: Path, work: Callable[[Any], Any], arguments: Arguments | None) -> RpcPromise:
        async def run() -> Any:
            try:
                return await self.entrypoint.run(work, lambda result: result_for(result, self.registry))
            finally:
                if arguments is not None:
                    arguments.give_back()

        return self._send(".".join(map(str, path)), run)

    def fetch(self, request: Request) -> Awaitable[Response]:
        """Send *request*, which is the call's own, to the worker's `fetch`."""
        relay(request, current.get(), asyncio.get_running_loop())

        async def run() -> Response:
            return pack_response(await follow(request, self.entrypoint.fetch))

        return self._send("fetch", run)

    def _send(self, method: str, run: Callable[[], Awaitable[Any]]) -> RpcPromise:
        """Start *run* when the caller's writes so far are durable."""
        loop = asyncio._get_running_loop()
        if loop is None:
            raise RuntimeError(OTHER_THREAD.format(what=f"{method}() of {self!r}"))
        promise = RpcPromise(loop=loop)
        # A context where no object is current: the worker's code is not the object's.
        context = contextvars.copy_context()
        context.run(current.set, None)
        where = f"{self.entrypoint.name}.{method}()" if self.entrypoint.debug else ""
        leave(
            lambda: promise.done() or start(settle(promise, run, self.registry, where), loop, context),
            promise,
        )
        return promise

    def dup(self) -> Capability:
        return self

    def dispose(self) -> None:
        """A worker is not told who has stubs of it."""

    def on_broken(self, callback: OnBroken) -> None:
        """It never is: each call has an instance of its own."""

    def describe(self) -> str:
        return f"{self.entrypoint.name}"


class EntrypointStub(ServiceStub):
    """A worker in `env` or `ctx.exports`: `await stub.fetch(url)`, `await stub.method(...)` (EP-09, EP-11)."""

    def __init__(self, entrypoint: Entrypoint, registry: Registry) -> None:
        self.__dict__["_capability"] = EntrypointCapability(entrypoint, registry)


class LoopbackStub(EntrypointStub):
    """The stub that `ctx.exports` has; called with props, it gives one for a worker that has them (EP-12)."""

    def __call__(self, *, props: Mapping[str, Any]) -> EntrypointStub:
        if not isinstance(props, Mapping):
            raise TypeError(f"props must be a dict, not {type(props).__name__}.")
        capability = self._capability
        return EntrypointStub(capability.entrypoint.with_props(props), capability.registry)


def pack_response(response: Response) -> Response:
    """Return *response* for other code to read: what makes its body runs in the worker's own context."""
    answer = copy_response(response)
    relay(answer, None, asyncio.get_running_loop())
    return answer
