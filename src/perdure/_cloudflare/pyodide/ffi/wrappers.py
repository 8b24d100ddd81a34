"""`pyodide.ffi.wrappers`: timers and listeners that need no proxies. (cooperative)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure._cloudflare.javascript.timers import clearInterval as clear_interval
from perdure._cloudflare.javascript.timers import clearTimeout as clear_timeout
from perdure._cloudflare.javascript.timers import setInterval as set_interval
from perdure._cloudflare.javascript.timers import setTimeout as set_timeout

__all__ = [
    "add_event_listener",
    "clear_interval",
    "clear_timeout",
    "remove_event_listener",
    "set_interval",
    "set_timeout",
]


def add_event_listener(target: Any, event: str, listener: Callable[[Any], None]) -> None:
    """Call *listener* for each event of *target*."""
    target.addEventListener(event, listener)


def remove_event_listener(target: Any, event: str, listener: Callable[[Any], None]) -> None:
    """Call *listener* no more."""
    target.removeEventListener(event, listener)
