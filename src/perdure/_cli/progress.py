"""A bar on the terminal while something takes long. (edge)"""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Final, Self

WIDTH_MAX: Final = 40
_BETWEEN_S: Final = 0.1


class Progress:
    """Call it with how far it is; nothing is shown where nobody looks, or when it is over at once."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._is_shown = self._stream.isatty()
        self._next_s = time.monotonic() + _BETWEEN_S
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, done: int, total: int | None, text: str) -> None:
        now_s = time.monotonic()
        if not self._is_shown or now_s < self._next_s:
            return
        self._next_s = now_s + _BETWEEN_S
        self._drawn = True
        self._stream.write("\r\x1b[K" + bar(done, total, text, shutil.get_terminal_size().columns))
        self._stream.flush()


def bar(done: int, total: int | None, text: str, columns: int) -> str:
    """Return the line of one moment, no wider than *columns*."""
    if total is None:
        return f"{done:,} {text}"[: max(0, columns - 1)]
    counts = f" {done:,} of {total:,} {text}"
    width = max(0, min(WIDTH_MAX, columns - len(counts) - 3))
    filled = width * done // max(1, total)
    return f"[{'#' * filled}{'.' * (width - filled)}]{counts}"[: max(0, columns - 1)]
