"""One live object: its instance, gate, store and what is in progress. (cooperative)

A front: events are served in `serve`, critical sections in `sections`, the end is `abort` or `evict`. The
rules are in `lifecycle` (states), `turn` (steps) and the gates.

Invariants: user code runs only while `broken` is None; `open_turn` is true exactly while the store has an
uncommitted turn of this object; an object with events or tasks is never evicted for idleness.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from perdure._base import limits
from perdure._base.awaitables import Call, invoke
from perdure._base.current import current
from perdure._base.failure import add_trace, for_caller, mark, reset_error
from perdure._base.registry import Registry
from perdure._engine import lifecycle, sections
from perdure._engine.events import DisposerEvent, Event, TargetEvent
from perdure._engine.queue import EventQueue
from perdure._engine.sockets import cut_sockets, hibernate, say_unsaid
from perdure._engine.time_limit import limit_run, limit_wait
from perdure._engine.turn import Aborted, drive
from perdure._gates.input import InputGate, Section, SectionFuture
from perdure._storage.store import Store
from perdure.errors import Disconnected, Overloaded, StorageError

if TYPE_CHECKING:
    from perdure._engine.alarms import AlarmRun
    from perdure._engine.host import Host, Space

log = logging.getLogger("perdure")

NO_LONGER_ACCESSIBLE = "Durable Object storage is no longer accessible."
FREED = "Actor freed due to inactivity"
OTHER_THREAD = (
    "{what} of {label} was used from another thread. A durable object belongs to the event loop's thread: pass "
    "plain values to the thread, and go on with them here when it has returned."
)


class Live:
    """See the module; made by `Space.live`, one for each id at a time."""

    __slots__ = (
        "_held",
        "_store",
        "alarm",
        "broken",
        "crowded",
        "events",
        "gate",
        "handles",
        "host",
        "id",
        "idle_since_s",
        "in_idle_queue",
        "instance",
        "name",
        "open_turn",
        "overload_told_s",
        "queue",
        "sockets",
        "space",
        "state",
        "tasks",
        "watchers",
    )

    def __init__(self, host: Host, space: Space, object_id: bytes, name: str | None) -> None:
        self.host = host
        self.space = space
        self.id = object_id
        self.name = name
        self.state = lifecycle.STARTING
        self.instance: Any = None
        self.gate = InputGate()
        self.broken: BaseException | None = None
        self.open_turn = False
        self.events: dict[Event, None] = {}  # in order: each run of a simulation is the same
        self.tasks: dict[Any, None] = {}
        self.alarm: AlarmRun | None = None  # the one whose handler runs
        self.queue = EventQueue(space.queue_limits, host.clock)
        self.overload_told_s = -limits.EVENT_WINDOW_S
        self.idle_since_s = 0.0
        self.in_idle_queue = False
        self.crowded = False  # its writes outrun the disk
        self.sockets = space.rosters.get(object_id)
        self.handles = 0  # that others have to targets of its code
        self.watchers: dict[Callable[[BaseException], object], None] | None = None
        self._held: list[asyncio.Future[None]] = []
        self._store: Store | None = None

    @property
    def label(self) -> str:
        """Class and name, for people."""
        return self.space.label(self.id, self.name)

    # --- events ---------------------------------------------------------------------------------------

    def deliver(self, event: Event) -> None:
        """Start *event* in a task of its own; a caller that goes away never cancels it (STB-15)."""
        refusal = self.queue.add(event.size_bytes)
        if refusal is not None:
            self.refuse(event, refusal)
            return
        context: Context = self.host.context.copy()
        context.run(current.set, self)
        event.task = asyncio.Task(self.serve(event), loop=self.host.loop, context=context)
        self.events[event] = None  # last: the caller's stack may end in any of these lines

    def refuse(self, event: Event, text: str) -> None:
        """Fail *event* because too much waits here; the object and what waits go on (ERR-13…16)."""
        error = mark(Overloaded(text), durable_object_id=self.id.hex())
        event.refuse(error)
        now_s = self.host.clock.monotonic_s()
        if now_s - self.overload_told_s >= limits.EVENT_WINDOW_S:
            self.overload_told_s = now_s
            self.host.observer.object_overloaded(self, error)

    async def serve(self, event: Event) -> None:
        """Run *event*: construct if need be, wait for the gate, call, commit, answer when that is durable."""
        is_leaving = False
        try:
            if self.crowded or self.host.storage.journal.is_full:
                self.crowded = True
                limit_wait(self, event)
                await self.hold()
            if self.instance is None and event.needs_instance:
                self.construct()
            if self.gate.active is not None:
                limit_wait(self, event)
            result = await drive(invoke(self.begin, event), self)
            if event.timer is not None:
                event.timer.cancel()
            if self.broken is None and not event.is_over:
                value = event.pack(result)
                store = self._store
                if store is not None:
                    store.touch()
                    if not store.gate.is_open:
                        event.future._foresee(value, self)
                        # Not awaited: that would be a future and one more step of the task for each answer.
                        store.gate.when(store.gate.issued, partial(self._leave, event, value))
                        is_leaving = True
                        return
                if not event.future.done():
                    event.future.set_result(value)
        except BaseException as error:
            await self._answer_error(event, error)
        finally:
            if not is_leaving:
                self._ended(event)

    def _leave(self, event: Event, value: Any, error: BaseException | None) -> None:
        """Answer *event*: the writes before it are durable; if they are lost, the reset that comes with it answers."""
        if error is None:
            if not event.future.done():
                event.future.set_result(value)
            self._ended(event)

    def _ended(self, event: Event) -> None:
        self.events.pop(event, None)
        if not self.events:
            self.became_idle()

    def begin(self, event: Event) -> Any:
        """Call the handler: *event* is queued no longer."""
        queue = self.queue
        queue.count -= 1  # as `leave` does, which would be one more call for each event
        queue.size_bytes -= event.size_bytes
        if event.timer is not None:
            event.timer.cancel()
        if self.host.event_timeout_s is not None:
            limit_run(self, event, self.host.event_timeout_s)
        return event.run(self.instance)

    async def _answer_error(self, event: Event, error: BaseException) -> None:
        if event.timer is not None:
            event.timer.cancel()
        if self.broken is None and event.is_over:
            return
        if self.broken is None:
            answer = self.failure(error, event.method)
            self.host.observer.event_failed(self, event, error)
            store = self._store
            if store is not None:
                number = store.gate.issued
                while self.broken is None and store.gate.released < number:
                    # An error tells of writes too (GATE-08); that somebody cancels this task changes nothing.
                    with suppress(asyncio.CancelledError, StorageError):
                        await store.gate.wait(number)
        if self.broken is not None:
            self._fail(event)
        elif not event.future.done():
            event.future.set_exception(answer)

    def _fail(self, event: Event) -> None:
        assert self.broken is not None
        if not event.future.done():
            event.future.set_exception(self.reset_for(event))

    def reset_for(self, event: Event) -> BaseException:
        """Return what the caller of *event* is told of the reset."""
        assert self.broken is not None
        answer = for_caller(self.broken, self.host.registry)
        if not event.errors_are_remote_on_reset:
            return answer
        return mark(answer, remote=True, durable_object_id=self.id.hex())

    # --- too many writes ------------------------------------------------------------------------------

    def hold(self) -> asyncio.Future[None]:
        """Return what the next step of this object's code waits for while `crowded`; steps go on in order."""
        future: asyncio.Future[None] = self.host.loop.create_future()
        self._held.append(future)
        if len(self._held) == 1:
            self._let_go_on()
        return future

    def _let_go_on(self, _: object = None) -> None:
        """Wake the first held step if the journal has room and the store needs no checkpoint; else ask later."""
        store = self._store
        if self.broken is None:
            room = self.host.storage.journal.room()
            if room is not None:
                room.add_done_callback(self._let_go_on)
                return
            if store is not None and store.is_crowded:
                store.gate.when(store.number, self._let_go_on)
                return
        future = self._held[0]
        if not future.done():
            future.set_result(None)
        # After that step: what is scheduled for one object keeps its order, in a simulation too.
        context = self.host.context.copy()
        context.run(current.set, self)
        self.host.loop.call_soon(self._went_on, context=context)

    def _went_on(self) -> None:
        self._held.pop(0)
        if self._held:
            self._let_go_on()
        else:
            self.crowded = self._store is not None and self._store.is_crowded

    # --- the start ------------------------------------------------------------------------------------

    def construct(self) -> None:
        """Make the instance; what `__init__` writes is a turn of its own. It runs in the first event's task."""
        if self.broken is not None:
            raise Aborted
        host = self.host
        host.running = self
        host.steps += 1
        try:
            instance = self.space.factory(self)
        except BaseException as error:
            host.running = None
            if self.broken is None:
                host.observer.construct_failed(self, error)
                self.abort(reset_error(error, self.host.registry))
            raise Aborted from None
        host.running = None
        if self.broken is not None:  # and somebody caught it
            raise Aborted
        self.instance = instance
        self.state = lifecycle.move(self.state, lifecycle.RUNNING)
        if self.open_turn:
            self.end_turn()
        if self.broken is not None:
            raise Aborted
        if self.sockets is not None:
            say_unsaid(self)

    # --- storage --------------------------------------------------------------------------------------

    def store(self) -> Store:
        """Return the object's store; an error if this instance may not use it any more (KVA-24)."""
        if self.broken is not None or self.state is lifecycle.EVICTED:
            raise StorageError(NO_LONGER_ACCESSIBLE)
        if not self.host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what="Storage", label=self.label))
        store = self._store
        if store is None:
            store = self.host.storage.store(self.space.store_key(self.id))
            store.attach(self)
            store.name = self.name
            self._store = store
        return store

    def check_thread(self, what: str) -> None:
        """Refuse to go on in another thread than the loop's."""
        if not self.host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=what, label=self.label))

    @property
    def used_store(self) -> Store | None:
        """The store if it was used in this life, else None."""
        return self._store

    def turn_opened(self) -> None:
        """Hear from the store that a turn is open; outside a driven step it is committed soon."""
        self.open_turn = True
        if self.host.running is not self:
            self.host.loop.call_soon(self.end_turn)

    def end_turn(self) -> None:
        """Commit the open turn, if there is one."""
        self.open_turn = False
        store = self._store
        if store is not None:
            store.end_turn()
            if store.is_crowded or self.host.storage.journal.is_full:
                self.crowded = True

    def storage_broke(self, error: BaseException) -> None:
        """Hear from the store that writes were lost."""
        self.abort(error)

    # --- critical sections: `sections` -----------------------------------------------------------------

    def block(self, run: Callable[[], Any], *, fatal: bool) -> SectionFuture:
        """
        Run *run* as a critical section; the future has its result (GATE-12…16).

        With *fatal* a failure resets the object and the future never settles; without, it is the future's.
        """
        return sections.block(self, run, fatal=fatal)

    async def enter_section(self) -> Section:
        """Let the running task's code be a critical section from here to `leave_section` (TXN-01)."""
        return await sections.enter(self)

    def leave_section(self, left: Section) -> None:
        """End what `enter_section` began."""
        sections.leave(self, left)

    # --- targets: what code of it handed out by reference; see `_rpc.owner.Owner` ------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.host.loop

    @property
    def registry(self) -> Registry:
        return self.host.registry

    @property
    def is_gone(self) -> bool:
        return self.broken is not None

    has_no_gates = False

    def failure(self, error: BaseException, method: str) -> BaseException:
        """Return what a caller gets for *error*, which code of the object raised in *method*."""
        answer = mark(for_caller(error, self.host.registry), remote=True, durable_object_id=self.id.hex())
        if self.host.debug:
            add_trace(answer, error, f"{self.label}.{method}()")
        return answer

    def start_call(
        self, future: Call, method: str, run: Callable[[], Any], size_bytes: int, context: Context
    ) -> None:
        """Run a call of a target: an event like any other (RPC-23)."""
        self.deliver(TargetEvent(future, method, lambda instance: run(), _as_it_is, size_bytes))

    def start_disposer(self, method: str, run: Callable[[], Any], context: Context) -> None:
        """Tell a target that its last stub is gone; after a reset there is nobody to tell."""
        if self.broken is None:
            self.deliver(DisposerEvent(method, lambda instance: run()))

    def retain(self, *, lent: bool = False) -> None:
        """Stay in memory while a target is in others' hands (RPC-23)."""
        self.handles += 1

    def let_go(self, *, lent: bool = False) -> None:
        """Hear that one is no longer."""
        self.handles -= 1
        if not self.handles and not self.events:
            self.became_idle()

    def when_broken(self, callback: Callable[[BaseException], object]) -> None:
        """Call *callback* with the error that resets the object (RPC-29)."""
        if self.broken is not None:
            callback(self.broken)
        elif self.watchers is None:
            self.watchers = {callback: None}
        else:
            self.watchers[callback] = None

    def forget(self, callback: Callable[[BaseException], object]) -> None:
        """Do not call *callback*."""
        if self.watchers is not None:
            self.watchers.pop(callback, None)

    def _tell_watchers(self, error: BaseException) -> None:
        watchers, self.watchers = self.watchers, None
        for callback in watchers or ():
            callback(for_caller(error, self.host.registry))

    # --- the end --------------------------------------------------------------------------------------

    def abort(self, error: BaseException) -> None:
        """Drop the instance at once; callers get *error*; writes that are not committed are gone (CTX-09)."""
        if self.broken is not None or self.state is lifecycle.EVICTED:
            return
        self.broken = error
        self.state = lifecycle.move(self.state, lifecycle.BROKEN)
        self.space.remove(self)
        store = self._store
        if store is not None:
            if store.owner is self:
                if store.in_turn or store.depth:
                    store.rollback(error)
                store.finalise_cursors()
            self.host.storage.release(store)
        self.open_turn = False
        self.instance = None
        self.gate.clear()
        if self.sockets is not None:
            cut_sockets(self)
        running = self._current_task()
        for event in list(self.events):
            self._fail(event)
            if event.task is not running:
                event.task.cancel()
        self.events.clear()
        self._cancel_tasks(running)
        self._tell_watchers(error)
        self.host.observer.object_reset(self, error)

    def _cancel_tasks(self, running: Any) -> None:
        for task in list(self.tasks):
            if task is not running:
                task.cancel()
        self.tasks.clear()  # also of those that never began and so never take themselves out

    def _current_task(self) -> Any:
        return asyncio.current_task() if self.host.on_loop_thread() else None

    def task_began(self, task: Any) -> None:
        """Keep the object while *task*, of its own code, runs; 15 minutes from the last one that began (LIFE-07)."""
        self.tasks[task] = None
        self.idle_since_s = self.host.clock.monotonic_s()

    def task_ended(self, task: Any) -> None:
        """Hear that *task* is done."""
        self.tasks.pop(task, None)
        if not self.tasks and not self.events:
            self.became_idle()

    def became_idle(self) -> None:
        """Start the count-down to eviction."""
        if self.state in lifecycle.ALIVE:
            self.host.idle(self)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in progress, and nobody keeps it in memory."""
        return self.is_quiet and not self.connections and not self.handles

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in progress: no event, no task, no section, no commit on its way."""
        return (
            not self.events
            and not self.tasks
            and self.gate.active is None
            and not self.open_turn
            and (self._store is None or self._store.is_durable)
        )

    @property
    def connections(self) -> int:
        """How many WebSockets keep it in memory: those that cannot hibernate."""
        return 0 if self.sockets is None else len(self.sockets.standard)

    def evict(self, error: BaseException | None = None) -> None:
        """Drop the instance, keep the data; the next event makes a new one (LIFE-04)."""
        assert not self.events, "an object with events is not evicted"
        self.state = lifecycle.move(self.state, lifecycle.EVICTED)
        self.broken = error or Disconnected(FREED)  # no step of what it left behind runs any more
        self.space.remove(self)
        self._cancel_tasks(self._current_task())
        store = self._store
        if store is not None:
            store.finalise_cursors()
            self.host.storage.release(store)
        self.instance = None
        self.gate.clear()
        self._tell_watchers(self.broken)
        if self.sockets is not None:
            hibernate(self)
        self.host.observer.object_evicted(self)

    def leave_unused(self) -> None:
        """Go again if no event came: only the store was looked at."""
        if self.state is lifecycle.STARTING and not self.events:
            self.evict()

    def call(
        self, event_type: type[Event], method: str, run: Callable[[Any], Any], pack: Callable[[Any], Any]
    ) -> Call:
        """Deliver an event made of the arguments; return the future of its outcome."""
        future = Call(loop=self.host.loop)
        self.deliver(event_type(future, method, run, pack))
        return future


def _as_it_is(result: Any) -> Any:
    return result
