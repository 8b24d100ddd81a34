import time
from datetime import datetime

from lib import Hibernating, attempt_sync, serve

from perdure import WebSocketRequestResponsePair

starts = {}


class A(Hibernating):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        starts[ctx.id.name] = starts.get(ctx.id.name, 0) + 1

    def websocket_message(self, ws, message):
        shown = message if isinstance(message, str) else "binary"
        self.log.append(shown)
        ws.send(f"object got {shown}")

    async def seen(self):
        return await self.events()

    async def startsOf(self, name):
        return starts.get(name)

    def pair_of(self, request, response):
        return self.ctx.set_websocket_auto_response(WebSocketRequestResponsePair(request, response))

    async def set(self, request, response):
        return self.pair_of(request, response)

    async def unset(self):
        return self.ctx.set_websocket_auto_response()

    async def get(self):
        pair = self.ctx.get_websocket_auto_response()
        return pair and {"request": pair.request, "response": pair.response}

    async def timestamps(self):
        found = []
        for ws in self.ctx.get_websockets():
            at = self.ctx.get_websocket_auto_response_timestamp(ws)
            age = at and abs(time.time() - at.timestamp())
            found.append(at and [isinstance(at, datetime), age < 60])
        return found

    async def limits(self):
        return [
            attempt_sync(lambda: self.pair_of("x" * 2048, "r")),
            attempt_sync(lambda: self.pair_of("x" * 2049, "r")),
            attempt_sync(lambda: self.pair_of("q", "x" * 2048)),
            attempt_sync(lambda: self.pair_of("q", "x" * 2049)),
            attempt_sync(lambda: self.pair_of("\u00e9" * 1025, "r")),
        ]

    async def pair(self):
        pair = WebSocketRequestResponsePair("a", "b")
        return [pair.request, pair.response, attempt_sync(lambda: setattr(pair, "request", "c"))]


Default = serve()
