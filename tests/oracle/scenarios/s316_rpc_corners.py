import asyncio

from lib import attempt, serve, sleep

from perdure import DurableObject, RpcStub, RpcTarget
from perdure.rpc import dispose


class Item(RpcTarget):
    def __init__(self, name, log):
        self.name = name
        self.log = log

    def hi(self, x):
        return f"{self.name} {x}"

    @property
    def me(self):
        return self

    @property
    def fn(self):
        return lambda x: f"fn {x}"

    @property
    def failing(self):
        raise TypeError("getter failed")

    def dispose(self):
        self.log.append(self.name)


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []

    def takeLog(self):
        log = list(self.log)
        self.log.clear()
        return log

    def item(self, name):
        return Item(name, self.log)

    def many(self):
        return {
            "list": [Item("a", self.log), Item("b", self.log)],
            "deep": {"c": Item("c", self.log)},
            "n": 5,
            "s": "text",
            "no": None,
        }

    @property
    def prop(self):
        return {"item": Item("prop", self.log), "fn": lambda x: x + 1}

    @property
    def target(self):
        return Item("target", self.log)

    @property
    def func(self):
        return lambda *args: len(args)

    def count(self, *args):
        return len(args)

    def echo(self, v):
        return v

    def wrap(self, v):
        return {"a": [v], "b": {"c": v}}

    def nothing(self):
        pass

    async def call(self, f, *args):
        return await f(*args)

    async def attemptCall(self, f, *args):
        return await attempt(lambda: f(*args))

    async def callAll(self, o):
        return [await o["f"](1), await o["list"][0](2), await o["deep"]["g"].hi(3)]

    def callLater(self, f):
        self.f = f.dup()

    async def useF(self, x):
        return await attempt(lambda: self.f(x))

    async def twoAtOnce(self, f):
        return await asyncio.gather(f(1), f(2), f(3))

    def add(self, n):
        self.log.append(n)

    def fails(self):
        raise ValueError("failed")

    async def slowItem(self):
        await sleep(20)
        return Item("slow", self.log)


def get(env):
    return env.A.get_by_name("x")


async def getterTarget(env, ctx):
    return [await get(env).target.hi(1), await get(env).prop.item.hi(2), await get(env).prop.fn(3)]


async def getterFunction(env, ctx):
    kind = "function" if callable(await get(env).func) else "object"
    return [await get(env).func(), await get(env).func(1, 2, 3), kind]


async def getterOfTarget(env, ctx):
    with await get(env).item("i") as i:
        return [await i.me.hi(1), await i.me.me.hi(2), await i.fn(3)]


async def getterFails(env, ctx):
    with await get(env).item("i") as i:
        return [
            await attempt(lambda: i.failing),
            await attempt(lambda: i.failing.x),
            await attempt(lambda: i.failing()),
            await attempt(lambda: i.me.failing.y()),
        ]


async def counts(env, ctx):
    return [await get(env).count(), await get(env).count(1), await get(env).count(*[0] * 300)]


async def pipelinePaths(env, ctx):
    a = get(env)
    return [
        await a.many().deep.c.hi(2),
        await a.many().n,
        await attempt(lambda: a.many().n()),
        await attempt(lambda: a.many().n.x),
        await attempt(lambda: a.many().n.x()),
        await attempt(lambda: a.many().missing()),
        await attempt(lambda: a.many().missing.x()),
        await attempt(lambda: a.many().no.x()),
        await attempt(lambda: a.nothing().x()),
        await attempt(lambda: a.count().x()),
        await attempt(lambda: a.fails().x.y()),
        await attempt(lambda: a.fails().x),
    ]


async def awaitTwice(env, ctx):
    p = get(env).item("twice")
    one, two = await p, await p
    return [one is two, await one.hi(1), await p.hi(2), await two.me.hi(3)]


async def propertyOfStubOfPromise(env, ctx):
    p = get(env).slowItem()
    me = p.me
    return await asyncio.gather(me.hi(1), p.hi(2))


async def argumentsNested(env, ctx):
    log = []
    s = RpcStub(Item("mine", log))
    out = await get(env).callAll({"f": lambda x: f"f{x}", "list": [lambda x: f"l{x}"], "deep": {"g": s}})
    again = await s.hi("again")
    s.dispose()
    await sleep(20)
    return [*out, again, log]


async def echoed(env, ctx):
    f = await get(env).echo(lambda x: f"mine {x}")
    w = await get(env).wrap(lambda x: f"wrapped {x}")
    return [await f(1), await w["a"][0](2), await w["b"]["c"](3)]


async def sameInWrap(env, ctx):
    log = []
    w = await get(env).wrap(Item("w", log))
    out = [await w["a"][0].hi(1), await w["b"]["c"].hi(2)]
    dispose(w)
    await sleep(20)
    return [*out, log]


async def throwing(env, ctx):
    class Own(Exception):
        pass

    out = []
    # What JavaScript throws that is no error is in Python an exception with that text.
    for thrown in [Exception("5"), Exception("text"), Exception("null"), TypeError("t"), Own("own")]:

        def throw(thrown=thrown):
            raise thrown

        out.append(await get(env).attemptCall(throw))
    return out


async def throughBoth(env, ctx):
    def throw():
        raise ValueError("both ways")

    return await attempt(lambda: get(env).call(throw))


async def twoAtOnce(env, ctx):
    order = []

    async def called(n):
        order.append(n)
        await sleep(10 * (4 - n))
        return n

    return [order, await get(env).twoAtOnce(called)]


async def disposerOrder(env, ctx):
    await get(env).takeLog()
    dispose(await get(env).many())
    await sleep(20)
    return await get(env).takeLog()


async def disposeOneThenAll(env, ctx):
    m = await get(env).many()
    m["deep"]["c"].dispose()
    m["list"][1].dispose()
    dispose(m)
    await sleep(20)
    return await get(env).takeLog()


async def order(env, ctx):
    a = get(env)
    await a.takeLog()
    await asyncio.gather(a.add(1), a.add(2), a.add(3), a.add(4))
    return [x for x in await a.takeLog() if isinstance(x, int)]


async def callOfUncallable(env, ctx):
    with await get(env).item("i") as i:
        return [
            await attempt(lambda: i()),
            await attempt(lambda: get(env).echo({"a": 1})()),
            await attempt(lambda: get(env).echo(5)()),
        ]


async def functionMembers(env, ctx):
    def f(x):
        return x

    f.own = 7
    f.sub = lambda x: x * 2
    g = await get(env).echo(f)
    return [
        await g.own,
        await g.sub(4),
        await attempt(lambda: g.missing),
        await attempt(lambda: g.call(None, 1)),
    ]


async def localDict(env, ctx):
    s = RpcStub({"a": {"f": lambda: "f"}, "n": 1})
    return [
        await s.a.f(),
        await s.n,
        await attempt(lambda: s.a.missing()),
        await attempt(lambda: s.n.x),
        await attempt(lambda: s()),
    ]


async def keptUse(env, ctx):
    await get(env).callLater(lambda x: f"kept {x}")
    return await get(env).useF(1)


async def keptUseAfter(env, ctx):
    return await get(env).useF(2)


Default = serve(
    getterTarget,
    getterFunction,
    getterOfTarget,
    getterFails,
    counts,
    pipelinePaths,
    awaitTwice,
    propertyOfStubOfPromise,
    argumentsNested,
    echoed,
    sameInWrap,
    throwing,
    throughBoth,
    twoAtOnce,
    disposerOrder,
    disposeOneThenAll,
    order,
    callOfUncallable,
    functionMembers,
    localDict,
    keptUse,
    keptUseAfter,
)
