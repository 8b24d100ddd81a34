"""Owner: in whose context the code of a target runs. (cooperative)

A durable object (`_engine.live.Live`), one run of a worker, or the code around a runtime. What a target's stub is
asked becomes work of the owner, under its rules: in an object an event, with its gates.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, Protocol

from perdure._base.awaitables import Call, invoke
from perdure._base.current import current, current_invocation
from perdure._base.failure import add_trace, for_caller, mark
from perdure._base.registry import Registry
from perdure._rpc.capability import GONE
from perdure.errors import PerdureError

log = logging.getLogger("perdure")

NO_LOOP: Final = "A target can only be handed out, and a stub only be made, on an event loop. In another thread use rt.run(lambda: …)."


class Owner(Protocol):
    """Where the code of targets runs."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def registry(self) -> Registry | None:
        """The exception classes that arrive as themselves."""

    @property
    def is_gone(self) -> bool:
        """Whether no code of it runs any more."""

    @property
    def has_no_gates(self) -> bool:
        """Whether its code may run in any step of the loop: it is of no object."""

    @property
    def instance(self) -> Any:
        """The object's instance, if it is one."""

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
            context: in which the code runs, if it is of no object; this call's alone.
        """

    def failure(self, error: BaseException, method: str) -> BaseException:
        """Return what the caller gets for *error*, which *method* raised."""

    def start_disposer(self, method: str, run: Callable[[], Any], context: Context) -> None:
        """Run *run*, which nobody awaits; what it raises is logged."""

    def retain(self, *, lent: bool = False) -> None:
        """
        Hear that somebody depends on it from now on, and that it counts as busy for so long (RPC-23).

        *lent*: it is a stub in the arguments of a call that the owner made.
        """

    def let_go(self, *, lent: bool = False) -> None:
        """Hear that what `retain` told of is over."""

    def when_broken(self, callback: Callable[[BaseException], object]) -> None:
        """Call *callback* with the reason, once, when no code of it runs any more; it must not fail."""

    def forget(self, callback: Callable[[BaseException], object]) -> None:
        """Do not call *callback*, which `when_broken` was given."""


def current_owner(registry: Registry | None) -> Owner:
    """Return the owner of the running code; *registry* is used if that is the code around a runtime."""
    owner: Owner | None = current.get() or current_invocation.get()
    return LoopOwner(registry) if owner is None else owner


def leave(send: Callable[[], object], future: Call) -> None:
    """Call *send* when what the running code wrote so far is durable (RPC-24); if it never is, cancel *future*."""
    live = current.get()
    if live is not None and live.broken is not None:
        future.cancel()  # nothing leaves an object that was reset (GATE-09)
        return
    gate = closed_gate()
    if gate is None:
        send()
        return

    def let_out(error: BaseException | None) -> None:
        if error is None:
            send()
        else:
            future.cancel()  # the caller is being reset: nobody waits any more

    gate.when(gate.issued, let_out)


def closed_gate() -> Any:
    """Return the output gate that the running code has to wait for; None if it may speak at once."""
    live = current.get()
    store = None if live is None else live.used_store
    return None if store is None or store.gate.is_open else store.gate


class LoopOwner:
    """The code around a runtime: what runs on its loop and is neither of an object nor of a worker."""

    __slots__ = ("loop", "registry")
    is_gone = False
    has_no_gates = True
    instance = None

    def __init__(self, registry: Registry | None) -> None:
        loop = asyncio._get_running_loop()
        if loop is None:
            raise RuntimeError(NO_LOOP)
        self.loop = loop
        self.registry = registry

    def start_call(
        self, future: Call, method: str, run: Callable[[], Awaitable[Any]], size_bytes: int, context: Context
    ) -> None:
        start(settle(future, run, self.registry), self.loop, context)

    def failure(self, error: BaseException, method: str) -> BaseException:
        return failure_of(error, self.registry)

    def start_disposer(self, method: str, run: Callable[[], Any], context: Context) -> None:
        start(_dispose(method, run), self.loop, context)

    def retain(self, *, lent: bool = False) -> None:
        """It is there as long as the loop is."""

    def let_go(self, *, lent: bool = False) -> None:
        """It is there as long as the loop is."""

    def when_broken(self, callback: Callable[[BaseException], object]) -> None:
        """It never is."""

    def forget(self, callback: Callable[[BaseException], object]) -> None:
        """It never calls one."""


class Invocation:
    """
    One run of a worker: an event, or a call from inside.

    It is over when nobody holds it: not its handler, no background work, no stub of a target that it returned
    (RPC-22, RPC-23). Code that it lent to others is gone then, with the calls of it that are under way.
    """

    __slots__ = ("_calls", "_debug", "_holds", "_watchers", "is_gone", "loop", "registry")
    has_no_gates = True
    instance = None

    def __init__(self, registry: Registry | None, *, debug: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.registry = registry
        self._debug = debug
        self.is_gone = False
        self._holds = 1
        self._calls: dict[Call, asyncio.Task[None]] = {}
        self._watchers: dict[Callable[[BaseException], object], None] = {}  # in the order in which they came

    def start_call(
        self, future: Call, method: str, run: Callable[[], Awaitable[Any]], size_bytes: int, context: Context
    ) -> None:
        if self.is_gone:
            future.set_exception(PerdureError(GONE))
            return
        self._calls[future] = task_of(self._call(future, method, run), self.loop, context)

    async def _call(self, future: Call, method: str, run: Callable[[], Awaitable[Any]]) -> None:
        try:
            await settle(future, run, self.registry, f"{method}()" if self._debug else "")
        finally:
            self._calls.pop(future, None)  # not in a callback of the task, which is a step of the loop

    def failure(self, error: BaseException, method: str) -> BaseException:
        return failure_of(error, self.registry, f"{method}()" if self._debug else "")

    def start_disposer(self, method: str, run: Callable[[], Any], context: Context) -> None:
        if not self.is_gone:
            start(_dispose(method, run), self.loop, context)

    def retain(self, *, lent: bool = False) -> None:
        if not lent:
            self._holds += 1

    def let_go(self, *, lent: bool = False) -> None:
        if lent:
            return
        self._holds -= 1
        if not self._holds:
            self._end()

    def when_broken(self, callback: Callable[[BaseException], object]) -> None:
        if self.is_gone:
            callback(PerdureError(GONE))
        else:
            self._watchers[callback] = None

    def forget(self, callback: Callable[[BaseException], object]) -> None:
        self._watchers.pop(callback, None)

    def let_go_soon(self) -> None:
        """Let go in a step of the loop: for finalizers, which run in any line of any thread."""
        run_soon(self.loop, self.let_go)

    def _end(self) -> None:
        self.is_gone = True
        calls, self._calls = self._calls, {}
        for future, task in calls.items():
            if not future.done():
                future.set_exception(PerdureError(GONE))
            task.cancel()
        watchers, self._watchers = self._watchers, {}
        for callback in watchers:
            callback(PerdureError(GONE))


def run_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Run *function* in a step of *loop*; for finalizers: Python collects garbage in any line, of any thread."""
    with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        if asyncio._get_running_loop() is loop:
            loop.call_soon(function)
        else:
            loop.call_soon_threadsafe(function)


def run_on(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Run *function* now if this is code on *loop*, else in a step of it: a stub may be given up in any thread."""
    if asyncio._get_running_loop() is loop:
        function()
    else:
        run_soon(loop, function)


_running: set[asyncio.Task[None]] = set()


def start(coro: Any, loop: asyncio.AbstractEventLoop, context: Context) -> asyncio.Task[None]:
    """Start a task that is kept until it is done."""
    task = task_of(coro, loop, context)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def task_of(coro: Any, loop: asyncio.AbstractEventLoop, context: Context) -> asyncio.Task[None]:
    """Start a task of code outside of objects, which the caller keeps; no other code runs in *context*."""
    return asyncio.Task(coro, loop=loop, context=context)


async def settle(
    future: Call, run: Callable[[], Awaitable[Any]], registry: Registry | None, where: str = ""
) -> None:
    """Let *future* have the outcome of *run*, code outside of objects; an error notes *where*, if that is given."""
    try:
        result = await run()
    except BaseException as error:  # SystemExit and its like would stop the whole loop
        if not future.done():
            future.set_exception(failure_of(error, registry, where))
    else:
        if not future.done():
            future.set_result(result)


def failure_of(error: BaseException, registry: Registry | None, where: str = "") -> BaseException:
    """Return what the caller gets for *error*, which code outside of objects raised; it notes *where*, if given."""
    answer = mark(for_caller(error, registry), remote=True)
    if where:
        add_trace(answer, error, where)
    return answer


async def _dispose(method: str, run: Callable[[], Any]) -> None:
    try:
        await invoke(run)
    except Exception:
        log.exception("%s() failed", method)
