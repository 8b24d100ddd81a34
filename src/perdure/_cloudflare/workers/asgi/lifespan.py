"""The lifespan of ASGI applications: started once, at the first request, and ended with the process. (cooperative)

It belongs to the application and not to that request: it runs outside of objects and of runs of a worker, so that
nothing it waits for keeps an object in memory, and a client that goes away ends nothing of it.

Invariant: an application that is asked for has one lifespan, until nobody can ask for it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from perdure._base.current import current, current_env
from perdure._cloudflare import bridge
from perdure._cloudflare.workers.asgi.inline import stay_on_this_thread
from perdure._cloudflare.workers.asgi.scope import ASGI
from perdure._engine.lifecycle import EVICTED

logger = logging.getLogger("asgi")

KEPT_MAX: Final = 32
"""How many applications that belong to no object keep their lifespan: code that makes one for each request must not
fill the memory."""


class Lifespan:
    """One run of an application's lifespan. `state` is what it leaves for requests."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.loop = asyncio.get_running_loop()
        self.owner: Any = current.get()
        """The only object whose code uses the application, None when it is shared."""
        self.uses = 0
        self._is_asked = False
        self._started: asyncio.Future[None] = self.loop.create_future()
        self._stopping = asyncio.Event()
        context = Context()  # nothing of the request that happens to be the first one
        context.run(current_env.set, current_env.get())
        self._task = context.run(self.loop.create_task, bridge.run(self._run))

    async def started(self) -> None:
        """
        Wait until the application has started.

        Raises:
            RuntimeError: it said that it failed to.
        """
        await asyncio.shield(self._started)

    @property
    def has_failed(self) -> bool:
        """Whether the application could not start: the next request tries again."""
        return self._started.done() and (self._started.cancelled() or self._started.exception() is not None)

    async def stop(self) -> None:
        """Let the application end what it began, and wait for it."""
        self._stopping.set()
        await asyncio.wait([self._task])

    def stop_soon(self) -> None:
        """Let the application end what it began."""
        self._stopping.set()

    async def _run(self) -> None:
        stay_on_this_thread()
        try:
            scope = {"type": "lifespan", "asgi": ASGI.copy(), "state": self.state}
            await self.app(scope, self._receive, self._send)
        except Exception as error:
            if self._started.done():
                logger.exception("The lifespan of the ASGI application failed", exc_info=error)
            else:  # that is how an application says that it has none; or it is broken: the log tells on request
                logger.debug("The ASGI application supports no lifespan, or failed in it", exc_info=error)
        finally:
            if not self._started.done():
                self._started.set_result(None)

    async def _receive(self) -> dict[str, Any]:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "lifespan.startup"}
        try:
            await self._stopping.wait()
        except asyncio.CancelledError:
            # The loop cancels what is left on it when the process ends: the application's word for that.
            if self._stopping.is_set():
                raise
            self._stopping.set()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            if not self._started.done():
                self._started.set_result(None)
        elif kind == "lifespan.startup.failed":
            if not self._started.done():
                text = message.get("message") or "The ASGI application failed to start."
                self._started.set_exception(RuntimeError(text))
        elif kind == "lifespan.shutdown.failed":
            logger.error(
                "The ASGI application failed to shut down: %s", message.get("message") or "it said no more"
            )
        elif kind != "lifespan.shutdown.complete":
            raise RuntimeError(
                f"An ASGI application sends lifespan.startup.… and lifespan.shutdown.… here; not {kind!r}."
            )


_kept: dict[int, Lifespan] = {}
"""The `id` of an application, which its lifespan keeps alive → that; the one asked for last is at the end."""


async def use(app: Any) -> tuple[Lifespan, Callable[[], None]]:
    """Return the lifespan of *app*, which has started, and what to call when the request is over."""
    lifespan = _kept.pop(id(app), None)
    if lifespan is None or lifespan.has_failed or lifespan.loop is not asyncio.get_running_loop():
        _retire()
        lifespan = Lifespan(app)
    elif lifespan.owner is not current.get():
        lifespan.owner = None
    _kept[id(app)] = lifespan
    lifespan.uses += 1
    try:
        await lifespan.started()
    except BaseException:
        lifespan.uses -= 1
        raise

    def over() -> None:
        lifespan.uses -= 1

    return lifespan, over


def _retire() -> None:
    """End the lifespans that nobody can ask for: of objects that went, of loops that ended, and the oldest of too many."""
    shared = sum(lifespan.owner is None for lifespan in _kept.values())
    loop = asyncio.get_running_loop()
    for key, lifespan in list(_kept.items()):
        if lifespan.loop is not loop:
            del _kept[key]
            continue
        owner = lifespan.owner
        if owner is None:
            is_spare = shared >= KEPT_MAX and not lifespan.uses
            shared -= is_spare
        else:
            is_spare = owner.broken is not None or owner.state is EVICTED
        if is_spare:
            del _kept[key]
            lifespan.stop_soon()
