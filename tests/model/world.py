"""One object for a model test: events, evictions and restarts on one folder."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

from conftest import run
from support.inside import Plain, Unsynced, inside

from perdure import Runtime
from perdure.testing import evict_durable_object


class World:
    """An object that lives on through evictions and restarts."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._runtime: Runtime | None = None
        self.stub: Any = None

    async def start(self) -> None:
        self._runtime = Runtime(objects=[Plain], data=self._folder, disk=Unsynced())
        await self._runtime.start()
        self.stub = self._runtime.namespace(Plain).get_by_name("one")

    async def stop(self) -> None:
        assert self._runtime is not None
        await self._runtime.stop()

    async def restart(self) -> None:
        """Stop the runtime in an orderly way and start another on the same folder."""
        await self.stop()
        await self.start()

    async def evict(self) -> None:
        """Drop the instance; one is made first if there is none."""
        await inside(self.stub, lambda _: None)
        await evict_durable_object(self.stub)

    async def event(self, fn: Callable[[Any], Any]) -> Any:
        """Run `fn(storage)` as one event."""
        return await inside(self.stub, lambda instance: fn(instance.ctx.storage))


def play(story: Callable[[World], Awaitable[None]]) -> None:
    """Run *story* in a fresh world."""

    async def told(folder: str) -> None:
        world = World(folder)
        await world.start()
        try:
            await story(world)
        finally:
            await world.stop()

    with tempfile.TemporaryDirectory(prefix="perdure-model-") as folder:
        run(told(folder))
