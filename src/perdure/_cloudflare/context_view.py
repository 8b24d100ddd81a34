"""`ctx` as Cloudflare has it, of objects and of workers. (cooperative)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from functools import cached_property
from typing import Any, NoReturn

import perdure
from perdure._cloudflare import bridge
from perdure._cloudflare.convert import native_of, python_from_rpc
from perdure._cloudflare.namespace_view import IdView
from perdure._cloudflare.storage_view import StorageView, milliseconds
from perdure._cloudflare.values import JsArray, JsDate, JsNull
from perdure._cloudflare.views import Value, View, as_it_is, call, methods, raw
from perdure._cloudflare.websocket_view import WebSocketView, pair_view

_current: ContextVar[Any] = ContextVar("perdure_context_view", default=None)


def current_context() -> Any:
    """Return the `ctx` of the event that runs, None outside of one."""
    return _current.get()


class ExportsView(View):
    """`ctx.exports`: the application's own classes, by name."""

    _js_name = "Exports"

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_":
            raise AttributeError(name)
        return python_from_rpc(getattr(self._native, name))

    def __getitem__(self, name: str) -> Any:
        return python_from_rpc(self._native[name])

    def object_keys(self) -> JsArray:
        """Return the names."""
        return JsArray(self._native)


class _ContextView(View):
    """What both kinds of `ctx` have."""

    def __getattr__(self, name: str) -> Any:
        if name == "_ctx":  # what the SDK's own wrapper holds, and some projects reach for
            return self
        return super().__getattr__(name)

    def _enter(self) -> None:
        """Be the `ctx` of what this task does from now on."""
        _current.set(self)

    def waitUntil(self, promise: Any) -> None:
        """Let *promise*, a coroutine or another awaitable, run on in the background."""
        call(lambda: self._native.wait_until(promise))

    @cached_property
    def exports(self) -> ExportsView:
        return ExportsView(self._native.exports)

    @cached_property
    def props(self) -> Any:
        return raw(self._native.props)


class StateView(_ContextView):
    """An object's `ctx`."""

    _js_name = "DurableObjectState"
    _members = methods(
        "setHibernatableWebSocketEventTimeout:1 getHibernatableWebSocketEventTimeout", result=as_it_is
    )

    @cached_property
    def id(self) -> IdView:
        return IdView(self._native.id)

    @cached_property
    def storage(self) -> StorageView:
        return StorageView(self._native.storage)

    def blockConcurrencyWhile(self, callback: Callable[[], Awaitable[Any]]) -> Any:
        """Run `await callback()` while no other event is delivered; also as a decorator, and un-awaited in `__init__`."""
        run = (lambda: bridge.run(callback)) if callable(callback) else callback
        return call(lambda: self._native.block_concurrency_while(run), as_it_is)

    def abort(self, reason: Any = None, *options: Any, **named: Any) -> NoReturn:
        """Drop this instance at once: nothing behind this runs, and `except Exception` does not see it."""
        native: perdure.DurableObjectState = self._native
        native.abort(None if isinstance(reason, JsNull) else reason)

    # --- WebSockets -----------------------------------------------------------------------------------

    def acceptWebSocket(self, ws: Any, tags: Iterable[str] | None = None) -> None:
        """Take *ws* so that it outlives this instance."""
        given = () if tags is None or isinstance(tags, JsNull) else tags
        call(lambda: self._native.accept_websocket(native_of(ws), given))

    def getWebSockets(self, tag: str | None = None) -> JsArray:
        """Return the object's sockets, all or those with *tag*."""
        found: JsArray = call(
            lambda: self._native.get_websockets(None if isinstance(tag, JsNull) else tag),
            lambda sockets: JsArray(map(WebSocketView, sockets)),
        )
        return found

    def getTags(self, ws: Any) -> JsArray:
        """Return the tags that *ws* was taken with."""
        tags: JsArray = call(lambda: self._native.get_tags(native_of(ws)), JsArray)
        return tags

    def setWebSocketAutoResponse(self, pair: Any = None) -> None:
        """Answer a text of clients without waking the object."""
        given = None if isinstance(pair, JsNull) else native_of(pair)
        call(lambda: self._native.set_websocket_auto_response(given))

    def getWebSocketAutoResponse(self) -> Any:
        """Return the pair that is set, or None."""
        return call(self._native.get_websocket_auto_response, pair_view)

    def getWebSocketAutoResponseTimestamp(self, ws: Any) -> JsDate | None:
        """Return when *ws* was last answered so, or None."""
        at: JsDate | None = call(
            lambda: self._native.get_websocket_auto_response_timestamp(native_of(ws)),
            lambda at: None if at is None else JsDate(at),
        )
        return at


class ExecutionContextView(_ContextView):
    """A worker's `ctx`."""

    _js_name = "ExecutionContext"

    def passThroughOnException(self) -> None:
        """Do nothing: there is no origin behind the worker that could answer in its place."""


class ScheduledView(View):
    """What `scheduled` is given: `cron`, `scheduledTime` in milliseconds, `noRetry()`."""

    _js_name = "ScheduledController"
    _members = {
        "cron": Value(),
        "type": Value(),
        "scheduledTime": Value(milliseconds),
        **methods("noRetry", result=as_it_is),
    }
