from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def run(self, query):
        return attempt_sync(lambda: list(self.ctx.storage.sql.exec(query).raw()))


Default = serve()
