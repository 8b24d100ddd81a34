"""Critical sections of an object: code during which no event is delivered that it did not start. (cooperative)

Source: GATE-12…16, TXN-01. Which step is admitted meanwhile, the gate decides (`_gates.input`).

Invariant: a section that was entered leaves the gate, however it ends, unless its object does.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from perdure._base import limits
from perdure._base.awaitables import invoke
from perdure._base.current import current
from perdure._base.failure import for_caller, reset_error
from perdure._engine.turn import drive, section
from perdure._gates.input import Section, SectionFuture, effective
from perdure.errors import ObjectReset, StorageError

if TYPE_CHECKING:
    from perdure._engine.live import Live

TOO_DEEP: Final = "block_concurrency_while() calls are nested too deeply."
WAITED_TOO_LONG: Final = (
    "A call to block_concurrency_while() in a Durable Object waited for too long. The call was canceled and the "
    "Durable Object was reset."
)


def block(live: Live, run: Callable[[], Any], *, fatal: bool) -> SectionFuture:
    """Run *run* as a critical section; see `Live.block`."""
    live.check_thread("block_concurrency_while()" if fatal else "transaction()")
    future = SectionFuture(loop=live.host.loop)
    # The callback is the caller's own code and sees its context variables.
    context = contextvars.copy_context() if current.get() is live else live.host.context.copy()
    blocking = Section(effective(section.get()), lambda: _start(live, blocking, run, future, fatal, context))
    _enter(live, blocking)
    return future


async def enter(live: Live) -> Section:
    """Let the running task's code be a critical section from here to `leave`."""
    live.check_thread("transaction()")
    started = live.host.loop.create_future()
    entered = Section(effective(section.get()), lambda: None if started.done() else started.set_result(None))
    _enter(live, entered)
    section.set(entered)  # so that its own next step is admitted
    try:
        await started
    except BaseException:
        leave(live, entered)
        raise
    entered.timer = live.host.clock.call_later(limits.CRITICAL_SECTION_TIMEOUT_S, partial(_timed_out, live))
    return entered


def leave(live: Live, left: Section) -> None:
    """End what `enter` began."""
    if left.timer is not None:
        left.timer.cancel()
    section.set(left.parent)
    if live.broken is None:
        live.gate.leave(left)


def _enter(live: Live, entered: Section) -> None:
    if entered.depth > limits.CRITICAL_SECTION_DEPTH_MAX:
        raise StorageError(TOO_DEEP)
    live.gate.enter(entered)


def _start(
    live: Live,
    blocking: Section,
    run: Callable[[], Any],
    future: SectionFuture,
    fatal: bool,
    context: contextvars.Context,
) -> None:
    context.run(current.set, live)
    context.run(section.set, blocking)
    task = asyncio.Task(_run(live, blocking, run, future, fatal), loop=live.host.loop, context=context)
    live.tasks[task] = None
    if not fatal:  # whoever gives up a transaction rolls it back
        future.add_done_callback(lambda future: task.cancel() if future.cancelled() else None)


async def _run(
    live: Live, blocking: Section, run: Callable[[], Any], future: SectionFuture, fatal: bool
) -> None:
    timer = live.host.clock.call_later(limits.CRITICAL_SECTION_TIMEOUT_S, partial(_timed_out, live))
    try:
        value = await drive(_or_reset(live, run) if fatal else invoke(run), live)
    except BaseException as error:
        if live.broken is None and not future.done():
            future.section = blocking
            future.set_exception(
                error if isinstance(error, Exception) else for_caller(error, live.host.registry)
            )
    else:
        if live.broken is None and not future.done():
            future.section = blocking
            future.set_result(value)
    finally:
        timer.cancel()
        live.tasks.pop(asyncio.current_task(), None)
        if live.broken is None:
            live.gate.leave(blocking)
            if not live.tasks and not live.events:
                live.became_idle()


async def _or_reset(live: Live, run: Callable[[], Any]) -> Any:
    """Run the callback of a section; if it fails the object is reset, before its last turn is committed."""
    try:
        return await invoke(run)
    except BaseException as error:
        if live.broken is None:
            live.abort(reset_error(error, live.host.registry))
        raise


def _timed_out(live: Live) -> None:
    live.abort(waited_too_long())


def waited_too_long() -> ObjectReset:
    """Return the error of a section that has not ended in time."""
    error = ObjectReset(WAITED_TOO_LONG)
    error.overloaded = True
    return error
