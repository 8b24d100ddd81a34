import asyncio

from lib import attempt, serve, sleep

from perdure import DurableObject, RpcTarget


class T(RpcTarget):
    def __init__(self, object):
        self.object = object

    def count(self):
        self.object.n += 1
        return self.object.n

    async def store(self, v):
        await self.object.ctx.storage.put("v", v)
        return await self.object.ctx.storage.get("v")

    async def hang(self):
        await asyncio.Event().wait()


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.n = 0

    def target(self):
        return T(self)

    def count(self):
        self.n += 1
        return self.n

    async def relay(self, name):
        return await self.env.A.get_by_name(name).target()

    async def pingPong(self, name, depth):
        me = self.ctx.id.name
        if depth == 0:
            return [me]
        return [me, *await self.env.A.get_by_name(name).pingPong(me, depth - 1)]

    async def withCallback(self, name):
        heard = []

        def callback(x):
            heard.append(x)
            return self.count()

        return [await self.env.A.get_by_name(name).callIt(callback), heard]

    async def callIt(self, f):
        return [await f("a"), await f("b")]

    def keep(self, f):
        self.f = f.dup()

    async def use(self, *args):
        return await attempt(lambda: self.f(*args))

    def abort(self):
        self.ctx.abort("reset")

    async def abortWhile(self, f):
        f()
        await sleep(5)
        self.ctx.abort("while callback runs")

    def blockTarget(self):
        self.ctx.block_concurrency_while(lambda: sleep(60))
        return "blocking"

    async def giveCallbackTo(self, name):
        await self.env.A.get_by_name(name).keep(lambda x: ["from", self.ctx.id.name, self.count(), x])


def get(env, name="x"):
    return env.A.get_by_name(name)


async def shared(env, ctx):
    t = await get(env).target()
    return [await t.count(), await get(env).count(), await t.count(), await t.store("v")]


async def relayed(env, ctx):
    t = await get(env, "r1").relay("r2")
    return [await attempt(t.count), await get(env, "r2").count(), await get(env, "r1").count()]


def pingPong(env, ctx):
    return get(env, "p").pingPong("q", 5)


def withCallback(env, ctx):
    return get(env, "w").withCallback("v")


async def abortBreaks(env, ctx):
    t = await get(env, "b").target()
    hang = t.hang()
    out = [await t.count(), await attempt(lambda: get(env, "b").abort())]
    return [
        *out,
        await attempt(lambda: hang),
        await attempt(t.count),
        await attempt(lambda: t.dup().count()),
        await get(env, "b").count(),
    ]


async def abortPipelined(env, ctx):
    c = get(env, "bp").target().hang()
    await sleep(20)
    return [await attempt(lambda: get(env, "bp").abort()), await attempt(lambda: c)]


async def callbackOwnerGone(env, ctx):
    await get(env, "g1").giveCallbackTo("g2")
    out = [await get(env, "g2").use(1)]
    await attempt(lambda: get(env, "g1").abort())
    return [*out, await get(env, "g2").use(2), await get(env, "g1").count()]


async def callbackWhileAborting(env, ctx):
    ran = 0

    async def callback():
        nonlocal ran
        ran += 1
        await sleep(50)
        ran += 1

    out = await attempt(lambda: get(env, "ca").abortWhile(callback))
    await sleep(80)
    return [out, ran]


async def keepCallback(env, ctx):
    await get(env, "k").keep(lambda x: "called " + x)
    return await get(env, "k").use("now")


def useKept(env, ctx):
    return get(env, "k").use("later")


async def keepSlowCallback(env, ctx):
    async def slow(x):
        await sleep(200)
        return "slow " + x

    await get(env, "ks").keep(slow)
    get(env, "ks").use("now")
    return "kept"


async def targetOutlivesRequest(env, ctx):
    await get(env, "o1").giveCallbackTo("o2")
    return "given"


def useFromOther(env, ctx):
    return get(env, "o2").use("x")


async def orderOfPipelined(env, ctx):
    s = get(env, "ord")
    t = s.target()
    return sorted(await asyncio.gather(t.count(), s.count(), t.count(), s.count()))


async def awaitedTwice(env, ctx):
    p = get(env, "tw").count()
    return [await p, await p]


async def thenCatch(env, ctx):
    try:
        return await get(env, "th").missing()
    except Exception as error:
        return ["caught", str(error)]


def promiseAsArgument(env, ctx):
    return attempt(lambda: get(env, "pa").callIt(get(env, "pa").target().count))


def promiseAsArgument2(env, ctx):
    return attempt(lambda: get(env, "pa").use(get(env, "pa").target()))


def stubAsResultOfCallback(env, ctx):
    return get(env, "sr").keep(lambda: 1)


Default = serve(
    shared,
    relayed,
    pingPong,
    withCallback,
    abortBreaks,
    abortPipelined,
    callbackOwnerGone,
    callbackWhileAborting,
    keepCallback,
    useKept,
    keepSlowCallback,
    targetOutlivesRequest,
    useFromOther,
    orderOfPipelined,
    awaitedTwice,
    thenCatch,
    promiseAsArgument,
    promiseAsArgument2,
    stubAsResultOfCallback,
)
