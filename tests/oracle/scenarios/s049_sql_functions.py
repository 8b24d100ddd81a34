from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def value(self, expression):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(f"SELECT {expression} AS v").one().v)

    async def rows(self, query):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(query).to_list())


Default = serve()
