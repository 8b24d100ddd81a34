from lib import kind, serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.hits = 0

    async def hit(self):
        self.hits += 1
        return [self.ctx.id.name, self.hits]

    async def viaExportsInside(self):
        return [await self.ctx.exports.A.get_by_name("other").hit(), list(self.ctx.exports)]


async def viaExports(env, ctx):
    return [
        await env.A.get_by_name("same").hit(),
        await ctx.exports.A.get_by_name("same").hit(),
        ctx.exports.A.id_from_name("q").equals(env.A.id_from_name("q")),
    ]


def unbound(env, ctx):
    return kind(ctx.exports, "Nope")


Default = serve(viaExports, unbound)
