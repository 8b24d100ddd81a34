"""Which segments nobody needs any more, and which stores to checkpoint so that more become so. (pure)

A store needs a segment that holds a record of it, until its own synced file covers that record's commit, or
until a record that stands for all earlier ones (`whole`) is durable in a newer segment.

Invariant: segments go oldest first. A newer one that nobody needs waits for the older ones, because recovery
replays what is there in order: an old page may come back only if all that was written over it comes back too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Held:
    size_bytes: int
    needs: dict[bytes, int] = field(default_factory=dict)
    """Stores that need it, and the number of the last commit each has in it; first come first."""


class Ledger:
    """
    Who needs which segment.

    Attributes:
        used_bytes: what the log takes of its budget.
    """

    def __init__(self) -> None:
        self._segments: dict[int, _Held] = {}
        self._newest = _Held(0)
        self._older_bytes = 0
        self.used_bytes = 0
        self._whole_from: dict[bytes, int] = {}

    def open(self, segment: int, size_bytes: int) -> None:
        """Note that batches go to this new segment from now on."""
        self._older_bytes += self._newest.size_bytes
        self._newest = self._segments[segment] = _Held(size_bytes)
        self.used_bytes = self._older_bytes

    def fill(self, position: int) -> None:
        """Note how far the newest segment is filled."""
        self.used_bytes = self._older_bytes + position

    def place(self, segment: int, key: bytes, number: int) -> None:
        """Note that a commit, or a piece of it, is in a segment."""
        self._segments[segment].needs[key] = number

    def begin_whole(self, segment: int, key: bytes) -> None:
        """Note where a record that stands for all earlier ones begins; counts when it is finished."""
        self._whole_from.setdefault(key, segment)

    def finish_whole(self, key: bytes) -> None:
        """Note that it is durable to its end: older segments are not needed for this store any more."""
        first = self._whole_from.pop(key)
        for segment, held in self._segments.items():
            if segment < first:
                held.needs.pop(key, None)

    def drop_whole(self, key: bytes) -> None:
        """Note that such a record will not be finished."""
        self._whole_from.pop(key, None)

    def checkpointed(self, key: bytes, number: int) -> bool:
        """
        Note that commits up to *number* are in the store's own synced file. Tells whether it still needs a
        segment.
        """
        is_needed = False
        for held in self._segments.values():
            last = held.needs.get(key)
            if last is not None:
                if last <= number:
                    del held.needs[key]
                else:
                    is_needed = True
        return is_needed

    def take_free(self) -> list[tuple[int, int]]:
        """Forget the oldest segments that nobody needs: number and size in bytes of each, oldest first."""
        free: list[tuple[int, int]] = []
        for segment, held in self._segments.items():
            if held.needs or held is self._newest:
                break
            free.append((segment, held.size_bytes))
        for segment, size_bytes in free:
            del self._segments[segment]
            self._older_bytes -= size_bytes
            self.used_bytes -= size_bytes
        return free

    def take_all(self) -> list[tuple[int, int]]:
        """Forget all segments if nobody needs any of them; none otherwise."""
        if any(held.needs for held in self._segments.values()):
            return []
        every = [(segment, held.size_bytes) for segment, held in self._segments.items()]
        self.__init__()  # type: ignore[misc]
        return every

    def oldest(self, count_max: int) -> list[bytes]:
        """
        Choose stores to checkpoint: those that hold the oldest segments, oldest first. The newest segment is
        left alone.
        """
        chosen: dict[bytes, None] = {}
        for key in self._holders():
            if len(chosen) >= count_max:
                break
            chosen[key] = None
        return list(chosen)

    def stores(self) -> set[bytes]:
        """All stores that need a segment."""
        return {key for held in self._segments.values() for key in held.needs}

    def _holders(self) -> Iterator[bytes]:
        for held in self._segments.values():
            if held is not self._newest:
                yield from held.needs
