from lib import attempt_sync, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql

    def insert(self, parent):
        return attempt_sync(lambda: self.sql.exec("INSERT INTO c VALUES (?)", parent).to_list())

    def enforced(self):
        return self.sql.exec("PRAGMA foreign_keys").one()

    def deferred(self):
        return self.sql.exec("PRAGMA defer_foreign_keys").one()

    async def setup(self):
        self.sql.exec("""
            CREATE TABLE p (id INTEGER PRIMARY KEY);
            CREATE TABLE c (p INTEGER REFERENCES p (id));
            CREATE TABLE k (p INTEGER REFERENCES p (id) ON DELETE CASCADE)
        """)
        return self.enforced()

    async def violate(self):
        return self.insert(1)

    async def inTransaction(self):
        def transaction():
            return self.sql.exec("INSERT INTO c VALUES (1)").to_list()

        return attempt_sync(lambda: self.ctx.storage.transaction_sync(transaction))

    async def deferredGood(self):
        def transaction():
            self.sql.exec("PRAGMA defer_foreign_keys = ON")
            self.sql.exec("INSERT INTO c VALUES (1)")
            self.sql.exec("INSERT INTO p VALUES (1)")
            return self.deferred()

        return attempt_sync(lambda: self.ctx.storage.transaction_sync(transaction))

    async def afterGood(self):
        return [self.sql.exec("SELECT * FROM c").to_list(), self.deferred()]

    async def cascade(self):
        self.sql.exec("INSERT INTO p VALUES (2); INSERT INTO k VALUES (2); DELETE FROM p WHERE id = 2")
        left = self.sql.exec("SELECT * FROM k").to_list()
        return [left, attempt_sync(lambda: self.sql.exec("DELETE FROM p WHERE id = 1").to_list())]

    async def offInside(self):
        """A write came first, so a transaction is open and the pragma has no effect."""
        self.sql.exec("INSERT INTO p VALUES (3)")
        self.sql.exec("PRAGMA foreign_keys = OFF")
        return [self.enforced(), self.insert(77)]

    async def off(self):
        await sleep(5)
        self.sql.exec("PRAGMA foreign_keys = OFF")
        return [self.enforced(), self.insert(77)]

    async def check(self):
        return self.sql.exec("PRAGMA foreign_key_check").to_list()

    async def onAgain(self):
        await sleep(5)
        self.sql.exec("PRAGMA foreign_keys = ON")
        return [self.enforced(), self.insert(78)]


Default = serve()
