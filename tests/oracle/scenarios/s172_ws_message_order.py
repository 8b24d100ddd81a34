from lib import Hibernating, serve, sleep


class A(Hibernating):
    async def websocket_message(self, ws, message):
        async def work():
            self.log.append(f"{message} begins")
            await sleep(150)
            self.log.append(f"{message} ends")

        await (self.ctx.block_concurrency_while(work) if message.startswith("block") else work())
        ws.send(f"done {message}")

    async def note(self):
        self.log.append("call")

    async def interleaved(self):
        log = await self.events()
        return log[0].endswith("begins") and log[1].endswith("begins")


Default = serve()
