"""
Cloudflare's helpers for tests of durable objects, under their names in snake_case. (cooperative)

Those of one object take its stub. Those of all objects take a `Runtime`, or what `testing.runtime()` gives; without one
they mean the test runtime that runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from perdure._base import limits
from perdure._base.clock import SystemClock
from perdure._base.registry import Registry
from perdure._engine.events import InternalEvent
from perdure._storage.delete import delete_store
from perdure._telemetry.log import LogObserver
from perdure.context import ExecutionContext, Exports
from perdure.entrypoint import ScheduledController
from perdure.errors import ObjectReset, PerdureError
from perdure.namespace import DurableObjectId, Namespace
from perdure.object_stub import DurableObjectStub

if TYPE_CHECKING:
    from perdure._engine.host import Host, Space
    from perdure._engine.live import Live
    from perdure.runtime import Runtime
    from perdure.testing.harness import Perdure

T = TypeVar("T")
WebSockets = Literal["hibernate", "close"]

NOT_RUNNING: Final = "Cannot evict Durable Object: it is not currently running."
STILL_BUSY: Final = "Timed out waiting to evict Durable Object: it still has active references."
ABORTED_ALL: Final = "Application called abort_all_durable_objects()."
GOING_AWAY: Final = 1001
_LOOK_S: Final = 0.001

running: Final[list[Perdure]] = []
"""The test runtimes that run, the youngest last."""


# --- one object -------------------------------------------------------------------------------------------


@overload
async def run_in_durable_object(stub: Any, fn: Callable[[Any, Any], Awaitable[T]]) -> T: ...
@overload
async def run_in_durable_object(stub: Any, fn: Callable[[Any, Any], T]) -> T: ...
async def run_in_durable_object(stub: Any, fn: Callable[[Any, Any], Any]) -> Any:
    """
    Run `fn(instance, ctx)` inside the object, as one of its own events, and return what it returns (TEST-01).

    The instance is made if need be. What *fn* writes is committed as a method's writes are, and the result comes when
    it is durable. Nothing is copied: the result may be anything, also the instance itself.
    """
    space, object_id, name = _behind(stub, "run_in_durable_object")
    live = space.live(object_id, name)
    return await live.call(InternalEvent, "test", lambda instance: fn(*_inside(instance, live)), _as_it_is)


async def run_durable_object_alarm(stub: Any) -> bool:
    """
    Run the alarm of the object behind *stub* at once, whatever its time (TEST-02).

    Returns False if it has none. What the handler raises is raised here, and the alarm stays set.
    """
    space, object_id, name = _behind(stub, "run_durable_object_alarm")
    found: bool = await space.host.alarms.run_now(space.live(object_id, name))
    return found


async def evict_durable_object(stub: Any, *, websockets: WebSockets = "hibernate") -> None:
    """
    Drop the object behind *stub* from memory, as idleness would; its data stays (TEST-05).

    Waits up to 30 seconds for what is in progress.

    Args:
        stub: of the object.
        websockets: "hibernate" keeps the connections it took with `ctx.accept_websocket()`; "close" closes them.

    Raises:
        PerdureError: it is not in memory, or something of it is still in progress.
    """
    _check(websockets)
    space, object_id, _ = _behind(stub, "evict_durable_object")
    live = space.lives.get(object_id)
    if live is None:
        raise PerdureError(NOT_RUNNING)
    await _evict(live, websockets)


def list_durable_object_ids(namespace: Namespace[Any]) -> list[DurableObjectId]:
    """
    Return the ids of the namespace's objects: of those that store something, and of those in memory (TEST-03).

    Those with a name come first, by name.
    """
    namespace = _native(namespace)
    if not isinstance(namespace, Namespace):
        raise TypeError(
            f"list_durable_object_ids() takes a namespace, as env.COUNTER is one; got {type(namespace).__name__}"
        )
    space = namespace._space
    found = {object_id: (live.name, object_id) for object_id, live in space.lives.items()}
    found |= {row.id: (row.name, row.id) for row in _stored(space)}
    ordered = sorted(found.values(), key=lambda pair: (pair[0] is None, pair[0] or "", pair[1]))
    return [DurableObjectId(object_id, name, space) for name, object_id in ordered]


# --- all objects ------------------------------------------------------------------------------------------


async def evict_all_durable_objects(
    runtime: Runtime | Perdure | None = None, *, websockets: WebSockets = "hibernate"
) -> None:
    """Drop every object that is in memory; see `evict_durable_object` (TEST-05)."""
    _check(websockets)
    for live in _lives(_host(runtime)):
        await _evict(live, websockets)


def abort_all_durable_objects(runtime: Runtime | Perdure | None = None) -> None:
    """
    Reset every object that is in memory, at once (TEST-06).

    Calls in progress fail, what is not committed is gone, and their WebSockets break off; what is stored stays.
    """
    for live in _lives(_host(runtime)):
        live.abort(ObjectReset(ABORTED_ALL))


async def delete_all_durable_objects(runtime: Runtime | Perdure | None = None) -> None:
    """Reset every object, and delete everything that any object stores, alarms too (TEST-06)."""
    host = _host(runtime)
    abort_all_durable_objects(runtime)
    await host.storage.journal.flush()  # what is on its way is listed then
    for space in host.spaces.values():
        for row in list(_stored(space)):
            await delete_store(host.storage, space.store_key(row.id))


async def reset(app: Perdure | None = None) -> None:
    """
    Bring a test runtime back to its start: no objects, no alarms, no connections, empty logs, no mocks.

    Stubs, `env` and mocks made before are of no use any more but for stubs that saw no object yet.
    """
    await (_the_one() if app is None else app).reset()


# --- workers ----------------------------------------------------------------------------------------------


def create_scheduled_controller(
    *, scheduled_time: datetime | None = None, cron: str = ""
) -> ScheduledController:
    """
    Return what a worker's `scheduled` is given (TEST-08).

    Args:
        scheduled_time: the time it runs for; now if it is None.
        cron: the expression of the trigger.
    """
    time = datetime.now(UTC) if scheduled_time is None else scheduled_time
    if time.tzinfo is None:
        raise ValueError(
            f"scheduled_time must be aware, as datetime(2030, 1, 1, tzinfo=UTC) is; got {time!r}"
        )
    return ScheduledController(time.astimezone(UTC), cron)


def create_execution_context(*, props: dict[str, Any] | None = None) -> ExecutionContext:
    """
    Return a `ctx` for a worker that a test makes itself: `Default(ctx, env)` (TEST-07).

    In a test runtime `ctx.exports` has the application's classes; without one it is empty.
    """
    if running:
        runtime = running[-1].runtime
        return runtime._context(runtime._running(), dict(props or {}))
    return ExecutionContext(Exports({}), dict(props or {}), set(), SystemClock(), LogObserver(), Registry(()))


async def wait_on_execution_context(ctx: ExecutionContext) -> None:
    """Wait for everything that was given to `ctx.wait_until`; raise what the first that failed raised (TEST-07)."""
    if not isinstance(ctx, ExecutionContext):
        raise TypeError(
            f"wait_on_execution_context() takes what create_execution_context() returned; got {type(ctx).__name__}"
        )
    failed = await ctx._settled()
    if failed is not None:
        raise failed


# --- shared -----------------------------------------------------------------------------------------------


def _behind(stub: Any, what: str) -> tuple[Space, bytes, str | None]:
    """Return the namespace, id and name of the object that *stub* is of."""
    stub = _native(stub)
    if not isinstance(stub, DurableObjectStub):
        raise TypeError(
            f"{what}() takes the stub of an object, as env.COUNTER.get_by_name('a') returns it; got {type(stub).__name__}"
        )
    return stub.id._space, stub.id._bytes, stub.id.name


def _native(value: Any) -> Any:
    """Return what is behind a stub or a namespace of a Cloudflare project; others are themselves."""
    return getattr(value, "__dict__", {}).get("_native", value)


def _inside(instance: Any, live: Live) -> tuple[Any, Any]:
    """Return what test code sees of an object: the instance and its `ctx`, of a Cloudflare project the project's own."""
    own = getattr(type(instance), "__perdure_inside__", None)
    if own is not None:
        instance, ctx = own(instance)
        return instance, ctx
    ctx = getattr(instance, "ctx", None)
    if ctx is None:
        raise AttributeError(
            f"{live.label} has no ctx: its __init__ does not call super().__init__(ctx, env)"
        )
    return instance, ctx


def _check(websockets: str) -> None:
    if websockets not in ("hibernate", "close"):
        raise ValueError(f'websockets is "hibernate" or "close"; got {websockets!r}')


async def _evict(live: Live, websockets: WebSockets) -> None:
    clock = live.host.clock
    deadline_s = clock.monotonic_s() + limits.EVICTION_WAIT_S
    while live.broken is None and not live.is_idle:
        if clock.monotonic_s() >= deadline_s:
            raise PerdureError(STILL_BUSY)
        await asyncio.sleep(_LOOK_S)
    if live.broken is None:
        if websockets == "close" and live.sockets is not None:
            live.sockets.close(GOING_AWAY, "")
        live.evict()


def _stored(space: Space) -> Iterator[Any]:
    after: bytes | None = None
    while True:
        rows, after = space.list(None, after, limits.OBJECTS_LISTED_MAX)
        yield from rows
        if after is None:
            return


def _lives(host: Host) -> list[Live]:
    return [live for space in host.spaces.values() for live in space.lives.values()]


def _host(runtime: Runtime | Perdure | None) -> Host:
    chosen: Any = _the_one() if runtime is None else runtime
    return getattr(chosen, "runtime", chosen)._running()  # type: ignore[no-any-return]


def _the_one() -> Perdure:
    if len(running) == 1:
        return running[0]
    raise PerdureError(
        f"{len(running) or 'No'} test runtimes are running: say which one is meant, as an argument."
        if running
        else "No test runtime is running: use the fixture `perdure` or `async with testing.runtime(...)`, or give a Runtime."
    )


def _as_it_is(result: Any) -> Any:
    return result
