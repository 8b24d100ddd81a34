"""News: what a runtime tells its observer, kept for a test to look at. (pure)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perdure._base.exceptions import text_of
from perdure._base.observer import Observer


@dataclass(frozen=True, slots=True)
class LogEntry:
    """
    One thing that happened.

    Attributes:
        event: what it was, for instance "event_failed", "object_reset", "object_evicted" or "alarm_failed".
        label: whose it was, for instance "Counter(home)".
        method: of the object, if it was an event.
        error: why, if something went wrong.
        is_awaited: somebody else was told of the error too.
    """

    event: str
    label: str
    method: str = ""
    error: BaseException | None = None
    is_awaited: bool = False

    def __str__(self) -> str:
        what = f"{self.label}.{self.method}()" if self.method else self.label
        why = "" if self.error is None else f": {type(self.error).__name__}: {text_of(self.error)}"
        return f"{self.event.replace('_', ' ')} {what}{why}"


class News:
    """
    An observer that keeps what it hears, and tells another one.

    Attributes:
        entries: all, in order.
    """

    def __init__(self, other: Observer) -> None:
        self.entries: list[LogEntry] = []
        self._other = other

    def __getattr__(self, name: str) -> Callable[..., None]:
        tell = getattr(self._other, name)

        def told(*news: Any) -> None:
            self.entries.append(_entry(name, news))
            tell(*news)

        return told

    def failures(self) -> list[LogEntry]:
        """Return what failed and nobody awaited."""
        return [
            entry
            for entry in self.entries
            if entry.error is not None and not entry.is_awaited and entry.event.endswith("_failed")
        ]


def _entry(event: str, news: tuple[Any, ...]) -> LogEntry:
    subject = news[0] if news else ""
    error = next((item for item in news if isinstance(item, BaseException)), None)
    method, is_awaited = "", False
    if event == "event_failed":
        method, is_awaited = news[1].method, news[1].is_awaited and news[1].method != "alarm"
    elif event == "construct_failed":
        is_awaited = True  # by the calls that made it
    return LogEntry(event, str(getattr(subject, "label", subject)), method, error, is_awaited)
