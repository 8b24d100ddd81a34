"""Awaitables for calls that act at once: finished ones, and futures that count as coroutines. (cooperative)

A storage method does its work when it is called, awaited or not, and returns `Done`. A call to another
object starts when it is made and returns a `Call`. Both are `collections.abc.Coroutine`s, so that
`create_task` and `TaskGroup` take them, and neither warns when nobody awaits it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Done(Coroutine[Any, Any, T], Generic[T]):
    """What is already finished: awaiting it gives the value without a suspension."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, Any, T]:
        yield from ()
        return self._value

    def send(self, value: Any) -> Any:
        raise StopIteration(self._value)

    def throw(self, *args: Any) -> Any:
        error = args[-1] if isinstance(args[-1], BaseException) else args[1] if len(args) > 1 else args[0]
        raise error

    def close(self) -> None:
        """Nothing is open."""

    def __repr__(self) -> str:
        return f"<done {self._value!r}>"


NOTHING: Done[None] = Done(None)
"""The finished awaitable of calls without a result."""


class Call(asyncio.Future[Any]):
    """
    A future that is a coroutine too, for `create_task`.

    It may be dropped: it does not warn as a coroutine does that nobody awaited. An error that nobody asked for is
    logged then, as that of any future (LIFE-17): who else would hear of it?
    """

    _steps: Any = None

    def _foresee(self, value: Any, maker: Any) -> None:
        """Hear the result, *value*, before it may leave the object *maker*."""

    def send(self, value: Any) -> Any:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *args: Any) -> Any:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*args)

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()


def is_awaitable(result: Any) -> bool:
    """Tell whether *result* can be awaited: at once for what most methods return."""
    return result.__class__ not in _PLAIN and inspect.isawaitable(result)


async def finish(result: Any) -> Any:
    """Await *result* if it can be."""
    if is_awaitable(result):
        return await result
    return result


async def invoke(run: Callable[..., Any], *args: Any) -> Any:
    """Call *run* and await what it returns, if it can be: the coroutine that a task, or the engine, drives."""
    result = run(*args)
    if result.__class__ in _PLAIN:
        return result
    if inspect.isawaitable(result):
        return await result
    return result


_PLAIN = frozenset({type(None), bool, int, float, str, bytes, dict, list, tuple, set})
