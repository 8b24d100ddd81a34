import json
from datetime import UTC, datetime

from lib import Hibernating, attempt_sync, enc, serve

from perdure import WebSocketPair

SIZES = [1000, 2048, 2049, 16000, 16379, 16380, 16381, 20000]


class A(Hibernating):
    @property
    def sockets(self):
        return self.ctx.get_websockets()[::-1]

    async def fresh(self):
        return self.sockets[0].deserialize_attachment()

    def through(self, value):
        ws = self.sockets[0]

        def there_and_back():
            ws.serialize_attachment(value)
            return ws.deserialize_attachment()

        return attempt_sync(there_and_back)

    async def kinds(self):
        date = datetime.fromtimestamp(0.005, UTC)
        values = [None, None, 1, "text", {"a": [1, date]}, {"k": {1}}, bytes([1, 2]), 10]
        return [self.through(value) for value in values]

    async def copies(self):
        ws = self.sockets[0]
        value = {"n": 1}
        ws.serialize_attachment(value)
        value["n"] = 2
        one = ws.deserialize_attachment()
        one["n"] = 3
        return [one["n"], ws.deserialize_attachment()["n"]]

    async def limits(self):
        answers = [[size, self.through("x" * size)] for size in SIZES]
        return [[size, len(answer["ok"]) if "ok" in answer else answer] for size, answer in answers]

    async def errors(self):
        ws = self.sockets[0]
        return [
            self.through(lambda: 1),
            attempt_sync(lambda: ws.serialize_attachment()),
            len(ws.deserialize_attachment()),
        ]

    async def setEach(self):
        for place, ws in enumerate(self.sockets):
            ws.serialize_attachment({"place": place})

    async def readEach(self):
        return [ws.deserialize_attachment() for ws in self.sockets]

    def websocket_message(self, ws, message):
        if message == "set":
            ws.serialize_attachment({"set": "by message"})
        ws.send(json.dumps(enc(ws.deserialize_attachment())))

    async def onStandard(self):
        _client, server = WebSocketPair()
        server.accept()

        def there_and_back():
            server.serialize_attachment("s")
            return server.deserialize_attachment()

        return attempt_sync(there_and_back)


Default = serve()
