from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def shape(self, query):
        def run():
            return self.ctx.storage.sql.exec(query)

        return attempt_sync(
            lambda: {
                "names": run().column_names,
                "objects": [list(row.items()) for row in run()],
                "raw": list(run().raw()),
            }
        )


Default = serve()
