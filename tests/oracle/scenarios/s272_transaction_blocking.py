import asyncio

from lib import attempt, attempt_sync, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = []
        self.storage = ctx.storage

    async def log(self):
        events, self.events = self.events, []
        return events

    async def note(self, tag):
        self.events.append(tag)

    async def read(self, key):
        self.events.append(f"read {key}")
        return await self.storage.get(key)

    async def keys(self):
        return list(await self.storage.list())

    async def slow(self, tag, ms):
        self.events.append(f"{tag} asked")
        async with self.storage.transaction() as txn:
            self.events.append(f"{tag} begins")
            await txn.put(tag, 1)
            await sleep(ms)
            self.events.append(f"{tag} ends")
        self.events.append(f"{tag} after")
        return tag

    async def slowRollback(self, tag, ms):
        async with self.storage.transaction() as txn:
            await txn.put(tag, 1)
            await sleep(ms)
            txn.rollback()
            self.events.append(f"{tag} rolled back")

    async def abortInside(self):
        await self.storage.put("before", 1)
        async with self.storage.transaction() as txn:
            await txn.put("inside", 1)
            await sleep(5)
            self.ctx.abort("in transaction")

    async def blockInside(self):
        async def section():
            await sleep(5)
            await self.storage.put("block in transaction", 1)
            return "both"

        async with self.storage.transaction():
            return await self.ctx.block_concurrency_while(section)

    async def transactionInBlock(self):
        async def section():
            async with self.storage.transaction() as txn:
                await sleep(5)
                await txn.put("transaction in block", 1)
                return "both"

        return await self.ctx.block_concurrency_while(section)

    async def throwInBlockInside(self):
        async def section():
            raise Exception("from the block in the transaction")

        async def closure(txn):
            await self.ctx.block_concurrency_while(section)

        return await attempt(lambda: self.storage.transaction(closure))

    async def twoAtOnce(self):
        events = []

        def run(tag, ms):
            async def closure(txn):
                events.append(f"{tag} begins")
                await txn.put(tag, 1)
                await sleep(ms)
                events.append(f"{tag} ends")

            return self.storage.transaction(closure)

        await asyncio.gather(run("a", 30), run("b", 5))
        return events

    async def unawaited(self):
        async def closure(txn):
            await txn.put("unawaited", 1)

        self.storage.transaction(closure)
        return "unawaited" in await self.keys()

    async def unawaitedThrows(self):
        async def closure(txn):
            await txn.put("unawaited throws", 1)
            raise Exception("nobody waits")

        self.storage.transaction(closure)
        await sleep(20)
        return "unawaited throws" in await self.keys()

    async def syncInside(self):
        def fail():
            with self.storage.transaction_sync():
                self.storage.kv.put("sync undone", 1)
                raise Exception("no")

        async with self.storage.transaction() as txn:
            await txn.put("sync inside", 1)
            with self.storage.transaction_sync():
                self.storage.kv.put("sync in async", 1)
            attempt_sync(fail)
            return list(await txn.list(prefix="sync"))

    async def asyncInSync(self):
        async def inner(txn):
            await txn.put("inner async", 1)

        def outer():
            self.storage.kv.put("outer sync", 1)
            self.storage.transaction(inner)
            return "ok"

        return attempt_sync(lambda: self.storage.transaction_sync(outer))

    async def syncOfStorage(self):
        async with self.storage.transaction() as txn:
            await txn.put("s", 1)
            return await self.storage.sync()

    async def callOut(self):
        async with self.storage.transaction() as txn:
            await txn.put("called out", 1)
            return await self.env.A.get_by_name("other").note("from transaction")

    async def callSelf(self):
        async with self.storage.transaction():
            try:
                return {"ok": await asyncio.wait_for(self.env.A.get_by_name("x").keys(), 0.1)}
            except TimeoutError:
                return {"ok": "waited in vain"}


Default = serve()
