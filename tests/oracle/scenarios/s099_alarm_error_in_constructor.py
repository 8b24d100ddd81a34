from datetime import timedelta

from lib import serve

from perdure import DurableObject

facts = {"failuresLeft": 0, "attempts": 0}
ran = []


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        facts["attempts"] += 1
        if facts["failuresLeft"] > 0:
            facts["failuresLeft"] -= 1
            raise Exception("constructor failed")

    async def start(self):
        facts["failuresLeft"] = 1
        await self.ctx.storage.set_alarm(timedelta(milliseconds=300))

    async def facts(self):
        return {"attempts": facts["attempts"], "ran": ran}

    def alarm(self, info):
        ran.append({"retryCount": info.retry_count})


Default = serve()
