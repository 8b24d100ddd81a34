"""What tells type checkers how a call on a stub differs from one on the object: `rpc` and `pipeline`. (pure)

A stub has the type of the class behind it, which is right for `async` methods: those are awaited on both sides.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from perdure._base.awaitables import Done

SelfT = TypeVar("SelfT")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Of what comes back the types in between are `object`: with Any there, mypy finds two overloads of `Runtime.run` right.


@overload
def rpc(
    method: Callable[Concatenate[SelfT, P], Coroutine[Any, Any, R]], /
) -> Callable[Concatenate[SelfT, P], Coroutine[object, object, R]]: ...
@overload
def rpc(
    method: Callable[Concatenate[SelfT, P], R], /
) -> Callable[Concatenate[SelfT, P], Coroutine[object, object, R]]: ...
def rpc(method: Callable[..., Any], /) -> Callable[..., Any]:
    """
    Let a plain method be awaited, as it is on a stub, so that type checkers take `await stub.read()`.

    It works at once when it is called, and what it returns is to be awaited inside of the class, too. An `async`
    method stays as it is. For a property it stands below: `@property`, then `@rpc`.

    ```python
    class Counter(DurableObject):
        @rpc
        def read(self) -> int:
            return self.ctx.storage.kv.get("n", 0)

        async def twice(self) -> int:
            return 2 * await self.read()
    ```
    """
    if inspect.iscoroutinefunction(method):
        return method

    @functools.wraps(method)
    def awaitable(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return result if inspect.isawaitable(result) else Done(result)

    return awaitable


def pipeline(result: Awaitable[T], /) -> T:
    """
    Return *result*, a call that nobody awaits, for type checkers as what it will bring.

    `await pipeline(stub.room("a")).messages()` is `await stub.room("a").messages()`, which sends both calls at once,
    and which type checkers refuse: to them a call that was not awaited has no methods.
    """
    return result  # type: ignore[return-value]  # a promise takes the calls of its result
