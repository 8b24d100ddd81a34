import inspect

from lib import serve

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage

    async def get(self, key):
        return await self.storage.get(key)

    async def put(self, key, value):
        await self.storage.put(key, value)

    async def delete(self, key):
        return await self.storage.delete(key)

    async def cycle(self, key):
        await self.storage.put(key, "value of " + key)
        return [
            await self.storage.get(key),
            await self.storage.delete(key),
            await self.storage.delete(key),
            await self.storage.get(key),
        ]

    async def cycleLong(self, size):
        key = "k" * size
        await self.storage.put(key, size)
        return [await self.storage.get(key), await self.storage.delete(key)]

    async def keys(self):
        return list(await self.storage.list())

    async def returnTypes(self):
        answers = {
            "get": self.storage.get("a"),
            "put": self.storage.put("a", 1),
            "delete": self.storage.delete("a"),
            "list": self.storage.list(),
        }
        return [[name, inspect.isawaitable(answer)] for name, answer in answers.items()]


Default = serve()
