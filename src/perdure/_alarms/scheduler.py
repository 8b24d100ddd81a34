"""Scheduler: runs each alarm when its time has come, a bounded number at a time. (cooperative)

    none ──heard──▶ waiting ──due──▶ running ──done──▶ none
                     ▲   ▲              │ │
                     │   └──failed──────┘ │    later, by `Tries`; after the last one its object drops it
                     └──heard meanwhile───┘    what was heard of the object counts, not how the run ended

It hears of an alarm when the commit that set, moved or cleared it is durable, in the order of the commits. So
nothing runs that a crash could take back, and after the news nothing runs later than what is stored. Whoever
runs the alarm looks there once more.

Invariants: one run at a time for a key; no run before its time on this clock; an alarm before `_horizon` is in
`_agenda` or runs, one behind it is in the index alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from perdure._alarms.agenda import Agenda, Entry, Place
from perdure._alarms.retry import FRESH
from perdure._alarms.times import clock_ms
from perdure._base import limits
from perdure._base.clock import Clock, Timer
from perdure.errors import PerdureError

log = logging.getLogger("perdure")

_NOTHING_READ: Final[Place] = (-1, b"")


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a run ended.

    Attributes:
        error: why it failed; None: it did not.
        counts: the failure counts against the limit of tries.
        is_final: it is not tried again.
    """

    error: BaseException | None = None
    counts: bool = True
    is_final: bool = False


DONE: Final = Outcome()


class Index(Protocol):
    """All alarms, durably."""

    def alarms(self, after: Place, limit: int) -> Sequence[tuple[bytes, int, str | None]]:
        """Read key, due time and name of alarms, in the order of their places, behind *after*."""


class Runner(Protocol):
    """Who runs alarms."""

    def run(self, entry: Entry) -> asyncio.Future[Outcome]:
        """Begin to run an alarm; the future has how that ended, and never an exception."""

    def expire(self, entry: Entry) -> None:
        """Stop a run that takes too long."""

    def failed(self, entry: Entry, error: BaseException, delay_s: float | None) -> None:
        """Hear that a run failed, and when it is tried again; None: never."""

    def drop(self, entry: Entry) -> None:
        """Clear the alarm in its object, if it is still this one."""


@dataclass(slots=True, eq=False)
class _Run:
    entry: Entry
    timer: Timer | None = None
    has_slot: bool = True
    heard_any: bool = False
    heard: Entry | None = None
    """The object's alarm by the last news meanwhile."""


class Scheduler:
    """See the module."""

    def __init__(
        self, clock: Clock, index: Index, runner: Runner, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._index = index
        self._runner = runner
        self._chance = chance
        self._agenda = Agenda()
        self._horizon: Place | None = _NOTHING_READ
        self._running: dict[bytes, _Run] = {}
        self._slots = limits.ALARMS_AT_ONCE
        self._timer: Timer | None = None
        self._timer_at_ms = 0
        self._is_on = False

    def start(self) -> None:
        """Begin to run alarms; those that came due while nobody ran them at once, as many as may be at a time."""
        self._is_on = True
        self._look()

    def stop(self) -> None:
        """Begin no run any more."""
        self._is_on = False
        for timer in (self._timer, *(run.timer for run in self._running.values())):
            if timer is not None:
                timer.cancel()

    @property
    def waiting(self) -> int:
        """How many alarms wait in memory for their time."""
        return len(self._agenda)

    # --- what it hears --------------------------------------------------------------------------------

    def hear(self, key: bytes, due_ms: int | None, name: str | None) -> None:
        """Hear that the alarm of an object was set to *due_ms*, or cleared."""
        entry = None if due_ms is None else Entry(key, due_ms, name, due_ms)
        run = self._running.get(key)
        if run is not None:
            run.heard_any, run.heard = True, entry
        elif entry is None:
            self._agenda.drop(key)
        else:
            self._place(entry)
            self._arm()

    def _place(self, entry: Entry) -> None:
        if self._horizon is not None and entry.place > self._horizon and entry.tries == FRESH:
            self._agenda.drop(entry.key)
            return
        self._agenda.put(entry)
        if self._agenda.fresh > limits.ALARMS_IN_MEMORY_MAX:
            self._horizon = self._agenda.trim(limits.ALARMS_IN_MEMORY_MAX // 2) or self._horizon

    # --- time -----------------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return clock_ms(self._clock.time_s())

    def _arm(self) -> None:
        """Set the timer for what comes next, if it is not set for something before that."""
        if not self._is_on or not self._slots:
            return  # without a slot it is the end of a run that looks
        at_ms = self._agenda.next_at_ms
        if self._horizon is not None:
            at_ms = self._horizon[0] if at_ms is None else min(at_ms, self._horizon[0])
        if at_ms is None or (self._timer is not None and self._timer_at_ms <= at_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay_s = min((at_ms - self._now_ms()) / 1000, self._clock.checked_after_s)
        self._timer_at_ms = at_ms
        self._timer = self._call_later(delay_s, self._look)

    def _call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        # In a context of its own: the timer would else keep, and run as, the object that is current now.
        return contextvars.Context().run(self._clock.call_later, max(0.0, delay_s), callback)

    def _look(self) -> None:
        """Begin what is due, as far as there are slots."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_on:
            return
        now_ms = self._now_ms()
        begun = 0
        try:
            while self._slots:
                if begun == limits.ALARMS_BEGUN_AT_ONCE:
                    asyncio.get_running_loop().call_soon(self._look, context=contextvars.Context())
                    return
                self._read_ahead(now_ms)
                entry = self._agenda.take(now_ms)
                if entry is None:
                    break
                self._begin(entry)
                begun += 1
        except PerdureError as error:
            log.warning("the index of alarms cannot be read: %s It is tried again.", error)
            self._timer_at_ms = 0
            self._timer = self._call_later(limits.ALARM_INDEX_RETRY_S, self._look)
            return
        self._arm()

    def _read_ahead(self, now_ms: int) -> None:
        """Take up alarms of the index until what is due next is in the agenda."""
        while self._horizon is not None and self._horizon[0] <= now_ms:
            next_at_ms = self._agenda.next_at_ms
            if next_at_ms is not None and next_at_ms <= self._horizon[0]:
                return
            rows = self._index.alarms(self._horizon, limits.ALARMS_READ_AT_ONCE)
            for key, due_ms, name in rows:
                if key not in self._agenda and key not in self._running:
                    self._agenda.put(Entry(key, due_ms, name, due_ms))
            is_last = len(rows) < limits.ALARMS_READ_AT_ONCE
            self._horizon = None if is_last else (rows[-1][1], rows[-1][0])

    # --- runs -----------------------------------------------------------------------------------------

    def _begin(self, entry: Entry) -> None:
        self._slots -= 1
        run = self._running[entry.key] = _Run(entry)
        future = self._runner.run(entry)
        if not future.done():
            run.timer = self._call_later(limits.ALARM_WAITS_S, lambda: self._waits(run))
        future.add_done_callback(lambda future: self._ended(run, future.result()))

    def _waits(self, run: _Run) -> None:
        """Give the slot of a run that waits for something to the next."""
        rest_s = limits.ALARM_RUN_S_MAX - limits.ALARM_WAITS_S
        run.timer = self._call_later(rest_s, lambda: self._runner.expire(run.entry))
        self._free(run)

    def _free(self, run: _Run) -> None:
        if run.has_slot:
            run.has_slot = False
            self._slots += 1
            if self._slots == 1:  # there was none, and something may be due
                self._look()

    def _ended(self, run: _Run, outcome: Outcome) -> None:
        if run.timer is not None:
            run.timer.cancel()
        entry = run.entry
        del self._running[entry.key]
        if not self._is_on:
            return
        if run.heard_any:
            if outcome.error is not None:
                self._runner.failed(entry, outcome.error, None)
            if run.heard is not None:
                self._place(run.heard)
        elif outcome.error is not None:
            self._again(entry, outcome, outcome.error)
        self._free(run)
        self._arm()

    def _again(self, entry: Entry, outcome: Outcome, error: BaseException) -> None:
        tries = None if outcome.is_final else entry.tries.failed(counts=outcome.counts)
        if tries is None:
            self._runner.failed(entry, error, None)
            self._runner.drop(entry)
            return
        delay_s = tries.delay_s(self._chance())
        self._runner.failed(entry, error, delay_s)
        self._place(entry._replace(at_ms=self._now_ms() + round(delay_s * 1000), tries=tries))
