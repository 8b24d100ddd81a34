import asyncio

from lib import serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = []

    async def log(self):
        events, self.events = self.events, []
        return events

    async def increment(self):
        """Read, then write, with only storage in between: no other event slips in."""
        n = await self.ctx.storage.get("n", 0)
        await self.ctx.storage.list()
        await self.ctx.storage.put("n", n + 1)
        return n + 1

    async def incrementSlowly(self):
        n = await self.ctx.storage.get("m", 0)
        await sleep(20)
        await self.ctx.storage.put("m", n + 1)
        return n + 1

    async def get(self, key):
        return await self.ctx.storage.get(key)

    async def ping(self, tag, depth):
        self.events.append(f"{tag} in {depth}")
        if depth > 0:
            await self.env.A.get_by_name("y" if self.ctx.id.name == "x" else "x").ping(tag, depth - 1)
        self.events.append(f"{tag} out {depth}")

    async def selfCall(self):
        return [await self.env.A.get_by_name("x").get("n"), "back"]

    async def outer(self):
        self.ctx.storage.put("o", 1)
        return await self.env.A.get_by_name("y").lookAt("x", "o")

    async def lookAt(self, name, key):
        return await self.env.A.get_by_name(name).get(key)

    async def manyWrites(self, n):
        for i in range(n):
            self.ctx.storage.put(f"w{i}", i)
        return len(await self.ctx.storage.list(prefix="w"))

    async def unconfirmed(self):
        self.ctx.storage.put("u", 1, allow_unconfirmed=True)
        return await self.ctx.storage.get("u")


async def many(env, ctx, method, n):
    stub = env.A.get_by_name("many")
    return await asyncio.gather(*[getattr(stub, method)() for _ in range(n)])


async def manyStubs(env, ctx, method, n):
    return sorted(await asyncio.gather(*[getattr(env.A.get_by_name("stubs"), method)() for _ in range(n)]))


Default = serve(many, manyStubs)
