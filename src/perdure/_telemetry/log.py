"""LogObserver: the engine's news as log records of the logger `perdure`. (edge)"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from perdure._base.current import Running
from perdure._base.exceptions import text_of
from perdure._base.limits import MIB
from perdure._base.observer import Observer
from perdure.errors import Disconnected

log = logging.getLogger("perdure")

RECOVERY_TOLD_BYTES_MIN: Final = 256 * MIB
"""From here on a recovery can take a second, and somebody may wonder why nothing happens."""


class LogObserver(Observer):
    """Writes what nobody else would see."""

    def event_failed(self, live: Running, event: Any, error: BaseException) -> None:
        if not event.is_awaited:
            log.error("%s.%s() failed, and nobody waits for it", live.label, event.method, exc_info=error)
            return
        log.info("%s.%s() raised %s: %s", live.label, event.method, type(error).__name__, text_of(error))

    def construct_failed(self, live: Running, error: BaseException) -> None:
        log.warning("%s could not be constructed", live.label, exc_info=error)

    def object_reset(self, live: Running, error: BaseException) -> None:
        level = (
            logging.DEBUG if isinstance(error, Disconnected) else logging.WARNING
        )  # stopping is no failure
        log.log(level, "%s was reset: %s", live.label, text_of(error))

    def alarm_failed(self, label: str, error: BaseException, retries: int, delay_s: float | None) -> None:
        if delay_s is None:
            log.error("the alarm of %s failed and is not tried again", label, exc_info=error)
        else:
            log.warning(
                "the alarm of %s failed (retry %d); it runs again in %.1f s",
                label,
                retries,
                delay_s,
                exc_info=error,
            )

    def alarm_unhandled(self, live: Running) -> None:
        log.warning(
            "%s has an alarm that is due, but its class has no `async def alarm(self, alarm_info)`: it is cleared",
            live.label,
        )

    def schedule_failed(self, label: str, error: BaseException, delay_s: float | None) -> None:
        if delay_s is None:
            log.error("%s failed and is not tried again for this time", label, exc_info=error)
        else:
            log.warning("%s failed; it runs again in %.1f s", label, delay_s, exc_info=error)

    def cron_failed(self, cron: str, time: datetime, error: BaseException) -> None:
        log.error('scheduled() failed for "%s" at %s', cron, time.isoformat(), exc_info=error)

    def cron_passed_over(self, cron: str, time: datetime) -> None:
        log.warning('"%s" was passed over at %s: its run before has not ended', cron, time.isoformat())

    def background_failed(self, label: str, error: BaseException) -> None:
        log.error("a wait_until() task of %s failed", label, exc_info=error)

    def object_overloaded(self, live: Running, error: BaseException) -> None:
        log.warning("%s refuses events: %s", live.label, text_of(error))

    def step_blocked(self, live: Running, method: str, place: str, stack: str, blocked_s: float) -> None:
        log.warning(
            "%s has blocked the event loop for %.0f ms in %s() at %s: no other object runs meanwhile. Move long "
            "computations and blocking calls to a thread: `await asyncio.to_thread(...)`.",
            live.label,
            blocked_s * 1000,
            method,
            place,
        )

    def recovering(self, stores: int, size_bytes: int) -> None:
        if size_bytes >= RECOVERY_TOLD_BYTES_MIN:
            log.info(
                "recovering %s objects from %s MiB of journal …", f"{stores:,}", f"{size_bytes // MIB:,}"
            )

    def control_unavailable(self, folder: str, error: BaseException) -> None:
        log.warning(
            "no control socket in %s: %s. Commands such as `perdure sql` work on this folder only while nothing "
            "runs there.",
            folder,
            error,
        )

    def storage_failed(self, error: BaseException) -> None:
        log.critical("storage failed: %s", error)
