"""Owner: in whose context the code of a target runs. (cooperative)

A durable object (`_engine.live.Live`), one run of a worker, or the code around a runtime. What a target's stub is
asked becomes work of the owner, under its rules: in an object an event, with its gates.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Protocol

from perdure._base.awaitables import Call, invoke
from perdure._base.current import current, current_invocation
from perdure._base.failure import for_caller, mark
from perdure._base.registry import Registry

log = logging.getLogger("perdure")


class Owner(Protocol):
    """Where the code of targets runs."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def registry(self) -> Registry | None:
        """The exception classes that arrive as themselves."""

    def start_call(
        self, future: Call, method: str, run: Callable[[], Awaitable[Any]], size_bytes: int, context: Context
    ) -> None:
        """
        Run *run*, and let *future* have its outcome; calls start in the order in which they are given.

        Args:
            future: what the caller awaits.
            method: for logs and errors.
            run: calls the code; its result is what the caller gets, as it is.
            size_bytes: of the arguments.
            context: where the target was handed out.
        """

    def start_disposer(self, method: str, run: Callable[[], Any], context: Context) -> None:
        """Run *run*, which nobody awaits; what it raises is logged."""

    def hold(self) -> None:
        """Hear that a target was handed out: while one is, the owner counts as busy (RPC-23)."""

    def let_go(self) -> None:
        """Hear that the last stub of one delivery of a target is gone."""

    def when_broken(self, callback: Callable[[BaseException], object]) -> None:
        """Call *callback* once no code of this owner runs any more."""


def current_owner(registry: Registry | None) -> Owner:
    """Return the owner of the running code; *registry* is used if that is the code around a runtime."""
    owner: Owner | None = current.get() or current_invocation.get()
    return LoopOwner(registry) if owner is None else owner


def leave(send: Callable[[], object], future: Call) -> None:
    """Call *send* when what the running code wrote so far is durable (RPC-24); if it never is, cancel *future*."""
    live = current.get()
    if live is None:
        send()
        return
    if live.broken is not None:
        future.cancel()  # nothing leaves an object that was reset (GATE-09)
        return
    store = live.used_store
    if store is None or store.gate.is_open:
        send()
        return

    def let_out(error: BaseException | None) -> None:
        if error is None:
            send()
        else:
            future.cancel()  # the caller is being reset: nobody waits any more

    store.gate.when(store.gate.issued, let_out)


class LoopOwner:
    """The code around a runtime: what runs on its loop and is neither of an object nor of a worker."""

    __slots__ = ("loop", "registry")

    def __init__(self, registry: Registry | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.registry = registry

    def start_call(
        self, future: Call, method: str, run: Callable[[], Awaitable[Any]], size_bytes: int, context: Context
    ) -> None:
        start(settle(future, run, self.registry), self.loop, context)

    def start_disposer(self, method: str, run: Callable[[], Any], context: Context) -> None:
        start(_dispose(method, run), self.loop, context)

    def hold(self) -> None:
        """It is there as long as the loop is."""

    def let_go(self) -> None:
        """It is there as long as the loop is."""

    def when_broken(self, callback: Callable[[BaseException], object]) -> None:
        """It never is."""


_running: set[asyncio.Task[None]] = set()


def start(coro: Any, loop: asyncio.AbstractEventLoop, context: Context) -> asyncio.Task[None]:
    """Start a task that is kept until it is done."""
    # A context that some code is running in cannot be entered again: each task has a copy.
    task: asyncio.Task[None] = loop.create_task(coro, context=context.copy())
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


async def settle(future: Call, run: Callable[[], Awaitable[Any]], registry: Registry | None) -> None:
    """Let *future* have the outcome of *run*, code outside of objects."""
    try:
        result = await run()
    except BaseException as error:  # SystemExit and its like would stop the whole loop
        if not future.done():
            future.set_exception(mark(for_caller(error, registry), remote=True))
    else:
        if not future.done():
            future.set_result(result)


async def _dispose(method: str, run: Callable[[], Any]) -> None:
    try:
        await invoke(run)
    except Exception:
        log.exception("%s() failed", method)
