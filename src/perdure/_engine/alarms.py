"""Runs alarms as events of their objects. (cooperative)

A run looks first at what the object has stored: the scheduler's word is only a hint. It counts as done when
the alarm is cleared, in the same turn as the handler's last writes, and that is durable (ALM-11, ALM-26). So a
crash at any moment before runs it again, and none after (ALM-16).
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final

from perdure._alarms.agenda import Entry
from perdure._alarms.info import AlarmInfo
from perdure._alarms.scheduler import DONE, Outcome
from perdure._alarms.times import clock_ms, to_datetime
from perdure._base.awaitables import Call
from perdure._engine import methods
from perdure._engine.events import AlarmEvent, InternalEvent
from perdure._storage import metadata
from perdure._storage.layout import split_key
from perdure.errors import ObjectReset, StorageFailed, StorageReset

if TYPE_CHECKING:
    from perdure._engine.host import Host, Space
    from perdure._engine.live import Live
    from perdure._storage.store import Store

EXCEEDED: Final = "Alarm exceeded its allowed execution time"


class AlarmRun:
    """
    An alarm whose event was delivered; it is `Live.alarm` while its handler runs.

    Attributes:
        due_ms: its time. The stored alarm keeps it until the end; another time there is a new alarm.
        wakes: the object's instance is made for it.
        has_begun: its handler has been called.
        is_final: a failure is not tried again (ALM-18).
    """

    __slots__ = ("due_ms", "has_begun", "is_final", "wakes")

    def __init__(self, due_ms: int, *, wakes: bool = False) -> None:
        self.due_ms = due_ms
        self.wakes = wakes
        self.has_begun = False
        self.is_final = False


class Alarms:
    """The scheduler's `Runner` for the objects of a host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, entry: Entry) -> asyncio.Future[Outcome]:
        """Run the alarm if it is still set; the future tells how that ended."""
        ended: asyncio.Future[Outcome] = self._host.loop.create_future()
        space, object_id = self._find(entry)
        if space is None:
            ended.set_result(DONE)
            return ended
        live: Live | None = None
        try:
            live = space.live(object_id, entry.name)
            store = live.store()
            # What a transaction has written may be undone, so it is not asked: the event waits for its end.
            due_ms = entry.due_ms if store.depth else metadata.alarm(store)
            if due_ms is not None and due_ms <= clock_ms(self._host.clock.time_s()):
                self._deliver(live, due_ms, entry, ended)
            else:
                _when_settled(store, ended)
        except Exception as error:
            # Its database cannot be opened, or nothing may begin any more: other objects' alarms go on.
            ended.set_result(Outcome(error, counts=False))
        if live is not None:
            live.leave_unused()
        return ended

    def _find(self, entry: Entry) -> tuple[Space | None, bytes]:
        """Return namespace and id of the alarm's object; no namespace when its class has gone."""
        folder, id_hex = split_key(entry.key)
        return self._host.space_of(folder), bytes.fromhex(id_hex)

    def _deliver(self, live: Live, due_ms: int, entry: Entry, ended: asyncio.Future[Outcome]) -> None:
        run = AlarmRun(due_ms, wakes=live.instance is None)
        counted = entry.tries.counted if due_ms == entry.due_ms else 0
        info = AlarmInfo(counted, counted > 0, to_datetime(due_ms))
        future = Call(loop=self._host.loop)
        future.add_done_callback(lambda future: _over(live, run, future.exception(), ended))
        live.deliver(AlarmEvent(future, "alarm", lambda instance: self._handle(live, run, info), _nothing))

    async def _handle(self, live: Live, run: AlarmRun, info: AlarmInfo) -> None:
        store = live.store()
        due_ms = metadata.alarm(store)
        if due_ms is None:
            return  # an event before this one, or the constructor, has cleared it
        if run.wakes and due_ms != run.due_ms:
            # The constructor has moved it. (What another event moved while this one waited runs all the same, and again
            # at its new time: so it is in workerd as long as that is not confirmed.)
            if due_ms > clock_ms(self._host.clock.time_s()):
                return
            run.due_ms = due_ms
        handler = methods.handler(live.instance, "alarm")
        if handler is None:
            self._host.observer.alarm_unhandled(live)
        else:
            run.has_begun = True
            live.alarm = run
            try:
                result = methods.call_with(handler, info)
                if inspect.isawaitable(result):
                    await result
            finally:
                live.alarm = None
        metadata.clear_alarm(store, only_ms=run.due_ms)

    async def run_now(self, live: Live) -> bool:
        """Run the alarm, whatever its time; tell whether there was one that is not running already."""
        due_ms = metadata.alarm(live.store())
        if due_ms is None or live.alarm is not None:
            live.leave_unused()
            return False
        run = AlarmRun(due_ms)
        info = AlarmInfo(0, False, to_datetime(due_ms))
        await live.call(AlarmEvent, "alarm", lambda instance: self._handle(live, run, info), _nothing)
        return True

    def expire(self, entry: Entry) -> None:
        """Reset the object of an alarm that has run for 15 minutes (ALM-17)."""
        space, object_id = self._find(entry)
        live = None if space is None else space.lives.get(object_id)
        if live is not None and live.alarm is not None:
            error = ObjectReset(EXCEEDED)
            error.overloaded = True
            live.abort(error)

    def failed(self, entry: Entry, error: BaseException, delay_s: float | None) -> None:
        """Tell of a failed run."""
        space, object_id = self._find(entry)
        if space is not None:
            self._host.observer.alarm_failed(
                space.label(object_id, entry.name), error, entry.tries.counted, delay_s
            )

    def drop(self, entry: Entry) -> None:
        """Clear the alarm, if it is still this one; no instance is made for that."""
        space, object_id = self._find(entry)
        if space is None:
            return

        def clear(_: object) -> None:
            metadata.clear_alarm(live.store(), only_ms=entry.due_ms)

        try:
            live = space.live(object_id, entry.name)
            if live.instance is not None or live.events:
                live.call(InternalEvent, "alarm", clear, _nothing)  # in order: a transaction may be open
                return
            clear(None)
            live.end_turn()
            live.leave_unused()
        except Exception as error:
            self._host.observer.background_failed(space.label(object_id, entry.name), error)


def _over(live: Live, run: AlarmRun, error: BaseException | None, ended: asyncio.Future[Outcome]) -> None:
    """Tell how the event of a run ended."""
    if error is None:
        assert live.used_store is not None, "its alarm was read"
        _when_settled(live.used_store, ended)
        return
    # What the storage loses is no fault of the handler, nor is what kept it from beginning (ALM-15).
    counts = run.has_begun and not _is_outage(live.broken)
    ended.set_result(Outcome(error, counts, run.has_begun and run.is_final))


def _when_settled(store: Store, ended: asyncio.Future[Outcome]) -> None:
    """End a run when what changed the alarm is durable; should it be undone, the alarm is as it was."""

    def settled(error: BaseException | None) -> None:
        ended.set_result(DONE if error is None else Outcome(error, counts=False))

    store.when_durable(settled)


def _is_outage(broken: BaseException | None) -> bool:
    return isinstance(broken, StorageFailed) or (isinstance(broken, StorageReset) and broken.is_outage)


def _nothing(_: Any) -> None:
    """A handler's result goes nowhere."""
