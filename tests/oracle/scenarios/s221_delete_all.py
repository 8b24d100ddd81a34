from lib import attempt, attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.memory = 0
        self.storage = ctx.storage
        self.sql = ctx.storage.sql

    async def fill(self):
        self.memory += 1
        self.sql.exec("""
            CREATE TABLE t (n);
            INSERT INTO t VALUES (1);
            CREATE INDEX i ON t (n);
            CREATE VIEW v AS SELECT n FROM t
        """)
        await self.storage.put("k", 1)

    async def all(self):
        return {
            "memory": self.memory,
            "keys": list(await self.storage.list()),
            "tables": [row["name"] for row in self.sql.exec("SELECT name FROM sqlite_master ORDER BY name")],
        }

    async def wipe(self):
        return {"got": await self.storage.delete_all(), **await self.all()}

    async def wipeAndWrite(self):
        await self.storage.put("before", 1)
        self.storage.delete_all()
        await self.storage.put("after", 1)
        self.sql.exec("CREATE TABLE again (n)")
        return await self.all()

    async def writesOfTheTurn(self):
        self.storage.put("same turn", 1)
        self.sql.exec("CREATE TABLE same_turn (n)")
        await self.storage.delete_all()
        return await self.all()

    async def wipeThenThrow(self):
        self.storage.delete_all()
        raise Exception("after wiping")

    async def wipeThenAbort(self):
        self.storage.delete_all()
        self.ctx.abort("stop")

    async def inTransaction(self):
        async def closure(txn):
            await self.storage.delete_all()

        return await attempt(lambda: self.storage.transaction(closure))

    async def inTransactionSync(self):
        def callback():
            self.storage.put("inside", 1)
            self.storage.delete_all()
            return "passed"

        return attempt_sync(lambda: self.storage.transaction_sync(callback))

    async def cursors(self):
        self.sql.exec("CREATE TABLE c (n); INSERT INTO c VALUES (1), (2), (3)")
        cursor = self.sql.exec("SELECT n FROM c")
        next(cursor)
        self.storage.kv.put("x", 1)
        self.storage.kv.put("y", 1)
        it = self.storage.kv.list()
        next(it)
        await self.storage.delete_all()
        return [
            attempt_sync(cursor.to_list),
            attempt_sync(lambda: cursor.column_names),
            attempt_sync(lambda: next(it)),
        ]

    async def twice(self):
        await self.storage.delete_all()
        await self.storage.delete_all()
        return await self.all()

    async def size(self):
        return self.sql.database_size

    async def autoincrement(self):
        table = "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)"
        self.sql.exec(table)
        self.sql.exec("INSERT INTO a DEFAULT VALUES; INSERT INTO a DEFAULT VALUES")
        self.storage.delete_all()
        self.sql.exec(table)
        return self.sql.exec("INSERT INTO a DEFAULT VALUES RETURNING id").one()


Default = serve()
