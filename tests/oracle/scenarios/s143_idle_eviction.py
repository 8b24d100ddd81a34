import asyncio

from lib import serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.touches = 0
        self.timer = None

    async def touch(self):
        self.touches += 1
        return self.touches

    async def startTimer(self, ms):
        self.timer = asyncio.create_task(sleep(ms))
        return await self.touch()

    async def waitFor(self, ms):
        self.ctx.wait_until(sleep(ms))
        return await self.touch()


Default = serve()
