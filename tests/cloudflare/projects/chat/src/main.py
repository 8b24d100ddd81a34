import json

from js import Object, WebSocketPair, WebSocketRequestResponsePair
from js import Response as JSResponse
from pyodide.ffi import to_js
from workers import DurableObject, Response, WorkerEntrypoint


class ChatRoom(DurableObject):
    def __init__(self, ctx, env):
        self.ctx = ctx
        self.env = env
        self.ctx.setWebSocketAutoResponse(WebSocketRequestResponsePair.new("ping", "pong"))

    async def fetch(self, request):
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return Response("Expected a WebSocket", status=426)
        name = request.url.rsplit("=", 1)[-1]
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server, to_js([name]))
        server.serializeAttachment(json.dumps({"name": name}))
        self.broadcast({"joined": name, "here": len(self.ctx.getWebSockets())})
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, ws, message):
        if not isinstance(message, str):
            ws.send(bytes(message.to_py())[::-1])
            return
        sender = json.loads(ws.deserializeAttachment())["name"]
        if message.startswith("@"):
            to, text = message[1:].split(" ", 1)
            for other in self.ctx.getWebSockets(to):
                other.send(json.dumps({"from": sender, "text": text}))
        elif message == "/tags":
            ws.send(json.dumps(list(self.ctx.getTags(ws))))
        elif message == "/leave":
            ws.close(1000, "bye")
        else:
            self.broadcast({"from": sender, "text": message}, besides=ws)

    async def webSocketClose(self, ws, code, reason, was_clean):
        name = json.loads(ws.deserializeAttachment())["name"]
        self.broadcast({"left": name, "code": code, "clean": was_clean}, besides=ws)

    def broadcast(self, message, besides=None):
        text = json.dumps(message)
        for ws in self.ctx.getWebSockets():
            if ws != besides and ws.readyState == 1:
                ws.send(text)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/echo"):
            # The raw shape, without hibernation.
            client, server = Object.values(WebSocketPair.new())
            server.accept()

            def on_message(event):
                server.send(f"echo: {event.data}")

            server.addEventListener("message", on_message)
            return JSResponse.new(None, status=101, webSocket=client)
        room = request.url.split("/")[3].split("?")[0]
        stub = self.env.ROOMS.get(self.env.ROOMS.idFromName(room))
        return await stub.fetch(request)
