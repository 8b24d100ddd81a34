"""
A load process of our own: exact numbers of requests, and load where there is no wrk.

Reads one JSON object from standard input (`port`, `pattern`, `numbers`, `connections`, `seconds` or
`requests`), writes one in the form of `paths.lua`. Each connection sends its next request when it has the
answer to the one before.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httptools


class Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: Any = None
        self._parser: Any = None
        self._sent_s = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        path = self._load.next_path()
        if path is None:
            self._transport.close()
            return
        self._parser = httptools.HttpResponseParser(self)
        self._sent_s = time.perf_counter()
        self._transport.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        load = self._load
        load.latencies_s.append(time.perf_counter() - self._sent_s)
        if self._parser.get_status_code() != 200:
            load.errors += 1
        asyncio.get_running_loop().call_soon(self._next)  # the parser is still at work here

    def connection_lost(self, error: Exception | None) -> None:
        self._load.closed(error)


class Load:
    def __init__(self, asked: dict[str, Any]) -> None:
        self.pattern: str = asked["pattern"]
        self.numbers: int = asked["numbers"]
        self.left: float = asked.get("requests") or float("inf")
        self.seconds: float = asked.get("seconds") or float("inf")
        self.connections: int = asked["connections"]
        self.port: int = asked["port"]
        self.latencies_s: list[float] = []
        self.errors = 0
        self._sent = 0
        self._open = 0
        self._end_s = 0.0
        self._done: asyncio.Future[None]

    def next_path(self) -> str | None:
        if self.left <= 0 or time.perf_counter() >= self._end_s:
            return None
        self.left -= 1
        n = self._sent
        self._sent += 1
        if "%d" not in self.pattern:
            return self.pattern
        return self.pattern % (n % self.numbers if self.numbers else n)

    def closed(self, error: Exception | None) -> None:
        self.errors += error is not None or (self.left > 0 and time.perf_counter() < self._end_s)
        self._open -= 1
        if not self._open:
            self._done.set_result(None)

    async def play(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        self._open = self.connections
        began_s = time.perf_counter()
        self._end_s = began_s + self.seconds
        for _ in range(self.connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        await self._done
        seconds = time.perf_counter() - began_s
        times = sorted(self.latencies_s) or [0.0]
        return {
            "requests": len(self.latencies_s),
            "seconds": seconds,
            "errors": self.errors,
            "p50_ms": times[len(times) // 2] * 1e3,
            "p99_ms": times[len(times) * 99 // 100] * 1e3,
            "max_ms": times[-1] * 1e3,
        }


if __name__ == "__main__":
    try:
        import uvloop as runner
    except ImportError:
        runner = asyncio  # type: ignore[assignment]
    print(json.dumps(runner.run(Load(json.load(sys.stdin)).play())))
