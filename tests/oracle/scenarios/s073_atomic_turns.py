from datetime import timedelta

from lib import attempt_sync, serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage

    async def keys(self):
        return list(await self.storage.list())

    async def writeThenThrow(self):
        self.storage.put("thrown 1", 1)
        self.storage.put("thrown 2", 2)
        raise Exception("after writing")

    async def writeThenReject(self):
        self.storage.put("rejected", 1)
        await self.storage.get("rejected")
        raise Exception("after writing, async")

    async def writeThenAbort(self):
        self.storage.put("aborted", 1)
        self.ctx.abort("stop")

    async def awaitedWriteThenAbort(self):
        """Awaiting the put itself waits for nothing but memory."""
        await self.storage.put("awaited", 1)
        await self.storage.get("awaited")
        self.ctx.abort("stop")

    async def syncedThenAbort(self):
        self.storage.put("synced", 1)
        await self.storage.sync()
        self.storage.put("after sync", 1)
        self.ctx.abort("stop")

    async def waitedThenAbort(self):
        self.storage.put("waited", 1)
        await sleep(20)
        self.storage.put("after wait", 1)
        self.ctx.abort("stop")

    async def sqlThenAbort(self):
        self.storage.sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (1)")
        self.ctx.abort("stop")

    async def rows(self):
        return attempt_sync(lambda: self.storage.sql.exec("SELECT * FROM t").to_list())

    async def deleteThenAbort(self):
        self.storage.delete("synced")
        self.ctx.abort("stop")

    async def alarmThenAbort(self):
        self.storage.set_alarm(timedelta(hours=1))
        self.ctx.abort("stop")

    async def alarm_set(self):
        return await self.storage.get_alarm()

    async def alarm(self):
        pass


Default = serve()
