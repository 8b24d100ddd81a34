from lib import serve

from perdure import DurableObject

KEYS = [
    *["b", "B", "a", "10", "9", "", " ", "~", "\0", "\x7f"],
    *["\u00e9", "\u00e9a", "\u00ea", "\uffee", "\U0001f600", "\U0001f600a", "\U0010ffff"],
]


class A(DurableObject):
    async def order(self):
        await self.ctx.storage.put(dict.fromkeys(KEYS, 1))
        return await self.points()

    async def points(self, **options):
        return [[ord(c) for c in key] for key in await self.ctx.storage.list(**options)]

    async def prefix(self, prefix):
        return await self.points(prefix=prefix)

    async def starting_at(self, start):
        return await self.points(start=start)

    async def upTo(self, end):
        return await self.points(end=end)

    async def numbers(self):
        await self.ctx.storage.delete_all()
        for i in range(12):
            await self.ctx.storage.put(f"item{i}", i)
        return list((await self.ctx.storage.list(prefix="item")).values())

    async def highest(self):
        return await self.points(prefix="\U0010ffff")


# The steps call it `from`, which is no name for a `def`.
setattr(A, "from", A.starting_at)

Default = serve()
