from lib import keywords, serve

from perdure import DurableObject


class A(DurableObject):
    async def fill(self, keys):
        for i, key in enumerate(keys):
            await self.ctx.storage.put(key, i)

    async def list(self, options):
        found = await self.ctx.storage.list(**keywords(options))
        return {"isMap": isinstance(found, dict), "entries": [[key, found[key]] for key in found]}


Default = serve()
