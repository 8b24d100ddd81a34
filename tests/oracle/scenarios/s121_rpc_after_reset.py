import asyncio

from lib import attempt, serve

from perdure import DurableObject, RpcTarget


async def forever():
    await asyncio.Event().wait()


class Target(RpcTarget):
    def __init__(self, object):
        self.object = object

    def ping(self):
        return "pong"

    async def hang(self):
        await forever()

    def abort(self):
        self.object.ctx.abort("by target")


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0

    def hit(self):
        self.hits += 1
        return self.hits

    def abort(self, reason):
        self.ctx.abort(reason)

    async def hang(self):
        await forever()

    def target(self):
        return Target(self)


async def brokenStub(env, ctx):
    old = env.A.get_by_name("a")
    out = [
        await old.hit(),
        await attempt(lambda: old.abort("first reason")),
        await attempt(lambda: old.hit()),
        await attempt(lambda: old.fetch("http://do/")),
    ]
    return [*out, await env.A.get_by_name("a").hit(), await attempt(lambda: old.hit())]


async def heldTarget(env, ctx):
    stub = env.A.get_by_name("b")
    target = await stub.target()
    hanging = target.hang()
    return [
        await target.ping(),
        await attempt(target.abort),
        await attempt(lambda: hanging),
        await attempt(target.ping),
        await attempt(stub.hit),
    ]


async def inFlight(env, ctx):
    stub = env.A.get_by_name("c")
    hanging = stub.hang()
    other = env.A.get_by_name("c").hang()
    await stub.hit()
    return [
        await attempt(lambda: env.A.get_by_name("c").abort("while hanging")),
        await attempt(lambda: hanging),
        await attempt(lambda: other),
    ]


async def caughtThenRetry(env, ctx):
    tries = 0
    while True:
        try:
            if tries == 0:
                await env.A.get_by_name("d").abort("retry me")
            return {"tries": tries, "hit": await env.A.get_by_name("d").hit()}
        except Exception as error:
            if not getattr(error, "durable_object_reset", False):
                raise
            tries += 1


async def queuedBehindAbort(env, ctx):
    stub = env.A.get_by_name("e")
    await stub.hit()
    return await asyncio.gather(
        attempt(lambda: stub.abort("queue")), attempt(lambda: stub.hit()), attempt(lambda: stub.hit())
    )


Default = serve(brokenStub, heldTarget, inFlight, caughtThenRetry, queuedBehindAbort)
