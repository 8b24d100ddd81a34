"""The ASGI application in front of a worker's `fetch`, for other people's servers. (cooperative)"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from perdure._http.convert import Message, Receive, Scope, Send, raw_path, start_message, to_request
from perdure._http.head import shown_path
from perdure._http.incoming import Incoming
from perdure._http.responder import ClientGone, Handle, RequestLine, Responder
from perdure._http.sockets import serve_websocket
from perdure.web import BodyError, Request, Response

logger = logging.getLogger("perdure.http")

Hook = Callable[[], Awaitable[None]]


class HttpApp:
    """
    An ASGI 3 application that gives each request to *handle*.

    Args:
        handle, debug, on_request: as for `Responder`.
        on_start, on_stop: run at the server's lifespan events.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        debug: bool = False,
        on_start: Hook | None = None,
        on_stop: Hook | None = None,
        on_request: Callable[[RequestLine], None] | None = None,
    ) -> None:
        self._responder = Responder(handle, debug=debug, on_request=on_request)
        self._on_start = on_start
        self._on_stop = on_stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                cut = await self._responder.serve(AsgiExchange(scope, receive, send))
                # An exception is how an ASGI application tells its server to break the connection off.
                if isinstance(cut, Exception):
                    raise cut
                if cut is not None:
                    raise RuntimeError("The response stream failed.") from cut
            case "websocket":
                await serve_websocket(scope, receive, send, self._responder)
            case "lifespan":
                await self._lifespan(receive, send)
            case kind:
                raise RuntimeError(f"This application serves http, websocket and lifespan; not {kind!r}")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            starting = message["type"] == "lifespan.startup"
            step = "startup" if starting else "shutdown"
            hook = self._on_start if starting else self._on_stop
            try:
                if hook is not None:
                    await hook()
            except Exception as error:
                logger.exception("%s failed", step)
                await send({"type": f"lifespan.{step}.failed", "message": f"{type(error).__name__}: {error}"})
                return
            await send({"type": f"lifespan.{step}.complete"})
            if not starting:
                return


class AsgiExchange:
    """One request as a server passes it on, and the messages of its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._incoming = Incoming(receive)
        self._send = send
        self.method: str = scope["method"]

    @property
    def path(self) -> str:
        return shown_path(raw_path(self._scope))

    @property
    def failure(self) -> BodyError | None:
        return self._incoming.failure

    def request(self) -> Request:
        return to_request(self._scope, self._incoming)

    async def send_whole(self, response: Response, data: bytes) -> None:
        await self._give(start_message(response, self.method))
        await self._give({"type": "http.response.body", "body": data, "more_body": False})

    async def send_upgrade(self, response: Response) -> None:
        raise TypeError(
            "The Response has a WebSocket, and the server did not offer one: it takes this for a plain request. "
            "Uvicorn needs a WebSocket library for it: pip install websockets."
        )

    async def send_head(self, response: Response) -> None:
        await self._give(start_message(response, self.method))

    async def send_piece(self, piece: bytes) -> None:
        await self._give({"type": "http.response.body", "body": piece, "more_body": True})

    async def send_end(self) -> None:
        await self._give({"type": "http.response.body", "body": b"", "more_body": False})

    def when_gone(self, call: Callable[[], None]) -> Callable[[], None]:
        watch = asyncio.ensure_future(self._incoming.disconnected())

        def heard(watch: asyncio.Future[None]) -> None:
            if not watch.cancelled() and watch.exception() is None:
                call()

        def unwatch() -> None:
            watch.remove_done_callback(heard)
            watch.cancel()

        watch.add_done_callback(heard)
        return unwatch

    async def _give(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:  # what servers raise when the client has gone (ASGI specification 2.4)
            raise ClientGone from error
