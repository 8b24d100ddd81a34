from lib import attempt, serve

from perdure import DurableObject, Response

TABLES = """
    CREATE TABLE IF NOT EXISTS p (id INTEGER PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS c (p INTEGER REFERENCES p (id))
"""


class Seen(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.seen = []

    async def note(self, tag):
        self.seen.append(tag)

    async def list(self):
        seen, self.seen = self.seen, []
        return seen


class A(DurableObject):
    async def setup(self):
        self.ctx.storage.sql.exec(TABLES)

    def poison(self):
        """Leave a write behind that cannot be committed."""
        with self.ctx.storage.transaction_sync():
            self.ctx.storage.sql.exec("PRAGMA defer_foreign_keys = ON")
            self.ctx.storage.sql.exec("INSERT INTO c VALUES (1)")

    async def callOutThenFail(self):
        self.poison()
        await self.env.Seen.get_by_name("s").note("sent before the commit failed")
        return "never"

    async def callOutAfterWait(self):
        self.ctx.storage.put("k", 1)
        await self.env.Seen.get_by_name("s").note("sent after a good write")
        self.poison()
        return "never"

    async def good(self):
        self.ctx.storage.put("k", 2)
        await self.env.Seen.get_by_name("s").note("good")
        return "fine"

    async def fetchFails(self):
        return await attempt(lambda: self.env.A.get_by_name("y").fetch("http://do/fail"))

    async def fetch(self, request):
        if request.url.endswith("/fail"):
            self.ctx.storage.sql.exec(TABLES)
            self.poison()
        return Response("an answer")


Default = serve()
