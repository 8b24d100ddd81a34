"""What the tests of Cap'n Web serve: the target of tests/support/sessions.py in a worker and in an object."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.sessions import Api

from perdure import DurableObject, Response, WorkerEntrypoint, rpc
from perdure._rpc.session import Session


class Hall(DurableObject):
    """Its own public methods are what its clients call."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.listeners = []

    async def fetch(self, request):
        return await rpc.serve(request, self)

    def subscribe(self, listener):
        self.listeners.append(listener.dup())

    def leave(self):
        for listener in self.listeners:
            listener.dispose()
        self.listeners.clear()

    async def post(self, text):
        self.ctx.storage.kv["last"] = text
        for listener in self.listeners:
            await listener(text)
        return len(self.listeners)

    def last(self):
        return self.ctx.storage.kv.get("last")

    def break_down(self):
        self.ctx.abort("broken down")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.path == "/tables":  # of all sessions of the process that go on
            gc.collect()
            return Response.json(
                [s.counts for s in gc.get_objects() if type(s) is Session and s.ended is None]
            )
        if request.path.startswith("/hall/"):
            return await self.env.HALL.get_by_name(request.path).fetch(request)
        return await rpc.serve(request, Api())
