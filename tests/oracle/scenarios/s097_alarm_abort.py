from datetime import timedelta

from lib import serve

from perdure import DurableObject

runs = {}


class A(DurableObject):
    async def start(self):
        return await self.ctx.storage.set_alarm(timedelta(milliseconds=100))

    async def startNoRetry(self):
        await self.ctx.storage.put("mode", "noRetry")
        return await self.start()

    async def state(self):
        return {
            "runs": runs.get(self.ctx.id.name, []),
            "keys": list(await self.ctx.storage.list()),
            "pending": await self.ctx.storage.get_alarm() is not None,
        }

    async def alarm(self, info):
        mine = runs.setdefault(self.ctx.id.name, [])
        mine.append(info.retry_count)
        if len(mine) == 1:
            self.ctx.storage.put("lost", 1)
            if await self.ctx.storage.get("mode") == "noRetry":
                self.ctx.abort("stop", retry_alarm=False)
            self.ctx.abort("stop")
        await self.ctx.storage.put("kept", 1)


Default = serve()
