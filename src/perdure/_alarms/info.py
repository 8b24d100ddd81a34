"""AlarmInfo: what an `alarm` handler is told. (pure)"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AlarmInfo:
    """
    One run of an object's `alarm` (ALM-09).

    Attributes:
        retry_count: how many runs of this alarm have failed before, of those that count; 0 at first.
        is_retry: whether that is more than none.
        scheduled_time: the time, in UTC, for which the alarm was set; a run is never before it.
    """

    retry_count: int
    is_retry: bool
    scheduled_time: datetime
