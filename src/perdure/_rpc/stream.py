"""Streams: an async generator or iterable of one side, read by the other. (cooperative)

Source: RPC-13. The reader asks for one item after the other, and the maker's code runs only then. Each item
crosses as a result does: by copy, its stubs given. A reader that goes ends the maker's code, `finally` blocks and
all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Any

from perdure._base.current import current
from perdure._base.handover import MOVED, Handover, Reader
from perdure._rpc.crossing import result_for
from perdure._rpc.owner import Owner, current_owner, run_on, run_soon


class RpcStream(Reader):
    """
    The items of an async generator or iterable of the other side: `async for item in stream`.

    It can be read once. `await stream.aclose()`, `stream.dispose()`, the end of its `async with` block, or dropping
    it ends it early.
    """

    __slots__ = ("_is_moved", "_owner")

    def __init__(self, handover: Handover, owner: Owner) -> None:
        super().__init__(handover)
        self._owner: Owner | None = owner
        self._is_moved = False
        owner.retain()

    def __aiter__(self) -> RpcStream:
        return self

    async def __anext__(self) -> Any:
        if self._is_moved:
            raise TypeError(MOVED)
        try:
            return await super().__anext__()
        finally:
            if self._is_over:
                self._let_go()

    def dispose(self) -> None:
        """Give up the rest."""
        if not self._is_moved:
            self._is_over = True
            self._handover.stop()
            self._let_go()

    async def aclose(self) -> None:
        self.dispose()

    async def __aenter__(self) -> RpcStream:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.dispose()

    def _let_go(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            run_on(owner.loop, owner.let_go)

    def __perdure_cross__(self, crossing: Any) -> RpcStream:
        """Move: whoever gets it reads it from now on, whatever becomes of this one."""
        if self._is_moved:
            raise TypeError(MOVED)
        moved = RpcStream.__new__(RpcStream)
        Reader.__init__(moved, self._handover)
        moved._is_over = self._is_over
        moved._is_moved = False
        moved._owner, self._owner = self._owner, None
        self._is_moved = True
        return moved

    def __del__(self) -> None:
        if self._is_moved:
            return
        super().__del__()
        owner = self._owner
        if owner is not None:
            run_soon(owner.loop, owner.let_go)

    def __repr__(self) -> str:
        return "<stream>"


def stream_of(items: AsyncIterable[Any], registry: Any) -> RpcStream:
    """Return what the other side reads of *items*, which belong to the running code."""
    owner = current_owner(registry)
    loop = asyncio.get_running_loop()
    handover = Handover(aiter(items), current.get(), loop, lambda item: result_for(item, owner.registry))
    return RpcStream(handover, owner)
