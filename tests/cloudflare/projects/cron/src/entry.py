from workers import DurableObject, Response, WorkerEntrypoint, wait_until


class Journal(DurableObject):
    async def note(self, line):
        lines = await self.ctx.storage.get("lines") or []
        lines.append(line)
        await self.ctx.storage.put("lines", lines)

    async def read(self):
        return await self.ctx.storage.get("lines") or []


class Default(WorkerEntrypoint):
    async def scheduled(self, controller, env, ctx):
        journal = env.JOURNAL.getByName("journal")
        await journal.note(f"{controller.cron} at {controller.scheduledTime} ({type(controller.scheduledTime).__name__})")
        ctx.waitUntil(journal.note("from ctx.waitUntil"))
        wait_until(journal.note("from wait_until"))

    async def fetch(self, request):
        return Response.json(await self.env.JOURNAL.getByName("journal").read())
