"""When a failed alarm runs again, and when no more. (pure)

Source: ALM-13…15, LIM-16.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from perdure._base import limits


class Tries(NamedTuple):
    """The failed runs of one alarm so far."""

    counted: int = 0
    in_row: int = 0
    """Of the kind of the last one; the wait doubles with each."""
    last_counts: bool = True

    def failed(self, *, counts: bool) -> Tries | None:
        """
        Return the tries with one more; None: it was the last.

        Args:
            counts: the failure counts against the limit. One of the storage, or of a start of the object, does
                not: it is tried again for ever.
        """
        if counts and self.counted == limits.ALARM_RETRIES_MAX:
            return None
        in_row = self.in_row + 1 if counts == self.last_counts else 1
        return Tries(self.counted + counts, in_row, counts)

    def delay_s(self, chance: float) -> float:
        """Return the wait before the next run; *chance*, from 0 to 1, chooses the part that is random."""
        exponent = min(self.in_row - 1, limits.ALARM_RETRY_EXPONENT_MAX)
        return limits.ALARM_RETRY_FIRST_S * 2.0**exponent * (1 + limits.ALARM_RETRY_JITTER * chance)


FRESH: Final = Tries()
