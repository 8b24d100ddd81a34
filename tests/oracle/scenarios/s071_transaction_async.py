from datetime import timedelta

from lib import attempt, attempt_sync, kinds, serve, sleep

from perdure import DurableObject

TXN_NAMES = "get put delete list get_alarm set_alarm delete_alarm rollback delete_all transaction sql kv sync"


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage
        self.sql = ctx.storage.sql

    async def keys(self):
        return list(await self.storage.list())

    async def result(self):
        async def closure(txn):
            await txn.put("a", 1)
            return {"a": await txn.get("a"), "outside": await self.storage.get("a")}

        got = await self.storage.transaction(closure)
        return {"got": got, "keys": await self.keys()}

    async def rollback(self):
        async def closure(txn):
            await txn.put("b", 1)
            txn.rollback()
            return "returned anyway"

        got = await self.storage.transaction(closure)
        return {"got": got, "keys": await self.keys()}

    async def throwing(self):
        async def closure(txn):
            await txn.put("c", 1)
            raise TypeError("inside")

        got = await attempt(lambda: self.storage.transaction(closure))
        return {"got": got, "keys": await self.keys()}

    async def useAfterCommit(self):
        async with self.storage.transaction() as kept:
            pass
        return [
            await attempt(lambda: kept.put("d", 1)),
            await attempt(lambda: kept.get("a")),
            await attempt(lambda: kept.list()),
            await attempt(lambda: kept.delete("a")),
        ]

    async def useAfterRollback(self):
        async with self.storage.transaction() as txn:
            txn.rollback()
            return [
                await attempt(lambda: txn.put("e", 1)),
                await attempt(lambda: txn.get("a")),
                await attempt(lambda: txn.get_alarm()),
            ]

    async def rollbackTwice(self):
        async with self.storage.transaction() as txn:
            return [attempt_sync(txn.rollback), attempt_sync(txn.rollback)]

    async def rollbackAfterCommit(self):
        async with self.storage.transaction() as kept:
            pass
        return attempt_sync(kept.rollback)

    async def nested(self):
        async with self.storage.transaction():
            await self.storage.put("f", 1)
            async with self.storage.transaction() as inner:
                await inner.put("g", 1)
                inner.rollback()
            async with self.storage.transaction() as inner:
                await inner.put("h", 1)
        return await self.keys()

    async def nestedInnerThrows(self):
        async def inner(txn):
            await txn.put("j", 1)
            raise Exception("inner")

        async def outer(txn):
            await self.storage.put("i", 1)
            return await attempt(lambda: self.storage.transaction(inner))

        got = await attempt(lambda: self.storage.transaction(outer))
        return {"got": got, "keys": await self.keys()}

    async def outerRollbackWhileInner(self):
        async def both():
            async with self.storage.transaction() as outer, self.storage.transaction():
                return attempt_sync(outer.rollback)

        return {"got": await attempt(both), "keys": await self.keys()}

    async def directStorage(self):
        """Storage used directly while the transaction is open takes part in it."""

        async def closure(txn):
            await self.storage.put("k", 1)
            self.storage.kv.put("l", 1)
            raise Exception("no")

        await attempt(lambda: self.storage.transaction(closure))
        return await self.keys()

    async def sqlInside(self):
        self.sql.exec("CREATE TABLE t (n)")
        async with self.storage.transaction() as txn:
            self.sql.exec("INSERT INTO t VALUES (1)")
            await sleep(5)
            self.sql.exec("INSERT INTO t VALUES (2)")
            txn.rollback()
        return self.sql.exec("SELECT count(*) AS n FROM t").one()

    async def deleteAllOnTxn(self):
        async def closure(txn):
            await txn.delete_all()

        return await attempt(lambda: self.storage.transaction(closure))

    async def alarmInside(self):
        async with self.storage.transaction() as txn:
            await txn.set_alarm(timedelta(hours=1))
            txn.rollback()
        rolled = await self.storage.get_alarm()
        async with self.storage.transaction() as txn:
            await txn.set_alarm(timedelta(hours=1))
        kept = await self.storage.get_alarm() is not None
        async with self.storage.transaction() as txn:
            await txn.delete_alarm()
        return {"rolled": rolled, "kept": kept, "deleted": await self.storage.get_alarm()}

    async def txnSurface(self):
        async with self.storage.transaction() as txn:
            return kinds(txn, TXN_NAMES.split())

    async def noCallback(self):
        return attempt_sync(self.storage.transaction)

    async def syncCallback(self):
        def fail(txn):
            raise Exception("plain throw")

        return [
            await attempt(lambda: self.storage.transaction(lambda txn: "plain")),
            await attempt(lambda: self.storage.transaction(fail)),
        ]

    async def lists(self):
        async with self.storage.transaction() as txn:
            await txn.put({"z1": 1, "z2": 2})
            return [
                list((await txn.list(prefix="z")).items()),
                list((await txn.get(["z1", "nope"])).items()),
                await txn.delete(["z1", "z2"]),
            ]

    async def alarm(self):
        pass


Default = serve()
