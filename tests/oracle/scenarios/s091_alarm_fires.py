import time
from dataclasses import fields

from lib import serve

from perdure import DurableObject

NAMES = {"retry_count": "retryCount", "is_retry": "isRetry", "scheduled_time": "scheduledTime"}


class A(DurableObject):
    async def log(self):
        return await self.ctx.storage.get("log", [])

    async def set(self, ms):
        at = time.time() + ms / 1000
        await self.ctx.storage.put("at", at)
        await self.ctx.storage.set_alarm(at)

    async def setPast(self):
        now = time.time()
        await self.ctx.storage.put("at", now)
        await self.ctx.storage.set_alarm(now - 60)
        set_to = await self.ctx.storage.get_alarm()
        return set_to is None or abs(set_to.timestamp() - now) < 1

    async def setFarPast(self):
        await self.ctx.storage.put("at", time.time())
        await self.ctx.storage.set_alarm(0.001)

    async def setThenDelete(self):
        await self.set(200)
        await self.ctx.storage.delete_alarm()

    async def setTwice(self):
        await self.set(100)
        await self.set(400)

    async def pending(self):
        return await self.ctx.storage.get_alarm()

    async def alarm(self, info):
        at = await self.ctx.storage.get("at")
        scheduled = info.scheduled_time.timestamp()
        entry = {
            "retryCount": info.retry_count,
            "isRetry": info.is_retry,
            "scheduledForIt": abs(scheduled - at) < 1,
            "notEarly": time.time() >= scheduled,
            "pendingInside": await self.ctx.storage.get_alarm(),
            "keys": sorted(NAMES[field.name] for field in fields(info)),
        }
        await self.ctx.storage.put("log", [*await self.log(), entry])


Default = serve()
