from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def state(self):
        return {
            "rows": [row.n for row in self.ctx.storage.sql.exec("SELECT n FROM t ORDER BY n")],
            "keys": list(await self.ctx.storage.list()),
        }

    async def both(self):
        self.ctx.storage.sql.exec("CREATE TABLE t (n)")
        with self.ctx.storage.transaction_sync():
            self.ctx.storage.sql.exec("INSERT INTO t VALUES (1)")
            self.ctx.storage.kv.put("one", 1)
            self.ctx.storage.put("two", 2)
        return await self.state()

    async def rollback(self):
        def fail():
            with self.ctx.storage.transaction_sync():
                self.ctx.storage.sql.exec("INSERT INTO t VALUES (2)")
                self.ctx.storage.kv.put("three", 3)
                self.ctx.storage.put("four", 4)
                self.ctx.storage.kv.delete("one")
                raise Exception("no")

        return [attempt_sync(fail), await self.state()]

    async def tables(self):
        return [
            row["name"] for row in self.ctx.storage.sql.exec("SELECT name FROM sqlite_master ORDER BY name")
        ]

    async def afterRestartPrepare(self):
        self.ctx.storage.sql.exec("INSERT INTO t VALUES (9)")
        self.ctx.storage.kv.put("nine", 9)

    async def afterRestart(self):
        return await self.state()


Default = serve()
