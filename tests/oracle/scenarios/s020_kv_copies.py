from lib import serve

from perdure import DurableObject


class A(DurableObject):
    async def changeAfterPut(self):
        value = {"n": 1}
        done = self.ctx.storage.put("k", value)
        value["n"] = 2
        await done
        return await self.ctx.storage.get("k")

    async def changeAfterGet(self):
        (await self.ctx.storage.get("k"))["n"] = 99
        return await self.ctx.storage.get("k")

    async def twoGets(self):
        return (await self.ctx.storage.get("k")) is (await self.ctx.storage.get("k"))

    async def unawaited(self):
        self.ctx.storage.put("u", 1)
        seen = await self.ctx.storage.get("u")
        listed = await self.ctx.storage.list(prefix="u")
        return {"seen": seen, "listed": list(listed.items())}

    async def lastWins(self):
        self.ctx.storage.put("w", 1)
        self.ctx.storage.put("w", 2)
        self.ctx.storage.delete("w")
        self.ctx.storage.put("w", 3)
        return await self.ctx.storage.get("w")

    async def deleteUnawaited(self):
        await self.ctx.storage.put("d", 1)
        gone = self.ctx.storage.delete("d")
        seen = await self.ctx.storage.get("d")
        return {"seen": seen, "gone": await gone}

    async def mapOfList(self):
        found = await self.ctx.storage.list()
        found.clear()
        return len(await self.ctx.storage.list())

    async def readBackInOrder(self):
        """What was asked first is answered with the state of that moment."""
        await self.ctx.storage.put("o", 1)
        before = self.ctx.storage.get("o")
        self.ctx.storage.put("o", 2)
        after = self.ctx.storage.get("o")
        return [await before, await after]

    async def left(self):
        return list((await self.ctx.storage.list()).items())


Default = serve()
