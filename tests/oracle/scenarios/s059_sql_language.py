from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def run(self, query):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(query).to_list())


Default = serve()
