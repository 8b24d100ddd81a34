"""HTTP servers that do nothing but answer: `python bare.py httptools|uvicorn PORT`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ != "__main__":
    from _lib.servers import Server

    class BareServer(Server):
        """One of them."""

        name = "bare"

        def __init__(self, folder: Path, core: int | None, kind: str) -> None:
            super().__init__(folder, core)
            self._kind = kind

        def command(self) -> Sequence[str]:
            return [sys.executable, __file__, self._kind, str(self.port)]


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\ncontent-length: 4\r\n\r\npong"


class Protocol(asyncio.Protocol):
    """Parses each request wholly, answers with constant bytes."""

    def connection_made(self, transport: Any) -> None:
        import httptools

        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


async def application(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/plain;charset=UTF-8"), (b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"pong"})


async def serve_httptools(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def main(kind: str, port: int) -> None:
    if kind == "uvicorn":
        import uvicorn

        uvicorn.run(
            application, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off"
        )
        return
    import uvloop

    uvloop.run(serve_httptools(port))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
