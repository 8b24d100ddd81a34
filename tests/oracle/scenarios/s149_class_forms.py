from lib import kind, serve

from perdure import DurableObject, Response


class NoConstructor(DurableObject):
    async def go(self):
        return [kind(self, "ctx"), kind(self, "env"), self.ctx.id.name]


class Fields(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.early = kind(self, "ctx")
        self.sql = ctx.storage.sql

    async def go(self):
        return [self.early, self.sql.exec("SELECT 1 AS one").one()]


class Plain:
    def __init__(self, state, env):
        self.state = state
        self.env = env

    async def fetch(self, request):
        await self.state.storage.put("k", "v")
        return Response.json([await self.state.storage.get("k"), len(self.env), self.state.id.name])


class Parent(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.made = ["parent"]

    def describe(self):
        return "parent describes"


class Child(Parent):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.made.append("child")

    async def go(self):
        return [self.made, self.describe(), super().describe()]


class Swapped(DurableObject):
    def __init__(self, ctx, env):
        super().__init__()
        self.got = [type(ctx).__name__, type(env).__name__]

    async def go(self):
        return [self.got, kind(self, "ctx"), kind(self, "env")]


Default = serve()
