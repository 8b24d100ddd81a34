from lib import Hibernating, serve, upgrade

from perdure import WebSocketPair


class A(Hibernating):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.messages = 0

    async def fetch(self, request):
        if "standard" not in request.url:
            return await super().fetch(request)
        client, server = WebSocketPair()
        server.accept()
        server.add_event_listener("message", lambda event: self.answer(server))
        return upgrade(client)

    def answer(self, ws):
        self.messages += 1
        ws.send(f"message {self.messages}")

    def websocket_message(self, ws, message):
        self.answer(ws)

    async def count(self):
        return self.messages


Default = serve()
