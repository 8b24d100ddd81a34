import asyncio

from lib import serve, sleep, upgrade

from perdure import DurableObject, Response, WebSocketPair


class A(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []

    async def fetch(self, request):
        if request.headers.get("upgrade") != "websocket":
            return Response("upgrade wanted", status=426)
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        server.send("welcome")
        return upgrade(client)

    def websocket_message(self, ws, message):
        ws.send(f"echo {message}" if isinstance(message, str) else message)

    def websocket_close(self, ws, code, reason, was_clean):
        self.log.append([code, reason, was_clean])
        ws.close(code, f"answer to {reason}")

    async def closes(self):
        log, self.log = self.log, []
        return log


async def connect(env, name):
    return await env.A.get_by_name(name).fetch("http://do/", headers={"Upgrade": "websocket"})


def following(ws, event="message"):
    future = asyncio.get_running_loop().create_future()
    ws.add_event_listener(event, future.set_result, once=True)
    return future


async def talking(env, name):
    response = await connect(env, name)
    ws, got = response.websocket, []
    three = asyncio.Event()

    def heard(event):
        got.append(event.data)
        if len(got) == 3:
            three.set()

    ws.add_event_listener("message", heard)
    ws.accept()
    ws.send("one")
    ws.send("two")
    await three.wait()
    closed = following(ws, "close")
    ws.close(1000, "enough")
    event = await closed
    return {"status": response.status, "got": got, "close": [event.code, event.reason, event.was_clean]}


class B(DurableObject):
    async def talkTo(self, name):
        return await talking(self.env, name)


async def talk(env, ctx):
    return await talking(env, "x")


async def notUpgraded(env, ctx):
    response = await env.A.get_by_name("x").fetch("http://do/")
    return [response.status, response.websocket, await response.text()]


async def closeFromClient(env, ctx):
    ws = (await connect(env, "c")).websocket
    ws.accept()
    await following(ws)
    ws.close(4001, "from client")
    await sleep(100)
    return [ws.ready_state, await env.A.get_by_name("c").closes()]


async def beforeAccept(env, ctx):
    ws = (await connect(env, "d")).websocket
    await sleep(50)
    first = following(ws)
    ws.accept()
    return (await first).data


async def binary(env, ctx):
    ws = (await connect(env, "e")).websocket
    ws.accept()
    await following(ws)
    back = following(ws)
    ws.send(bytes([1, 2, 255]))
    return (await back).data


Default = serve(talk, notUpgraded, closeFromClient, beforeAccept, binary)
