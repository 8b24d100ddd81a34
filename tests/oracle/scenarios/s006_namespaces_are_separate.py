from lib import serve

from perdure import DurableObject

module_count = 0


class Base(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.own = 0

    async def put(self, key, value):
        await self.ctx.storage.put(key, value)

    async def get(self, key):
        return await self.ctx.storage.get(key)

    async def bump(self):
        global module_count
        module_count += 1
        self.own += 1
        return {"module": module_count, "own": self.own}


class A(Base):
    pass


class B(Base):
    pass


Default = serve()
