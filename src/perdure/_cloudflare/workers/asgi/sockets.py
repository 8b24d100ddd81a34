"""One WebSocket through an ASGI application. (cooperative)

The handshake is answered when the application accepts, with the subprotocol and the headers that it names. One that
closes without accepting is accepted and closed, so that the client sees the code, as on Cloudflare, where a connection is
open before the application is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from perdure._cloudflare.workers.asgi.gone import ClientGone, is_about_gone_client
from perdure._cloudflare.workers.asgi.inline import stay_on_this_thread
from perdure._cloudflare.workers.asgi.running import until_answered
from perdure._cloudflare.workers.asgi.scope import CAN_REFUSE
from perdure._web.headers import from_wire
from perdure.web import Response
from perdure.websockets import CloseEvent, ErrorEvent, MessageEvent, WebSocketPair

logger = logging.getLogger("asgi")

NO_ANSWER: Final = "The ASGI application ended without an answer to the WebSocket."
GONE: Final = "The WebSocket is closed: nobody receives what the ASGI application sends."
NORMAL: Final = 1000
ABNORMAL: Final = 1006
INTERNAL_ERROR: Final = 1011


async def serve(app: Callable[..., Any], scope: dict[str, Any]) -> tuple[Response, asyncio.Task[None]]:
    """
    Return the answer of *app* to a WebSocket handshake, and its task, which goes on as long as the connection does.

    Raises:
        Exception: what the application raised before it answered.
    """
    connection = Connection()
    return await until_answered(connection.run(app, scope), connection.response)


class Connection:
    """The application's side of one WebSocket."""

    def __init__(self) -> None:
        self._client, self._server = WebSocketPair()
        self._received: asyncio.Queue[tuple[dict[str, Any], asyncio.Future[None] | None]] = asyncio.Queue()
        """Messages, and what waits until the application has taken them."""
        self._received.put_nowait(({"type": "websocket.connect"}, None))
        self._is_over = False  # one of both sides has closed, or the application has refused
        self._has_ended = False  # the application has
        self._refusal: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._refusal_body = b""
        self.response: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def run(self, app: Callable[..., Any], scope: dict[str, Any]) -> None:
        """Run the application, in a task of this."""
        stay_on_this_thread()
        try:
            await app(scope, self._receive, self._send)
            if not self.response.done():
                raise RuntimeError(NO_ANSWER)
        except Exception as error:
            if not self.response.done():
                self.response.set_exception(error)
            elif not is_about_gone_client(error):
                logger.error("The ASGI application failed while its WebSocket was open", exc_info=error)
                self._end(INTERNAL_ERROR)
        except BaseException:
            self.response.cancel()
            raise
        else:
            self._end(NORMAL)
        finally:
            self._has_ended = True
            while not self._received.empty():
                _let_go(self._received.get_nowait()[1])

    def _end(self, code: int) -> None:
        if not self._is_over:
            self._close(code, "")  # half open, the client would wait instead of connecting again

    async def _receive(self) -> dict[str, Any]:
        message, waiting = await self._received.get()
        _let_go(waiting)
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.send":
            self._say(message)
        elif kind == "websocket.close":
            if not self.response.done():
                self._accept({})
            self._close(message.get("code") or NORMAL, message.get("reason") or "")
        elif kind == f"{CAN_REFUSE}.start":
            self._refusal = message["status"], message.get("headers") or []
        elif kind == f"{CAN_REFUSE}.body":
            self._refuse(message)
        else:
            raise RuntimeError(
                f"An ASGI application sends websocket.accept, …send, …close and {CAN_REFUSE}.… here; not {kind!r}."
            )

    def _accept(self, message: dict[str, Any]) -> None:
        if self.response.done():
            raise RuntimeError("The ASGI application has answered this WebSocket already.")
        server = self._server
        server.accept()
        server.add_event_listener("message", self._heard)
        server.add_event_listener("close", self._heard_close)
        server.add_event_listener("error", self._heard_error)
        headers = from_wire(message.get("headers") or [])
        if message.get("subprotocol"):
            headers.set("sec-websocket-protocol", message["subprotocol"])
        self.response.set_result(Response(None, status=101, headers=headers, websocket=self._client))

    def _refuse(self, message: dict[str, Any]) -> None:
        if self._refusal is None or self.response.done():
            raise RuntimeError(f"The ASGI application sent {CAN_REFUSE}.body where no refusal had begun.")
        self._refusal_body += message.get("body") or b""
        if not message.get("more_body"):
            status, headers = self._refusal
            self._is_over = True
            self.response.set_result(
                Response(self._refusal_body or None, status=status, headers=from_wire(headers))
            )

    def _say(self, message: dict[str, Any]) -> None:
        if not self.response.done():
            raise RuntimeError("The ASGI application sent to a WebSocket before it accepted that.")
        # Either may be empty, and is a message then.
        if self._is_over:
            raise ClientGone(GONE)
        text: str | None = message.get("text")
        data: str | bytes = message["bytes"] if text is None else text
        self._server.send(data)

    def _close(self, code: int, reason: str) -> None:
        self._is_over = True
        self._server.close(code, reason)

    # --- what the client says ---------------------------------------------------------------------------

    async def _heard(self, event: MessageEvent) -> None:
        kind = "text" if isinstance(event.data, str) else "bytes"
        if self._has_ended:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._received.put_nowait(({"type": "websocket.receive", kind: event.data}, waiting))
        # A message counts as under way until it is taken, so that a client cannot send more than there is room for.
        await waiting

    def _heard_close(self, event: CloseEvent) -> None:
        self._gone(event.code, event.reason)

    def _heard_error(self, event: ErrorEvent) -> None:
        self._gone(ABNORMAL, "")

    def _gone(self, code: int, reason: str) -> None:
        self._is_over = True
        self._received.put_nowait(({"type": "websocket.disconnect", "code": code, "reason": reason}, None))


def _let_go(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
