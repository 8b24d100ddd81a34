"""Faults: named points in the life of a write, an alarm, a socket; and a crash at any of them. (cooperative)

| point | what comes next, or has just been done |
|---|---|
| `before_wal_write`, `after_wal_write` | SQLite commits a turn into the object's WAL |
| `before_journal_append`, `after_journal_append` | a batch of commits is written into the journal |
| `before_fsync`, `after_fsync` | a file is synced: of the journal a batch becomes durable |
| `before_gate_release`, `after_gate_release` | what waited for a commit of an object leaves it |
| `before_checkpoint`, `after_checkpoint` | a WAL is moved into the object's file |
| `alarm_start`, `alarm_end` | an alarm's handler runs |
| `before_eviction`, `after_eviction` | an idle object leaves memory |
| `before_hibernation`, `after_hibernation` | its sockets stay without it |
| `before_migration`, `after_migration` | a start records which classes there are now |
| `before_create`, `…write`, `…truncate`, `…chmod`, `…rename`, `…unlink`, `…folder_sync` | other work of the disk |

The runtime knows nothing of them: those of the disk are told by `SimulatedDisk`, the others by wrapping the few methods
of `_PLACES` while a simulation runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from perdure._engine import live as live_module
from perdure._engine.alarms import Alarms
from perdure._engine.live import Live
from perdure._storage.database import Database
from perdure._storage.folder import DataFolder
from perdure._storage.output_gate import OutputGate

_PLACES: Final[tuple[tuple[Any, str, str, str], ...]] = (
    (Database, "commit", "before_wal_write", "after_wal_write"),
    (Database, "checkpoint", "before_checkpoint", "after_checkpoint"),
    (OutputGate, "release", "before_gate_release", "after_gate_release"),
    (Alarms, "_handle", "alarm_start", "alarm_end"),
    (Live, "evict", "before_eviction", "after_eviction"),
    (live_module, "hibernate", "before_hibernation", "after_hibernation"),
    (DataFolder, "save_record", "before_migration", "after_migration"),
)

_OF_THE_DISK: Final = (
    *("before_journal_append", "after_journal_append", "before_fsync", "after_fsync", "after_write"),
    *(f"before_{what}" for what in "create write truncate chmod rename unlink folder_sync".split()),
)
POINTS: Final = frozenset({*_OF_THE_DISK, *(name for _, _, *names in _PLACES for name in names)})
"""Every name."""


class Faults:
    """
    Accidents that are to come, and the points that were passed.

    Attributes:
        reached: the names of the points since the test began, in order.
    """

    def __init__(self, crash: Callable[[bool], None]) -> None:
        self._crash = crash
        self._plans: list[_Plan] = []
        self._crash_at: int | None = None
        self._is_on = False
        self.reached: list[str] = []

    def crash(self, point: str, *, nth: int = 1, power: bool = True) -> None:
        """
        Crash when *point* is reached for the *nth* time from now; see `Simulation.crash` for *power*.

        Raises:
            ValueError: there is no such point.
        """
        self.at(point, lambda: self._crash(power), nth=nth)

    def at(self, point: str, act: Callable[[], object], *, nth: int = 1) -> None:
        """Call *act* when *point* is reached for the *nth* time from now; of the disk's points it may raise an `OSError`."""
        if point not in POINTS:
            raise ValueError(f"there is no point {point!r}. There are: {', '.join(sorted(POINTS))}.")
        if nth < 1:
            raise ValueError(f"nth is {nth}: the first time is 1.")
        self._plans.append(_Plan(point, nth, act))

    def begin(self, crash_at: int | None) -> None:
        """Count from here; crash at the point number *crash_at*."""
        self._is_on = True
        self._crash_at = crash_at

    def end(self) -> None:
        """Count no more, and let nothing happen any more."""
        self._is_on = False

    def clear(self) -> None:
        """Forget the accidents that are to come."""
        self._plans.clear()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Count no points meanwhile, and let nothing happen."""
        was_on, self._is_on = self._is_on, False
        try:
            yield
        finally:
            self._is_on = was_on

    def reach(self, point: str) -> None:
        """Hear that the runtime is at *point*."""
        if not self._is_on:
            return
        if len(self.reached) == self._crash_at:
            self._crash(True)
        self.reached.append(point)
        for plan in [plan for plan in self._plans if plan.point == point]:
            plan.left -= 1
            if not plan.left:
                self._plans.remove(plan)
                plan.act()


class _Plan:
    def __init__(self, point: str, left: int, act: Callable[[], object]) -> None:
        self.point = point
        self.left = left
        self.act = act


@contextmanager
def watching(reach: Callable[[str], None]) -> Iterator[None]:
    """Let *reach* hear of the points that are not the disk's, in every runtime of the process."""
    with ExitStack() as stack:
        for owner, name, before, after in _PLACES:
            real = getattr(owner, name)
            stack.callback(setattr, owner, name, real)
            setattr(owner, name, _telling(real, reach, before, after))
        yield


def _telling(real: Any, reach: Callable[[str], None], before: str, after: str) -> Any:
    if inspect.iscoroutinefunction(real):

        @functools.wraps(real)
        async def begin(*args: Any, **options: Any) -> Any:
            reach(before)
            result = await real(*args, **options)
            reach(after)
            return result

        return begin

    @functools.wraps(real)
    def call(*args: Any, **options: Any) -> Any:
        reach(before)
        result = real(*args, **options)
        reach(after)
        return result

    return call
