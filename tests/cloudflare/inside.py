"""Runs classes of a project in a test's own process, on a runtime of `perdure.testing`. (cooperative)"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from perdure import testing
from perdure._cloudflare.adapter import ObjectAdapter, WorkerAdapter, adapt
from perdure._cloudflare.env_view import EnvView
from perdure._cloudflare.workers.entrypoints import WorkerEntrypoint


@asynccontextmanager
async def inside(*classes: type, **options: Any) -> AsyncIterator[Any]:
    """Give the runtime of a project of *classes*; its `cf` is `env` as the project sees it."""
    adapted = [
        adapt(cls, WorkerAdapter if issubclass(cls, WorkerEntrypoint) else ObjectAdapter) for cls in classes
    ]
    async with testing.runtime(*adapted, **options) as app:
        app.cf = EnvView(app.env)
        yield app


async def within(work, *bases: type, **options: Any) -> Any:
    """Run `await work(self)` as a method of an object, and return what it returns; nothing is converted."""
    from perdure._cloudflare.workers.entrypoints import DurableObject

    results = []

    class Thing(*(bases or (DurableObject,))):
        async def run(self):
            results.append(await work(self))

        async def alarm(self):
            """Be there."""

    async with inside(Thing, **options) as app:
        await app.cf.THING.getByName("one").run()
    return results[0]
