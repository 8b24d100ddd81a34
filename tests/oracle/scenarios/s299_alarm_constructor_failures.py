from datetime import timedelta

from lib import serve, sleep

from perdure import DurableObject

facts = {}


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.mine = facts.setdefault(ctx.id.name, {"attempts": 0, "ran": [], "left": 0})
        self.mine["attempts"] += 1
        if self.mine["left"] > 0:
            self.mine["left"] -= 1
            getattr(self, ctx.id.name)()

    def aborts(self):
        self.ctx.abort("x")

    def blocks(self):
        async def fail():
            raise Exception("x")

        self.ctx.block_concurrency_while(fail)

    def blocksLater(self):
        async def fail():
            await sleep(50)
            raise Exception("x")

        self.ctx.block_concurrency_while(fail)

    def abortsLater(self):
        async def abort():
            await sleep(50)
            self.ctx.abort("x")

        self.ctx.block_concurrency_while(abort)

    async def start(self):
        self.mine["left"] = 1
        await self.ctx.storage.set_alarm(timedelta(milliseconds=300))

    async def facts(self):
        return self.mine

    async def alarm(self, info):
        self.mine["ran"].append([info.retry_count, info.is_retry])


Default = serve()
