import asyncio

from lib import serve, sleep

from perdure import DurableObject


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.events = []
        self.timers = set()
        self.long = None

    def after(self, ms, action):
        """A timer, as Python has it: a task that sleeps first."""

        async def timer():
            await sleep(ms)
            action()

        task = asyncio.create_task(timer())
        self.timers.add(task)
        task.add_done_callback(self.timers.discard)
        return task

    def note_after(self, ms, event):
        return self.after(ms, lambda: self.events.append(event))

    async def schedule(self):
        for ms in [150, 50, 100, 0]:
            self.note_after(ms, ms)
        self.events.append("answered")

    async def log(self):
        events, self.events = self.events, []
        return events

    async def setLong(self):
        self.long = self.note_after(150, "should not fire")

    async def clearLong(self):
        self.long.cancel()

    async def interval(self):
        def tick(n):
            self.events.append(f"tick {n}")
            if n < 3:
                self.after(50, lambda: tick(n + 1))

        self.after(50, lambda: tick(1))

    async def throwing(self):
        def fail():
            raise Exception("from timer")

        self.after(20, fail)
        self.note_after(40, "next timer")

    async def write(self):
        self.after(50, lambda: self.ctx.storage.put("by timer", 1))

    async def read(self):
        return await self.ctx.storage.get("by timer")


Default = serve()
