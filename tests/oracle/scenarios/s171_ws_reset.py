from lib import Hibernating, serve, upgrade

from perdure import WebSocketPair

failing = set()


class A(Hibernating):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        if ctx.id.name in failing:
            failing.discard(ctx.id.name)
            raise Exception("woken badly")

    async def fetch(self, request):
        if "standard" not in request.url:
            return await super().fetch(request)
        client, server = WebSocketPair()
        server.accept()
        return upgrade(client)

    def websocket_message(self, ws, message):
        ws.send(f"got {message}")

    async def websocket_close(self, ws, code, reason, was_clean):
        await self.ctx.storage.put("close", [code, reason, was_clean])

    async def abort(self):
        self.ctx.abort("with sockets open")

    async def failBlock(self):
        async def fail():
            raise Exception("block failed")

        await self.ctx.block_concurrency_while(fail)

    async def failNextStart(self):
        failing.add(self.ctx.id.name)

    async def wipe(self):
        await self.ctx.storage.delete_all()

    async def open(self):
        return len(self.ctx.get_websockets())

    async def closes(self):
        return await self.ctx.storage.get("close")


Default = serve()
