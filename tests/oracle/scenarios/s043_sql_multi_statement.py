from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def run(self, query, *bindings):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(query, *bindings).to_list())


Default = serve()
