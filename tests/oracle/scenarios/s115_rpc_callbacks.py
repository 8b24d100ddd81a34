from lib import attempt, serve, sleep

from perdure import DurableObject, RpcTarget


class Listener(RpcTarget):
    def __init__(self):
        self.got = []

    def tell(self, v):
        self.got.append(v)
        return len(self.got)


class A(DurableObject):
    async def callBack(self, f, *args):
        return ["callee got", await f(*args)]

    async def manyTimes(self, f, n):
        return [await f(i) for i in range(n)]

    async def guarded(self, f):
        return await attempt(f)

    async def tellTwice(self, listener):
        await listener.tell("a")
        return await listener.tell("b")

    def keep(self, f):
        self.kept = f

    def keepDup(self, f):
        self.kept = f.dup()

    async def useKept(self):
        return await attempt(lambda: self.kept("from kept"))

    async def inBlock(self, f):
        async def inside():
            return await f("inside block")

        return await self.ctx.block_concurrency_while(inside)

    async def reenter(self, f):
        return await f()

    def note(self):
        return "reentered"

    def giveBack(self, f):
        return f


def stub(env):
    return env.A.get_by_name("x")


def callback(env, ctx):
    return stub(env).callBack(lambda a, b: a + b, 1, 2)


def manyTimes(env, ctx):
    return stub(env).manyTimes(lambda i: i * i, 4)


def throwing(env, ctx):
    def callback():
        raise TypeError("callback threw")

    return stub(env).guarded(callback)


def asyncCallback(env, ctx):
    async def callback(x):
        await sleep(10)
        return f"slow {x}"

    return stub(env).callBack(callback, 1)


async def target(env, ctx):
    listener = Listener()
    return [await stub(env).tellTwice(listener), listener.got]


async def keptWithoutDup(env, ctx):
    await stub(env).keep(lambda x: "called " + x)
    return await stub(env).useKept()


async def keptWithDup(env, ctx):
    await stub(env).keepDup(lambda x: "called " + x)
    return await stub(env).useKept()


def inBlock(env, ctx):
    return stub(env).inBlock(lambda x: "answered " + x)


def callbackToSelf(env, ctx):
    return stub(env).reenter(lambda: stub(env).note())


async def returnedIt(env, ctx):
    def f(x):
        return f"mine {x}"

    back = await stub(env).giveBack(f)
    return [back is f, await attempt(lambda: back(1))]


async def afterCallerDone(env, ctx):
    await stub(env).keepDup(lambda x: "caller gone? " + x)
    return "kept"


async def waitUntilKeepsIt(env, ctx):
    ctx.wait_until(sleep(300))
    await env.A.get_by_name("y").keepDup(lambda x: "still here " + x)
    return "kept"


def useKeptFromElsewhere(env, ctx):
    return env.A.get_by_name("y").useKept()


Default = serve(
    callback,
    manyTimes,
    throwing,
    asyncCallback,
    target,
    keptWithoutDup,
    keptWithDup,
    inBlock,
    callbackToSelf,
    returnedIt,
    afterCallerDone,
    waitUntilKeepsIt,
    useKeptFromElsewhere,
)
