from lib import attempt, attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def value(self, n):
        async def there_and_back():
            await self.ctx.storage.put("v", "x" * n)
            return len(await self.ctx.storage.get("v"))

        return await attempt(there_and_back)

    async def key(self, n):
        async def there_and_back():
            key = "k" * n
            await self.ctx.storage.put(key, 1)
            return [await self.ctx.storage.get(key), await self.ctx.storage.delete(key)]

        return await attempt(there_and_back)

    async def syncValue(self, n):
        return attempt_sync(lambda: self.ctx.storage.kv.put("v", "x" * n))

    async def syncKey(self, n):
        return attempt_sync(lambda: self.ctx.storage.kv.put("k" * n, 1))

    async def multi(self):
        await self.ctx.storage.delete_all()
        put = await attempt(lambda: self.ctx.storage.put({"a": 1, "big": "x" * 9_000_000, "c": 3}))
        return {"put": put, "left": list(await self.ctx.storage.list())}

    async def alive(self):
        await self.ctx.storage.put("still", "here")
        return await self.ctx.storage.get("still")


Default = serve()
