from datetime import timedelta

from lib import attempt_sync, serve

from perdure import DurableObject


class A(DurableObject):
    async def setup(self):
        self.ctx.storage.sql.exec("CREATE TABLE ok (n)")
        await self.ctx.storage.put("k", "v")
        await self.ctx.storage.set_alarm(timedelta(hours=1))

    async def run(self, query):
        outcome = attempt_sync(lambda: list(self.ctx.storage.sql.exec(query).raw()))
        if query.startswith("EXPLAIN ") and "ok" in outcome:
            return {"ok": "rows: true" if outcome["ok"] else "rows: false"}
        return outcome

    async def left(self):
        return [await self.ctx.storage.get("k"), await self.ctx.storage.get_alarm() is not None]

    async def alarm(self):
        pass


Default = serve()
