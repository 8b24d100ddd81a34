import time
from datetime import timedelta

from lib import serve

from perdure import DurableObject


class A(DurableObject):
    starts = 0

    async def log(self):
        return await self.ctx.storage.get("log", [])

    async def start(self, mode):
        await self.ctx.storage.put("mode", mode)
        await self.ctx.storage.set_alarm(timedelta(milliseconds=100))

    async def pendingFacts(self):
        at = await self.ctx.storage.get_alarm()
        return None if at is None else at.timestamp() <= time.time()

    async def clean(self):
        return await self.ctx.storage.delete_alarm()

    async def alarm(self, info):
        mode = await self.ctx.storage.get("mode")
        self.starts += 1
        log = [
            *await self.log(),
            {"retryCount": info.retry_count, "isRetry": info.is_retry, "object": self.starts},
        ]
        await self.ctx.storage.put("log", log)
        if mode == "fails" and info.retry_count < 2:
            raise Exception("try again")
        if mode == "replace" and info.retry_count == 0 and len(log) == 1:
            await self.ctx.storage.set_alarm(timedelta(milliseconds=300))
            raise Exception("replaced")
        if mode == "cancelled":
            raise Exception("always")


Default = serve()
