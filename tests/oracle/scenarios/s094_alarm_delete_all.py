from datetime import timedelta

from lib import serve

from perdure import DurableObject

runs = {}


class A(DurableObject):
    async def setAndWipe(self):
        await self.ctx.storage.set_alarm(timedelta(milliseconds=200))
        await self.ctx.storage.delete_all()
        return await self.ctx.storage.get_alarm()

    async def start(self):
        return await self.ctx.storage.set_alarm(timedelta(milliseconds=100))

    async def start2(self):
        await self.ctx.storage.put("mode", "setAfterWipe")
        await self.start()

    async def ran(self):
        return runs.get(self.ctx.id.name, 0)

    async def pending(self):
        return await self.ctx.storage.get_alarm()

    async def alarm(self):
        name = self.ctx.id.name
        runs[name] = runs.get(name, 0) + 1
        mode = await self.ctx.storage.get("mode")
        await self.ctx.storage.delete_all()
        if mode == "setAfterWipe":
            await self.ctx.storage.set_alarm(timedelta(milliseconds=100))


Default = serve()
