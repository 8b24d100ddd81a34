import re

from lib import Hibernating, attempt_sync, serve

from perdure import WebSocketPair


def many(count):
    return [f"t{i}" for i in range(count)]


def short(answer):
    message = answer.get("err", {}).get("message")
    return message and re.sub(
        r"(.)\1{19,}", lambda found: "e..." if found[1] == "\u00e9" else "x...", message
    )


class A(Hibernating):
    async def tagsOf(self):
        return [sorted(self.ctx.get_tags(ws)) for ws in self.ctx.get_websockets()]

    async def to(self, tag):
        found = self.ctx.get_websockets(tag)
        for ws in found:
            ws.send(f"to {tag}")
        return len(found)

    async def byTag(self, tag):
        return len(self.ctx.get_websockets(tag))

    def accepted(self, *tags):
        _client, server = WebSocketPair()

        def accept():
            self.ctx.accept_websocket(server, *tags)
            return len(self.ctx.get_tags(server))

        return attempt_sync(accept)

    async def limits(self):
        return [
            ["10", self.accepted(many(10))],
            ["11", self.accepted(many(11))],
            ["10 and repeats", self.accepted([*many(10), "t1", "t2"])],
            ["9 and repeats", self.accepted([*many(9), "t1", "t2"])],
            ["256 long", self.accepted(["x" * 256])],
            ["empty", self.accepted([""])],
            ["none", self.accepted([])],
            ["undefined", self.accepted()],
            ["257 long", short(self.accepted(["x" * 257]))],
            ["128 two-byte", self.accepted(["\u00e9" * 128])],
            ["129 two-byte", short(self.accepted(["\u00e9" * 129]))],
        ]

    async def errors(self):
        client, server = WebSocketPair()
        before = attempt_sync(lambda: self.ctx.get_tags(server))
        client.accept()
        server.accept()
        return [
            before,
            attempt_sync(lambda: self.ctx.get_tags(server)),
            attempt_sync(lambda: self.ctx.get_tags()),
            attempt_sync(lambda: self.ctx.get_tags({})),
        ]


Default = serve()
