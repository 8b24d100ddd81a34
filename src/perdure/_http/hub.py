"""What all connections of a server share. (cooperative)"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from perdure._http.forwarded import Proxies
from perdure._http.limits import HttpLimits
from perdure._http.responder import Responder

if TYPE_CHECKING:
    from perdure._http.exchange import HttpExchange
    from perdure._http.protocol import HttpProtocol


class Hub:
    """
    The state of a server between its connections.

    Attributes:
        responder: answers the requests.
        limits: what clients may ask for.
        proxies: whose `X-Forwarded-…` headers are believed; None believes none.
        connections: those that are open.
        requests: those being answered, each in a task of its own.
        is_stopping: what is under way is finished, nothing new is begun.
        changed: set when a connection has ended.
        date: the header line with the time, to be renewed by `tick`.
    """

    def __init__(self, responder: Responder, limits: HttpLimits, proxies: Proxies | None) -> None:
        self.responder = responder
        self.limits = limits
        self.proxies = proxies
        self.connections: set[HttpProtocol] = set()
        self.requests: set[HttpExchange] = set()
        self.is_stopping = False
        self.changed = asyncio.Event()
        self.date = ""
        self.tick()

    def tick(self) -> None:
        """Renew the Date header; called every second, which is its resolution."""
        self.date = f"date: {formatdate(time.time(), usegmt=True)}\r\n"
