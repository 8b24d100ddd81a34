"""Calls from threads and sync code: hand the loop some work, and wait for what comes of it. (edge)

Objects live on one event loop, in one thread. `Runtime.run` is the way in from every other thread; what
`Runtime.sync` gives is the same with the look of ordinary calls.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, overload

from perdure._base.awaitables import invoke
from perdure._base.exceptions import remote_error
from perdure._engine.host import SHUTTING_DOWN, Host
from perdure._rpc.reach import is_property
from perdure.errors import Disconnected, TimedOut
from perdure.namespace import DurableObjectId, Namespace, ObjectInfo, ObjectList

if TYPE_CHECKING:
    from perdure.runtime import Runtime
    from perdure.web import Request, Response

T = TypeVar("T")

ON_THE_LOOP: Final = "run() was called on the event loop's own thread, which would wait for itself for ever. Here, `await` the call."
GIVEN_UP: Final = "run() waited {timeout_s:g} seconds and gave up. The work was cancelled; what an object has begun of it goes on."
_LOOK_S: Final = 1.0  # how often a waiting thread looks whether the loop is still there


def run_on(host: Host, work: Any, timeout_s: float | None) -> Any:
    """Run *work* on the loop of *host* and wait for it; see `Runtime.run`."""
    if host.on_loop_thread():
        _drop(work)
        raise RuntimeError(ON_THE_LOOP)
    coro = _on_loop(host, work)
    try:
        outcome = asyncio.run_coroutine_threadsafe(coro, host.loop)
    except RuntimeError:  # the loop is closed
        coro.close()
        _drop(work)
        raise Disconnected(SHUTTING_DOWN) from None
    except BaseException:  # Ctrl-C, before it was handed over: nobody is to be told that it was never awaited
        with suppress(ValueError):  # or just then, and it runs already
            coro.close()
        raise
    try:
        return _wait(host, outcome, timeout_s)
    except BaseException:  # also Ctrl-C: nobody waits any more
        outcome.cancel()
        raise


def _wait(host: Host, outcome: concurrent.futures.Future[Any], timeout_s: float | None) -> Any:
    deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = max(0.0, deadline_s - time.monotonic())
        concurrent.futures.wait((outcome,), min(left_s, _LOOK_S))
        if outcome.done():
            return outcome.result()
        if timeout_s is not None and time.monotonic() >= deadline_s:
            raise TimedOut(GIVEN_UP.format(timeout_s=timeout_s))
        if host.loop.is_closed():
            raise Disconnected(SHUTTING_DOWN)


async def _on_loop(host: Host, work: Any) -> Any:
    """Do *work* in a task that the end of the runtime waits for, as for what `wait_until` is given."""
    task: asyncio.Future[Any] | None = asyncio.current_task()
    assert task is not None, "run_coroutine_threadsafe makes a task"
    if host.stopped:
        _drop(work)
        raise Disconnected(SHUTTING_DOWN)
    host.background.add(task)
    try:
        return await (invoke(work) if callable(work) else work)
    except asyncio.CancelledError:
        if host.stopped:
            raise Disconnected(SHUTTING_DOWN) from None
        raise
    except (SystemExit, KeyboardInterrupt) as error:  # in a task these two stop the whole loop
        raise remote_error(error) from error
    finally:
        host.background.discard(task)


def _drop(work: Any) -> None:
    """Close a coroutine that will never run, so that it does not complain of that, too."""
    with suppress(AttributeError):
        work.close()


class SyncObjects:
    """
    The objects of a runtime as sync code sees them: each call waits for its answer.

    ```python
    objects = rt.sync(timeout_s=5.0)
    objects.namespace(Counter).get_by_name("home").hit("x")
    ```

    What a type checker knows of a class's methods holds for `await`, so it takes any call here; with
    `rt.run(lambda: rt.namespace(Counter).get_by_name("home").hit("x"))` it checks arguments and result.
    """

    def __init__(self, runtime: Runtime, timeout_s: float | None) -> None:
        self._runtime = runtime
        self._timeout_s = timeout_s

    def namespace(self, which: type[T] | str) -> SyncNamespace[T]:
        """Return the namespace of a class, by the class or its name."""
        return SyncNamespace(self, self._runtime.namespace(which))

    @overload
    def run(self, work: Callable[[], Awaitable[T]]) -> T: ...
    @overload
    def run(self, work: Callable[[], T]) -> T: ...
    @overload
    def run(self, work: Awaitable[T]) -> T: ...
    def run(self, work: Any) -> Any:
        """Run *work* on the event loop, as `Runtime.run` does, with the time limit that was given."""
        return self._runtime.run(work, timeout_s=self._timeout_s)


class SyncNamespace(Generic[T]):
    """All objects of one class, for sync code; making an id or a stub sends nothing."""

    def __init__(self, objects: SyncObjects, namespace: Namespace[T]) -> None:
        self._objects = objects
        self._namespace = namespace

    def id_from_name(self, name: str) -> DurableObjectId:
        """Return the id of *name*, as `Namespace.id_from_name`."""
        return self._namespace.id_from_name(name)

    def id_from_string(self, hex: str) -> DurableObjectId:
        """Return the id that 64 hex digits stand for, as `Namespace.id_from_string`."""
        return self._namespace.id_from_string(hex)

    def new_unique_id(self) -> DurableObjectId:
        """Return a fresh id without a name, as `Namespace.new_unique_id`."""
        return self._namespace.new_unique_id()

    def get(self, id: DurableObjectId) -> SyncStub[T]:
        """Return a stub of the object with this *id*."""
        return SyncStub(self._objects, self._namespace.get(id))

    def get_by_name(self, name: str) -> SyncStub[T]:
        """Return a stub of the object called *name*."""
        return SyncStub(self._objects, self._namespace.get_by_name(name))

    def list(self, *, prefix: str | None = None, limit: int = 1000, cursor: str | None = None) -> ObjectList:
        """List the objects that store something, as `Namespace.list`."""
        return self._objects.run(lambda: self._namespace.list(prefix=prefix, limit=limit, cursor=cursor))

    def __iter__(self) -> Iterator[ObjectInfo]:
        """Go through all objects as `list` orders them."""
        page = self.list()
        while True:
            yield from page.objects
            if page.cursor is None:
                return
            page = self.list(cursor=page.cursor)

    def __repr__(self) -> str:
        return f"<sync {self._namespace!r}>"


class SyncStub(Generic[T]):
    """
    A handle to one object for sync code: `stub.method(...)` returns what `await` would, and so does `stub.property`.

    Attributes:
        awaitable: the same stub for the event loop: `objects.run(lambda: stub.awaitable.hit("x"))`.
    """

    def __init__(self, objects: SyncObjects, stub: T) -> None:
        self._objects = objects
        self.awaitable = stub

    @property
    def id(self) -> DurableObjectId:
        """The id that it was made with."""
        return cast(DurableObjectId, cast(Any, self.awaitable).id)

    @property
    def name(self) -> str | None:
        """The id's name."""
        return self.id.name

    def fetch(self, input: Request | str, **init: Any) -> Response:
        """Send an HTTP request to the object's `fetch`; read the body with `rt.run(response.text)`."""
        stub: Any = self.awaitable
        return cast("Response", self._objects.run(lambda: stub.fetch(input, **init)))

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)  # copy, pickle, inspect and their like ask for these
        stub: Any = self.awaitable
        if is_property(stub._capability.space.cls, name):
            return self._objects.run(lambda: getattr(stub, name))
        return lambda *args, **kwargs: self._objects.run(lambda: getattr(stub, name)(*args, **kwargs))

    def __repr__(self) -> str:
        return f"<sync {self.awaitable!r}>"
