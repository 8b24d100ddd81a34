from datetime import datetime

from workers import DurableObject


class TodoList(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage
        self.ctx.blockConcurrencyWhile(self.initialize)

    async def initialize(self):
        self.count = await self.storage.get("count") or 0

    async def add(self, title, options=None):
        self.count += 1
        key = f"item:{self.count:04}"
        item = {"title": title, "tags": options["tags"] if options else [], "created": datetime.now()}
        await self.storage.put({key: item, "count": self.count})
        stored = await self.storage.get(key)
        return {"key": key, "title": stored.title, "tags": stored["tags"]}

    async def remove(self, key):
        return await self.storage.delete(key)

    async def find(self, prefix):
        items = await self.storage.list(prefix="item:")
        return [item.title for item in items.values() if item["title"].startswith(prefix)]

    async def everything(self):
        items = await self.storage.list({"prefix": "item:", "reverse": True, "limit": 10})
        return {key: item["title"] for key, item in items.items()}
