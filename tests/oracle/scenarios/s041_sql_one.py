from lib import attempt_sync, serve, step

from perdure import DurableObject


class A(DurableObject):
    async def one(self, query):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(query).one())

    async def after(self):
        cursor = self.ctx.storage.sql.exec("SELECT n FROM t ORDER BY n")
        return [attempt_sync(cursor.one), cursor.to_list(), step(cursor), cursor.rows_read]


Default = serve()
