import asyncio
import inspect

from lib import attempt, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = []

    async def log(self):
        events, self.events = self.events, []
        return events

    async def note(self, tag):
        self.events.append(tag)

    async def result(self):
        async def value():
            return {"value": 1}

        async def nothing():
            pass

        return [
            await self.ctx.block_concurrency_while(value),
            await self.ctx.block_concurrency_while(nothing),
            inspect.isawaitable(self.ctx.block_concurrency_while(nothing)),
        ]

    async def block(self, tag, ms):
        self.events.append(f"{tag} asked")

        async def section():
            self.events.append(f"{tag} begins")
            await sleep(ms)
            self.events.append(f"{tag} ends")

        await self.ctx.block_concurrency_while(section)

    async def timers(self):
        """A timer set before the block waits for its end; one set inside does not."""
        events = []

        async def outside():
            await sleep(20)
            events.append("outside timer")

        async def section():
            await sleep(80)
            events.append("block ends")

        timer = asyncio.create_task(outside())
        await self.ctx.block_concurrency_while(section)
        await timer
        return events

    async def twoBlocks(self):
        events = []

        def run(tag, ms):
            async def section():
                events.append(f"{tag} begins")
                await sleep(ms)
                events.append(f"{tag} ends")

            return self.ctx.block_concurrency_while(section)

        await asyncio.gather(run("a", 40), run("b", 5))
        return events

    async def nested(self):
        events = []

        async def inner():
            await sleep(10)
            events.append("inner")

        async def outer():
            events.append("outer begins")
            await self.ctx.block_concurrency_while(inner)
            events.append("outer ends")

        await self.ctx.block_concurrency_while(outer)
        return events

    async def depth(self, levels):
        async def innermost():
            return "ran"

        async def probe(left):
            if left > 1:
                return await self.ctx.block_concurrency_while(lambda: probe(left - 1))
            return await attempt(lambda: self.ctx.block_concurrency_while(innermost))

        return await probe(levels)

    async def syncCallback(self):
        return await attempt(lambda: self.ctx.block_concurrency_while(lambda: "plain"))

    async def noCallback(self):
        return await attempt(lambda: self.ctx.block_concurrency_while())

    async def storageInside(self):
        async def section():
            await self.ctx.storage.put("k", 1)
            return await self.ctx.storage.get("k")

        return await self.ctx.block_concurrency_while(section)


Default = serve()
