from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def run(self, query, *bindings):
        return attempt_sync(lambda: self.ctx.storage.sql.exec(query, *bindings).to_list())

    async def nothing(self):
        return attempt_sync(lambda: self.ctx.storage.sql.exec())

    async def size(self):
        sql = self.ctx.storage.sql
        sizes = [sql.database_size]
        for statement in [
            "CREATE TABLE size (b BLOB)",
            "INSERT INTO size VALUES (zeroblob(100000))",
            "DELETE FROM size",
        ]:
            sql.exec(statement)
            sizes.append(sql.database_size)
        return sizes

    async def repeated(self, n):
        for i in range(n):
            last = self.ctx.storage.sql.exec("SELECT ? AS v", str(i)).one()
        return last


Default = serve()
