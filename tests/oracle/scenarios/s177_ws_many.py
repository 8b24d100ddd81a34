from urllib.parse import parse_qs, urlsplit

from lib import serve, sleep, upgrade

from perdure import DurableObject, WebSocket, WebSocketPair

kept = []


class A(DurableObject):
    async def fetch(self, request):
        n = int(parse_qs(urlsplit(request.url).query)["n"][0])
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server, ["odd" if n % 2 else "even"])
        server.serialize_attachment(n)
        return upgrade(client)

    def websocket_close(self, ws, code, reason, was_clean):
        pass

    def websocket_message(self, ws, message):
        pass

    async def count(self):
        return sum(ws.ready_state == WebSocket.OPEN for ws in self.ctx.get_websockets())

    async def tagged(self, tag):
        return len(self.ctx.get_websockets(tag))

    async def newestFirst(self):
        found = [ws.deserialize_attachment() for ws in self.ctx.get_websockets()]
        return found == sorted(found, reverse=True)

    async def taggedOldestFirst(self):
        found = [ws.deserialize_attachment() for ws in self.ctx.get_websockets("odd")]
        return found == sorted(found)

    async def broadcast(self, text):
        for ws in self.ctx.get_websockets():
            ws.send(text)

    async def closeSome(self, count):
        for ws in self.ctx.get_websockets()[:count]:
            ws.close(1000, "some")


async def many(env, ctx, count):
    stub, got = env.A.get_by_name("many"), []
    for n in range(count):
        response = await stub.fetch(f"http://do/?n={n}", headers={"Upgrade": "websocket"})
        ws = response.websocket
        ws.accept()
        ws.add_event_listener("message", got.append)
        ws.add_event_listener("close", lambda event, ws=ws: ws.close())
        kept.append(ws)
    await stub.broadcast("all")
    for _ in range(50):
        if len(got) < count:
            await sleep(20)
    ctx.wait_until(sleep(5000))
    return {
        "got": len(got),
        "newestFirst": await stub.newestFirst(),
        "taggedOldestFirst": await stub.taggedOldestFirst(),
    }


async def close(env, ctx, count):
    stub = env.A.get_by_name("many")
    await stub.closeSome(count)
    await sleep(200)
    return await stub.count()


Default = serve(many, close)
