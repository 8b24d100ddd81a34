from lib import attempt, err_info, flags_of, serve, sleep

from perdure import DurableObject, Response

FAILURES = {
    "Error": (Exception, "constructor failed"),
    "TypeError": (TypeError, "constructor failed"),
    "text": (Exception, "just text"),
}

failures = 0
armed = "Error"
built = 0


class A(DurableObject):
    def __init__(self, ctx, env):
        global built, failures
        super().__init__(ctx, env)
        self.hits = 0
        built += 1
        if failures > 0:
            failures -= 1
            ctx.storage.kv.put("written before throwing", failures)
            kind, text = FAILURES[armed]
            raise kind(text)

    async def hit(self):
        self.hits += 1
        return {"hits": self.hits, "written": self.ctx.storage.kv.get("written before throwing")}

    async def built(self):
        return built

    async def fetch(self, request):
        return Response("fetched")


slow_failures = 1


class Slow(DurableObject):
    """Its constructor's asynchronous part fails once, while two calls wait."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)

        @ctx.block_concurrency_while
        async def start():
            global slow_failures
            await sleep(150)
            slow_failures -= 1
            if slow_failures >= 0:
                raise Exception("slow start failed")

    async def hit(self):
        return "hit"


def arm(env, ctx, cls, n, what):
    global armed, failures
    failures = n
    armed = what


async def errorFacts(env, ctx, name):
    try:
        await env.A.get_by_name(name).hit()
    except Exception as error:
        return {**err_info(error), "own": flags_of(error)}


async def sameStub(env, ctx, name):
    stub = env.A.get_by_name(name)
    return [await attempt(lambda: stub.hit()), await attempt(lambda: stub.hit())]


Default = serve(arm, errorFacts, sameStub)
