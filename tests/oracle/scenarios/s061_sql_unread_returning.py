from lib import serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.calls = 0

    async def setup(self):
        self.sql.exec("CREATE TABLE t (n)")

    async def rows(self):
        answer = {"calls": self.calls, "rows": [row.n for row in self.sql.exec("SELECT n FROM t")]}
        self.calls += 1
        return answer

    async def readAll(self):
        return self.sql.exec("INSERT INTO t VALUES (1), (2) RETURNING n").to_list()

    async def readNone(self):
        self.sql.exec("INSERT INTO t VALUES (3), (4) RETURNING n")
        return "done"

    async def readSome(self):
        return next(self.sql.exec("INSERT INTO t VALUES (5), (6), (7) RETURNING n"))

    async def readOnlyRow(self):
        return next(self.sql.exec("INSERT INTO t VALUES (8) RETURNING n"))

    async def selectUnread(self):
        return next(self.sql.exec("SELECT n FROM t"))

    async def selectUnreadThenWrite(self):
        first = next(self.sql.exec("SELECT n FROM t"))
        self.sql.exec("INSERT INTO t VALUES (9)")
        return first


Default = serve()
