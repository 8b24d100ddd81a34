from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def value(self, expression):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(f"SELECT {expression} AS v").one().v)

    async def identity(self):
        """A blob is bytes; a row is a dict in column order."""
        row = self.ctx.storage.sql.exec("SELECT 1 AS z, 2 AS a, x'01' AS m").one()
        return {"keys": list(row), "proto": isinstance(row, dict), "blob": isinstance(row.m, bytes)}


Default = serve()
