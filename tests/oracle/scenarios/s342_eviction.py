from lib import serve, sleep

from perdure import DurableObject

built = 0


class A(DurableObject):
    def __init__(self, ctx, env):
        global built
        super().__init__(ctx, env)
        self.hits = 0
        self.kept = None
        self.sql = ctx.storage.sql
        built += 1

    async def hit(self):
        self.hits += 1
        return {"hits": self.hits, "built": built}

    async def put(self, key, value):
        self.ctx.storage.put(key, value)
        return "put"

    async def get(self, key):
        return await self.ctx.storage.get(key)

    async def cursor(self):
        self.sql.exec("CREATE TABLE IF NOT EXISTS t (n); INSERT INTO t VALUES (1), (2)")
        self.kept = self.sql.exec("SELECT n FROM t")
        return next(self.kept).n

    async def slow(self, ms):
        await sleep(ms)
        return "done"

    async def pragma(self):
        self.sql.exec("PRAGMA case_sensitive_like = ON")
        return await self.like()

    async def like(self):
        return self.sql.exec("SELECT 'a' LIKE 'A' AS v").one().v

    async def fk(self):
        return self.sql.exec("PRAGMA foreign_keys").one()

    async def fkOff(self):
        self.sql.exec("PRAGMA foreign_keys = OFF")
        return await self.fk()


async def oldStub(env, ctx):
    stub = env.A.get_by_name("x")
    await stub.hit()
    return await stub.hit()


Default = serve(oldStub)
