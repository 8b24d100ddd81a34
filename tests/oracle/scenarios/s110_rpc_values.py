import asyncio
import math
from datetime import UTC, datetime

from lib import enc, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def echo(self, *values):
        return list(values)

    def one(self, value):
        return value

    def defaults(self, a=None, b="default"):
        return [enc(a), b]

    def keep(self, value):
        self.kept = value

    def getKept(self):
        return self.kept

    async def asyncResult(self):
        await sleep(1)
        return "later"

    def plain(self):
        return "plain"

    def nothing(self):
        pass

    def promise(self):
        future = asyncio.get_running_loop().create_future()
        future.set_result("promised")
        return future

    def thenable(self):
        async def then():
            return "from then"

        return then()

    def sharedTwice(self):
        one = {"n": 1}
        return [one, one]


def stub(env):
    return env.A.get_by_name("w")


async def types(env, ctx):
    samples = [
        None,
        None,
        True,
        0,
        -0.0,
        math.nan,
        1.5,
        2**53,
        10,
        "",
        "h\u00e9\U0001f600",
        [],
        [1, [2]],
        {},
        datetime.fromtimestamp(0.005, UTC),
        {1: {"a": 2}},
        {"x"},
        b"\1\2",
        bytearray(b"\1\2"),
        None,
        Exception("as value"),
        {"u": None},
    ]
    return [enc(await stub(env).one(v)) for v in samples]


async def cyclic(env, ctx):
    value = {"name": "loop"}
    value["me"] = value
    back = await stub(env).one(value)
    return back["me"] is back and back is not value


async def copied(env, ctx):
    value = {"n": 1}
    s = stub(env)
    pending = s.keep(value)
    value["n"] = 2
    await pending
    got = await s.getKept()
    got["n"] = 3
    return [value["n"], (await s.getKept())["n"]]


def missing(env, ctx):
    return stub(env).defaults()


async def many(env, ctx):
    return len(await stub(env).echo(*range(300)))


async def defaults(env, ctx):
    s = stub(env)
    return await asyncio.gather(s.defaults(1), s.defaults(1), s.defaults(1, None), s.defaults(1, 2))


async def kinds(env, ctx):
    s = stub(env)
    return [
        await s.asyncResult(),
        await s.plain(),
        enc(await s.nothing()),
        await s.promise(),
        await s.thenable(),
    ]


async def same(env, ctx):
    a, b = await stub(env).sharedTwice()
    return a is b


async def rest(env, ctx):
    a, b = await stub(env).echo("x", {"deep": [{"k": datetime.fromtimestamp(0, UTC)}]})
    return [a, enc(b)]


Default = serve(types, cyclic, copied, missing, many, defaults, kinds, same, rest)
