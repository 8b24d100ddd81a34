"""DurableObject and WorkerEntrypoint: the classes that applications extend. (cooperative)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from perdure.context import DurableObjectState, ExecutionContext

if TYPE_CHECKING:
    # Any where nobody says more; Python's own type variables have no defaults before 3.13.
    from typing import Any

    from typing_extensions import TypeVar

    EnvT = TypeVar("EnvT", default=Any)
else:
    from typing import TypeVar

    EnvT = TypeVar("EnvT")


class DurableObject(Generic[EnvT]):
    """
    Base of durable objects: one instance for each name, alive in one place, one step of code at a time.

    Public methods can be called through a stub; `fetch(request)` answers HTTP. Instance attributes are memory:
    they last until the object is evicted or reset. What must last is written to `self.ctx.storage`.

    ```python
    class Counter(DurableObject):
        async def hit(self) -> int:
            n = await self.ctx.storage.get("n", 0) + 1
            await self.ctx.storage.put("n", n)
            return n
    ```

    `class Counter(DurableObject["Env"])` tells type checkers what `self.env` is; `perdure types` writes an `Env`.

    Attributes:
        ctx: the object's id, storage and way to the runtime.
        env: bindings and variables.
    """

    __perdure_base__ = True
    ctx: DurableObjectState
    env: EnvT

    def __init__(self, ctx: DurableObjectState, env: EnvT) -> None:
        if not isinstance(ctx, DurableObjectState):
            raise TypeError(
                "Failed to construct 'DurableObjectBase': constructor parameter 1 is not of type 'DurableObjectState'."
            )
        self.ctx = ctx
        self.env = env


class WorkerEntrypoint(Generic[EnvT]):
    """
    Base of the stateless front door: one instance for each request or call.

    `async def fetch(self, request)` answers HTTP. Public methods can be called by the application's own code
    through `ctx.exports`.

    Attributes:
        ctx: `wait_until`, `exports`.
        env: bindings and variables.
    """

    __perdure_base__ = True
    ctx: ExecutionContext
    env: EnvT

    def __init__(self, ctx: ExecutionContext, env: EnvT) -> None:
        self.ctx = ctx
        self.env = env
