"""Watchdog: names the object, method and line that keep the event loop. (edge)

A thread of its own looks at which step of user code runs; the hot path only counts steps. SQL runs on the
loop's thread on purpose, so a slow statement is as visible here as a slow loop.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure._engine.host import Host
    from perdure._engine.live import Live

_PACKAGE = str(Path(__file__).resolve().parent.parent) + "/"
_LIBRARIES = tuple(
    {sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class Watchdog:
    """Reports each step that blocks the loop longer than *slow_ms*, once."""

    def __init__(
        self, host: Host, slow_ms: int, report: Callable[[Live, str, str, str, float], None]
    ) -> None:
        """`report(live, method, place, stack, blocked_s)` is called on the watchdog's thread."""
        self._host = host
        self._slow_s = slow_ms / 1000
        self._report = report
        self._stopped = threading.Event()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="perdure-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        host = self._host
        seen, since_s, told = -1, 0.0, False
        while not self._stopped.wait(self._slow_s / 2):
            running, steps = host.running, host.steps
            now_s = time.monotonic()
            if running is None or steps != seen:
                seen, since_s, told = steps, now_s, False
            elif not told and now_s - since_s >= self._slow_s:
                told = True
                frame = sys._current_frames().get(self._loop_thread)
                if frame is not None and host.steps == seen:
                    place, method = users_line(frame)
                    stack = "".join(traceback.format_stack(frame, limit=12))
                    self._report(running, method, place, stack, now_s - since_s)


def users_line(frame: FrameType | None) -> tuple[str, str]:
    """
    Return file:line of the innermost frame of the application, and the name of its outermost function.

    What is called in libraries is its caller's line; only where there is no other is it a library's.
    """
    place, library, method = "", "", "?"
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith((_PACKAGE, "<")) and "/asyncio/" not in code.co_filename:
            line = f"{code.co_filename}:{frame.f_lineno}"
            if code.co_filename.startswith(_LIBRARIES):
                library = library or line
            else:
                place = place or line
            method = code.co_name
        elif (place or library) and code.co_filename.startswith(_PACKAGE):
            break  # the user's frames end where our driver called them
        frame = frame.f_back
    return place or library or "?", method
