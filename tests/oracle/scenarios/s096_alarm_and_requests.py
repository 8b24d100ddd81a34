from datetime import timedelta

from lib import serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.list = []
        self.mode = None

    async def start(self, mode, ms):
        self.mode = mode
        await self.ctx.storage.set_alarm(timedelta(milliseconds=ms))

    async def mark(self):
        self.list.append("request")

    async def block(self, ms):
        await self.ctx.storage.set_alarm(timedelta(milliseconds=100))

        async def blocked():
            self.list.append("block begins")
            await sleep(ms)
            self.list.append("block ends")

        return await self.ctx.block_concurrency_while(blocked)

    async def slowWithAlarm(self):
        await self.ctx.storage.set_alarm(timedelta(milliseconds=50))
        self.list.append("request begins")
        await sleep(400)
        self.list.append("request ends")

    async def events(self):
        events, self.list = self.list, []
        return events

    async def alarm(self):
        self.list.append("alarm begins")
        if self.mode == "slowAlarm":
            await sleep(300)
        self.list.append("alarm ends")


Default = serve()
