"""InputGate: who may run inside an object while a critical section is open. (cooperative)

Modelled on workerd's input gate. There, each delivery takes a lock; here one thread and one driver for
each task make a lock needless: before every step the driver asks `admits`, so a continuation waits as a
new event does (GATE-02). What is left is the critical section of `block_concurrency_while` (GATE-12…16).

Sections form a tree. Only code whose section is the innermost open one runs. Code that a finished section
started is adopted by the section's parent (GATE-16).

Invariants: `active` is the innermost section that has not been handed over; sections of one parent run
one after another in the order asked for; waiters are woken in the order in which they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Section:
    """One critical section, from when it is asked for until its gate has been handed back."""

    __slots__ = ("depth", "finished", "parent", "queue", "start", "timer")

    def __init__(self, parent: Section | None, start: Callable[[], None]) -> None:
        self.parent = parent
        self.depth: int = 1 if parent is None else parent.depth + 1
        self.start = start
        self.finished = False
        self.queue: list[Section] | None = None
        self.timer: Any = None  # of whoever opened it


class SectionFuture(asyncio.Future[Any]):
    """The outcome of a section; a task that awaits it directly goes on before any other (GATE-13)."""

    section: Section | None = None


def effective(section: Section | None) -> Section | None:
    """Return the innermost ancestor of *section* that is not finished: whose code a straggler is now."""
    while section is not None and section.finished:
        section = section.parent
    return section


class InputGate:
    """Admits steps of user code; `active` is None while nothing is blocked (the hot path asks only that)."""

    __slots__ = ("_queue", "_waiting", "active")
    opening = Section(None, lambda: None)
    """Stands in `active` while those who waited go on, one after the other: who comes now is behind them."""

    def __init__(self) -> None:
        self.active: Section | None = None
        # Lists, not deques, here and in other parts of an object: those of most objects are always empty, and an
        # empty deque takes 760 bytes.
        self._queue: list[Section] = []
        self._waiting: list[tuple[Section | None, asyncio.Future[None]]] = []

    def admits(self, section: Section | None, resumed_by: object = None) -> bool:
        """Tell whether code of *section* may run; *resumed_by* is the future that its step waited for."""
        active = self.active
        if active is None:
            return True
        if active.finished:
            # The moment between a section's end and the gate's opening belongs to who awaited it.
            return isinstance(resumed_by, SectionFuture) and resumed_by.section is active
        return effective(section) is active

    def wait(self, section: Section | None) -> asyncio.Future[None]:
        """Return a future that is done when code of *section* should ask again."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((section, future))
        return future

    def enter(self, section: Section) -> None:
        """Start *section* now if nothing of its parent's level is open or queued, else when its turn comes."""
        parent = section.parent = effective(section.parent)
        if self.active is parent or (parent is None and self.active is self.opening):
            section.start()
            self.active = section  # not before: the caller's stack may end in `start`
        else:
            self._queue_of(parent).append(section)

    def leave(self, section: Section) -> None:
        """Mark *section* finished; the gate opens after the step of whoever awaits it (GATE-13)."""
        section.finished = True
        asyncio.get_running_loop().call_soon(self._hand_back, section)

    def clear(self) -> None:
        """Forget sections and waiters: the object is gone, and its tasks end by themselves."""
        self.active = None
        self._queue.clear()
        self._waiting.clear()

    def _hand_back(self, section: Section) -> None:
        if self.active is not section:
            return
        parent: Section | None = section
        queue: list[Section] = []
        while parent is not None and parent.finished:
            if parent.queue:  # asked for inside, by code that did not wait for it
                queue.extend(parent.queue)
                parent.queue = None
            parent = parent.parent
        waiting = self._queue_of(parent)
        waiting.extend(queue)
        self.active = parent
        if waiting:
            self.active = following = waiting.pop(0)
            following.start()
        self._wake(self.active)

    def _wake(self, active: Section | None) -> None:
        if active is None:
            self.active = self.opening
            self.go_on()
            return
        kept: list[tuple[Section | None, asyncio.Future[None]]] = []
        for section, future in self._waiting:
            if effective(section) is not active:
                kept.append((section, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = kept

    def go_on(self) -> None:
        """Let the first who waits take a step; when nobody waits the gate is open."""
        if self.active is not self.opening:
            return  # a section began meanwhile
        while self._waiting:
            _, future = self._waiting.pop(0)
            if not future.done():
                future.set_result(None)
                return
        self.active = None

    def _queue_of(self, section: Section | None) -> list[Section]:
        if section is None:
            return self._queue
        if section.queue is None:
            section.queue = []
        return section.queue
