from lib import attempt, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0

    async def hit(self):
        self.hits += 1
        return {"hits": self.hits, "kept": await self.ctx.storage.get("kept")}

    async def fail(self):
        await self.ctx.storage.put("kept", 1)

        async def block():
            await sleep(5)
            raise ValueError("from the block")

        await self.ctx.block_concurrency_while(block)
        return "not reached"

    async def slow(self):
        await sleep(400)
        return "slow done"

    async def failSoon(self):
        async def block():
            await sleep(150)
            raise Exception("failed soon")

        return await self.ctx.block_concurrency_while(block)

    async def failCaught(self):
        """The error cannot be caught inside: the object is gone before the `except` runs."""

        async def block():
            raise Exception("caught?")

        try:
            await self.ctx.block_concurrency_while(block)
        except Exception as error:
            return f"caught {error}"

    async def failSync(self):
        def block():
            raise Exception("thrown synchronously")

        await self.ctx.block_concurrency_while(block)


class C(DurableObject):
    """Fails in its constructor's block for as many starts as were armed."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)

        @ctx.block_concurrency_while
        async def start():
            left = await ctx.storage.get("failures", 0)
            if left > 0:
                await ctx.storage.put("failures", left - 1)
                await ctx.storage.sync()
                raise Exception(f"start failed, left {left}")

    async def arm(self):
        await self.ctx.storage.put("failures", 2)

    async def hit(self):
        return {"left": await self.ctx.storage.get("failures")}


async def sameStub(env, ctx):
    stub = env.A.get_by_name("z")
    return [
        await attempt(lambda: stub.hit()),
        await attempt(lambda: stub.fail()),
        await attempt(lambda: stub.hit()),
        await attempt(lambda: env.A.get_by_name("z").hit()),
    ]


Default = serve(sameStub)
