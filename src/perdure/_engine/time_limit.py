"""How long an event may wait in the queue, and how long it may run. (cooperative)

An event that runs too long is cancelled, and its caller told, at once. Writes of its earlier steps stay, each
step being a commit of its own; the step at which it was cancelled has none. What it holds is left on the way
out: a transaction is rolled back; a `block_concurrency_while()` goes on under the limit that it has itself
(GATE-15). An event that does not end when it is cancelled ends with its object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from perdure._base import limits
from perdure._base.failure import for_caller, mark
from perdure._engine.events import Event
from perdure._engine.queue import TOO_LONG
from perdure.errors import ObjectReset, TimedOut

if TYPE_CHECKING:
    from perdure._engine.live import Live

OVERRAN: Final = (
    "{method}() of {label} ran longer than the time limit of {limit_s:g} seconds for an event and was cancelled. "
    "Writes of steps that were done are kept."
)
WENT_ON: Final = (
    "{method}() of {label} went on for {grace_s:g} seconds after it was cancelled at its time limit; the object "
    "was reset."
)


def limit_wait(live: Live, event: Event) -> None:
    """Refuse *event* if it does not begin in time."""
    if event.timer is None:

        def give_up() -> None:
            event.is_over = True
            live.queue.leave(event.size_bytes)
            live.refuse(event, TOO_LONG)
            event.task.cancel()

        event.timer = live.host.clock.call_later(live.host.queue_limits.wait_s, give_up)


def limit_run(live: Live, event: Event, limit_s: float) -> None:
    """Cancel *event*, which begins now, if it does not end in time."""
    event.timer = live.host.clock.call_later(limit_s, lambda: _overran(live, event, limit_s))


def _overran(live: Live, event: Event, limit_s: float) -> None:
    event.is_over = True
    text = OVERRAN.format(method=event.method, label=live.label, limit_s=limit_s)
    error = TimedOut(text)
    live.host.observer.event_failed(live, event, error)
    answer = mark(error, remote=True, durable_object_id=live.id.hex())

    def tell(lost: BaseException | None) -> None:
        if not event.future.done():
            event.future.set_exception(answer if lost is None else for_caller(live.broken or lost))

    store = live.used_store
    if store is None or store.gate.is_open:
        tell(None)
    else:
        store.gate.when(store.gate.issued, tell)  # an error tells of writes, too (GATE-08)
    event.timer = live.host.clock.call_later(
        limits.EVENT_CANCEL_GRACE_S, lambda: live.abort(_went_on(live, event))
    )
    event.task.cancel()


def _went_on(live: Live, event: Event) -> ObjectReset:
    return ObjectReset(
        WENT_ON.format(method=event.method, label=live.label, grace_s=limits.EVENT_CANCEL_GRACE_S)
    )
