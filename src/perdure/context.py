"""`ctx`: what an object, or a worker, knows of itself and may ask of the runtime. (cooperative)

Source: CTX-01…09, CTX-19, CTX-20; EP-05, EP-06.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from perdure._base import limits
from perdure._base.awaitables import finish
from perdure._base.current import current
from perdure._base.stack import need_frames
from perdure._engine.sockets import roster_of
from perdure._engine.turn import Aborted
from perdure._rpc.owner import Invocation
from perdure._sockets.end import GIVEN, HIBERNATABLE, NEW, STANDARD, End
from perdure._sockets.rules import checked_tags
from perdure.errors import ObjectReset, PerdureError
from perdure.namespace import DurableObjectId
from perdure.storage import DurableObjectStorage
from perdure.websockets import WebSocket, WebSocketRequestResponsePair, websocket_of

if TYPE_CHECKING:
    from perdure._base.clock import Clock, Timer
    from perdure._base.observer import Observer
    from perdure._base.registry import Registry
    from perdure._engine.live import Live

T = TypeVar("T")

ABORTED: Final = "Application called abort() to reset Durable Object."


class Exports(Mapping[str, Any]):
    """
    Ways back to the application's own top-level classes, by class name: `ctx.exports.Room.get_by_name("x")` (EP-11).

    A durable object's class gives its namespace; a worker's class gives a stub of the worker, and
    `ctx.exports.Name(props={…})` one whose worker finds these in `ctx.props` (EP-12).
    """

    def __init__(self, exports: Mapping[str, Any]) -> None:
        self.__dict__.update(exports)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"the application exports no class {name!r}; it exports {', '.join(sorted(self.__dict__))}"
        )

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)


class DurableObjectState:
    """
    One object's `ctx`.

    Attributes:
        id: the object's id; `ctx.id.name` is the name it was reached by (CTX-02).
        storage: its durable data.
        exports: ways back to the application's own classes.
        props: always an empty dict here (CTX-06).
    """

    __slots__ = ("_live", "exports", "id", "props", "storage")

    def __init__(self, live: Live, exports: Exports) -> None:
        self._live = live
        self.id = DurableObjectId(live.id, live.name, live.space)
        self.storage = DurableObjectStorage(live)
        self.exports = exports
        self.props: dict[str, Any] = {}

    def wait_until(self, awaitable: Awaitable[Any]) -> None:
        """
        Let *awaitable* run on in the background; the object stays in memory meanwhile, 15 minutes at most.

        It delays no answer. What it raises is logged (CTX-07).
        """
        live = self._live
        live.check_thread("wait_until()")
        host = live.host
        task = asyncio.ensure_future(finish(awaitable))
        host.background.add(task)

        def done(task: asyncio.Future[Any]) -> None:
            host.background.discard(task)
            _log_failure(task, live.label, host.observer)

        task.add_done_callback(done)

    def block_concurrency_while(self, callback: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """
        Run `await callback()` while no other event is delivered, and return what it returns (CTX-08).

        Un-awaited in `__init__` it holds back the object's first event, for schema set-up. It works as a
        decorator too. A failure, or 30 seconds, resets the object, and the caller's await never ends
        (GATE-14, GATE-15): catch inside the callback.
        """
        if not callable(callback):
            raise TypeError(
                "Failed to execute 'block_concurrency_while' on 'DurableObjectState': parameter 1 is not of type "
                "'function'."
            )
        return self._live.block(callback, fatal=True)

    # --- WebSockets -----------------------------------------------------------------------------------

    def accept_websocket(self, ws: WebSocket, tags: Iterable[str] = ()) -> None:
        """
        Take *ws* so that it outlives this instance: its events come to `websocket_message`, `websocket_close` and
        `websocket_error` of the class (WS-03). Its other end must be returned in a response.

        Args:
            ws: one end of a `WebSocketPair`.
            tags: names to find it by with `get_websockets`: 10 at most, each of at most 256 bytes (WS-04).
        """
        self._live.check_thread("accept_websocket()")
        end = _end(ws, "accept_websocket")
        if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
            raise TypeError(
                "Failed to execute 'accept_websocket' on 'DurableObjectState': parameter 2 is not of type 'Array'."
            )
        if ws._is_given or end.mode is GIVEN:
            raise TypeError("Can't accept_websocket() WebSocket that was already used in a response.")
        if end.mode is not NEW:
            raise PerdureError(
                "Cannot call `accept_websocket()` if the WebSocket was already accepted via `accept()`"
            )
        peer = end.peer
        if not isinstance(peer, End) or peer.mode is not NEW:
            raise PerdureError(
                "Cannot call `accept_websocket()` on this WebSocket because its pair has already been accepted or used "
                "in a Response."
            )
        checked = checked_tags(tags)
        end.handle = ws
        roster_of(self._live).accept(end, checked)

    def get_websockets(self, tag: str | None = None) -> list[WebSocket]:
        """
        Return the object's sockets: all, the newest first, or those with *tag*, the oldest first (WS-06).

        One that closes is among them until its handler has run its first step.
        """
        if tag is not None and not isinstance(tag, str):
            raise TypeError(f"get_websockets() takes a tag, a str; got {type(tag).__name__}")
        roster = self._live.sockets
        return [] if roster is None else [websocket_of(end) for end in roster.sockets(tag)]

    def get_tags(self, ws: WebSocket) -> list[str]:
        """Return the tags that *ws* was taken with (WS-08)."""
        end = _end(ws, "get_tags")
        if end.mode is STANDARD:
            raise PerdureError("only hibernatable websockets can have tags.")
        if end.mode is not HIBERNATABLE:
            raise PerdureError(
                "you must call 'accept_websocket()' before attempting to access the tags of a WebSocket."
            )
        return list(end.tags)

    def set_websocket_auto_response(self, pair: WebSocketRequestResponsePair | None = None) -> None:
        """Answer this text of clients with that one, without waking the object; None answers nothing (WS-20)."""
        if pair is not None and not isinstance(pair, WebSocketRequestResponsePair):
            raise TypeError(
                "Failed to execute 'set_websocket_auto_response' on 'DurableObjectState': parameter 1 is not of type "
                "'WebSocketRequestResponsePair'."
            )
        texts = None if pair is None else (pair.request, pair.response)
        if texts is not None or self._live.sockets is not None:
            roster_of(self._live).auto_response = texts

    def get_websocket_auto_response(self) -> WebSocketRequestResponsePair | None:
        """Return the pair that is set, or None (WS-22)."""
        roster = self._live.sockets
        if roster is None or roster.auto_response is None:
            return None
        return WebSocketRequestResponsePair(*roster.auto_response)

    def get_websocket_auto_response_timestamp(self, ws: WebSocket) -> datetime | None:
        """Return when *ws* was last answered by the auto-response, or None; an aware datetime (WS-22)."""
        at_s = _end(ws, "get_websocket_auto_response_timestamp").auto_response_at_s
        return None if at_s is None else datetime.fromtimestamp(at_s, UTC)

    def set_hibernatable_websocket_event_timeout(self, timeout_ms: int | None = None) -> None:
        """Reset the object when a `websocket_…` handler takes longer; None or 0 is no limit (WS-25)."""
        if timeout_ms is not None and (isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int)):
            raise TypeError(f"An event timeout is an int of milliseconds; got {type(timeout_ms).__name__}")
        if timeout_ms is not None and timeout_ms < 0:
            raise TypeError(
                "The value cannot be converted because it is negative and this API expects a positive number."
            )
        if timeout_ms is not None and timeout_ms > limits.WEBSOCKET_EVENT_TIMEOUT_MS_MAX:
            raise PerdureError(f"Event timeout should not exceed {limits.WEBSOCKET_EVENT_TIMEOUT_MS_MAX} ms.")
        if timeout_ms or self._live.sockets is not None:
            roster_of(self._live).event_timeout_ms = timeout_ms or None

    def get_hibernatable_websocket_event_timeout(self) -> int | None:
        """Return the limit of a handler in milliseconds, or None (WS-25)."""
        roster = self._live.sockets
        return None if roster is None else roster.event_timeout_ms

    def abort(self, reason: Any = None, *, retry_alarm: bool = True) -> NoReturn:
        """
        Drop this instance at once; the next event makes a new one (CTX-09).

        Writes of this turn are gone, calls in progress fail with *reason*, and the code that called this never
        continues. Only `finally` blocks still run, without storage.

        Args:
            reason: what callers are told.
            retry_alarm: run an alarm that is in progress, and fails by this, again later; False drops it (CTX-10).
        """
        self._live.check_thread("abort()")
        need_frames()
        if not retry_alarm and self._live.alarm is not None:
            self._live.alarm.is_final = True
        if reason is None:
            text = ABORTED
        elif isinstance(reason, BaseException):
            text = f"{type(reason).__name__}: {reason}"
        else:
            text = str(reason)
        self._live.abort(ObjectReset(text))
        raise Aborted(text)

    def __repr__(self) -> str:
        return f"<ctx of {self._live.label}>"


class ExecutionContext:
    """
    A worker's `ctx`, one for each request or call.

    Attributes:
        exports: ways back to the application's own classes.
        props: what the binding, or `ctx.exports.Name(props=…)`, was given for this worker; else an empty dict (EP-09, EP-12).
    """

    __slots__ = (
        "_background",
        "_clock",
        "_invocation",
        "_is_over",
        "_observer",
        "_tasks",
        "_timer",
        "exports",
        "props",
    )

    def __init__(
        self,
        exports: Exports,
        props: dict[str, Any],
        background: set[asyncio.Future[Any]],
        clock: Clock,
        observer: Observer,
        registry: Registry,
        debug: bool = False,
    ) -> None:
        self.exports = exports
        self.props = props
        self._background = background
        self._clock = clock
        self._observer = observer
        self._tasks: set[asyncio.Future[Any]] = set()
        self._timer: Timer | None = None
        self._is_over = False
        self._invocation = Invocation(registry, debug=debug)

    def wait_until(self, awaitable: Awaitable[Any]) -> None:
        """Let *awaitable* run on after the response, 30 seconds at most; what it raises is logged (EP-06)."""
        task = asyncio.ensure_future(finish(awaitable))
        self._tasks.add(task)
        self._background.add(task)
        self._invocation.retain()
        task.add_done_callback(self._done)
        if self._is_over and self._timer is None:
            self._limit()

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        self._background.discard(task)
        self._invocation.let_go()
        if self._timer is not None and not self._tasks:
            self._timer.cancel()
            self._timer = None
        _log_failure(task, "worker", self._observer)

    def _answered(self) -> None:
        """Hear that the handler has returned: its background work has 30 seconds from now on."""
        self._is_over = True
        self._limit()
        self._invocation.let_go()

    def _limit(self) -> None:
        if self._tasks:
            self._timer = self._clock.call_later(limits.WAIT_UNTIL_WORKER_S, self._give_up)

    async def _settled(self) -> BaseException | None:
        """Wait for all background work, however long; return what the first that failed raised."""
        failed: BaseException | None = None
        try:
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                errors = [task.exception() for task in done if not task.cancelled()]
                failed = failed or next((error for error in errors if error is not None), None)
                self._tasks -= done
        finally:
            for task in self._tasks:
                task.cancel()
        return failed

    def _give_up(self) -> None:
        self._timer = None
        for task in list(self._tasks):
            task.cancel()
            self._observer.background_failed(
                "worker",
                TimeoutError(
                    f"A wait_until() task of a worker was canceled: it ran longer than "
                    f"{limits.WAIT_UNTIL_WORKER_S:.0f} seconds after the response. Longer work belongs into a "
                    "durable object."
                ),
            )


def _end(ws: Any, method: str) -> End:
    if not isinstance(ws, WebSocket):
        raise TypeError(
            f"Failed to execute '{method}' on 'DurableObjectState': parameter 1 is not of type 'WebSocket'."
        )
    return ws._end


def _log_failure(task: asyncio.Future[Any], label: str, observer: Observer) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        observer.background_failed(label, error)


async def confirmed(*args: Any, **kwargs: Any) -> None:
    """
    Wait until every write of the current object so far is durable; outside of objects, return at once.

    What leaves by Perdure's own means waits by itself. Before anything else that the world can see (httpx,
    aiohttp, files, subprocesses) await this. It takes any arguments, so that it is a hook as it stands:
    `httpx.AsyncClient(event_hooks={"request": [perdure.confirmed]})`.
    """
    live: Live | None = current.get()
    store = None if live is None else live.used_store
    if store is not None and not store.gate.is_open:
        await store.gate.wait()
