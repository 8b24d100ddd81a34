import math
import time
from datetime import UTC, datetime, timedelta

from lib import attempt, enc, serve

from perdure import DurableObject


def now():
    """The time in whole milliseconds, as seconds."""
    return int(time.time() * 1000) / 1000


def ms(moment):
    return round(moment.timestamp() * 1000)


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.s = ctx.storage

    async def none(self):
        return await self.s.get_alarm()

    async def setNumber(self):
        at = now() + 3600
        result = await self.s.set_alarm(at)
        return {"result": enc(result), "same": (await self.s.get_alarm()).timestamp() == at}

    async def getType(self):
        moment = await self.s.get_alarm()
        return "number" if isinstance(moment.timestamp(), float) else type(moment).__name__

    async def setDate(self):
        at = datetime.fromtimestamp(now() + 7200, UTC)
        await self.s.set_alarm(at)
        return await self.s.get_alarm() == at

    async def replace(self):
        base = now()
        await self.s.set_alarm(base + 10_000)
        await self.s.set_alarm(base + 5_000)
        earlier = ms(await self.s.get_alarm()) - round(base * 1000)
        await self.s.set_alarm(base + 20_000)
        return [earlier, ms(await self.s.get_alarm()) - round(base * 1000)]

    async def deleteIt(self):
        return [enc(await self.s.delete_alarm()), await self.s.get_alarm()]

    async def deleteNothing(self):
        return enc(await self.s.delete_alarm())

    async def fraction(self):
        at = now() + 3600
        await self.s.set_alarm(at + 0.00075)
        return ms(await self.s.get_alarm()) - round(at * 1000)

    async def zero(self):
        return await attempt(lambda: self.s.set_alarm(0))

    async def negative(self):
        return await attempt(lambda: self.s.set_alarm(-5))

    async def notANumber(self):
        return await attempt(lambda: self.s.set_alarm(math.nan))

    async def huge(self):
        return [
            await attempt(lambda: self.s.set_alarm(datetime.max.replace(tzinfo=UTC))),
            await attempt(lambda: self.s.set_alarm(timedelta.max)),
            await attempt(lambda: self.s.set_alarm(math.inf)),
            await attempt(lambda: self.s.set_alarm(math.nan)),
        ]

    async def clean(self):
        return await self.s.delete_alarm()

    def alarm(self):
        pass


class NoAlarm(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.block_concurrency_while(self.in_constructor)

    async def in_constructor(self):
        self.answer = await attempt(lambda: self.ctx.storage.set_alarm(timedelta(hours=1)))

    async def setInConstructor(self):
        return self.answer

    async def set(self):
        return await attempt(lambda: self.ctx.storage.set_alarm(timedelta(seconds=1)))

    async def getAndDelete(self):
        storage = self.ctx.storage
        return [
            await storage.get_alarm() is not None,
            await attempt(lambda: storage.delete_alarm()),
            await storage.get_alarm(),
        ]


Default = serve()
