from lib import serve

from perdure import DurableObject, Response, WebSocketPair


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sockets = set()

    async def fetch(self, request):
        client, server = WebSocketPair()
        server.accept()
        self.sockets.add(server)
        as_bytes = "arraybuffer" in request.url  # workerd gives a Blob unless it is told otherwise

        def heard(event):
            if event.data == "stop":
                server.close(4000, "as you wish")
            elif isinstance(event.data, bytes):
                server.send(event.data if as_bytes else f"a Blob of {len(event.data)}")
            else:
                server.send(f"echo {event.data}")

        server.add_event_listener("message", heard)
        server.add_event_listener("close", lambda event: self.sockets.discard(server))
        return Response(None, status=101, websocket=client)

    async def push(self, text):
        for ws in self.sockets:
            ws.send(text)
        return len(self.sockets)

    async def open(self):
        return len(self.sockets)


Default = serve()
