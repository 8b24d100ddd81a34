from lib import attempt_sync, serve

from perdure import DurableObject, WebSocketPair

CODES = [0, 999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 1016, 2000, 2999, 3000, 4999, 5000, 65535]
REASONS = [(0, "r"), (123, "r"), (124, "r"), (61, "\u00e9"), (62, "\u00e9")]


def pair():
    client, server = WebSocketPair()
    client.accept()
    server.accept()
    return client, server


class A(DurableObject):
    async def codes(self):
        return [[code, attempt_sync(lambda code=code: pair()[1].close(code, "r"))] for code in CODES]

    async def reasons(self):
        return [
            *(
                [count, attempt_sync(lambda text=character * count: pair()[1].close(1000, text))]
                for count, character in REASONS
            ),
            ["no code", attempt_sync(lambda: pair()[1].close(None, "r"))],
            ["nothing", attempt_sync(lambda: pair()[1].close())],
        ]

    async def twice(self):
        _, server = pair()
        return [
            attempt_sync(lambda: server.close(1000, "a")),
            attempt_sync(lambda: server.close(4000, "b")),
            server.ready_state,
        ]

    async def sendAfterClose(self):
        _, server = pair()
        server.close(1000)
        return attempt_sync(lambda: server.send("late"))

    async def sendKinds(self):
        _, server = pair()
        kinds = [5, bytearray(2), bytes(2), {}, None]
        return [
            attempt_sync(lambda: server.send()),
            *(attempt_sync(lambda value=value: server.send(value)) for value in kinds),
        ]

    async def beforeAccept(self):
        _, server = WebSocketPair()
        return [
            attempt_sync(lambda: server.send("x")),
            attempt_sync(lambda: server.close(1000)),
            server.ready_state,
        ]

    async def acceptTwice(self):
        _, server = pair()
        return [
            attempt_sync(lambda: server.accept()),
            attempt_sync(lambda: self.ctx.accept_websocket(server)),
        ]


Default = serve()
