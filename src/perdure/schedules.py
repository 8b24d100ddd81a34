"""Schedules: many named jobs of one object, on top of its one alarm; Perdure's own, not Cloudflare's. (cooperative)

```python
class Reports(ScheduledObject):
    async def start(self):
        self.schedules.every(timedelta(minutes=10), self.collect)
        self.schedules.cron("0 9 * * MON-FRI", self.mail, "boss", time_zone="Europe/Berlin")
```

One job is run for each alarm. Before it begins, a commit says that it has: should it take the object or the process
down, it is tried again later and not for ever. When it has ended, the next time is part of the same commit as its
last writes.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from perdure._alarms.recurrence import MISSED, Missed, Rule, choose
from perdure._alarms.retry import Tries
from perdure._alarms.times import clock_ms, to_datetime, to_ms
from perdure._base import codec, limits
from perdure._base.cron import CronError, parse
from perdure._storage import metadata
from perdure._storage import schedules as rows
from perdure._storage.schedules import ScheduleRow
from perdure.durable_object import DurableObject, EnvT

if TYPE_CHECKING:
    from perdure._engine.live import Live
    from perdure._storage.store import Store

__all__ = ["Schedule", "ScheduleRun", "ScheduledObject", "Schedules"]

OWN_ALARM: Final = (
    "{name} has an alarm() of its own, and extends ScheduledObject, whose schedules need the object's one alarm. Give it "
    "another name and make it a schedule: self.schedules.at(when, self.{new})."
)
NO_METHOD: Final = (
    "A schedule outlives the instance, so it calls a method of the object by its name: give self.method, or its name. "
    "{given!r} is no method of {name}."
)
TOO_LATE: Final = "{method}({length!r}): that is after 2189, and no alarm can be so late."
DID_NOT_END: Final = "It took the object or the process down each time it was tried."

_chance: Callable[[], float] = random.random

Method: TypeAlias = Callable[..., Any] | str


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    A job that is to run.

    Attributes:
        name: of its object's schedules only this one has it.
        method: the method that it calls.
        args: what it calls that with.
        next_run: the time for which it runs next, in UTC.
        every: the interval, for a schedule made by `every`.
        cron, time_zone: the expression, for one made by `cron`.
        missed: what becomes of times at which nobody was there.
        retries: how often the run for `next_run` has failed.
    """

    name: str
    method: str
    args: tuple[Any, ...]
    next_run: datetime
    every: timedelta | None
    cron: str | None
    time_zone: str | None
    missed: Missed
    retries: int


@dataclass(frozen=True, slots=True)
class ScheduleRun:
    """
    A run that has ended.

    Attributes:
        name: the schedule's.
        scheduled_time: the time for which it ran.
        started, ended: when it did, in UTC.
        outcome: `done`, `failed`, or `missed`: passed over, as the schedule says `missed="skip"`.
        error: what it raised, as text.
    """

    name: str
    scheduled_time: datetime
    started: datetime
    ended: datetime
    outcome: str
    error: str | None


_Found: TypeAlias = list[Schedule]
_Runs: TypeAlias = list[ScheduleRun]


class Schedules:
    """
    The schedules of one object; reached as `self.schedules` of a `ScheduledObject`.

    Making one is a write like any other: it is part of the turn, and of the transaction if one is open. Each has a
    name, by default that of its method. One that says the same as what is there changes nothing, so that `every` and
    `cron` may stand in `__init__`; any other takes the place of the one of its name.
    """

    __slots__ = ("_owner", "_running")

    def __init__(self, owner: DurableObject) -> None:
        self._owner = owner
        self._running: int | None = None
        """The version of the schedule whose job runs."""

    # --- making ---------------------------------------------------------------------------------------

    def at(
        self,
        when: datetime | timedelta | float,
        method: Method,
        *args: Any,
        name: str | None = None,
        missed: Missed = "once",
    ) -> Schedule:
        """
        Call *method* once, at a time; one that has passed means now.

        Args:
            when: an aware datetime, a timedelta from now, or seconds since the epoch.
            method: a method of the object, or its name.
            args: what it is called with; anything that can be stored.
            name: of the schedule; by default that of the method.
            missed: `once`: run later if nobody was there at the time. `skip`: not more than a minute later.
        """
        now_s = self._now_s()
        return self._put(Rule(), to_ms(when, now_s, "at"), method, args, name, missed)

    def after(
        self,
        delay: timedelta | float,
        method: Method,
        *args: Any,
        name: str | None = None,
        missed: Missed = "once",
    ) -> Schedule:
        """Call *method* once, after a timedelta or so many seconds; see `at`."""
        now_s = self._now_s()
        due_ms = clock_ms(now_s) + _length_ms("after", delay, now_s, least_ms=0)
        return self._put(Rule(), due_ms, method, args, name, missed)

    def every(
        self,
        interval: timedelta | float,
        method: Method,
        *args: Any,
        start: datetime | timedelta | float | None = None,
        name: str | None = None,
        missed: Missed = "once",
    ) -> Schedule:
        """
        Call *method* again and again, after a timedelta or so many seconds each time.

        The times stay on their grid however long a run takes; two runs of one object are never at the same time.

        Args:
            interval: between two times.
            start: the first time, as for `at`; by default one interval from now.
            method, args, name: as for `at`.
            missed: of several times at which nobody was there: `once` runs the last, `all` each of them, one after the
                other, `skip` none that is more than a minute ago.
        """
        now_s = self._now_s()
        interval_ms = _length_ms("every", interval, now_s, least_ms=1)
        due_ms = clock_ms(now_s) + interval_ms if start is None else to_ms(start, now_s, "every")
        return self._put(Rule(interval_ms), due_ms, method, args, name, missed)

    def cron(
        self,
        expression: str,
        method: Method,
        *args: Any,
        time_zone: str = "UTC",
        name: str | None = None,
        missed: Missed = "once",
    ) -> Schedule:
        """
        Call *method* at the times of a cron expression, as Cloudflare writes them: days of the week are 1 (Sunday) to 7.

        Args:
            expression: five fields: `"0 9 * * MON-FRI"`.
            time_zone: an IANA name, in which the expression is read.
            method, args, name: as for `at`.
            missed: as for `every`.

        Raises:
            ValueError: the expression, or the time zone, is none.
        """
        if not isinstance(expression, str):
            raise TypeError(f"cron() takes an expression, a str; got {type(expression).__name__}.")
        try:
            parse(expression)
        except CronError as error:
            raise ValueError(f"cron({expression!r}): {error}.") from None
        rule = Rule(cron=expression, time_zone=_zone(time_zone))
        due_ms = rule.after(clock_ms(self._now_s()))
        assert due_ms is not None, "an expression always comes again"
        return self._put(rule, due_ms, method, args, name, missed)

    def _put(
        self,
        rule: Rule,
        due_ms: int,
        method: Method,
        args: tuple[Any, ...],
        name: str | None,
        missed: Missed,
    ) -> Schedule:
        if missed not in MISSED:
            raise ValueError(f"missed={missed!r} is none of {', '.join(map(repr, MISSED))}.")
        called = self._method_name(method)
        name = called if name is None else name
        if not isinstance(name, str) or not name:
            raise ValueError(f"name={name!r} is no name: it must be a text that is not empty.")
        live = self._live
        store = live.store()
        packed = codec.dumps(list(args), live.host.registry, label="arguments")
        known = rows.get(store, name)
        if known is not None:
            is_same = (*rule, called, packed, missed) == known[1:7]
            # Made again, a schedule that repeats goes on; one for a time is the same if the time is, and is still to come.
            is_to_come = known.due_ms == due_ms and known.version != self._running
            if is_same and (rule != Rule() or is_to_come):
                return self._schedule(known)
        row = ScheduleRow(name, *rule, called, packed, missed, due_ms, due_ms, 0, random.getrandbits(62))
        rows.put(store, row)
        self._arm()
        return self._schedule(row)

    def _method_name(self, method: Method) -> str:
        name = method if isinstance(method, str) else getattr(method, "__name__", "")
        found = getattr(self._owner, name, None) if name else None
        is_ours = callable(found) and callable(getattr(type(self._owner), name, None))
        if not is_ours or (not isinstance(method, str) and found != method):
            raise TypeError(NO_METHOD.format(given=method, name=type(self._owner).__name__))
        return name

    # --- looking and taking back ----------------------------------------------------------------------

    def list(self) -> _Found:
        """Return all schedules, the one that runs next first."""
        return [self._schedule(row) for row in rows.every(self._live.store())]

    def get(self, name: str) -> Schedule | None:
        """Return the schedule of this name, or None."""
        row = rows.get(self._live.store(), name)
        return None if row is None else self._schedule(row)

    def cancel(self, name: str) -> bool:
        """Take the schedule of this name back; tell whether it was there. A run that has begun goes on."""
        found = rows.drop(self._live.store(), name)
        if found:
            self._arm()
        return found

    def cancel_all(self) -> int:
        """Take all schedules back; tell how many there were."""
        count = rows.drop_all(self._live.store())
        if count:
            self._arm()
        return count

    def history(self, name: str | None = None, *, limit: int = limits.SCHEDULE_RUNS_OF_ONE_MAX) -> _Runs:
        """Return the last runs, of all schedules or of one, the newest first; twenty of each are kept."""
        return [
            ScheduleRun(
                run.name,
                to_datetime(run.due_ms),
                to_datetime(run.began_ms),
                to_datetime(run.ended_ms),
                run.outcome,
                run.error,
            )
            for run in rows.runs(self._live.store(), name, limit)
        ]

    def __repr__(self) -> str:
        return f"<schedules of {self._live.label}>"

    # --- running --------------------------------------------------------------------------------------

    @property
    def _live(self) -> Live:
        return self._owner.ctx._live

    def _now_s(self) -> float:
        return self._live.host.clock.time_s()

    def _schedule(self, row: ScheduleRow) -> Schedule:
        args = codec.loads(row.args, self._live.host.registry)
        every = None if row.interval_ms is None else timedelta(milliseconds=row.interval_ms)
        missed: Any = row.missed
        return Schedule(
            row.name,
            row.method,
            tuple(args),
            to_datetime(row.due_ms),
            every,
            row.cron,
            row.time_zone,
            missed,
            row.tries,
        )

    def _arm(self) -> None:
        """Set the alarm to when the next schedule runs."""
        storage = self._owner.ctx.storage
        first = rows.first(self._live.store())
        if first is None:
            storage.delete_alarm()
        else:
            storage.set_alarm(to_datetime(first.at_ms))

    def _mend(self) -> None:
        """Set the alarm if it is missing: code of the object may have cleared or moved it."""
        store = self._live.store()
        first = rows.first(store)
        if first is not None:
            due_ms = metadata.alarm(store)
            if due_ms is None or due_ms > max(first.at_ms, clock_ms(self._now_s())):
                self._arm()

    async def _run_next(self) -> None:
        """Run the schedule whose time has come; the alarm is set to the next one."""
        store = self._live.store()
        row = rows.first(store)
        now_ms = clock_ms(self._now_s())
        if row is not None and row.at_ms <= now_ms:
            rule = Rule(row.interval_ms, row.cron, row.time_zone)
            missed: Any = row.missed
            choice = choose(rule, row.due_ms, now_ms, missed)
            tries = row.tries + 1 if choice.run_ms == row.due_ms else 1
            if choice.run_ms is None:
                rows.note(store, row.name, row.due_ms, now_ms, now_ms, "missed", None)
                _go_on(store, row, choice.next_ms)
            elif tries > limits.ALARM_RETRIES_MAX + 1:
                rows.note(store, row.name, row.due_ms, now_ms, now_ms, "failed", DID_NOT_END)
                _go_on(store, row, choice.next_ms)
            else:
                delay_s = Tries(in_row=tries).delay_s(_chance())
                begun = row._replace(due_ms=choice.run_ms, at_ms=now_ms + round(delay_s * 1000), tries=tries)
                await self._run(store, begun, choice.next_ms, now_ms, delay_s)
        self._arm()

    async def _run(
        self, store: Store, row: ScheduleRow, next_ms: int | None, now_ms: int, delay_s: float
    ) -> None:
        rows.put(store, row)
        self._arm()
        await asyncio.sleep(0)  # the end of a turn: an abort does not take back that it has begun
        error: Exception | None = None
        self._running = row.version
        try:
            method = getattr(self._owner, row.method)
            result = method(*codec.loads(row.args, self._live.host.registry))
            if inspect.isawaitable(result):
                await result
        except Exception as raised:
            error = raised
        finally:
            self._running = None
        is_last = error is None or row.tries > limits.ALARM_RETRIES_MAX
        text = None if error is None else f"{type(error).__name__}: {error}"
        outcome = "done" if error is None else "failed"
        rows.note(store, row.name, row.due_ms, now_ms, clock_ms(self._now_s()), outcome, text)
        known = rows.get(store, row.name)
        if is_last and known is not None and known.version == row.version:
            _go_on(store, row, next_ms)
        if error is not None:
            label = f"schedule {row.name!r} of {self._live.label}"
            self._live.host.observer.schedule_failed(label, error, None if is_last else delay_s)


def _go_on(store: Store, row: ScheduleRow, next_ms: int | None) -> None:
    """Let the schedule come at its next time; without one, or one so late, it has done what it was for."""
    if next_ms is None or next_ms > limits.ALARM_MS_MAX:
        rows.drop(store, row.name)
    else:
        rows.put(store, row._replace(due_ms=next_ms, at_ms=next_ms, tries=0))


class ScheduledObject(DurableObject[EnvT]):
    """
    Base of durable objects with schedules.

    Its `alarm` belongs to the schedules: a class that has one of its own is refused. Code of the object should leave
    `ctx.storage.set_alarm` alone; what it changes there is mended when the object is made again.

    Attributes:
        schedules: the object's schedules.
    """

    __perdure_base__ = True
    schedules: Schedules

    def __init__(self, ctx: Any, env: EnvT) -> None:
        super().__init__(ctx, env)
        self.schedules = Schedules(self)
        self.schedules._mend()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.alarm is not ScheduledObject.alarm:
            raise TypeError(OWN_ALARM.format(name=cls.__name__, new="wake_up"))

    async def alarm(self) -> None:
        """Run the schedule whose time has come."""
        await self.schedules._run_next()


def _length_ms(method: str, length: timedelta | float, now_s: float, *, least_ms: int) -> int:
    if isinstance(length, timedelta):
        us = length // timedelta(microseconds=1)
    elif isinstance(length, (int, float)) and not isinstance(length, bool):
        if not math.isfinite(length):
            raise ValueError(f"{method}({length!r}): it must be finite.")
        us = round(length * 1_000_000)
    else:
        raise TypeError(f"{method}() takes a timedelta, or a number of seconds; got {type(length).__name__}.")
    ms = -(-us // 1000)
    if ms < least_ms:
        least = "a millisecond at least" if least_ms else "0 or more"
        raise ValueError(f"{method}({length!r}): it must be {least}.")
    if clock_ms(now_s) + ms > limits.ALARM_MS_MAX:
        raise ValueError(TOO_LATE.format(method=method, length=length))
    return ms


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError, AttributeError):
        known = available_timezones()
        hint = "" if known else " This machine has no time zones: install the package tzdata."
        raise ValueError(
            f"time_zone={name!r} is no time zone; they are named like 'Europe/Berlin' or 'UTC'.{hint}"
        ) from None
    return name
