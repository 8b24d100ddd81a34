"""Host: the objects of one runtime, by namespace and id, and the order of start and stop. (cooperative)

Invariant: at most one live object for an id; it is in its space's table from its first event until it is
evicted or broken.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
import threading
from collections.abc import Callable
from typing import Any

from perdure._alarms.scheduler import Scheduler
from perdure._base import ids, limits
from perdure._base.clock import Clock, Timer
from perdure._base.observer import Observer
from perdure._base.registry import Registry
from perdure._engine import lifecycle
from perdure._engine.alarms import Alarms
from perdure._engine.live import Live
from perdure._engine.queue import QueueLimits
from perdure._engine.turn import TaskFactory
from perdure._sockets.end import End
from perdure._sockets.roster import Roster
from perdure._sockets.rules import RESTARTING, SERVICE_RESTART
from perdure._storage.catalog import Rows, place_of
from perdure._storage.engine import StorageEngine
from perdure._storage.layout import namespace_folder
from perdure.errors import Disconnected, StorageFailed

SHUTTING_DOWN = "The server is shutting down. Retry the request."
Factory = Callable[[Live], Any]
_SWEEP_S = 0.1  # objects that fall due together are evicted together
_END_S = 1.0  # so long tasks that were cancelled have for their `finally` blocks


class Space:
    """One namespace: its key, the factory of its instances, and its live objects."""

    __slots__ = (
        "class_name",
        "cls",
        "factory",
        "folder",
        "has_sql",
        "host",
        "key",
        "lives",
        "queue_limits",
        "rosters",
        "unique_key",
    )

    def __init__(
        self,
        host: Host,
        class_name: str,
        unique_key: str,
        cls: type,
        factory: Factory,
        has_sql: bool,
        queue_limits: QueueLimits,
    ) -> None:
        self.host = host
        self.cls = cls  # whose annotations are looked at before there is an instance
        self.class_name = class_name
        self.unique_key = unique_key
        self.key = ids.namespace_key(unique_key)
        self.factory = factory
        self.has_sql = has_sql  # False: declared as a key-value class, which keeps it portable
        self.queue_limits = queue_limits
        self.lives: dict[bytes, Live] = {}
        self.rosters: dict[bytes, Roster] = {}  # of objects with sockets, in memory or not
        self.folder = namespace_folder(unique_key)

    def live(self, object_id: bytes, name: str | None) -> Live:
        """Return the live object of *object_id*; making the entry makes no instance yet (NS-02)."""
        live = self.lives.get(object_id)
        if live is None:
            if self.host.failed is not None:
                raise self.host.failed
            if self.host.stopped:
                raise Disconnected(SHUTTING_DOWN)
            live = self.lives[object_id] = Live(self.host, self, object_id, name)
        return live

    def remove(self, live: Live) -> None:
        """Forget *live*; the next event for its id makes another."""
        if self.lives.get(live.id) is live:
            del self.lives[live.id]

    def list(self, prefix: str | None, after: bytes | None, limit: int) -> tuple[Rows, bytes | None]:
        """List the objects that store something, and say where to go on; the last use of one in memory is now."""
        if self.host.failed is not None:
            raise self.host.failed
        rows = self.host.storage.catalog.list(self.folder, prefix=prefix, after=after, limit=limit + 1)
        more = len(rows) > limit
        del rows[limit:]
        now_s = self.host.clock.time_s()
        return [row._replace(last_used_s=now_s) if row.id in self.lives else row for row in rows], place_of(
            rows[-1]
        ) if more else None

    def label(self, object_id: bytes, name: str | None) -> str:
        """Class and name of an object, for people."""
        return f"{self.class_name}({name if name is not None else object_id.hex()[:12] + '…'})"

    def store_key(self, object_id: bytes) -> bytes:
        """Name of the object's store in the data folder."""
        return f"{self.folder}/{object_id.hex()}".encode()


class Host:
    """
    What all live objects of a runtime share.

    Attributes:
        running: the object whose code runs at this moment, for the watchdog and for stray writes.
        steps: how many steps of user code have begun.
        context: a copy of it is where each event starts, so that nothing of a caller's leaks in.
        background: what `wait_until` was given, by objects and workers.
        failed: set when storage failed: no event is taken any more.
        stopped: no event is taken any more.
        as_websocket: what user code holds of an end of a socket.
    """

    def __init__(
        self,
        storage: StorageEngine,
        *,
        clock: Clock,
        observer: Observer,
        registry: Registry,
        idle_s: float = limits.IDLE_EVICTION_S,
        queue_limits: QueueLimits | None = None,
        event_timeout_s: float | None = None,
        debug: bool = False,
    ) -> None:
        self.storage = storage
        self.clock = clock
        self.observer = observer
        self.registry = registry
        self.idle_s = idle_s
        self.queue_limits = queue_limits or QueueLimits()
        self.event_timeout_s = event_timeout_s
        self.debug = debug
        self.on_failure: Callable[[BaseException], None] | None = None
        self.as_websocket: Callable[[End], Any] = lambda end: end
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.Context()
        self.running: Live | None = None
        self.steps = 0
        self.background: set[asyncio.Future[Any]] = set()
        self.failed: BaseException | None = None
        self.stopped = False
        self.spaces: dict[str, Space] = {}
        self._thread_id = threading.get_ident()
        self._idle: list[tuple[float, int, Live]] = []  # a heap by when to look
        self._looks = 0
        self._sweep: Timer | None = None
        self._drained: asyncio.Future[None] | None = None
        self._factory: TaskFactory | None = None
        storage.on_failure = self._storage_failed
        self.alarms = Alarms(self)
        self._scheduler = Scheduler(clock, storage.catalog, self.alarms)
        storage.catalog.on_alarm = self._scheduler.hear

    def start(self, *, runs_alarms: bool = True) -> None:
        """Drive the tasks of user code from now on, and run alarms unless somebody only wants to look."""
        self._factory = TaskFactory(self, self.loop.get_task_factory())
        self.loop.set_task_factory(self._factory)
        if runs_alarms:
            self._scheduler.start()

    def add_space(
        self,
        class_name: str,
        unique_key: str,
        cls: type,
        factory: Factory,
        *,
        has_sql: bool = True,
        queue_limits: QueueLimits | None = None,
    ) -> Space:
        """Add the namespace of a class, whose instances *factory* makes; its objects may have limits of their own."""
        space = self.spaces[class_name] = Space(
            self, class_name, unique_key, cls, factory, has_sql, queue_limits or self.queue_limits
        )
        return space

    def space_of(self, folder: str) -> Space | None:
        """Return the namespace with this folder, if the application has its class."""
        return next((space for space in self.spaces.values() if space.folder == folder), None)

    def on_loop_thread(self) -> bool:
        """Whether the caller runs on the loop's own thread."""
        return threading.get_ident() == self._thread_id

    # --- idleness -------------------------------------------------------------------------------------

    def idle(self, live: Live) -> None:
        """Hear that *live* has nothing in progress; it is evicted if that lasts."""
        live.idle_since_s = self.clock.monotonic_s()
        if not live.in_idle_queue:
            live.in_idle_queue = True
            self._look_at(live, live.idle_since_s + self.idle_s)
            self._schedule_sweep()

    def _look_at(self, live: Live, due_s: float) -> None:
        self._looks += 1  # orders entries of the same time
        heapq.heappush(self._idle, (due_s, self._looks, live))

    def _schedule_sweep(self) -> None:
        if self._sweep is None and self._idle:
            delay_s = max(_SWEEP_S, self._idle[0][0] - self.clock.monotonic_s())
            # In a context of its own: the timer would else keep, and run as, the object that was idle first.
            context = self.context.copy()
            self._sweep = context.run(self.clock.call_later, delay_s, self._evict_idle)

    def _evict_idle(self) -> None:
        self._sweep = None
        now_s = self.clock.monotonic_s()
        while self._idle and self._idle[0][0] <= now_s:
            live = heapq.heappop(self._idle)[2]
            live.in_idle_queue = False
            if live.state not in lifecycle.ALIVE or live.events:
                continue  # gone, or in progress: then it reports again when it is done
            # Background work counts as use, but not for ever (LIFE-07).
            allowed_s = self.idle_s if live.is_idle else max(self.idle_s, limits.WAIT_UNTIL_OBJECT_S)
            if live.handles or (live.sockets is not None and live.sockets.standard):
                allowed_s = (
                    math.inf
                )  # as long as somebody has a stub of its code, or is connected (RPC-23, WS-02)
            due_s = live.idle_since_s + allowed_s
            if due_s <= now_s:
                live.evict()
            else:
                live.in_idle_queue = True
                self._look_at(live, min(due_s, now_s + self.idle_s))
        self._schedule_sweep()

    # --- the end --------------------------------------------------------------------------------------

    def _storage_failed(self, error: BaseException) -> None:
        if self.failed is None:
            self.failed = error if isinstance(error, StorageFailed) else StorageFailed(str(error))
            self.observer.storage_failed(self.failed)
            self._scheduler.stop()
            for live in self._lives():
                live.abort(self.failed)  # also those that store nothing: no call is answered any more
            if self.on_failure is not None:
                self.on_failure(self.failed)

    async def stop(self, drain_s: float) -> None:
        """Close the sockets, let events and background work finish for up to *drain_s*, then drop every object."""
        self._scheduler.stop()
        for space in self.spaces.values():
            for roster in list(space.rosters.values()):
                roster.close(SERVICE_RESTART, RESTARTING)
        await self._drain(drain_s)
        self.stopped = True
        reason = self.failed or Disconnected(SHUTTING_DOWN)
        left: set[Any] = set(self.background)
        for live in self._lives():
            left.update(event.task for event in live.events)
            left.update(task for task in live.tasks if isinstance(task, asyncio.Future))
            if live.open_turn:
                live.end_turn()
            if live.broken is not None:
                continue
            if live.events:
                live.abort(reason)
            else:
                live.evict(reason)
        for task in self.background:
            task.cancel()
        left.discard(asyncio.current_task())
        if left:
            await asyncio.wait(left, timeout=_END_S)
        if self._sweep is not None:
            self._sweep.cancel()
        if self._factory is not None:
            self._factory.uninstall(self.loop)

    async def _drain(self, drain_s: float) -> None:
        """Wait until nothing is in progress, *drain_s* at most."""
        over = self._drained = self.loop.create_future()
        timer = self.clock.call_later(drain_s, lambda: None if over.done() else over.set_result(None))
        while drain_s > 0 and not over.done() and (working := self._in_progress()):
            all_done = asyncio.ensure_future(asyncio.wait(working))
            await asyncio.wait([all_done, over], return_when=asyncio.FIRST_COMPLETED)
            all_done.cancel()
        timer.cancel()

    def drain_no_longer(self) -> None:
        """Let `stop` go on at once."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _in_progress(self) -> list[Any]:
        """Return futures to wait for: of an event its task, and when that is done what holds its answer back."""
        events = [(live, event.task) for live in self._lives() for event in live.events]
        return [
            *self.background,
            *(
                live.used_store.gate.wait() if task.done() and live.used_store else task
                for live, task in events
            ),
        ]

    def _lives(self) -> list[Live]:
        return [live for space in self.spaces.values() for live in space.lives.values()]
