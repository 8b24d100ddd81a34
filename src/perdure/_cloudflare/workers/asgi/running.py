"""The task that an application runs in, from its request to whatever it does after the answer. (cooperative)"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from perdure._cloudflare.tasks import start
from perdure.web import Response


async def until_answered(
    work: Coroutine[Any, Any, None], response: asyncio.Future[Response]
) -> tuple[Response, asyncio.Task[None]]:
    """
    Run *work* in a task, which goes on; return the *response* that it makes, and the task.

    Raises:
        Exception: what *response* has instead.
    """
    task = start(work)
    try:
        return await response, task
    except BaseException:
        task.cancel()  # nobody waits for it any more
        raise
