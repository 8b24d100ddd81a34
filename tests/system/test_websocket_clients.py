"""Clients that other people wrote: `websockets` and `aiohttp` for Python, `ws` and `partysocket` for Node."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import aiohttp
import pytest
import websockets
from http_serving import run
from support.inside import attempt, inside
from support.npm import install
from websocket_serving import Echo, playing

from perdure._http.limits import HttpLimits, WebSocketLimits

HERE = Path(__file__).parent
NODE_PACKAGES = ["ws@8", "partysocket@1"]
DEFLATE = HttpLimits(websocket=WebSocketLimits(deflate=True))
EACH = ["", "text ☃", "x" * 70_000, b"", b"\0\xff", b"y" * 1_000_000]


@pytest.mark.parametrize("limits", [HttpLimits(), DEFLATE], ids=["plain", "compressed"])
def test_websockets_talks_pings_and_closes(limits):
    """It offers compression; both ways of saying no more are clean."""

    async def main():
        async with playing(limits=limits) as app:
            async with websockets.connect(f"ws://127.0.0.1:{app.port}/room") as client:
                for message in EACH:
                    await client.send(message)
                    assert await client.recv() == message
                await client.send(["in ", "three ", "parts"])
                assert await client.recv() == "in three parts"
                await asyncio.wait_for(await client.ping(b"?"), 5)
                await client.close(4001, "bye")
                assert (client.close_code, client.close_reason) == (4001, "bye")
            async with websockets.connect(f"ws://127.0.0.1:{app.port}/room") as client:
                await inside(app.stub(), lambda room: room.ctx.get_websockets()[0].close(4000, "enough"))
                await client.wait_closed()
                assert (client.close_code, client.close_reason) == (4000, "enough")

    run(main())


def test_websockets_connects_again_by_itself_after_a_reset():
    """Its own loop over connections, as its documentation shows it."""

    async def main():
        async with playing() as app:
            heard = 0
            async for client in websockets.connect(f"ws://127.0.0.1:{app.port}/room"):
                try:
                    await client.send("hello")
                    assert await client.recv() == "hello"
                    heard += 1
                    if heard == 3:
                        break
                    await attempt(inside(app.stub(), lambda room: room.ctx.abort("enough")))
                    await client.recv()
                except websockets.ConnectionClosed:
                    continue  # as its documentation does it
            assert heard == 3
            await client.close()

    run(main())


@pytest.mark.parametrize("limits", [HttpLimits(), DEFLATE], ids=["plain", "compressed"])
def test_aiohttp_talks_pings_and_closes(limits):
    async def main():
        async with (
            playing(limits=limits) as app,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{app.port}/room", compress=15, max_msg_size=0) as client,
        ):
            for message in EACH:
                await (client.send_str(message) if isinstance(message, str) else client.send_bytes(message))
                assert (await client.receive()).data == message
            await client.ping(b"?")
            await client.close(code=4001, message=b"bye")
            assert client.close_code == 4001

    run(main())


# --- Node -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where Node finds the clients."""
    return install(tmp_path_factory.mktemp("node"), *NODE_PACKAGES)


async def play(node: Path, script: str, port: int) -> list:
    """Run *script* with the server's address; return what it printed, a JSON value a line."""
    path = node / "script.mjs"
    path.write_text(script)
    program = shutil.which("node")
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, path, f"ws://127.0.0.1:{port}/room", stdout=asyncio.subprocess.PIPE, cwd=node
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out
    return [json.loads(line) for line in out.decode().splitlines()]


WS = """
import WebSocket from 'ws';
const say = (...what) => console.log(JSON.stringify(what));
const ws = new WebSocket(process.argv[2]);
const next = () => new Promise((done) => ws.once('message', (data, isBinary) => done([data, isBinary])));
ws.on('error', (error) => say('error', String(error)));
ws.on('close', (code, reason) => say('close', code, String(reason)));
await new Promise((done) => ws.once('open', done));
for (const message of ['text ☃', 'x'.repeat(70000), Buffer.from([0, 255])]) {
  ws.send(message);
  const [data, isBinary] = await next();
  say(isBinary, isBinary ? data.toString('hex') : data.toString().slice(0, 10), data.length);
}
ws.ping('?');
say('pong', String(await new Promise((done) => ws.once('pong', done))));
ws.send('part one, ', { fin: false });
ws.send('part two');
say('whole', String((await next())[0]));
ws.close(4001, 'bye');
"""


@pytest.mark.foreign
@pytest.mark.parametrize("limits", [HttpLimits(), DEFLATE], ids=["plain", "compressed"])
def test_ws_talks_pings_and_closes(node, limits):
    async def main():
        async with playing(limits=limits) as app:
            assert await play(node, WS, app.port) == [
                [False, "text ☃", 8],
                [False, "x" * 10, 70_000],
                [True, "00ff", 2],
                ["pong", "?"],
                ["whole", "part one, part two"],
                ["close", 4001, "bye"],
            ]

    run(main())


TERMINATE = """
import WebSocket from 'ws';
const ws = new WebSocket(process.argv[2]);
await new Promise((done) => ws.once('open', done));
ws.terminate();
"""


@pytest.mark.foreign
def test_ws_that_terminates_is_1006(node):
    """No Close, no answer: as when a cable is pulled."""

    async def main():
        async with playing() as app:
            await play(node, TERMINATE, app.port)
            async with asyncio.timeout(5):
                while not (seen := await inside(app.stub(), lambda room: room.seen)):
                    await asyncio.sleep(0.001)
            assert seen == [(1006, "WebSocket disconnected without sending Close frame.", False)]

    run(main())


PARTYSOCKET = """
import { WebSocket as Reconnecting } from 'partysocket';
import WebSocket from 'ws';
const say = (...what) => console.log(JSON.stringify(what));
const ws = new Reconnecting(process.argv[2], [], {
  WebSocket, minReconnectionDelay: 10, maxReconnectionDelay: 50, minUptime: 10,
});
let opened = 0;
ws.addEventListener('open', () => ws.send(`open ${++opened}`));
ws.addEventListener('close', (event) => say('close', event.code));
ws.addEventListener('message', ({ data }) => {
  say(data);
  if (data === 'open 3') ws.close(1000, 'enough');
  else ws.send('reset');
});
"""


@pytest.mark.foreign
def test_partysocket_reconnects_after_each_reset(node):
    """Cut off without a Close, it comes back by itself until it has had enough."""

    class Resetting(Echo):
        async def websocket_message(self, ws, message):
            if message == "reset":
                self.ctx.abort("enough")
            ws.send(message)

    async def main():
        async with playing(Resetting) as app:
            assert await play(node, PARTYSOCKET, app.port) == [
                ["open 1"],
                ["close", 1006],
                ["open 2"],
                ["close", 1006],
                ["open 3"],
                ["close", 1000],
            ]

    run(main())
