"""Plain functions of ASGI applications run on the event loop's thread, as on Cloudflare, which has no other. (cooperative)

Starlette and FastAPI give plain endpoints, dependencies and files to `anyio.to_thread.run_sync`. Bindings and storage
belong to the event loop's thread, and `run_sync` waits only there: code that was written for a worker expects to be.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

_in_app: ContextVar[bool] = ContextVar("perdure_asgi_app", default=False)


def stay_on_this_thread() -> None:
    """Let what the running task, and those that it starts, give to anyio's threads run here."""
    _in_app.set(True)
    try:
        from anyio import to_thread
    except ImportError:
        return
    given: Any = to_thread.run_sync
    if getattr(given, "_perdure_inline", False):
        return

    @functools.wraps(given)
    async def run_sync(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if _in_app.get():
            return func(*args)
        return await given(func, *args, **options)

    inline: Any = run_sync
    inline._perdure_inline = True
    to_thread.run_sync = inline
