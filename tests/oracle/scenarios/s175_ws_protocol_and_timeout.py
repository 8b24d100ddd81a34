from urllib.parse import parse_qs, urlsplit

from lib import attempt_sync, serve, upgrade

from perdure import DurableObject, WebSocketPair


class A(DurableObject):
    async def fetch(self, request):
        wanted = parse_qs(urlsplit(request.url).query).get("protocol")
        self.offered = request.headers.get("sec-websocket-protocol")
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        return upgrade(client, headers={"Sec-WebSocket-Protocol": wanted[0]} if wanted else None)

    def websocket_message(self, ws, message):
        ws.send(f"offered {self.offered}")

    async def timeout(self):
        ctx = self.ctx
        seen = [ctx.get_hibernatable_websocket_event_timeout()]
        for ms in [1000, 0, 604800000, None]:
            ctx.set_hibernatable_websocket_event_timeout(ms)
            seen.append(ctx.get_hibernatable_websocket_event_timeout())
        return [
            *seen,
            attempt_sync(lambda: ctx.set_hibernatable_websocket_event_timeout(604800001)),
            attempt_sync(lambda: ctx.set_hibernatable_websocket_event_timeout(-1)),
        ]

    async def clientFields(self):
        ws = self.ctx.get_websockets()[0]
        return [ws.url, ws.protocol, ws.extensions, getattr(ws, "binary_type", "none"), ws.ready_state]


Default = serve()
