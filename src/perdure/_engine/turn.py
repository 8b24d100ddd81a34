"""The turn: user code under a driver that asks the input gate and commits at each suspension. (cooperative)

Invariants: no step of an object's code runs that its gate does not admit; when a step ends, its writes are
committed before anything else runs; no code of a broken object runs at all.

`drive` is the hottest loop of ours: everything it asks is an attribute.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from perdure._base import limits
from perdure._base.awaitables import finish
from perdure._base.current import current
from perdure._gates.input import Section
from perdure.errors import Overloaded, RemoteError

if TYPE_CHECKING:
    from perdure._engine.host import Host
    from perdure._engine.live import Live

TOO_MANY_TASKS = (
    "{label} has {most:,} tasks in progress, as many as one object may have: let some end before more begin."
)

section: ContextVar[Section | None] = ContextVar("perdure_section", default=None)
"""The critical section that this code belongs to."""


class Aborted(BaseException):
    """
    Ends code of an object that was aborted.

    Not an `Exception`, so that a handler's own `except Exception` does not keep it. Who catches it anyway
    gains nothing: the object's state decides, and its next step never comes.
    """


@types.coroutine
def drive(coro: Coroutine[Any, Any, Any], live: Live) -> Generator[Any, Any, Any]:
    """Run *coro*, code of *live*, step by step; its result is the result."""
    gate = live.gate
    host = live.host
    send = coro.send
    value: Any = None
    error: BaseException | None = None
    yielded: Any = None
    while True:
        passing = False
        while (
            gate.active is not None
            and live.broken is None
            and not passing
            and not gate.admits(section.get(), yielded)
        ):
            turn = gate.wait(section.get())
            try:
                yield from turn
            except BaseException as thrown:
                error = thrown  # the code's own, once it may run again
            passing = gate.active is gate.opening and turn.done() and not turn.cancelled()
            if error is not None and _is_untouched(coro):
                break  # nothing of it has run, and nothing will: it need not wait for that
        if live.broken is not None:
            _end(coro)
            raise Aborted
        host.running = live
        host.steps += 1
        try:
            yielded = send(value) if error is None else coro.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            host.running = None
            if live.open_turn:
                live.end_turn()
            if passing:
                gate.go_on()
        value = error = None
        if live.broken is not None:
            continue  # type: ignore[unreachable]  # the step made it so: it ends here, whatever it waits for
        try:
            value = yield yielded
        except BaseException as thrown:
            error = thrown
        if live.crowded and gate.active is None:  # a section goes on: others may be waiting for its end
            try:
                yield from live.hold()
            except BaseException as thrown:
                error = thrown


def step(live: Live, run: Callable[..., Any], *args: Any) -> Any:
    """Call *run*, code of *live*, as a turn of its own; the caller has seen that its gate is open."""
    host = live.host
    context = host.context.copy()
    context.run(current.set, live)
    host.running = live
    host.steps += 1
    try:
        return context.run(run, *args)
    finally:
        host.running = None
        if live.open_turn:
            live.end_turn()


async def driven(coro: Coroutine[Any, Any, Any], live: Live) -> Any:
    """Be the task of *coro*, which code of *live* started."""
    try:
        return await drive(coro, live)
    except (SystemExit, KeyboardInterrupt) as error:
        # In a task these two stop the whole loop.
        raise RemoteError(f"{type(error).__name__}: {error}", type(error).__name__) from error
    except Aborted:
        raise asyncio.CancelledError from None


def _end(coro: Coroutine[Any, Any, Any]) -> None:
    """Let code of a broken object end where it is; what it does about that, or waits for, is ignored."""
    with contextlib.suppress(BaseException):
        # Before `close`, which until Python 3.13 does not get into an async generator that is in the middle of its code:
        # that one would be left to the garbage collector, and its end to a task of whatever object ran then.
        coro.throw(Aborted())
    with contextlib.suppress(BaseException):
        coro.close()


def _is_untouched(coro: Any) -> bool:
    return inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED


class TaskFactory:
    """Drives every task that code of a host's objects makes; chained to the factory that the loop had."""

    def __init__(self, host: Host, inner: Callable[..., Any] | None) -> None:
        self.inner = inner
        self._host: Host | None = host

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        context = options.get("context")
        live = current.get() if context is None else context.get(current)
        if live is None or live.host is not self._host:
            return self._make(loop, coro, options)
        coro = _as_coroutine(coro)
        if len(live.tasks) >= limits.TASKS_MAX:
            coro.close()
            raise Overloaded(TOO_MANY_TASKS.format(label=live.label, most=limits.TASKS_MAX))
        task = self._make(loop, driven(coro, live), options)
        live.task_began(task)

        def ended(task: Any) -> None:
            coro.close()  # a task that is cancelled before its first step never gets there
            live.task_ended(task)

        task.add_done_callback(ended)
        return task

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, options: dict[str, Any]) -> Any:
        if self.inner is not None:
            return self.inner(loop, coro, **options)
        return asyncio.Task(coro, loop=loop, **options)

    def uninstall(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take this factory, and those below it that ended before, off *loop*; one above it keeps it, as a no-op."""
        self._host = None
        factory: Any = loop.get_task_factory()
        while isinstance(factory, TaskFactory) and factory._host is None:
            factory = factory.inner
        loop.set_task_factory(factory)


def _as_coroutine(coro: Any) -> Any:
    return coro if hasattr(coro, "send") else finish(coro)
