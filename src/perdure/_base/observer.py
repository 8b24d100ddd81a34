"""Observer: all that the engine tells about itself. Methods do nothing; override the ones you need. (pure)"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from perdure._base.current import Running

log = logging.getLogger("perdure")


class Observer:
    """Hears of what nobody awaits. `event` has the `method` it was for."""

    def event_failed(self, live: Running, event: Any, error: BaseException) -> None:
        """A handler raised; its caller gets a copy of *error*."""

    def construct_failed(self, live: Running, error: BaseException) -> None:
        """`__init__` raised; every waiting call fails with *error*."""

    def object_reset(self, live: Running, error: BaseException) -> None:
        """The object was dropped at once."""

    def object_evicted(self, live: Running) -> None:
        """The object was dropped because it was idle."""

    def alarm_failed(self, label: str, error: BaseException, retries: int, delay_s: float | None) -> None:
        """An alarm raised, after so many *retries* that count; it runs again in *delay_s*, or never if None."""

    def alarm_unhandled(self, live: Running) -> None:
        """An alarm came due whose class has no `alarm`; it is cleared."""

    def schedule_failed(self, label: str, error: BaseException, delay_s: float | None) -> None:
        """The method of a schedule raised; it is called again in *delay_s*, or not for this time if None."""

    def cron_failed(self, cron: str, time: datetime, error: BaseException) -> None:
        """A worker's `scheduled` raised, run by this expression for that time; it is not tried again."""

    def cron_passed_over(self, cron: str, time: datetime) -> None:
        """A cron trigger was not run at *time*, because its run before has not ended."""

    def background_failed(self, label: str, error: BaseException) -> None:
        """A `wait_until` task failed; *label* names whose it was."""

    def object_overloaded(self, live: Running, error: BaseException) -> None:
        """Events of the object are refused with *error*; told once in ten seconds."""

    def step_blocked(self, live: Running, method: str, place: str, stack: str, blocked_s: float) -> None:
        """One step of user code has kept the loop for *blocked_s*; *place* is its file and line."""

    def recovering(self, stores: int, size_bytes: int) -> None:
        """A start has found a journal of *size_bytes* and is about to write *stores* stores."""

    def control_unavailable(self, folder: str, error: BaseException) -> None:
        """The control socket in *folder* cannot be had; the runtime serves without it."""

    def storage_failed(self, error: BaseException) -> None:
        """Nothing can be made durable any more."""


def shielded(observer: Observer) -> Observer:
    """Return *observer* so that it breaks nothing when it fails."""
    return cast(Observer, _Shield(observer))


class _Shield:
    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __getattr__(self, name: str) -> Callable[..., None]:
        tell = getattr(self._observer, name)

        def told(*news: Any) -> None:
            try:
                tell(*news)
            except Exception:
                log.exception("the observer failed in %s()", name)

        self.__dict__[name] = told
        return told
