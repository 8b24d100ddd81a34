import asyncio

from lib import serve

from perdure import DurableObject, Response


class Base(DurableObject):
    def inherited(self, *rest):
        return "inherited"


class A(Base):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.instanceValue = "own value"
        self.instanceFunction = lambda *rest: "own function"

    def method(self, *rest):
        return "method"

    def _underscore(self, *rest):
        return "_underscore"

    def __double(self, *rest):
        return "__double"

    def fetch(self, request):
        return Response("fetch")

    def alarm(self):
        return "alarm ran"

    def get(self, *rest):
        return "get"

    def put(self, *rest):
        return "put"

    def delete(self, *rest):
        return "delete"

    def dup(self):
        return "method dup"

    def tail(self, *rest):
        return "tail"

    def scheduled(self, *rest):
        return "scheduled"

    def queue(self, *rest):
        return "queue"

    @property
    def getter(self):
        return {"value": 5}

    @property
    def getterFunction(self):
        return lambda a: ["called with", a]

    @property
    def promiseGetter(self):
        future = asyncio.get_running_loop().create_future()
        future.set_result("resolved")
        return future

    @property
    def throwingGetter(self):
        raise Exception("getter threw")


async def call(env, ctx, name):
    return await env.A.get_by_name("x")[name]("argument")


async def await_(env, ctx, name):
    value = await env.A.get_by_name("x")[name]
    return {"functionGives": await value("argument")} if callable(value) else value


await_.__name__ = "await"
Default = serve(call, await_)
