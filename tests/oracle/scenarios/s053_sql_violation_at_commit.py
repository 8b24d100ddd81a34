from lib import attempt, serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.calls = 0

    async def setup(self):
        self.ctx.storage.sql.exec("""
            CREATE TABLE p (id INTEGER PRIMARY KEY);
            CREATE TABLE c (p INTEGER REFERENCES p (id))
        """)

    async def put(self, key, value):
        self.calls += 1
        await self.ctx.storage.put(key, value)

    async def violate(self):
        self.ctx.storage.put("same turn", 1)
        with self.ctx.storage.transaction_sync():
            self.ctx.storage.sql.exec("PRAGMA defer_foreign_keys = ON")
            self.ctx.storage.sql.exec("INSERT INTO c VALUES (1)")
        return "never seen"

    async def breakLater(self):
        await self.ctx.storage.put("kept", 1)
        await self.ctx.storage.sync()
        return await self.violate()

    async def state(self):
        return {
            "calls": self.calls,
            "keys": list(await self.ctx.storage.list()),
            "rows": self.ctx.storage.sql.exec("SELECT * FROM c").to_list(),
        }


# The steps call it `break`, which is no name for a `def`.
setattr(A, "break", A.violate)


async def oldStub(env, ctx):
    stub = env.A.get_by_name("x")
    return [
        await attempt(lambda: stub.violate()),
        await attempt(lambda: stub.state()),
        await attempt(lambda: env.A.get_by_name("x").state()),
    ]


Default = serve(oldStub)
