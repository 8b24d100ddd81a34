import time
from datetime import UTC, datetime, timedelta

from lib import serve, sleep

from perdure import DurableObject

HOUR = 3600_000
logs = {}


def when(at):
    if at is None:
        return None
    left = at - datetime.fromtimestamp(time.time(), UTC)  # that a simulation can set
    return "due" if left < timedelta(milliseconds=10) else "far" if left > timedelta(seconds=1.5) else "soon"


class A(DurableObject):
    done = False

    def note(self, what):
        logs.setdefault(self.ctx.id.name, []).append(what)

    async def facts(self):
        return [logs.pop(self.ctx.id.name, []), await self.pending()]

    async def pending(self):
        return when(await self.ctx.storage.get_alarm())

    async def set(self, ms):
        await self.ctx.storage.set_alarm(timedelta(milliseconds=ms))

    async def clear(self):
        await self.ctx.storage.delete_alarm()

    async def wipe(self):
        await self.ctx.storage.delete_all()

    async def stop(self, retry_alarm):
        self.ctx.abort("stopped", retry_alarm=retry_alarm)

    async def alarm(self, info):
        self.note(["alarm", info.retry_count, info.is_retry])
        if info.retry_count > 0 or self.done:
            return
        self.done = True
        name = self.ctx.id.name
        if name == "setSameTime":
            await self.ctx.storage.set_alarm(info.scheduled_time)
        else:
            await getattr(self, "slow" if name.startswith("slow") else name)()
        self.note(["left", await self.pending()])

    async def deleteThenThrow(self):
        await self.clear()
        raise Exception("x")

    async def setThenDelete(self):
        await self.set(300)
        self.note(await self.pending())
        await self.clear()

    async def setThenDeleteThenThrow(self):
        await self.set(300)
        await self.clear()
        raise Exception("x")

    async def deleteThenSet(self):
        await self.clear()
        await self.set(300)

    async def setFarThenThrow(self):
        await self.set(HOUR)
        raise Exception("x")

    async def setUnawaitedThenThrow(self):
        self.ctx.storage.set_alarm(timedelta(milliseconds=HOUR))
        raise Exception("x")

    async def setPast(self):
        await self.set(-1000)

    async def wipeThenThrow(self):
        await self.wipe()
        raise Exception("x")

    async def wipeThenSet(self):
        await self.wipe()
        await self.set(HOUR)

    async def transactionFails(self):
        async def fails(txn):
            await txn.set_alarm(timedelta(milliseconds=HOUR))
            self.note(when(await txn.get_alarm()))
            raise ValueError("x")

        try:
            await self.ctx.storage.transaction(fails)
        except ValueError:
            pass

    async def transactionClearsAndFails(self):
        async def fails(txn):
            await txn.delete_alarm()
            raise ValueError("x")

        try:
            await self.ctx.storage.transaction(fails)
        except ValueError:
            pass

    async def transactionThenThrow(self):
        async with self.ctx.storage.transaction() as txn:
            await txn.set_alarm(timedelta(milliseconds=HOUR))
        raise Exception("x")

    async def blockFails(self):
        async def fails():
            raise Exception("blocked")

        await self.ctx.block_concurrency_while(fails)

    async def block(self):
        async def inside():
            await sleep(20)
            return "inside"

        self.note(await self.ctx.block_concurrency_while(inside))

    async def waitUntil(self):
        async def later():
            await sleep(50)
            self.note("waited")

        self.ctx.wait_until(later())

    async def waitUntilFails(self):
        async def later():
            await sleep(50)
            raise Exception("x")

        self.ctx.wait_until(later())

    async def callsItself(self):
        self.note(await self.env.A.get_by_name(self.ctx.id.name).pending())

    async def badSql(self):
        self.ctx.storage.sql.exec("nonsense")

    async def slow(self):
        await sleep(1000)

    async def setThenFail(self):
        self.ctx.storage.set_alarm(timedelta(milliseconds=100))
        raise Exception("failed")

    async def setThenAbort(self):
        self.ctx.storage.set_alarm(timedelta(milliseconds=100))
        self.ctx.abort("stopped")

    async def syncTransactionFails(self):
        try:
            with self.ctx.storage.transaction_sync():
                self.ctx.storage.set_alarm(timedelta(milliseconds=100))
                raise ValueError("x")
        except ValueError:
            pass
        return await self.pending()

    async def rollback(self):
        async def rolls_back(txn):
            await txn.set_alarm(timedelta(milliseconds=100))
            txn.rollback()

        await self.ctx.storage.transaction(rolls_back)
        return await self.pending()


Default = serve()
