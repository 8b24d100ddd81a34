from lib import attempt_sync, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.kept = None

    def rows(self):
        return self.sql.exec("SELECT n FROM t ORDER BY n")

    async def setup(self):
        self.sql.exec("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3), (4)")

    async def interleaved(self):
        a = self.rows()
        b = self.sql.exec("SELECT n FROM t ORDER BY n DESC")
        return [next(a).n, next(b).n, next(a).n, next(b).n]

    async def sameText(self):
        a = self.rows()
        next(a)
        b = self.rows()
        return [attempt_sync(lambda: next(a)), attempt_sync(lambda: next(b)), attempt_sync(a.to_list)]

    async def writeWhileReading(self):
        seen = []
        for row in self.rows():
            seen.append(row.n)
            self.sql.exec("DELETE FROM t WHERE n = ?", row.n + 1)
        return [seen, self.sql.exec("SELECT n FROM t").to_list()]

    async def insertWhileReading(self):
        seen = []
        for row in self.rows():
            seen.append(row.n)
            if row.n < 10:
                self.sql.exec("INSERT OR IGNORE INTO t VALUES (?)", row.n + 4)
        return seen

    async def overAwait(self):
        cursor = self.rows()
        first = next(cursor).n
        await sleep(20)
        return [first, attempt_sync(lambda: [row.n for row in cursor])]

    async def overDdl(self):
        cursor = self.sql.exec("SELECT * FROM t ORDER BY n")
        next(cursor)
        altered = attempt_sync(lambda: self.sql.exec("ALTER TABLE t ADD COLUMN extra DEFAULT 5").to_list())
        following = attempt_sync(lambda: next(cursor))
        return [altered, following, self.sql.exec("SELECT * FROM t ORDER BY n LIMIT 1").to_list()]

    async def afterDrop(self):
        self.sql.exec("CREATE TABLE d (n); INSERT INTO d VALUES (1), (2)")
        cursor = self.sql.exec("SELECT n FROM d")
        next(cursor)
        dropped = attempt_sync(lambda: self.sql.exec("DROP TABLE d").to_list())
        return [dropped, attempt_sync(cursor.to_list)]

    async def overDeleteAll(self):
        cursor = self.rows()
        next(cursor)
        await self.ctx.storage.delete_all()
        return [
            attempt_sync(lambda: next(cursor)),
            attempt_sync(lambda: self.sql.exec("SELECT n FROM t").to_list()),
        ]

    async def keptInObject(self):
        await self.setup()
        self.kept = self.rows()
        return next(self.kept).n

    async def useKept(self):
        return attempt_sync(lambda: next(self.kept).n)


Default = serve()
