"""A server on a real socket, and a client that says exactly what it is told."""

import asyncio
import contextlib
import dataclasses
import time

from perdure._http.responder import Responder
from perdure._http.server import Server, bind, run

HOST = b"Host: h\r\n"

__all__ = ["HOST", "Answer", "Client", "Serving", "ask", "run", "serving", "until"]


@dataclasses.dataclass
class Serving:
    """A running server."""

    server: Server
    port: int
    lines: list
    """Of finished requests."""
    refused: list
    """Of requests that never reached the application."""
    stopped: asyncio.Task

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(handle, *, sockets=None, debug=False, limits=None, drain_s=5.0, on_stopping=None, **more):
    """Serve *handle* for the time of the block."""
    lines, refused = [], []

    def on_request(line):
        (refused if line.refused else lines).append(line)

    sockets = sockets or bind("127.0.0.1", 0)
    address = sockets[0].getsockname()
    port = address[1] if isinstance(address, tuple) else None
    server = Server(
        Responder(handle, debug=debug, on_request=on_request),
        sockets=sockets,
        drain_s=drain_s,
        limits=limits,
        signals=False,
        **more,
    )
    ready = asyncio.Event()
    task = asyncio.create_task(server.run(ready=ready.set, on_stopping=on_stopping))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert ready.is_set(), task
    try:
        yield Serving(server, port, lines, refused, task)
    finally:
        server.stop()
        await asyncio.wait_for(task, 10)


@dataclasses.dataclass
class Answer:
    """What came back on a connection for one request."""

    status: int
    headers: dict
    body: bytes
    complete: bool
    """The body's own framing says that it is whole."""

    @property
    def text(self):
        return self.body.decode()


class Client:
    """One connection."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def say(self, *pieces):
        """Send *pieces*, each by itself."""
        for piece in pieces:
            self.writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await self.writer.drain()

    def abort(self):
        """Vanish."""
        self.writer.transport.abort()

    async def answer(self, method="GET", timeout_s=5.0):
        """Read one response; None when the connection ends without one."""
        async with asyncio.timeout(timeout_s):
            head = b""
            try:
                while not head.endswith(b"\r\n\r\n"):
                    line = await self.reader.readline()
                    if not line:
                        assert head == b"", head
                        return None
                    head += line
                    if head == b"HTTP/1.1 100 Continue\r\n\r\n":
                        head = b""
            except ConnectionError:
                return None
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {}
            for line in lines:
                name, _, value = line.partition(": ")
                headers.setdefault(name.lower(), []).append(value)
            body, complete = await self._body(headers, method)
            return Answer(int(first.split()[1]), headers, body, complete)

    async def _body(self, headers, method):
        if method == "HEAD":
            return b"", True
        body = b""
        try:
            if "content-length" in headers:
                size = int(headers["content-length"][0])
                return await self.reader.readexactly(size), True
            if "chunked" in headers.get("transfer-encoding", []):
                while True:
                    size = int((await self.reader.readline()).strip() or b"-1", 16)
                    if size < 0:
                        return body, False
                    body += (await self.reader.readexactly(size + 2))[:-2]
                    if size == 0:
                        return body, True
            return body, True
        except asyncio.IncompleteReadError as error:
            return body + error.partial, False
        except ConnectionError:
            return body, False

    async def piece(self, timeout_s=5.0):
        """Read what is there, at least a byte; b"" at the end."""
        async with asyncio.timeout(timeout_s):
            try:
                return await self.reader.read(65536)
            except ConnectionError:
                return b""

    async def ended(self, timeout_s=5.0):
        """Wait until the server has closed; what it still sent is dropped."""
        while await self.piece(timeout_s):
            pass
        return True


async def ask(port, *pieces, method="GET", timeout_s=5.0):
    """Send *pieces* on a new connection and return the answer."""
    async with Client(port) as client:
        await client.say(*pieces)
        return await client.answer(method, timeout_s)


async def until(condition, timeout_s=5.0):
    """Wait for *condition* to hold."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        await asyncio.sleep(0.005)
