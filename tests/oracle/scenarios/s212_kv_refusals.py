from lib import attempt, attempt_sync, keywords, serve

from perdure import DurableObject


class Unknown:
    pass


class A(DurableObject):
    async def put(self, key, value):
        return await attempt(lambda: self.ctx.storage.put(key, value))

    async def list(self, options):
        async def entries():
            return list((await self.ctx.storage.list(**keywords(options))).items())

        return await attempt(entries)

    async def putNothing(self):
        return await attempt(lambda: self.ctx.storage.put("only key"))

    async def putWithBadKeys(self):
        return await attempt(lambda: self.ctx.storage.put({"a": 1, "": 2}))

    async def getNothing(self):
        return await attempt(lambda: self.ctx.storage.get())

    async def deleteNothing(self):
        return await attempt(lambda: self.ctx.storage.delete())

    async def nested(self):
        return await attempt(lambda: self.ctx.storage.put("u", {"a": [1, {"b": Unknown()}]}))

    async def transactionKeys(self):
        async with self.ctx.storage.transaction() as txn:
            return [
                await attempt(lambda: txn.put("k", Unknown())),
                await attempt(lambda: txn.list(limit=0)),
                await attempt(lambda: txn.put("k", 1)),
            ]

    async def syncList(self, options):
        return attempt_sync(lambda: list(self.ctx.storage.kv.list(**keywords(options))))


Default = serve()
