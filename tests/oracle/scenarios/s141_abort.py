from lib import err_info, flags_of, serve, sleep

from perdure import DurableObject, Response

events = []
abort_in_constructor = set()

REASONS = {
    "nothing": [],
    "text": ["my reason"],
    "error": [Exception("an error")],
    "typeError": [TypeError("a type error")],
    "undefined": [None],
    "null": [None],
    "number": [5],
    "object": [{"a": 1}],
    "empty": [""],
}


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0
        if ctx.id.name in abort_in_constructor:
            abort_in_constructor.discard(ctx.id.name)
            ctx.abort("in constructor")

    async def hit(self):
        self.hits += 1
        return self.hits

    async def abortWith(self, kind):
        self.ctx.abort(*REASONS[kind])
        return "not reached"

    async def tryCatch(self):
        try:
            self.ctx.abort("try to catch this")
        except Exception as error:
            events.append("caught")
            return f"caught {error}"

    async def finallyRuns(self):
        try:
            self.ctx.abort("finally?")
        finally:
            events.append("finally ran")

    async def log(self):
        logged = events[:]
        events.clear()
        return logged

    async def abortLater(self):
        async def later():
            await sleep(50)
            self.ctx.abort("later")

        self.ctx.wait_until(later())
        return "answered before"

    async def abortInBlock(self):
        async def block():
            await sleep(1)
            self.ctx.abort("inside block")

        await self.ctx.block_concurrency_while(block)

    async def abortTwice(self):
        self.ctx.abort("first")
        self.ctx.abort("second")

    async def abortInConstructorNextTime(self):
        abort_in_constructor.add(self.ctx.id.name)
        self.ctx.abort("restart")

    async def fetch(self, request):
        if request.url.endswith("/abort"):
            self.ctx.abort("from fetch")
        self.hits += 1
        return Response(f"hits {self.hits}")


async def facts(env, ctx):
    try:
        await env.A.get_by_name("f").abortWith("text")
    except Exception as error:
        return {**err_info(error), "class": type(error).__name__, "own": flags_of(error)}


Default = serve(facts)
