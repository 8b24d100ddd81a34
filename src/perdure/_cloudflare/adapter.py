"""Adapters: native classes that run a project's own, in Cloudflare's names and values. (cooperative)

Each class of the project gets one, of the same name. An instance holds the project's instance as `user` and
translates: the runtime's events to its handlers, calls to its methods, and what they return and raise.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, ClassVar, Final

import perdure
from perdure._base.awaitables import finish
from perdure._cloudflare import bridge
from perdure._cloudflare.context_view import ExecutionContextView, ScheduledView, StateView
from perdure._cloudflare.convert import arguments_from_rpc, python_to_rpc
from perdure._cloudflare.env_view import EnvView
from perdure._cloudflare.exceptions import js_exception, leaving
from perdure._cloudflare.exchange import request_from_native, response_to_native
from perdure._cloudflare.storage_view import milliseconds
from perdure._cloudflare.values import JsObject
from perdure._cloudflare.websocket_view import message_data, websocket_view
from perdure._engine.methods import call_with, parameters_of
from perdure._rpc.reach import NO_METHOD, RESERVED_NAME

OBJECT_HANDLERS: Final = {
    "fetch": "fetch",
    "alarm": "alarm",
    "websocket_message": "webSocketMessage",
    "websocket_close": "webSocketClose",
    "websocket_error": "webSocketError",
}
"""The runtime's events → the methods of a project's object that hear them."""
WORKER_HANDLERS: Final = {"fetch": "fetch", "scheduled": "scheduled"}
RESERVED: Final = frozenset({*OBJECT_HANDLERS.values(), "connect", "constructor", "dup"})
"""Names that cannot be called over RPC."""
NO_ALARM_HANDLER: Final = (
    "{name} has no alarm() handler, and set an alarm: define `async def alarm(self, alarm_info)`"
)


class _Adapter:
    """What both kinds have: the project's instance, and calls to it."""

    __perdure_base__ = True
    user_class: ClassVar[type]
    handlers: ClassVar[dict[str, str]]
    user: Any
    ctx_view: Any
    env_view: Any

    def _adapt(self, ctx_view: Any, env: Any) -> None:
        self.ctx_view = ctx_view
        self.env_view = EnvView(env)
        ctx_view._enter()
        with leaving:
            self.user = self.user_class(ctx_view, self.env_view)
        for event, name in self.handlers.items():
            # The runtime takes None for absent. An alarm may be set there by a class that does not hear it.
            if event != "alarm" and self._handler(name) is None:
                self.__dict__[event] = None

    def __perdure_inside__(self) -> tuple[Any, Any]:
        """Return what tests see of the object: the project's instance, and its `ctx`."""
        return self.user, self.ctx_view

    def _handler(self, name: str) -> Any:
        """Return the project's handler *name*, or the one that was called `on_…` once; None if there is none."""
        for spelling in (name, f"on_{name}"):
            found = getattr(self.user, spelling, None)
            if callable(found):
                return found
        return None

    async def _fetch(self, request: perdure.Request) -> Any:
        handler = self._handler("fetch")
        args = (request_from_native(request), self.env_view, self.ctx_view)
        # `env` and `ctx` are for those that cannot do without.
        return response_to_native(await self._run(handler, *args[: max(1, _required(handler))]))

    async def _run(self, handler: Callable[..., Any], *args: Any) -> Any:
        """Call a handler of the project's with as many of *args* as it takes."""
        self.ctx_view._enter()
        with leaving:
            return await finish(await bridge.run(call_with, handler, *args))

    async def __perdure_call__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call method *name* of the project's instance."""
        if name in RESERVED:
            raise TypeError(RESERVED_NAME.format(name=name))
        method = None if name[:2] == "__" else getattr(self.user, name, None)
        if not callable(method):
            raise TypeError(NO_METHOD.format(name=name))
        self.ctx_view._enter()
        with leaving:
            return python_to_rpc(await finish(await bridge.run(method, *arguments_from_rpc(args, kwargs))))


class ObjectAdapter(_Adapter, perdure.DurableObject):
    """Runs a durable object of a project."""

    __perdure_base__ = True
    handlers = OBJECT_HANDLERS

    def __init__(self, ctx: perdure.DurableObjectState, env: Any) -> None:
        super().__init__(ctx, env)
        self._adapt(StateView(ctx), env)

    async def fetch(self, request: perdure.Request) -> Any:
        return await self._fetch(request)

    async def alarm(self, info: perdure.AlarmInfo) -> None:
        shown = JsObject(
            retryCount=info.retry_count,
            isRetry=info.is_retry,
            scheduledTime=milliseconds(info.scheduled_time),
        )
        handler = self._handler("alarm")
        if handler is None:
            raise TypeError(NO_ALARM_HANDLER.format(name=self.user_class.__name__))
        await self._run(handler, shown)

    async def websocket_message(self, ws: perdure.WebSocket, message: str | bytes) -> None:
        await self._run(self._handler("webSocketMessage"), websocket_view(ws), message_data(message))

    async def websocket_close(self, ws: perdure.WebSocket, code: int, reason: str, was_clean: bool) -> None:
        await self._run(self._handler("webSocketClose"), websocket_view(ws), code, reason, was_clean)

    async def websocket_error(self, ws: perdure.WebSocket, error: BaseException) -> None:
        await self._run(self._handler("webSocketError"), websocket_view(ws), js_exception(error))


class WorkerAdapter(_Adapter, perdure.WorkerEntrypoint):
    """Runs a worker of a project: an instance for each request or call."""

    __perdure_base__ = True
    handlers = WORKER_HANDLERS

    def __init__(self, ctx: perdure.ExecutionContext, env: Any) -> None:
        super().__init__(ctx, env)
        self._adapt(ExecutionContextView(ctx), env)

    async def fetch(self, request: perdure.Request) -> Any:
        return await self._fetch(request)

    async def scheduled(self, controller: perdure.ScheduledController) -> None:
        await self._run(self._handler("scheduled"), ScheduledView(controller), self.env_view, self.ctx_view)


def adapt(user_class: type, base: type) -> type:
    """Return the native class, a subclass of *base*, that runs *user_class*."""
    return type(user_class.__name__, (base,), {"__module__": user_class.__module__, "user_class": user_class})


def _required(handler: Callable[..., Any]) -> int:
    """Return how many arguments *handler* cannot do without."""
    if isinstance(handler, types.MethodType):
        return _required_by_method(handler.__func__) - 1
    return _required_by(handler)


@functools.lru_cache(maxsize=1024)
def _required_by_method(function: Callable[..., Any]) -> int:
    return _required_by(function)  # asked for each request: a signature costs more than many a handler


def _required_by(function: Callable[..., Any]) -> int:
    try:
        parameters = parameters_of(function)
    except (TypeError, ValueError):
        return 1
    return sum(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )
