import time
from datetime import timedelta

from lib import serve

from perdure import DurableObject

logs = {}


class Base(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.block_concurrency_while(self.begin)

    def note(self, what):
        logs.setdefault(type(self).__name__, []).append(what)

    async def log(self):
        return logs.pop(type(self).__name__, [])

    async def set(self, ms):
        await self.ctx.storage.set_alarm(timedelta(milliseconds=ms))

    async def pending(self):
        at = await self.ctx.storage.get_alarm()
        return None if at is None else "due" if at.timestamp() <= time.time() else "later"

    async def alarm(self):
        self.note(f"alarm, and pending is {await self.pending() or 'null'}")


class Looks(Base):
    async def begin(self):
        self.note(f"begins, and pending is {await self.pending() or 'null'}")


class SetsIfNone(Base):
    async def begin(self):
        if await self.ctx.storage.get_alarm() is None:
            await self.set(3600_000)
            self.note("sets")


class Moves(Base):
    async def begin(self):
        await self.set(3600_000)
        self.note("moves")


class MovesToNow(Base):
    async def begin(self):
        if await self.ctx.storage.get_alarm() is not None:
            await self.set(-1000)
            self.note("moves")


class Clears(Base):
    async def begin(self):
        await self.ctx.storage.delete_alarm()
        self.note("clears")


Default = serve()
