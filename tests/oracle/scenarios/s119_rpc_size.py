from lib import serve

from perdure import DurableObject


class A(DurableObject):
    def take(self, text):
        return len(text)

    def make(self, n):
        return "x" * n


def argument(env, ctx, n):
    return env.A.get_by_name("x").take("x" * n)


async def result(env, ctx, n):
    return len(await env.A.get_by_name("x").make(n))


Default = serve(argument, result)
