"""The HTTP server: listening sockets, signals, and the order in which things stop. (edge)

SIGINT or SIGTERM stops it in order: no new connections, requests under way finish (idle connections are
closed, they delay nothing), then `on_stopping`. A second Ctrl-C ends the process at once; what was
confirmed is on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, TypeVar

from perdure._base.limits import DRAIN_S, HTTP_HEALTH_PATH
from perdure._http.forwarded import Proxies
from perdure._http.hub import Hub
from perdure._http.limits import HttpLimits
from perdure._http.protocol import HttpProtocol
from perdure._http.responder import STOPPING, Responder
from perdure._sockets.rules import RESTARTING, SERVICE_RESTART

T = TypeVar("T")

BACKLOG: Final = 2048  # connections the kernel keeps while we are busy, or while a reload is under way
_KEEP_ALIVE: Final = (  # a silent connection is asked after a minute, and given up when four questions get no answer
    {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}
    if hasattr(socket, "TCP_KEEPIDLE")
    else {}
)
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_TICK_S: Final = 1.0  # the Date header's resolution
_CLOSE_GRACE_S: Final = 1.0  # for WebSockets to answer the Close
_CANCEL_GRACE_S: Final = 1.0  # for the answers to requests that were broken off


class Server:
    """
    Serve requests on sockets that are bound already.

    Args:
        responder: answers the requests.
        sockets: from `bind`, or `sockets_from_fds` in a process that was given them.
        drain_s: how long requests under way may take once the server stops.
        limits: what clients may ask for.
        proxies: whose `X-Forwarded-…` headers are believed, by default those of proxies on this machine;
            None believes none.
        health_path: answered by the server itself, 200 while it serves and 503 while it stops; "" for none.
        signals: stop on SIGINT and SIGTERM; only ever done in the main thread.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        sockets: Sequence[socket.socket],
        drain_s: float = DRAIN_S,
        limits: HttpLimits | None = None,
        proxies: Proxies | None = Proxies(),  # noqa: B008  (it never changes)
        health_path: str = HTTP_HEALTH_PATH,
        signals: bool = True,
    ) -> None:
        self.hub = Hub(responder, limits or HttpLimits(), proxies, health_path)
        self._sockets = list(sockets)
        self._listeners: list[asyncio.Server] = []
        self._drain_s = drain_s
        self.deadline_s = time.monotonic() + drain_s
        """When what is under way must have ended; set anew when the server is told to stop."""
        self._handle_signals = signals
        self._interrupts = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def run(
        self,
        *,
        ready: Callable[[], None] | None = None,
        draining: Callable[[], None] | None = None,
        on_stopping: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """
        Serve until a signal or `stop`.

        *ready* is called when connections are accepted, *draining* when they are no longer, and *on_stopping*
        awaited when the requests are done.
        """
        self._loop = loop = asyncio.get_running_loop()
        with self._signals():
            for sock in self._sockets:
                if sock.family != socket.AF_UNIX:
                    _find_out_the_vanished(sock)
                create = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
                self._listeners.append(await create(self._new_protocol, sock=sock, backlog=BACKLOG))
            try:
                if ready is not None:
                    ready()
                await self._serve_until_stopped()
            finally:
                if draining is not None:
                    draining()
                await self._drain()
                if on_stopping is not None:
                    await on_stopping()

    def stop(self) -> None:
        """Stop in order; `run` returns when all is done."""
        self._stop.set()

    def _new_protocol(self) -> HttpProtocol:
        return HttpProtocol(self.hub)

    async def _serve_until_stopped(self) -> None:
        while not self._stop.is_set():
            self.hub.tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _TICK_S)

    async def _drain(self) -> None:
        """Let requests under way finish, for at most `drain_s`; then break them off."""
        hub = self.hub
        hub.is_stopping = True
        for listener in self._listeners:
            listener.close()
        for sock in self._sockets:
            sock.close()
        for connection in list(hub.connections):
            connection.stop()
        self.deadline_s = deadline_s = time.monotonic() + self._drain_s
        # Only requests that somebody waits for: one whose client has gone has no connection any more.
        while hub.connections and (left_s := deadline_s - time.monotonic()) > 0:
            hub.tick()
            hub.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hub.changed.wait(), min(left_s, _TICK_S))
        tasks = [exchange.task for exchange in hub.requests if exchange.task is not None]
        for task in tasks:
            task.cancel(STOPPING)  # answered with 503 if no response has begun
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_GRACE_S)
        for connection in list(hub.connections):
            connection.abort()
        await self._close_sockets()

    async def _close_sockets(self) -> None:
        """Send every WebSocket away; those that do not go are cut off."""
        hub = self.hub
        for websocket in list(hub.sockets):
            websocket.go_away(SERVICE_RESTART, RESTARTING)
        deadline_s = time.monotonic() + _CLOSE_GRACE_S
        while hub.sockets and (left_s := deadline_s - time.monotonic()) > 0:
            hub.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hub.changed.wait(), left_s)
        for websocket in list(hub.sockets):
            websocket.abort()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if not self._handle_signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # SIGTERM never counts as impatience: a supervisor may send it after the terminal's SIGINT.
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
        if self._loop is not None and not self._loop.is_closed():
            # Signal handlers run between any two steps; only this call also wakes a sleeping loop.
            self._loop.call_soon_threadsafe(self._stop.set)


def _find_out_the_vanished(sock: socket.socket) -> None:
    """Let the system ask peers of silent connections whether they are there; accepted sockets inherit it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


def bind(host: str, port: int) -> list[socket.socket]:
    """
    Return bound sockets, one for each address of *host*; OSError when an address cannot be had.

    Port 0 takes a free one, the same for all addresses.
    """
    entries = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found = dict.fromkeys((int(entry[0]), str(entry[4][0])) for entry in entries)
    sockets: list[socket.socket] = []
    try:
        for family, address in found:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((address, port))
            except OSError:
                # `localhost` often names ::1 on machines without IPv6; one address that works is enough.
                if len(sockets) == 1 or family != socket.AF_INET6:
                    raise
                sockets.remove(sock)
                sock.close()
                continue
            sock.setblocking(False)
            port = sock.getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def sockets_from_fds(fds: Iterable[int]) -> list[socket.socket]:
    """Return the bound sockets that a parent process passed on (`pass_fds`)."""
    return [socket.socket(fileno=fd) for fd in fds]


def run(
    main: Coroutine[Any, Any, T], *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> T:
    """Run *main* to its end, on the fastest event loop there is unless *loop_factory* makes another."""
    with asyncio.Runner(loop_factory=loop_factory or _loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
