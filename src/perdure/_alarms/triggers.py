"""Triggers: runs a worker's cron expressions at their times, in UTC. (cooperative)

Nothing is stored: a time that passes while the process does not run, or is far behind, is not made up for. One run
at a time for an expression; a time that comes while one runs is passed over, and told.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from perdure._base import limits
from perdure._base.clock import Clock, Timer
from perdure._base.cron import Cron
from perdure._base.observer import Observer

Start = Callable[[str, datetime], Coroutine[Any, Any, Any]]

_LATE = timedelta(seconds=limits.CRON_LATE_S_MAX)


@dataclass(slots=True, eq=False)
class _Trigger:
    cron: Cron
    next_at: datetime
    task: asyncio.Task[None] | None = None


class Triggers:
    """
    See the module.

    Args:
        crons: the expressions.
        start: makes the coroutine that runs one of them for a time.
        background: tasks that a stop of the runtime waits for.
    """

    def __init__(
        self,
        crons: Iterable[Cron],
        start: Start,
        *,
        clock: Clock,
        observer: Observer,
        background: set[asyncio.Future[Any]],
    ) -> None:
        self._start = start
        self._clock = clock
        self._observer = observer
        self._background = background
        now = self._now()
        self._triggers = [_Trigger(cron, cron.after(now)) for cron in crons]
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to wait."""
        if self._triggers:
            seconds = (min(trigger.next_at for trigger in self._triggers) - self._now()).total_seconds()
            # No longer than that: a timer does not hear that the machine's clock was set forward.
            delay_s = max(0.0, min(seconds, self._clock.checked_after_s))
            self._timer = contextvars.Context().run(self._clock.call_later, delay_s, self._look)

    def stop(self) -> None:
        """Begin no run any more; those under way are in `background`."""
        if self._timer is not None:
            self._timer.cancel()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time_s(), UTC)

    def _look(self) -> None:
        now = self._now()
        for trigger in self._triggers:
            if trigger.next_at <= now:
                last = trigger.cron.after(now - _LATE)  # expressions count in minutes: there is one at most
                if last <= now:
                    self._run(trigger, last)
                trigger.next_at = trigger.cron.after(now)
        self.start()

    def _run(self, trigger: _Trigger, time: datetime) -> None:
        if trigger.task is not None:
            self._observer.cron_passed_over(trigger.cron.text, time)
            return
        context = contextvars.Context()
        task = trigger.task = asyncio.get_running_loop().create_task(
            self._bounded(trigger.cron.text, time), context=context
        )
        self._background.add(task)

        def done(task: asyncio.Task[None]) -> None:
            trigger.task = None
            self._background.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._observer.cron_failed(trigger.cron.text, time, error)

        task.add_done_callback(done)

    async def _bounded(self, text: str, time: datetime) -> None:
        task = asyncio.current_task()
        assert task is not None
        overran = False

        def end(task: asyncio.Task[Any] = task) -> None:
            nonlocal overran
            overran = True
            task.cancel()

        timer = self._clock.call_later(limits.CRON_RUN_S_MAX, end)
        try:
            await self._start(text, time)
        except asyncio.CancelledError:
            if not overran:
                raise
            raise TimeoutError(
                f"scheduled() ran longer than {limits.CRON_RUN_S_MAX / 60:.0f} minutes and was cancelled."
            ) from None
        finally:
            timer.cancel()
