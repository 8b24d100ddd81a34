"""`run_sync`: plain functions that wait for awaitables, as Pyodide's stack switching lets them. (cooperative)

While the bridge is on, the code of a handler and of each task that it starts runs in a greenlet, a stack of its own.
`run_sync` steps the awaitable there, and hands what that waits for to the stack below, where the task yields it as if
the function were a coroutine. So the event loop, cancellation, context variables and the gates of an object see the
suspension of a task, as with `await`; the stack below is `drive`'s, which commits and asks the gate around each step.

Invariant: whoever drives a task (`asyncio.Task`, `_engine.turn.drive`) stands below its greenlet, never inside it.
"""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

from perdure._base.awaitables import finish, invoke

if TYPE_CHECKING:
    from greenlet import greenlet

T = TypeVar("T")

NOT_INSTALLED: Final = "run_sync() needs greenlet, which is not installed: pip install 'perdure[cloudflare]'"
NO_STACK: Final = (
    "run_sync() was called where nothing can wait: it works in handlers of workers and durable objects, in methods "
    "that are called by RPC, and in tasks that those start; not while a module is imported, in __init__(), in "
    "callbacks of the event loop, in other threads, or in a handler that ran already when run_sync was imported for "
    "the first time. Import it at the top of a module, and use `await` in async functions."
)

_greenlet: Any = None
"""The module greenlet once the bridge is on; while it is None a handler costs nothing more than its call."""

_stack_class: Any = None
"""The class of our greenlets, to tell them from those of others (SQLAlchemy's, say)."""

_inside: ContextVar[bool] = ContextVar("perdure_bridge", default=False)
"""True in the context of a handler that can wait, and so in those of the tasks that it starts."""


def turn_on() -> None:
    """Let handlers that begin from now on use `run_sync`; without greenlet nothing changes, and `run_sync` says so."""
    global _greenlet, _stack_class
    if _greenlet is not None:
        return
    try:
        import greenlet as module
    except ImportError:
        return
    _stack_class = type("Stack", (module.greenlet,), {"__slots__": ()})
    _greenlet = module


def turn_off() -> None:
    """Let handlers that begin from now on run as they are, for tests."""
    global _greenlet
    _greenlet = None


def run(function: Callable[..., Any], *args: Any) -> Coroutine[Any, Any, Any]:
    """Call *function*, plain or async, and await what it returns, if it can be; inside, `run_sync` can wait."""
    coro = invoke(function, *args)
    return coro if _greenlet is None else _run(coro)


def begin(function: Callable[..., Any], *args: Any) -> Any:
    """
    Call *function*, plain or async, and return what it returns: what a plain one raises, it raises here.

    While the bridge is on a coroutine is returned in any case, and the call begins with its first step.
    """
    return function(*args) if _greenlet is None else run(function, *args)


def can_run_sync() -> bool:
    """Tell whether `run_sync` can wait here."""
    return _greenlet is not None and isinstance(_greenlet.getcurrent(), _stack_class)


def run_sync(awaitable: Awaitable[T]) -> T:
    """
    Wait for *awaitable* in a plain function and return its result; other tasks, and other events of an object, go on meanwhile.

    Raises:
        RuntimeError: nothing can wait here.
        TypeError: *awaitable* is none.
    """
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"run_sync() takes an awaitable (a coroutine, future or promise), not {awaitable!r:.100}."
        )
    if not can_run_sync():
        if isinstance(awaitable, types.CoroutineType):
            awaitable.close()  # its caller hears of the error, and needs no warning that nobody awaited it
        raise RuntimeError(NO_STACK if find_spec("greenlet") else NOT_INSTALLED)
    result: T = _step(finish(awaitable))
    return result


async def _run(coro: Coroutine[Any, Any, Any]) -> Any:
    if can_run_sync():  # asked here: who made this coroutine may have given it to another task
        return await coro
    loop = asyncio.get_running_loop()
    # Asked for each handler: another runtime that started on this loop meanwhile has put its own factory on top, and
    # would drive tasks inside of our greenlets.
    if not isinstance(loop.get_task_factory(), _BridgedTasks):
        loop.set_task_factory(_BridgedTasks(loop.get_task_factory()))
    _inside.set(True)
    return await _on_a_stack(coro)


@types.coroutine
def _on_a_stack(coro: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run *coro* in a greenlet; what it waits for, wherever it does, is yielded here."""
    stack: greenlet = _stack_class(_step)
    stack.gr_context = (
        _greenlet.getcurrent().gr_context
    )  # the very context of the task: what is set there stays set
    waits_for = stack.switch(coro)
    while not stack.dead:
        try:
            value = yield waits_for
        except BaseException as error:
            waits_for = stack.throw(error)
        else:
            waits_for = stack.switch(value)
    return waits_for


def _step(coro: Coroutine[Any, Any, T]) -> T:
    """Run *coro* to its end on this greenlet; what it waits for goes to the stack below, which comes back with the news."""
    wait = _greenlet.getcurrent().parent.switch
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            waits_for = coro.send(value) if error is None else coro.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        value = error = None
        try:
            value = wait(waits_for)
        except BaseException as thrown:
            error = thrown


class _BridgedTasks:
    """Gives each task that a handler starts a stack of its own; chained to the factory that the loop had."""

    def __init__(self, inner: Callable[..., Any] | None) -> None:
        self._inner = inner

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        context = options.get("context")
        if _greenlet is None or not (_inside.get() if context is None else context.get(_inside)):
            return self._make(loop, coro, options)
        if not hasattr(coro, "send"):
            coro = finish(coro)
        task = self._make(loop, _own_stack(coro), options)
        # A task that is cancelled before its first step never gets to its coroutine.
        task.add_done_callback(lambda _: coro.close())
        return task

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, options: dict[str, Any]) -> Any:
        if self._inner is not None:
            return self._inner(loop, coro, **options)
        return asyncio.Task(coro, loop=loop, **options)


async def _own_stack(coro: Any) -> Any:
    return await _on_a_stack(coro)
