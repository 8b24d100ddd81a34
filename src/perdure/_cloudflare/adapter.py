"""Adapters: native classes that run a project's own, in Cloudflare's names and values. (cooperative)

Each class of the project gets one, of the same name. An instance holds the project's instance as `user` and
translates: the runtime's events to its handlers, calls to its methods, and what they return.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import perdure
from perdure._cloudflare import bridge
from perdure._engine.methods import call_with

OBJECT_HANDLERS: Final = {
    "fetch": "fetch",
    "alarm": "alarm",
    "websocket_message": "webSocketMessage",
    "websocket_close": "webSocketClose",
    "websocket_error": "webSocketError",
}
"""The runtime's events → the methods of a project's object that hear them."""
WORKER_HANDLERS: Final = {"fetch": "fetch", "scheduled": "scheduled", "queue": "queue"}
RESERVED: Final = frozenset({*OBJECT_HANDLERS.values(), "connect", "constructor", "dup"})
"""Names that cannot be called over RPC."""


class _Adapter:
    """What both kinds have: the project's instance, and calls to it."""

    __perdure_base__ = True
    user_class: ClassVar[type]
    handlers: ClassVar[dict[str, str]]
    user: Any

    def _adapt(self, ctx: Any, env: Any) -> None:
        self.user = self.user_class(ctx, env)
        for event, name in self.handlers.items():
            if not callable(getattr(self.user, name, None)):
                self.__dict__[event] = None  # the runtime takes it for absent

    async def _handle(self, event: str, *args: Any) -> Any:
        return await bridge.run(call_with, getattr(self.user, self.handlers[event]), *args)

    def __perdure_call__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call method *name* of the project's instance."""
        method = getattr(self.user, name, None)
        if name in RESERVED or name.startswith("__") or not callable(method):
            raise TypeError(f"Method {name} does not exist")
        return bridge.run(method, *args)


class ObjectAdapter(_Adapter, perdure.DurableObject):
    """Runs a durable object of a project."""

    __perdure_base__ = True
    handlers = OBJECT_HANDLERS

    def __init__(self, ctx: perdure.DurableObjectState, env: Any) -> None:
        super().__init__(ctx, env)
        self._adapt(ctx, env)

    async def fetch(self, request: perdure.Request) -> Any:
        return await self._handle("fetch", request)

    async def alarm(self, info: perdure.AlarmInfo) -> None:
        await self._handle("alarm", info)

    async def websocket_message(self, ws: perdure.WebSocket, message: str | bytes) -> None:
        await self._handle("websocket_message", ws, message)

    async def websocket_close(self, ws: perdure.WebSocket, code: int, reason: str, was_clean: bool) -> None:
        await self._handle("websocket_close", ws, code, reason, was_clean)

    async def websocket_error(self, ws: perdure.WebSocket, error: BaseException) -> None:
        await self._handle("websocket_error", ws, error)


class WorkerAdapter(_Adapter, perdure.WorkerEntrypoint):
    """Runs a worker of a project: an instance for each request or call."""

    __perdure_base__ = True
    handlers = WORKER_HANDLERS

    def __init__(self, ctx: perdure.ExecutionContext, env: Any) -> None:
        super().__init__(ctx, env)
        self._adapt(ctx, env)

    async def fetch(self, request: perdure.Request) -> Any:
        return await self._handle("fetch", request)

    async def scheduled(self, controller: perdure.ScheduledController) -> None:
        await self._handle("scheduled", controller, self.env, self.ctx)


def adapt(user_class: type, base: type) -> type:
    """Return the native class, a subclass of *base*, that runs *user_class*."""
    return type(user_class.__name__, (base,), {"__module__": user_class.__module__, "user_class": user_class})
