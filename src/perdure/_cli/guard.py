"""Guard: ends a process that was told to stop and whose event loop does not answer. (edge)

Python runs the handler of a signal between two steps of the main thread's own code, and the loop that should
stop everything runs there too. While an object keeps that thread (an endless loop, a statement of SQL that
takes hours) neither comes to it. But the number of a signal is written to the wakeup file at once; a thread
reads it here, hands it on, and ends the process when the time to drain is over and the loop is silent.

Nothing confirmed is lost: it is on the disk. Only C code that keeps the interpreter's lock is beyond this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from perdure._cli import exits
from perdure._engine.watchdog import users_line

log = logging.getLogger("perdure")

SILENCE_S: Final = 5.0
"""So long a loop may say nothing once the time to drain is over; a last checkpoint takes its time."""
_LOOK_S: Final = 1.0


class Guard:
    """Watch over the end of the running loop, which is the main thread's; use it as a context manager."""

    def __init__(self, drain_s: float, *, end: Callable[[int], None] = os._exit) -> None:
        self._drain_s = drain_s
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._main = threading.get_ident()
        self._over = threading.Event()
        self._interrupts = 0
        self._enforcing = False
        self._before = -1

    def __enter__(self) -> Self:
        self._signals, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        self._before = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._read, name="perdure-guard", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        signal.set_wakeup_fd(self._before)
        self._wakeup.close()

    def _read(self) -> None:
        with self._signals:
            while numbers := self._signals.recv(64):
                if self._before >= 0:  # the loop listens too: uvloop wakes up by it
                    with contextlib.suppress(OSError):
                        os.write(self._before, numbers)
                for number in numbers:
                    self._hear(number)

    def _hear(self, number: int) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            return
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            self._start(self._interrupt)
        elif not self._enforcing:
            self._enforcing = True
            self._start(self._enforce)

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="perdure-guard-end", daemon=True).start()

    def _interrupt(self) -> None:
        """End at once; the signal's own handler does so if it comes to run."""
        if not self._over.wait(_LOOK_S):
            self._end(exits.INTERRUPTED)

    def _enforce(self) -> None:
        deadline_s = time.monotonic() + self._drain_s + SILENCE_S
        while not self._over.is_set():
            answered = threading.Event()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # it is closed: the end is near
                return
            if not answered.wait(max(SILENCE_S, deadline_s - time.monotonic())) and not self._over.is_set():
                self._give_up()
                return
            self._over.wait(_LOOK_S)

    def _give_up(self) -> None:
        place, function = users_line(sys._current_frames().get(self._main))
        log.critical(
            "the event loop does not answer: %s() at %s keeps it. The process ends without it; what was confirmed "
            "is safe.",
            function,
            place,
        )
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        self._end(exits.STUCK)
