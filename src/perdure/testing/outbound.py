"""
Outbound: what a test answers to the application's outgoing `fetch` and `connect_websocket`. (cooperative)

```python
price = app.outbound.get("https://api.example.com/price").respond(json={"eur": 12})
…
assert price.calls[0].headers["accept"] == "application/json"
```

The network is refused unless a test allows it. A library that opens its own connections (httpx, aiohttp) is not seen here.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json as json_codec
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, Final, Self, TypeAlias

from perdure._base.current import current, current_invocation
from perdure._sockets.end import pair
from perdure._web.headers import HeadersInit
from perdure._web.response import make_response
from perdure.context import confirmed
from perdure.errors import PerdureError
from perdure.testing.websocket import RECEIVE_S, WebSocketPeer
from perdure.web import Headers, Request, Response
from perdure.websockets import websocket

Url: TypeAlias = str | re.Pattern[str]
Handler: TypeAlias = Callable[[Request], Response | Awaitable[Response]]
ANY: Final = "*"


class NetworkRefused(PerdureError):
    """The application wanted to reach the network, and the test said nothing of that."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the application has sent."""

    method: str
    url: str
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as the JSON that it is."""
        return json_codec.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Route:
    """
    Some requests, and how they are answered: several answers in turn, of which the last one stays.

    Attributes:
        calls: the requests that came, in order.
    """

    def __init__(self, method: str, url: Url) -> None:
        self.calls: list[Call] = []
        self._method = method
        self._url = url
        self._matches = _matcher(url)
        self._answers: list[Handler] = []

    def respond(
        self,
        status: int = 200,
        *,
        json: Any = ...,
        body: str | bytes | None = None,
        headers: HeadersInit = None,
    ) -> Self:
        """Answer with this; called again, with that from the next request on."""
        if json is not ... and body is not None:
            raise TypeError("respond() takes json or body, not both.")

        def answer(_: Request) -> Response:
            if json is not ...:
                return Response.json(json, status=status, headers=headers)
            return Response(body, status=status, headers=headers)

        answer(Request("http://mock"))  # what is wrong with it is told here
        return self.answer(answer)

    def fail(self, error: BaseException) -> Self:
        """Raise *error* in the application, for instance `perdure.Disconnected("no route to host")`."""

        def answer(_: Request) -> Response:
            raise error

        return self.answer(answer)

    def answer(self, handler: Handler) -> Self:
        """Answer with what `handler(request)`, which may be async, returns."""
        self._answers.append(handler)
        return self

    def _takes(self, method: str, url: str) -> bool:
        return self._method in (ANY, method) and self._matches(url)

    def _next(self) -> Handler | None:
        if len(self._answers) > 1:
            return self._answers.pop(0)
        return self._answers[0] if self._answers else None

    def __repr__(self) -> str:
        return f"<Route {self}>"

    def __str__(self) -> str:
        url = self._url if isinstance(self._url, str) else f"re {self._url.pattern!r}"
        return f"{self._method} {url}"


class WebSocketRoute:
    """
    Connections of the application that the test is the server of.

    Attributes:
        peers: the test's sides of those that were opened, in order.
    """

    def __init__(self, url: Url, protocol: str, receive_s: float | None) -> None:
        self.peers: list[WebSocketPeer] = []
        self._url = url
        self._matches = _matcher(url)
        self._protocol = protocol
        self._receive_s = receive_s
        self._given = 0
        self._opened = asyncio.Event()

    async def connection(self) -> WebSocketPeer:
        """Return the test's side of the next connection; wait until the application opens it."""
        try:
            async with asyncio.timeout(self._receive_s):
                while self._given == len(self.peers):
                    self._opened.clear()
                    await self._opened.wait()
        except TimeoutError:
            raise TimeoutError(f"nobody connected to {self} within {self._receive_s:g} s") from None
        self._given += 1
        return self.peers[self._given - 1]

    def _connect(self, url: str) -> Response:
        ours, theirs = pair()
        ours.url, ours.protocol = url, self._protocol
        peer = WebSocketPeer(protocol=self._protocol, receive_s=self._receive_s)
        peer.take_place_of(theirs)
        self.peers.append(peer)
        self._opened.set()
        response = make_response(101, Headers(), None, "", url)
        response._websocket = websocket(ours)
        return response

    def __str__(self) -> str:
        return f"WebSocket {self._url if isinstance(self._url, str) else self._url.pattern}"


class Outbound:
    """
    The application's way to the world, in a test runtime.

    A URL is given as it is, query and all; `*` in it stands for anything; a compiled regular expression must match
    it all. Of several routes for a request the one made last is asked.

    Attributes:
        calls: all requests of the application, in order, the refused ones too.
        refused: those that nothing was said of.
    """

    def __init__(self, *, receive_s: float | None = RECEIVE_S) -> None:
        self.calls: list[Call] = []
        self.refused: list[str] = []
        self._routes: list[Route] = []
        self._sockets: list[WebSocketRoute] = []
        self._allowed: list[Callable[[str], bool]] = []
        self._receive_s = receive_s

    def get(self, url: Url) -> Route:
        """Return a route for GET requests; say with `respond` how they are answered."""
        return self.route("GET", url)

    def post(self, url: Url) -> Route:
        """Return a route for POST requests."""
        return self.route("POST", url)

    def put(self, url: Url) -> Route:
        """Return a route for PUT requests."""
        return self.route("PUT", url)

    def patch(self, url: Url) -> Route:
        """Return a route for PATCH requests."""
        return self.route("PATCH", url)

    def delete(self, url: Url) -> Route:
        """Return a route for DELETE requests."""
        return self.route("DELETE", url)

    def route(self, method: str, url: Url) -> Route:
        """Return a route for requests of any *method*; "*" is all of them."""
        route = Route(method.upper(), url)
        self._routes.append(route)
        return route

    def websocket(self, url: Url, *, protocol: str = "") -> WebSocketRoute:
        """
        Let the test be the server of the application's WebSockets to a ws: or wss: URL.

        Args:
            url: as for requests.
            protocol: the subprotocol that the server chooses.
        """
        route = WebSocketRoute(url, protocol, self._receive_s)
        self._sockets.append(route)
        return route

    def allow(self, url: Url = ANY) -> None:
        """Let requests and WebSockets to such URLs reach the network, unless there is a route for them."""
        self._allowed.append(_matcher(url))

    def clear(self) -> None:
        """Forget routes, calls and what was allowed."""
        for some in (self.calls, self.refused, self._routes, self._sockets, self._allowed):
            some.clear()

    # --- what the application asks (environment.Outside) ----------------------------------------------

    async def send(self, request: Request) -> Response:
        """See the class."""
        body = b"" if request.body is None else await request.bytes()
        await confirmed()
        call = Call(request.method, request.url, request.headers.copy(), body)
        self.calls.append(call)
        for route in reversed(self._routes):
            if route._takes(request.method, request.url):
                route.calls.append(call)
                handler = route._next()
                if handler is None:
                    raise self._refuse(str(call), f"its route {route} has no answer: add .respond(...)")
                return await _answer(handler, call)
        if any(allowed(request.url) for allowed in self._allowed):
            from perdure import outgoing

            return await outgoing.send_outside(_rebuilt(call))
        method = call.method.lower() if call.method in _SHORT else f'route("{call.method}", '
        how = f"{method}(" if call.method in _SHORT else method
        raise self._refuse(str(call), f'answer it with outbound.{how}"{call.url}").respond(...)')

    async def connect(self, url: str, protocols: list[str], headers: Headers) -> Response:
        """See the class."""
        for route in reversed(self._sockets):
            if route._matches(url):
                return route._connect(url)
        if any(allowed(url) for allowed in self._allowed):
            from perdure import outgoing_websockets

            return await outgoing_websockets.connect_outside(url, protocols, headers)
        raise self._refuse(f"WebSocket {url}", f'be its server with outbound.websocket("{url}")')

    def _refuse(self, what: str, help: str) -> NetworkRefused:
        self.refused.append(what)
        routes = ", ".join(map(str, (*self._routes, *self._sockets))) or "none"
        return NetworkRefused(
            f"{what} was not sent: a test runtime does not reach the network. Routes: {routes}. "
            f"In the test {help}, or let it through with outbound.allow(...)."
        )


_SHORT: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")


async def _answer(handler: Handler, call: Call) -> Response:
    """Run *handler* outside of the object that asks, as a server is; the response is for that object to read."""
    context = contextvars.copy_context()
    for variable in (current, current_invocation):
        context.run(variable.set, None)

    async def run() -> Response:
        answer = handler(_rebuilt(call))
        return await answer if inspect.isawaitable(answer) else answer

    response = await asyncio.get_running_loop().create_task(run(), context=context)
    if not isinstance(response, Response):
        raise TypeError(f"The mock of {call} returned {type(response).__name__}, not a perdure.Response.")
    response._url = call.url
    return response


def _rebuilt(call: Call) -> Request:
    return Request(call.url, method=call.method, headers=call.headers.copy(), body=call.body or None)


def _matcher(url: Url) -> Callable[[str], bool]:
    if isinstance(url, re.Pattern):
        return lambda asked: url.fullmatch(asked) is not None
    if ANY not in url:
        wanted = (
            url if url.partition("://")[0] in ("ws", "wss") else Request(url).url
        )  # as the application's is normalised
        return lambda asked: asked == wanted
    pattern = re.compile(translate(url.replace("[", "[[]").replace("?", "[?]")))
    return lambda asked: pattern.fullmatch(asked) is not None
