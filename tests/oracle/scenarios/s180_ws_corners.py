from urllib.parse import parse_qs, urlsplit

from lib import attempt_sync, serve, sleep, upgrade

from perdure import DurableObject, WebSocketPair, WebSocketRequestResponsePair

logs = {}


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = logs.setdefault(ctx.id.name, [])
        for ws in ctx.get_websockets():
            self.log.append(["start", ws.ready_state, ws.deserialize_attachment(), ctx.get_tags(ws)])
            if ctx.id.name == "greets":
                ws.send("I am back")
            if ctx.id.name == "closes":
                ws.close(4100, "from the constructor")

    async def events(self):
        found = self.log.copy()
        self.log.clear()
        return found

    async def fetch(self, request):
        query = parse_qs(urlsplit(request.url).query, keep_blank_values=True)
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server, query.get("tag", []))
        server.serialize_attachment(query.get("name", [None])[0])
        if "early" in query:
            server.send("early")
            server.close(4001, "no room")
        return upgrade(client)

    def websocket_message(self, ws, message):
        match message:
            case "close":
                ws.close(4002, "as asked")
            case "close plain":
                ws.close()
            case "close and send":
                ws.send("last")
                ws.close(4003, "x")
                late, again = (
                    attempt_sync(lambda: ws.send("late")),
                    attempt_sync(lambda: ws.close(4004, "again")),
                )
                self.log.append([ws.ready_state, late, again])
            case _:
                ws.send("got " + (message if isinstance(message, str) else "binary"))

    async def websocket_close(self, ws, code, reason, was_clean):
        self.log.append([code, reason, was_clean])
        self._note("close", ws)
        if reason == "answer":
            self.log.append(attempt_sync(lambda: ws.send("farewell")))
            ws.close(4200, "answered")
            self.log.append([ws.ready_state, attempt_sync(lambda: ws.send("after"))])
        if reason == "later":
            await sleep(100)
            self._note("later", ws)
            self.log.append(attempt_sync(lambda: ws.send("farewell")))
            self.log.append(attempt_sync(lambda: ws.close(4201, "late")))
            self.log.append(ws.ready_state)

    def _note(self, word, ws):
        listed = len(self.ctx.get_websockets())
        self.log.append([word, ws.deserialize_attachment(), ws.ready_state, listed, self.ctx.get_tags(ws)])

    async def names(self, tag=None):
        return [ws.deserialize_attachment() for ws in self.ctx.get_websockets(tag)]

    async def states(self):
        return [[ws.deserialize_attachment(), ws.ready_state] for ws in self.ctx.get_websockets()]

    async def closeAll(self, code, reason):
        for ws in self.ctx.get_websockets():
            ws.close(code, reason)
        return await self.states()

    async def sendAll(self, text):
        return [attempt_sync(lambda ws=ws: ws.send(text)) for ws in self.ctx.get_websockets()]

    async def auto(self, request, response):
        self.ctx.set_websocket_auto_response(WebSocketRequestResponsePair(request, response))

    async def settings(self, ms=None):
        if ms:
            self.ctx.set_hibernatable_websocket_event_timeout(ms)
        pair = self.ctx.get_websocket_auto_response()
        return [pair and pair.response, self.ctx.get_hibernatable_websocket_event_timeout()]

    async def inside(self, allow_half_open, answers):
        out = []
        a, b = WebSocketPair()

        def listen(name, ws):
            ws.add_event_listener("message", lambda event: out.append([name, event.data]))
            ws.add_event_listener(
                "close",
                lambda event: out.append([name, event.code, event.reason, event.was_clean, ws.ready_state]),
            )
            ws.accept(allow_half_open=allow_half_open)

        listen("a", a)
        listen("b", b)
        a.send("to b")
        b.send("to a")
        await sleep(20)
        a.close(4300, "enough")
        out.append([a.ready_state, b.ready_state])
        await sleep(20)
        out.append([a.ready_state, b.ready_state])
        if answers:
            b.send("still")
            b.close()
        await sleep(20)
        return [*out, [a.ready_state, b.ready_state]]


class S(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        self.sockets = []

    async def fetch(self, request):
        half = "half" in request.url
        client, server = WebSocketPair()

        def message(event):
            if event.data == "throw":
                raise Exception("listener threw")
            server.send("got " + event.data)

        def closed(event):
            self.log.append(["close", event.code, event.reason, event.was_clean])
            if half:
                server.send("half open")
                server.close(4401, "then")

        server.add_event_listener("message", message)
        server.add_event_listener("message", lambda event: self.log.append(event.data))
        server.add_event_listener("error", lambda event: self.log.append(["error", server.ready_state]))
        server.add_event_listener("close", closed)
        server.accept(allow_half_open=half)
        self.sockets.append(server)
        return upgrade(client)

    async def events(self):
        found, self.log = self.log, []
        return found

    async def now(self):
        return [[ws.ready_state, attempt_sync(lambda ws=ws: ws.send("late"))] for ws in self.sockets]


Default = serve()
