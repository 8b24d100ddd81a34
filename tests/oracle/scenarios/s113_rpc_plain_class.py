from urllib.parse import urlsplit

from lib import serve

from perdure import Response


class A:
    def __init__(self, ctx, env):
        self.state = ctx
        self.env = env

    async def fetch(self, request):
        return Response("fetched " + urlsplit(request.url).path)

    def method(self):
        return 1


async def fetch(env, ctx):
    return await (await env.A.get_by_name("x").fetch("http://do/path")).text()


def call(env, ctx, name):
    return getattr(env.A.get_by_name("x"), name)()


async def property(env, ctx):
    return await env.A.get_by_name("x").state


Default = serve(fetch, call, property)
