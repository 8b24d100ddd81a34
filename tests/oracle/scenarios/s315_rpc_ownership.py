from lib import attempt, enc, serve, sleep

from perdure import DurableObject, RpcStub, RpcTarget
from perdure.rpc import dispose


class Res(RpcTarget):
    def __init__(self, name, log):
        self.name = name
        self.log = log

    def ping(self):
        return "pong " + self.name

    def self(self):
        return self

    async def slow(self):
        await sleep(40)
        self.log.append(self.name + " slow done")
        return "slow"

    def dispose(self):
        self.log.append(self.name + " disposed")


class BadRes(Res):
    def dispose(self):
        self.log.append(self.name + " disposing badly")
        raise Exception("disposer failed")


class DupRes(Res):
    def dup(self):
        self.log.append(self.name + " dup called")
        return DupRes(self.name + "'", self.log)


class BadDup(Res):
    def dup(self):
        return {"not": "a target"}


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        self.kept_res = Res("kept", self.log)

    def takeLog(self):
        log = list(self.log)
        self.log.clear()
        return log

    def res(self, name):
        return Res(name, self.log)

    def bad(self, name):
        return BadRes(name, self.log)

    def dupRes(self, name):
        return DupRes(name, self.log)

    def two(self):
        return {"one": Res("one", self.log), "more": [Res("two", self.log)]}

    def sameTwice(self):
        r = Res("same", self.log)
        return [r, r]

    def kept(self):
        return self.kept_res

    async def take(self, stub):
        return await stub.ping()

    def ignore(self, value=None):
        return "ignored"

    def keep(self, stub):
        self.stub = stub

    def keepDup(self, stub):
        self.stub = stub.dup()

    async def use(self):
        return await attempt(lambda: self.stub.ping())

    def giveKept(self):
        return self.stub

    def drop(self):
        self.stub.dispose()

    def throwing(self, stub):
        raise Exception("callee failed")

    def giveBack(self, stub):
        return stub

    async def during(self, stub):
        await sleep(20)
        return await stub.ping()

    async def later(self, stub):
        async def use():
            await sleep(20)
            self.laterGot = await attempt(lambda: stub.ping())

        self.ctx.wait_until(use())

    def laterResult(self):
        return self.laterGot

    async def callIt(self, f):
        return await f("x")


def get(env):
    return env.A.get_by_name("x")


async def log_of(env):
    await sleep(20)
    return await get(env).takeLog()


async def disposeResult(env, ctx):
    r = await get(env).res("r")
    out = [await r.ping()]
    r.dispose()
    out.append(await attempt(lambda: r.ping()))
    r.dispose()
    return [*out, await log_of(env)]


async def disposeDup(env, ctx):
    r = await get(env).res("d")
    d = r.dup()
    r.dispose()
    out = [await log_of(env), await d.ping()]
    d.dispose()
    return [*out, await log_of(env)]


async def dupOfDisposed(env, ctx):
    r = await get(env).res("gone")
    r.dispose()
    await log_of(env)
    return await attempt(lambda: r.dup().ping())


async def disposeObjectResult(env, ctx):
    o = await get(env).two()
    dispose(o)
    log = await log_of(env)
    return [await attempt(lambda: o["one"].ping()), log]


async def disposeOneOfTwo(env, ctx):
    o = await get(env).two()
    o["one"].dispose()
    await sleep(20)
    out = [
        await attempt(lambda: o["one"].ping()),
        await attempt(lambda: o["more"][0].ping()),
        await get(env).takeLog(),
    ]
    dispose(o)
    return [*out, await log_of(env)]


async def sameTwice(env, ctx):
    a, b = await get(env).sameTwice()
    out = [a is b]
    a.dispose()
    out += [await log_of(env), await attempt(lambda: b.ping())]
    b.dispose()
    return [*out, await log_of(env)]


async def returnedAgain(env, ctx):
    a = await get(env).kept()
    b = await get(env).kept()
    a.dispose()
    out = [await log_of(env), await b.ping()]
    b.dispose()
    out.append(await log_of(env))
    c = await get(env).kept()
    out.append(await attempt(lambda: c.ping()))
    c.dispose()
    await log_of(env)
    return out


async def selfReturned(env, ctx):
    a = await get(env).res("self")
    b = await a.self()
    a.dispose()
    out = [await log_of(env), await attempt(lambda: b.ping())]
    b.dispose()
    return [*out, await log_of(env)]


async def badDisposer(env, ctx):
    r = await get(env).bad("bad")
    r.dispose()
    return [await log_of(env), await attempt(lambda: get(env).ignore())]


async def disposeDuringCall(env, ctx):
    r = await get(env).res("busy")
    slow = r.slow()
    r.dispose()
    return [await attempt(lambda: slow), await log_of(env)]


async def disposePromise(env, ctx):
    p = get(env).res("promised")
    p.dispose()
    log = await log_of(env)

    async def what():
        return "function" if callable(await p) else "no function"

    return [log, await attempt(what), await attempt(lambda: p.ping())]


async def disposePromiseLater(env, ctx):
    p = get(env).res("promised")
    r = await p
    p.dispose()
    return [await log_of(env), await attempt(lambda: r.ping())]


async def pipelineDisposes(env, ctx):
    return [await get(env).res("between").ping(), await log_of(env)]


async def paramTarget(env, ctx):
    mine = []
    out = [await get(env).take(Res("param", mine))]
    await sleep(20)
    return [*out, mine]


async def paramIgnored(env, ctx):
    mine = []
    out = [await get(env).ignore(Res("param", mine))]
    await sleep(20)
    return [*out, mine]


async def paramTwice(env, ctx):
    mine = []
    r = Res("twice", mine)
    out = [await get(env).take(r), await get(env).take(r)]
    await sleep(20)
    return [*out, mine]


async def paramWithDup(env, ctx):
    mine = []
    out = [await get(env).take(DupRes("dupper", mine))]
    await sleep(20)
    return [*out, mine]


def paramWithBadDup(env, ctx):
    return attempt(lambda: get(env).take(BadDup("bad dup", [])))


async def resultWithDup(env, ctx):
    r = await get(env).dupRes("result")
    out = [await r.ping()]
    r.dispose()
    return [*out, await log_of(env)]


async def paramStub(env, ctx):
    mine = []
    s = RpcStub(Res("stub", mine))
    out = [await get(env).take(s)]
    await sleep(20)
    out += [list(mine), await attempt(lambda: s.ping())]
    s.dispose()
    await sleep(20)
    return [*out, mine]


async def paramThrown(env, ctx):
    mine = []
    out = [await attempt(lambda: get(env).throwing(Res("thrown", mine)))]
    await sleep(20)
    return [*out, mine]


async def paramKept(env, ctx):
    mine = []
    await get(env).keep(Res("kept param", mine))
    await sleep(20)
    return [await get(env).use(), mine]


async def paramKeptDup(env, ctx):
    mine = []
    await get(env).keepDup(Res("kept dup", mine))
    await sleep(20)
    out = [await get(env).use(), list(mine)]
    await get(env).drop()
    await sleep(20)
    return [*out, mine]


async def keptGiven(env, ctx):
    mine = []
    await get(env).keepDup(Res("given", mine))
    back = await get(env).giveKept()
    out = [await back.ping(), await get(env).use()]
    back.dispose()
    await sleep(20)
    return [*out, mine]


async def givenBack(env, ctx):
    mine = []
    back = await get(env).giveBack(Res("back", mine))
    await sleep(20)
    out = [await attempt(lambda: back.ping()), list(mine)]
    back.dispose()
    await sleep(20)
    return [*out, mine]


async def paramDisposedMeanwhile(env, ctx):
    mine = []
    s = RpcStub(Res("meanwhile", mine))
    call = get(env).during(s)
    s.dispose()
    out = [await attempt(lambda: call)]
    await sleep(20)
    return [*out, mine]


async def paramAfterReturn(env, ctx):
    mine = []
    await get(env).later(Res("after return", mine))
    await sleep(50)
    return [await get(env).laterResult(), mine]


async def disposedParam(env, ctx):
    s = RpcStub(Res("disposed", []))
    s.dispose()
    return await attempt(lambda: get(env).take(s))


async def sentStubOfA(env, ctx):
    r = await get(env).res("of a")
    out = [await env.A.get_by_name("y").take(r), await attempt(lambda: r.ping())]
    r.dispose()
    return [*out, await log_of(env)]


def objectStubDup(env, ctx):
    return attempt(lambda: get(env).dup().ignore())


async def functionParam(env, ctx):
    def f(x):
        return "f " + x

    return [await get(env).callIt(f), await get(env).callIt(f), f("still mine")]


async def wraps(env, ctx, kind):
    values = {
        "plain": {"a": 1},
        "target": Res("w", []),
        "fn": lambda: 1,
        "array": [1],
        "instance": object(),
        "stub": RpcStub(lambda: 1),
    }

    def what():
        return "function" if callable(RpcStub(values[kind])) else "no function"

    return await attempt(what)


async def localStub(env, ctx):
    s = RpcStub({"n": 1, "deep": {"fn": lambda: "called"}, "list": [1]})
    arg = {"a": 1}

    def change(x):
        x["a"] = 2
        return x

    back = await RpcStub(change)(arg)
    return [
        await s.n,
        await s.deep.fn(),
        enc(await s.list),
        await attempt(lambda: s.missing),
        arg["a"],
        back["a"],
    ]


def localError(env, ctx):
    def fail():
        raise TypeError("local")

    return attempt(lambda: RpcStub(fail)())


Default = serve(
    disposeResult,
    disposeDup,
    dupOfDisposed,
    disposeObjectResult,
    disposeOneOfTwo,
    sameTwice,
    returnedAgain,
    selfReturned,
    badDisposer,
    disposeDuringCall,
    disposePromise,
    disposePromiseLater,
    pipelineDisposes,
    paramTarget,
    paramIgnored,
    paramTwice,
    paramWithDup,
    paramWithBadDup,
    resultWithDup,
    paramStub,
    paramThrown,
    paramKept,
    paramKeptDup,
    keptGiven,
    givenBack,
    paramDisposedMeanwhile,
    paramAfterReturn,
    disposedParam,
    sentStubOfA,
    objectStubDup,
    functionParam,
    wraps,
    localStub,
    localError,
)
