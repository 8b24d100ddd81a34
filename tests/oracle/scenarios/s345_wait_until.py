import asyncio

from lib import serve, sleep

from perdure import DurableObject

events = []


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0
        self.tasks = set()

    def start(self, coroutine):
        """A task that nobody waits for, as Python wants it kept."""
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def hit(self):
        self.hits += 1
        return self.hits

    async def waits(self, ms):
        async def later():
            await sleep(ms)
            await self.ctx.storage.put("waited", ms)
            events.append(f"waited {ms}")

        self.ctx.wait_until(later())
        return "answered"

    async def rejects(self):
        async def later():
            await sleep(5)
            raise Exception("rejected")

        self.ctx.wait_until(later())
        return await self.hit()

    async def returnValue(self):
        return self.ctx.wait_until(sleep(0))

    async def get(self, key):
        return await self.ctx.storage.get(key)

    async def log(self):
        logged = events[:]
        events.clear()
        return logged

    async def background(self):
        async def later():
            await sleep(30)
            await self.ctx.storage.put("background", 1)
            events.append("background")

        self.start(later())
        return "answered"

    async def lostRejection(self):
        async def fail():
            raise Exception("nobody waits")

        self.start(fail())
        return await self.hit()

    async def abortThenWaits(self):
        async def waits():
            await sleep(60)
            events.append("after abort")

        async def aborts():
            await sleep(20)
            self.ctx.abort("stop")

        self.ctx.wait_until(waits())
        self.start(aborts())
        return "answered"


async def fromWorker(env, ctx):
    async def later():
        await sleep(30)
        await env.A.get_by_name("w").hit()

    ctx.wait_until(later())
    return "answered"


def workerRejects(env, ctx):
    async def fail():
        raise Exception("from the worker")

    ctx.wait_until(fail())
    return "answered"


Default = serve(fromWorker, workerRejects)
