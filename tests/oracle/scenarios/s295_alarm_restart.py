import time
from datetime import timedelta

from lib import serve

from perdure import DurableObject


class A(DurableObject):
    async def log(self):
        return await self.ctx.storage.get("log", [])

    async def start(self, ms, fails):
        await self.ctx.storage.put("fails", fails)
        await self.ctx.storage.set_alarm(timedelta(milliseconds=ms))

    async def pending(self):
        at = await self.ctx.storage.get_alarm()
        return None if at is None else "due" if at.timestamp() <= time.time() else "later"

    async def alarm(self, info):
        run = [self.ctx.id.name, info.retry_count, info.is_retry]
        await self.ctx.storage.put("log", [*await self.log(), run])
        if await self.ctx.storage.get("fails"):
            raise Exception("always")


Default = serve()
