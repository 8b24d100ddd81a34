"""What all connections of a server share. (cooperative)"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from perdure._base.limits import OVERLOADED_RETRY_AFTER_S
from perdure._http.errors import status_response
from perdure._http.forwarded import Proxies
from perdure._http.limits import HttpLimits
from perdure._http.responder import Responder, logger, unavailable
from perdure.web import Response

if TYPE_CHECKING:
    from perdure._http.exchange import HttpExchange
    from perdure._http.protocol import HttpProtocol
    from perdure._http.websocket import WebSocketProtocol


class Hub:
    """
    The state of a server between its connections.

    Attributes:
        responder: answers the requests.
        limits: what clients may ask for.
        proxies: whose `X-Forwarded-…` headers are believed; None believes none.
        health_path: where the server itself tells whether it serves; "" is nowhere.
        connections: those that are open.
        sockets: those that became WebSockets.
        requests: those being answered, each in a task of its own.
        is_stopping: what is under way is finished, nothing new is begun.
        changed: set when a connection has ended.
        date: the header line with the time, to be renewed by `tick`.
    """

    def __init__(
        self, responder: Responder, limits: HttpLimits, proxies: Proxies | None, health_path: str
    ) -> None:
        self.responder = responder
        self.limits = limits
        self.proxies = proxies
        self.health_path = health_path
        self.sockets: set[WebSocketProtocol] = set()
        self.connections: set[HttpProtocol] = set()
        self.requests: set[HttpExchange] = set()
        self.is_stopping = False
        self._turned_away = 0
        self._pinged_at_s = time.monotonic()
        self.changed = asyncio.Event()
        self.date = ""
        self.tick()

    def given(self, path: str) -> Response | None:
        """Return the answer to a request that the application is not asked about."""
        if path == self.health_path:
            if self.is_stopping:
                return unavailable("stopping", retry_after_s=1)
            return status_response(200, "ok")
        if len(self.requests) >= self.limits.requests:
            return unavailable(
                f"The server is overloaded: {self.limits.requests} requests are in progress.",
                retry_after_s=OVERLOADED_RETRY_AFTER_S,
            )
        return None

    def turn_away(self) -> Response:
        """Return what a connection is told that is one too many."""
        self._turned_away += 1
        return unavailable(
            f"The server is overloaded: {self.limits.connections} connections are open.",
            retry_after_s=OVERLOADED_RETRY_AFTER_S,
        )

    def tick(self) -> None:
        """Renew the Date header, ping WebSockets that are due; called every second, which is its resolution."""
        ping_s = self.limits.websocket.ping_s
        if ping_s and time.monotonic() - self._pinged_at_s >= ping_s:
            self._pinged_at_s = time.monotonic()
            for websocket in list(self.sockets):
                websocket.ping()
        if self._turned_away:
            logger.warning(
                "%d connections were turned away: %d are open, which is the limit (--max-connections)",
                self._turned_away,
                self.limits.connections,
            )
            self._turned_away = 0
        self.date = f"date: {formatdate(time.time(), usegmt=True)}\r\n"
