import inspect
from datetime import timedelta

from lib import attempt, attempt_sync, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage
        self.sql = ctx.storage.sql

    def add(self, n):
        self.sql.exec("INSERT INTO t VALUES (?)", n)

    def present(self):
        return [row.n for row in self.sql.exec("SELECT n FROM t ORDER BY n")]

    async def setup(self):
        self.sql.exec("CREATE TABLE t (n)")

    async def result(self):
        def transaction():
            self.add(1)
            return {"some": "data"}

        return self.storage.transaction_sync(transaction)

    async def rollback(self):
        def transaction():
            self.add(2)
            raise ValueError("changed my mind")

        return [attempt_sync(lambda: self.storage.transaction_sync(transaction)), self.present()]

    async def nestedInner(self):
        def inner():
            self.add(4)
            raise Exception("inner")

        def outer():
            self.add(3)
            attempt_sync(lambda: self.storage.transaction_sync(inner))
            self.add(5)

        self.storage.transaction_sync(outer)
        return self.present()

    async def nestedOuter(self):
        def outer():
            with self.storage.transaction_sync():
                with self.storage.transaction_sync():
                    self.add(6)
                raise Exception("outer")

        attempt_sync(outer)
        return self.present()

    async def nestedBoth(self):
        with self.storage.transaction_sync(), self.storage.transaction_sync():
            self.add(7)
        return self.present()

    async def alarmRolledBack(self):
        def fail():
            with self.storage.transaction_sync():
                self.storage.set_alarm(timedelta(hours=1))
                raise Exception("no")

        attempt_sync(fail)
        rolled = await self.storage.get_alarm()
        with self.storage.transaction_sync():
            self.storage.set_alarm(timedelta(hours=1))
        kept = await self.storage.get_alarm() is not None
        await self.storage.delete_alarm()
        return {"rolled": rolled, "kept": kept}

    async def promise(self):
        """The callback's awaitable is only a value: what it does later is outside the transaction."""

        async def transaction():
            self.add(8)
            await sleep(1)
            self.add(9)
            return "late"

        got = self.storage.transaction_sync(transaction)
        before = self.present()
        return {
            "kind": inspect.isawaitable(got),
            "before": before,
            "late": await got,
            "after": self.present(),
        }

    async def rejectedPromise(self):
        async def transaction():
            self.add(10)
            raise Exception("rejected, not thrown")

        got = self.storage.transaction_sync(transaction)
        return {"outcome": await attempt(lambda: got), "rows": self.present()}

    async def ddl(self):
        def fail():
            with self.storage.transaction_sync():
                self.sql.exec("CREATE TABLE gone (n); DROP TABLE t")
                raise Exception("no")

        attempt_sync(fail)
        return self.sql.exec("SELECT name FROM sqlite_master WHERE name IN ('t', 'gone')").to_list()

    async def noCallback(self):
        return [
            attempt_sync(self.storage.transaction_sync),
            attempt_sync(lambda: self.storage.transaction_sync("text")),
        ]

    async def asyncPutInside(self):
        with self.storage.transaction_sync():
            self.storage.put("k", 1)
            self.storage.delete("nope")
        kept = await self.storage.get("k")

        def fail():
            with self.storage.transaction_sync():
                self.storage.put("k", 2)
                raise Exception("no")

        attempt_sync(fail)
        return [kept, await self.storage.get("k")]

    async def afterThrow(self):
        self.add(11)
        return 11 in self.present()

    async def undefinedResult(self):
        return self.storage.transaction_sync(lambda: None)

    async def alarm(self):
        pass


Default = serve()
