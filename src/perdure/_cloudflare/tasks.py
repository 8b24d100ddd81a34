"""Code that goes on beside a handler: callbacks of timers, promises and events. (cooperative)

It runs as a task of the object or worker whose code started it, so that the object's gates hold for it, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from perdure._cloudflare import bridge

log = logging.getLogger("perdure")

NO_LOOP: Final = "Disallowed operation called within global scope: {what} works in a handler, not while a module is imported, and not in another thread."
Task = TypeVar("Task", bound=asyncio.Future[Any])

_running: Final[set[asyncio.Future[Any]]] = set()
"""The loop holds its tasks weakly."""


def start(work: Coroutine[Any, Any, Any], what: str = "a task") -> asyncio.Task[Any]:
    """
    Let *work* go on by itself.

    Raises:
        RuntimeError: there is no event loop, as while a module is imported.
    """
    try:
        task = asyncio.get_running_loop().create_task(work)
    except RuntimeError:
        work.close()
        raise RuntimeError(NO_LOOP.format(what=what)) from None
    return keep(task)


def keep(task: Task) -> Task:
    """Return *task*, which is held until it is done."""
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


async def call(function: Callable[..., Any], args: tuple[Any, ...], what: str) -> None:
    """Call *function*, plain or async; what it raises is logged, as nobody waits for it."""
    try:
        await bridge.run(function, *args)
    except Exception as error:
        log.error("%s failed, and nobody waits for it", what, exc_info=error)
