import asyncio

from lib import serve, sleep

from perdure import DurableObject, Response


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = ["constructor"]
        self.value = None

        @ctx.block_concurrency_while
        async def start():
            self.events.append("block begins")
            await sleep(200)
            self.value = await ctx.storage.get("value")
            self.events.append("block ends")

        self.events.append("constructor ends")

    async def hit(self, tag):
        self.events.append(tag)
        return [self.value, len(self.events)]

    async def log(self):
        return self.events

    async def set(self, value):
        await self.ctx.storage.put("value", value)

    async def fetch(self, request):
        self.events.append("fetch")
        return Response.json(self.value)


class Two(DurableObject):
    """Two blocks and an un-awaited write in the constructor."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = []
        ctx.storage.put("written in constructor", 1)

        @ctx.block_concurrency_while
        async def first():
            self.events.append("first begins")
            await sleep(20)
            self.events.append("first ends")

        @ctx.block_concurrency_while
        async def second():
            self.events.append("second begins")
            await sleep(5)
            self.events.append("second ends")

        @ctx.storage.transaction
        async def transaction(txn):
            await txn.put("in transaction", 1)
            self.events.append("transaction")

        ctx.wait_until(self.later(1, "background"))
        self.timer = asyncio.create_task(self.later(1, "timer"))

    async def later(self, ms, event):
        await sleep(ms)
        self.events.append(event)

    async def log(self):
        await sleep(10)
        return [self.events, list(await self.ctx.storage.list())]


class Caller(DurableObject):
    """A block that waits for another object."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)

        @ctx.block_concurrency_while
        async def start():
            self.answer = await env.A.get_by_name("helper").hit("from a constructor")

    async def got(self):
        return self.answer


async def order(env, ctx):
    stub = env.A.get_by_name("order")
    await asyncio.gather(stub.hit(1), stub.hit(2), stub.hit(3), env.A.get_by_name("order").hit(4))
    return await stub.log()


Default = serve(order)
