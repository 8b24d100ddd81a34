import asyncio

from lib import attempt, enc, serve, sleep

from perdure import DurableObject, RpcTarget, WebSocketPair

shared = {}


class Target(RpcTarget):
    def ping(self):
        return "pong"


class A(DurableObject):
    async def share(self):
        shared["storage"] = self.ctx.storage
        shared["ctx"] = self.ctx
        shared["sql"] = self.ctx.storage.sql
        shared["target"] = await self.env.A.get_by_name("maker").make()
        client, server = WebSocketPair()
        server.accept()
        client.accept()
        shared["socket"] = server
        shared["plain"] = {"n": 1}

        async def resolved():
            await sleep(1)
            return "resolved"

        shared["promise"] = asyncio.ensure_future(resolved())

    def make(self):
        return Target()

    async def use(self, kind):
        def plain():
            shared["plain"]["n"] += 1
            return shared["plain"]["n"]

        async def done():
            pass

        uses = {
            "storage": lambda: shared["storage"].get("k"),
            "sql": lambda: [dict(row) for row in shared["sql"].exec("SELECT 1 AS one")],
            "waitUntil": lambda: shared["ctx"].wait_until(done()),
            "target": lambda: shared["target"].ping(),
            "socket": lambda: enc(shared["socket"].send("x")),
            "plain": plain,
            "promise": lambda: shared["promise"],
        }
        return await attempt(uses[kind])

    def hit(self):
        return "hit"


async def shareStub(env, ctx):
    shared["stub"] = env.A.get_by_name("s")
    return await shared["stub"].hit()


async def useStub(env, ctx):
    return await shared["stub"].hit()


async def useStubInNewRequest(env, ctx):
    return await env.A.get_by_name("s").hit()


Default = serve(shareStub, useStub, useStubInNewRequest)
