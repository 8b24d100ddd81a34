from lib import attempt, enc, serve, sleep

from perdure import DurableObject, RpcTarget


class Node(RpcTarget):
    def __init__(self, object, name):
        self.object = object
        self.name = name
        self.instance = "own"

    def where(self, *rest):
        return self.name

    @property
    def value(self):
        return {"n": 1, "list": [10, 20]}

    @property
    def broken(self):
        raise TypeError("getter broke")

    @property
    async def slow(self):
        await sleep(5)
        return "slow value"

    @property
    def fn(self):
        return lambda x: x + 1

    def child(self, name):
        return Node(self.object, f"{self.name}/{name}")

    def fail(self):
        raise ValueError("target failed")

    def fetch(self, *rest):
        return "fetch of target"

    def alarm(self, *rest):
        return "alarm of target"

    def connect(self, *rest):
        return "connect of target"

    def webSocketMessage(self, *rest):
        return "message of target"


class A(DurableObject):
    def node(self):
        return Node(self, "root")

    def plain(self):
        return {
            "n": 5,
            "list": [1, {"deep": 2}],
            "text": "text",
            "nothing": None,
            "date": None,
            "fn": lambda x: x * 2,
            "node": Node(self, "in plain"),
        }

    def list(self):
        return [Node(self, "first"), Node(self, "second")]

    def fn(self):
        def f(x=None):
            return f"fn {x}"

        f.extra = "extra value"
        f.method = lambda *rest: "own method"
        return f

    def bound(self):
        return self.whoami

    def whoami(self, *rest):
        return self.ctx.id.name

    def number(self):
        return 5

    def text(self):
        return "text"

    def nothing(self):
        return None

    undef = nothing

    def deepError(self):
        raise Exception("deep error")

    @property
    def prop(self):
        return {"inner": {"node": Node(self, "of prop")}}


def stub(env):
    return env.A.get_by_name("x")


def along(at, names):
    for name in names:
        at = at[name]
    return at


def shown(value):
    return "a function" if callable(value) else enc(value)


async def member(env, ctx, name):
    node = await stub(env).node()
    return await attempt(lambda: node[name]("arg"))


async def read(env, ctx, name):
    node = await stub(env).node()
    return shown(await node[name])


async def path(env, ctx, *names):
    at = along(await stub(env).node(), names)

    async def look():
        return enc(await at)

    return await attempt(look)


async def pathCall(env, ctx, *names):
    at = along(await stub(env).node(), names)

    async def look():
        return enc(await at(1))

    return await attempt(look)


async def pipe(env, ctx, method, *names):
    at = along(stub(env)[method](), names)

    async def look():
        return shown(await at)

    return await attempt(look)


async def pipeCall(env, ctx, method, *names):
    at = along(stub(env)[method](), names)

    async def look():
        return enc(await at(1))

    return await attempt(look)


async def prop(env, ctx):
    return [await stub(env).prop.inner.node.where(), await stub(env).prop.inner.node.child("c").where()]


def callProp(env, ctx):
    return attempt(lambda: stub(env).prop())


def callDeepProp(env, ctx):
    return attempt(lambda: stub(env).prop.inner())


async def listStubs(env, ctx):
    a, b = await stub(env).list()
    return [await a.where(), await b.where()]


async def sameTargetTwice(env, ctx):
    return await stub(env).node() is await stub(env).node()


Default = serve(
    member,
    read,
    path,
    pathCall,
    pipe,
    pipeCall,
    prop,
    callProp,
    callDeepProp,
    listStubs,
    sameTargetTwice,
)
