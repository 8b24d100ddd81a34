import asyncio

from lib import enc, serve, sleep

from perdure import DurableObject, RpcTarget


class Node(RpcTarget):
    def __init__(self, path):
        self.path = path

    def child(self, name):
        return Node(f"{self.path}/{name}")

    def where(self):
        return self.path

    @property
    def info(self):
        return {"path": self.path, "deep": {"list": [1, 2], "fn": lambda x: "fn " + x}}


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []

    def root(self):
        self.log.append("root")
        return Node("")

    async def slowRoot(self):
        await sleep(50)
        return Node("slow")

    def object(self):
        return {"a": {"b": 5, "target": Node("in object")}, "f": lambda x: x * 2}

    def number(self):
        return 5

    def nothing(self):
        return None

    def fail(self):
        raise Exception("first failed")

    def note(self, tag):
        self.log.append(tag)
        return tag

    def takeLog(self):
        log, self.log = self.log, []
        return log

    def self(self):
        return self.env.A.get_by_name("other")

    def whoami(self):
        return self.ctx.id.name


def stub(env):
    return env.A.get_by_name("x")


def method(env, ctx):
    return stub(env).root().where()


def property(env, ctx):
    return stub(env).object().a.b


def deep(env, ctx):
    return stub(env).root().child("a").child("b").where()


def chain(env, ctx):
    return stub(env).object().a.target.child("c").where()


async def manyOnOne(env, ctx):
    root = stub(env).slowRoot()
    return await asyncio.gather(root.child("1").where(), root.child("2").where(), root.where())


def throughFunction(env, ctx):
    return stub(env).object().f(21)


def onPlainValue(env, ctx):
    return stub(env).number().where()


def onMissing(env, ctx):
    return stub(env).root().nope()


def onThrown(env, ctx):
    return stub(env).fail().where()


def onNull(env, ctx):
    return stub(env).nothing().where()


async def order(env, ctx):
    s = stub(env)
    await s.takeLog()
    await asyncio.gather(s.note(1), s.root().where(), s.note(2))
    return await s.takeLog()


async def awaitBoth(env, ctx):
    p = stub(env).object()
    b = p.a.b
    return [await b, enc((await p)["a"]["b"])]


async def oneRoundTripOrder(env, ctx):
    s = stub(env)
    slow = s.slowRoot().where()
    quick = s.note("quick")
    slow, quick = asyncio.create_task(slow), asyncio.create_task(quick)
    done, _ = await asyncio.wait([slow, quick], return_when=asyncio.FIRST_COMPLETED)
    first = "slow" if slow in done else await quick
    await slow
    return first


def stubResult(env, ctx):
    return stub(env).self().whoami()


def propertyOfObject(env, ctx):
    return stub(env).root().info.deep.fn("x")


Default = serve(
    method,
    property,
    deep,
    chain,
    manyOnOne,
    throughFunction,
    onPlainValue,
    onMissing,
    onThrown,
    onNull,
    order,
    awaitBoth,
    oneRoundTripOrder,
    stubResult,
    propertyOfObject,
)
