"""
WebSocket clients of one process, as JSON on its input asks for them; what they saw is JSON on its output.

    echo        each of `sockets` sends a message when the one before has come back, for `seconds`
    broadcast   the first sends, `rounds` times, what comes to all of them
    calls       one socket makes calls of Cap'n Web for `seconds`, `at_once` of them under way
    hold        prints "held" when all are connected, then waits for a line, then each sends "count" once
    sessions    as `hold`, but each is a session of Cap'n Web, which makes a call before that and after

Frames are masked with zeros: the bytes are those of any mask, and cost the loader nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from typing import Any

KEY = base64.b64encode(b"0123456789abcdef").decode()
HEAD = (
    "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
)
TOGETHER = 100  # handshakes under way at one time


def frame(text: str) -> bytes:
    """Return a short text message as a client sends it."""
    payload = text.encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


class Socket(asyncio.Protocol):
    """One client; it hands the payload of each (short) message on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.hear: Any = None
        self.sent_s = 0.0
        self._rest = b""
        self._is_open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(HEAD.format(path=self.path).encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        if not self._is_open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(RuntimeError(head.decode()))
                return
            self._is_open = True
            self.opened.set_result(None)
        at, end = 0, len(data)
        while end - at >= 2 and end - at >= 2 + data[at + 1]:
            size = data[at + 1]
            payload = data[at + 2 : at + 2 + size]
            at += 2 + size
            self.hear(self, payload)
        self._rest = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("the connection ended"))


async def connect(asked: dict[str, Any]) -> list[Socket]:
    """Open all sockets, to as many rooms as asked."""
    loop = asyncio.get_running_loop()
    if "path" in asked:
        paths = [asked["path"]] * asked["sockets"]
    else:
        paths = [f"/room/{asked['room']}-{n % asked['rooms']}/ws" for n in range(asked["sockets"])]
    sockets: list[Socket] = []
    for first in range(0, len(paths), TOGETHER):
        begun = [
            await loop.create_connection(lambda path=path: Socket(path), "127.0.0.1", asked["port"])
            for path in paths[first : first + TOGETHER]
        ]
        for _, socket in begun:
            await socket.opened
            sockets.append(socket)
    return sockets


async def echo(asked: dict[str, Any]) -> dict[str, Any]:
    sockets, message = await connect(asked), frame("x" * 32)
    times: list[float] = []
    began_s = time.perf_counter()
    end_s = began_s + asked["seconds"]
    left = len(sockets)
    done = asyncio.get_running_loop().create_future()

    def heard(socket: Socket, payload: bytes) -> None:
        nonlocal left
        now_s = time.perf_counter()
        times.append(now_s - socket.sent_s)
        if now_s < end_s:
            socket.sent_s = now_s
            socket.transport.write(message)
        else:
            left -= 1
            if not left:
                done.set_result(None)

    for socket in sockets:
        socket.hear = heard
        socket.sent_s = time.perf_counter()
        socket.transport.write(message)
    await done
    return summary(times, time.perf_counter() - began_s)


async def broadcast(asked: dict[str, Any]) -> dict[str, Any]:
    sockets = await connect(asked)
    loop = asyncio.get_running_loop()
    last_s: list[float] = []
    count, done = 0, loop.create_future()

    def heard(socket: Socket, payload: bytes) -> None:
        nonlocal count
        count += 1
        if count == len(sockets):
            done.set_result(None)

    for socket in sockets:
        socket.hear = heard
    began_s = time.perf_counter()
    for number in range(asked["rounds"]):
        count, done = 0, loop.create_future()
        sent_s = time.perf_counter()
        sockets[0].transport.write(frame(f"all {number}"))
        await done
        last_s.append(time.perf_counter() - sent_s)
    found = summary(last_s, time.perf_counter() - began_s)
    return found | {"requests": len(sockets) * asked["rounds"]}


def call(id: int) -> bytes:
    """Return a call that adds 7 to *id*, and the wish to have its result: what npm's client sends."""
    return frame(f'["push",["pipeline",0,["add"],[{id},7]]]') + frame(f'["pull",{id}]')


def result(payload: bytes) -> int:
    """Return the id of the call that *payload* answers; any other message is an error."""
    kind, id, value = json.loads(payload)
    if kind != "resolve" or value != id + 7:
        raise SystemExit(f"a call of Cap'n Web was answered with {payload.decode()}")
    return int(id)


async def calls(asked: dict[str, Any]) -> dict[str, Any]:
    (socket,) = await connect({**asked, "sockets": 1})
    at_once = asked["at_once"]
    times: list[float] = []
    done = asyncio.get_running_loop().create_future()
    began_s = time.perf_counter()
    end_s = began_s + asked["seconds"]
    sent_s = dict.fromkeys(range(1, at_once + 1), began_s)
    last = at_once

    def heard(socket: Socket, payload: bytes) -> None:
        nonlocal last
        id = result(payload)
        now_s = time.perf_counter()
        times.append(now_s - sent_s.pop(id))
        release = frame(f'["release",{id},1]')
        if now_s < end_s:
            last += 1
            sent_s[last] = now_s
            socket.transport.write(release + call(last))
        else:
            socket.transport.write(release)
            if not sent_s:
                done.set_result(None)

    socket.hear = heard
    socket.transport.write(b"".join(map(call, sent_s)))
    await done
    return summary(times, time.perf_counter() - began_s)


async def sessions(asked: dict[str, Any]) -> dict[str, Any]:
    sockets = await connect(asked)
    loop = asyncio.get_running_loop()
    began_s = time.perf_counter()
    times: list[float] = []

    async def call_of_each(id: int) -> None:
        for socket in sockets:
            heard = loop.create_future()
            socket.hear = lambda socket, payload, heard=heard: heard.set_result(result(payload))
            sent_s = time.perf_counter()
            socket.transport.write(call(id))
            await heard
            socket.transport.write(frame(f'["release",{id},1]'))
            times.append(time.perf_counter() - sent_s)

    await call_of_each(1)
    print("held", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    await call_of_each(2)
    return summary(times, time.perf_counter() - began_s)


async def hold(asked: dict[str, Any]) -> dict[str, Any]:
    sockets = await connect(asked)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    counts: list[int] = []
    print("held", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    began_s = time.perf_counter()
    for socket in sockets[: asked["asked"]]:
        heard = loop.create_future()
        socket.hear = lambda socket, payload, heard=heard: heard.set_result(int(payload))
        sent_s = time.perf_counter()
        socket.transport.write(frame("count"))
        counts.append(await heard)
        times.append(time.perf_counter() - sent_s)
    found = summary(times or [0.0], time.perf_counter() - began_s)
    return found | {
        "errors": sum(count != 1 for count in counts)
    }  # another one's message, or no new instance


def summary(times: list[float], seconds: float) -> dict[str, Any]:
    ordered = sorted(times)
    return {
        "requests": len(ordered),
        "seconds": seconds,
        "errors": 0,
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3,
        "max_ms": ordered[-1] * 1e3,
    }


if __name__ == "__main__":
    try:
        import uvloop as runner
    except ImportError:
        runner = asyncio  # type: ignore[assignment]
    wanted = json.loads(sys.stdin.readline())
    jobs = {"echo": echo, "broadcast": broadcast, "calls": calls, "hold": hold, "sessions": sessions}
    print(json.dumps(runner.run(jobs[wanted["what"]](wanted))))
