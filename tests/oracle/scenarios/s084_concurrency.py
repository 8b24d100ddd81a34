import asyncio

from lib import serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = []

    async def wait(self, tag, ms):
        self.events.append(f"{tag} in")
        await sleep(ms)
        self.events.append(f"{tag} out")
        return tag

    async def note(self, tag):
        self.events.append(tag)
        return tag

    async def log(self):
        events, self.events = self.events, []
        return events


async def twoObjects(env, ctx):
    finished = []

    async def wait(name, tag, ms):
        finished.append(await env.A.get_by_name(name).wait(tag, ms))

    await asyncio.gather(wait("p", "slow", 200), wait("q", "fast", 20))
    return finished


async def order(env, ctx):
    """Calls made through one stub arrive in the order made."""
    stub = env.A.get_by_name("o")
    await asyncio.gather(*[stub.note(i) for i in range(20)])
    return await stub.log()


Default = serve(twoObjects, order)
