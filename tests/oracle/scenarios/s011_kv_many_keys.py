from lib import attempt, serve

from perdure import DurableObject


def function():
    pass


class A(DurableObject):
    async def putMany(self, entries):
        await self.ctx.storage.put(entries)

    async def getMany(self, keys):
        return list((await self.ctx.storage.get(keys)).items())

    async def deleteMany(self, keys):
        return await self.ctx.storage.delete(keys)

    async def list(self):
        return list((await self.ctx.storage.list()).items())

    async def putCount(self, n):
        return await attempt(lambda: self.ctx.storage.put({f"n{i}": i for i in range(n)}))

    async def getCount(self, n):
        async def count():
            return len(await self.ctx.storage.get([f"n{i}" for i in range(n)]))

        return await attempt(count)

    async def deleteCount(self, n):
        return await attempt(lambda: self.ctx.storage.delete([f"n{i}" for i in range(n)]))

    async def mixed(self):
        """A value that cannot be stored spoils the whole put."""
        put = await attempt(lambda: self.ctx.storage.put({"good": 1, "bad": function, "later": 2}))
        return {"put": put, "left": await self.list()}


Default = serve()
