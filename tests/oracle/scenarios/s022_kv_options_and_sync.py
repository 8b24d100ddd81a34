import inspect
from datetime import timedelta

from lib import serve

from perdure import DurableObject


class A(DurableObject):
    async def options(self):
        s = self.ctx.storage
        await s.put("k", 1, allow_unconfirmed=True, no_cache=True, allow_concurrency=True)
        await s.put({"l": 2}, allow_unconfirmed=True)
        return [
            await s.get("k", no_cache=True),
            await s.get("k", allow_concurrency=True),
            list((await s.get(["k", "l"], no_cache=True)).items()),
            await s.delete("k", allow_unconfirmed=True),
            await s.delete(["l"], no_cache=True),
            await s.delete_all(allow_unconfirmed=True),
            await s.set_alarm(timedelta(seconds=1000), allow_unconfirmed=True),
            await s.delete_alarm(allow_concurrency=True),
            await s.get_alarm(allow_concurrency=True),
        ]

    async def syncNothing(self):
        return await self.ctx.storage.sync()

    async def syncAfterPut(self):
        self.ctx.storage.put("s", 1)
        pending = self.ctx.storage.sync()
        return {"isPromise": inspect.isawaitable(pending), "value": await pending}

    async def alarm(self):
        pass


Default = serve()
