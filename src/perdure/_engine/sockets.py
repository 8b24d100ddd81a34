"""Sockets of objects: what they hear is an event, what they say waits as an answer does. (cooperative)

Invariants: messages of one socket are delivered in order, the next as soon as the handler of the one before has
taken its first step (WS-10); nothing is said before the writes that went before are durable, and nothing at all
of a constructor that fails (WS-15, WS-34). The roster of an object outlives its instance, not its reset.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from perdure._base import limits
from perdure._base.awaitables import finish
from perdure._base.current import current
from perdure._engine import lifecycle, methods
from perdure._engine.events import SocketEvent
from perdure._engine.turn import step
from perdure._sockets.end import End
from perdure._sockets.roster import MESSAGE, Roster
from perdure._sockets.rules import TRY_AGAIN_LATER
from perdure.errors import Disconnected, PerdureError

if TYPE_CHECKING:
    from perdure._engine.host import Space
    from perdure._engine.live import Live

RESET: Final = "Durable Object connection closed because the object was reset."
OTHER_THREAD: Final = (
    "A WebSocket was used outside of its event loop. From another thread, let the loop do it: "
    "loop.call_soon_threadsafe(ws.send, message)."
)
TIMED_OUT: Final = "Actor exceeded event execution time and was disconnected."


def roster_of(live: Live) -> Roster:
    """Return the roster of the object's sockets; it is made for the first one."""
    roster = live.sockets
    if roster is None:
        deliver = _Deliver(live.space, live.id, live.name)
        roster = deliver.roster = Roster(deliver, deliver.leave, live.host.clock)
        live.sockets = live.space.rosters[live.id] = roster
    return roster


def forget_standard(live: Live, end: End) -> None:
    """Hear that nothing comes any more from a socket that kept the object in memory."""
    if live.sockets is not None:
        live.sockets.standard.discard(end)
        if not live.events and not live.tasks:
            live.became_idle()


class _Deliver:
    """Delivers what one object's sockets hear; a new instance is made if there is none."""

    __slots__ = ("_id", "_name", "_space", "roster")

    def __init__(self, space: Space, object_id: bytes, name: str | None) -> None:
        self._space = space
        self._id = object_id
        self._name = name
        self.roster: Roster

    def __call__(self, end: End, method: str, args: tuple[Any, ...], size: int) -> None:
        try:
            live = self._space.live(self._id, self._name)
        except PerdureError:  # the runtime stops, or its storage failed
            end.cut()
            return
        if method is MESSAGE and self._runs_at_once(live):
            self._run_at_once(live, end, args[0], size)
        else:
            run = partial(self._handle, live, end, method, args, size)
            self._deliver(live, end, method, args, size, run)

    def leave(self, act: Callable[..., None], *args: Any) -> None:
        """Do `act(*args)` after what the object has said already, which may be waiting for its writes (WS-23)."""
        live = self._space.lives.get(self._id)
        if live is None or live.state is not lifecycle.RUNNING:
            act(*args)
        else:
            _leave(live, act, *args)

    def _deliver(
        self,
        live: Live,
        end: End,
        method: str,
        args: tuple[Any, ...],
        size: int,
        run: Callable[[Any], Any],
    ) -> None:
        end.begin(size)
        live.deliver(SocketEvent(method, run, size, partial(self._refused, end, method, args, size)))

    # A handler that is a plain function needs no task: it is one step, taken where the message arrives. That takes
    # half of the time. Not inside another step, and not before what waits for its turn (WS-10).

    def _runs_at_once(self, live: Live) -> bool:
        host = live.host
        return (
            live.instance is not None
            and not live.queue.count
            and live.gate.active is None
            and not live.crowded
            and not host.storage.journal.is_full
            and host.running is None
            and self.roster.event_timeout_ms is None
            and asyncio.current_task(host.loop) is None
            and not _is_async(methods.handler(live.instance, MESSAGE))
        )

    def _run_at_once(self, live: Live, end: End, data: str | bytes, size: int) -> None:
        handler, queue = methods.handler(live.instance, MESSAGE), live.queue
        refusal = queue.add(size)
        if refusal is not None or handler is None:
            if refusal is None:
                queue.leave(size)
            else:
                end.close(TRY_AGAIN_LATER, refusal)
            return
        queue.leave(size)
        host, result = live.host, None
        try:
            result = step(live, handler, host.as_websocket(end), data)
        except BaseException as error:  # whatever it is, it is that handler's
            if live.broken is None:
                host.observer.event_failed(live, SocketEvent(MESSAGE, _nothing, size, _nothing), error)
        if live.broken is not None:
            return
        store = live.used_store
        if store is not None:
            store.touch()
        if result is not None and inspect.isawaitable(result):
            self._deliver(live, end, MESSAGE, (data,), size, lambda instance: _await(result, end, size))
        elif not live.events:
            live.became_idle()

    async def _handle(
        self, live: Live, end: End, method: str, args: tuple[Any, ...], size: int, instance: Any
    ) -> None:
        host, roster = live.host, self.roster
        timeout_ms = roster.event_timeout_ms
        timer = None
        if timeout_ms is not None:
            timer = host.clock.call_later(timeout_ms / 1000, lambda: live.abort(Disconnected(TIMED_OUT)))
        if method is not MESSAGE:
            end.told_close = True
            # Listed until the handler's first step is over (WS-06).
            host.loop.call_soon(roster.forget, end)
        try:
            handler = methods.handler(instance, method)
            if handler is not None:
                await finish(handler(host.as_websocket(end), *args))
        finally:
            if timer is not None:
                timer.cancel()
            end.finish(size)

    def _refused(self, end: End, method: str, args: tuple[Any, ...], size: int, error: BaseException) -> None:
        """Close a connection whose message is refused; tell of a close or a failure later."""
        end.finish(size)
        if method is MESSAGE:
            end.close(TRY_AGAIN_LATER, str(error))
        else:
            clock = self._space.host.clock
            clock.call_later(limits.WEBSOCKET_RETRY_S, lambda: self(end, method, args, size))


def _is_async(handler: Any) -> bool:
    code = getattr(handler, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_COROUTINE)


async def _await(result: Any, end: End, size: int) -> None:
    try:
        await result
    finally:
        end.finish(size)


def _nothing(_: object) -> None:
    return None


# --- what leaves -----------------------------------------------------------------------------------------


def leave(act: Callable[..., None], *args: Any) -> None:
    """Do `act(*args)`, which the world can see, as soon as the running object's writes so far are durable."""
    live = check_thread()
    if live is None or (live.state is lifecycle.RUNNING and live.used_store is None):
        act(*args)
    elif live.broken is None:
        _leave(live, act, *args)


def check_thread() -> Live | None:
    """Return the running object, if one's code runs; refuse to go on in a thread without the event loop."""
    live: Live | None = current.get()
    if live is not None:
        live.check_thread("A WebSocket")
    elif asyncio._get_running_loop() is None:
        raise RuntimeError(OTHER_THREAD)
    return live


def _leave(live: Live, act: Callable[..., None], *args: Any) -> None:
    if live.state is lifecycle.STARTING:
        roster_of(live).unsaid.append(partial(act, *args))
        return
    store = live.used_store
    if store is None or store.gate.is_open:
        act(*args)
        return

    def opened(error: BaseException | None) -> None:
        if error is None:
            act(*args)

    store.gate.when(store.gate.issued, opened)


def say_unsaid(live: Live) -> None:
    """Say what the constructor said, now that it has returned."""
    assert live.sockets is not None
    unsaid, live.sockets.unsaid = live.sockets.unsaid, []
    for act in unsaid:
        _leave(live, act)


# --- the end of the instance -----------------------------------------------------------------------------


def hibernate(live: Live) -> None:
    """Let the sockets go on without the instance; of an object without any some settings are kept, within a bound (WS-24)."""
    roster = live.sockets
    assert roster is not None
    roster.hibernate()
    rosters = live.space.rosters
    if roster.is_empty and (not roster.has_settings or len(rosters) > limits.WEBSOCKET_SETTINGS_MAX):
        rosters.pop(live.id, None)


def cut_sockets(live: Live) -> None:
    """Break the connections of an object off that was reset (WS-28)."""
    roster = live.sockets
    assert roster is not None
    live.space.rosters.pop(live.id, None)
    roster.unsaid = []
    roster.cut(RESET)
