"""`perdure.rpc.serve`: a request becomes a Cap'n Web session, or is one. (cooperative)

A POST is a whole session, its messages a line each; a WebSocket is one for as long as it is open. Nothing of the
application can be reached but the target that was given, and what that hands out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable
from functools import partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

from perdure._base import limits
from perdure._base.exceptions import text_of
from perdure._base.values import copy
from perdure._rpc.capability import Capability
from perdure._rpc.crossing import Result
from perdure._rpc.local import export, wrap
from perdure._rpc.owner import current_owner
from perdure._rpc.promise import PromiseCapability, RpcPromise
from perdure._rpc.reach import FUNCTIONS, is_declared
from perdure._rpc.session import SendError, Session
from perdure._rpc.stub import Stub
from perdure._sockets.end import pair
from perdure._web.response import asks_for_websocket
from perdure.errors import PerdureError
from perdure.rpc_sockets import SocketSession
from perdure.web import Request, Response
from perdure.websockets import websocket

ANY: Final = "*"
CLIENT: Final = "the client"
BAD_ORIGINS: Final = (
    'origins= is "*", or a list of origins such as "https://app.example.com", without a path; got {given!r}'
)
REFUSED: Final = (
    "Pages of {origin} may not use this endpoint. Its worker lets them with "
    'rpc.serve(request, target, origins=["{origin}"]).\n'
)
NEEDS_POST: Final = "This endpoint only accepts POST or WebSocket requests.\n"
BATCH_ENDED: Final = "Batch RPC request ended."
TOO_LARGE: Final = (
    "The answers of one request are limited to {max:,} characters. Use a WebSocket, or ask for less at once."
)


async def serve(
    request: Request,
    target: Any,
    *,
    origins: str | Collection[str] = (),
    on_send_error: SendError | None = None,
) -> Response:
    """
    Answer *request* as the server of a Cap'n Web session; return the response that `fetch` returns.

    ```python
    class Front(WorkerEntrypoint):
        async def fetch(self, request):
            return await rpc.serve(request, Api(self.env))
    ```

    A WebSocket is a session for as long as it is open, a POST is one by itself: its client cannot be called back.
    In the `fetch` of an object the session keeps the object in memory.

    Args:
        request: as `fetch` got it.
        target: what the client may call: an `RpcTarget`, an object's own `self`, a function, a stub, a dict of such.
        origins: whose pages may use it, beside those of this same host: a list of origins, or "*" for everybody's.
            Requests that no page made have no origin and always may. It is meant for what a browser sends along by
            itself, as cookies; who may do what is better asked in a method that returns what the caller may use.
        on_send_error: called with each error before it is sent; what it returns is sent in its place.
    """
    allowed = _allowed(request, _checked(origins))
    if not allowed:
        return Response(REFUSED.format(origin=request.headers.get("origin")), status=403)
    if asks_for_websocket(request):
        return _socket(target, on_send_error)
    if request.method == "POST":
        response = await _batch(await request.text(), target, on_send_error)
    elif request.method == "OPTIONS" and "access-control-request-method" in request.headers:
        response = Response(None, status=204)
        response.headers["access-control-allow-methods"] = "POST"
        response.headers["access-control-allow-headers"] = (
            request.headers.get("access-control-request-headers") or "content-type"
        )
    elif request.method == "GET":
        return Response(NEEDS_POST, status=400)
    else:
        return Response(NEEDS_POST, status=405, headers={"allow": "GET, POST"})
    if "origin" in request.headers:
        response.headers["access-control-allow-origin"] = request.headers["origin"]
        response.headers["vary"] = "origin"
    return response


# --- who may ---------------------------------------------------------------------------------------------


def _checked(origins: str | Collection[str]) -> str | Collection[str]:
    if origins == ANY:
        return ANY
    if isinstance(origins, str) or not isinstance(origins, Collection):
        raise TypeError(BAD_ORIGINS.format(given=origins))
    for origin in origins:
        parts = urlsplit(origin) if isinstance(origin, str) else None
        if origin != "null" and (
            parts is None
            or not parts.scheme
            or not parts.netloc
            or parts.path
            or parts.query
            or parts.fragment
        ):
            raise ValueError(BAD_ORIGINS.format(given=origin))
    return origins


def _allowed(request: Request, origins: str | Collection[str]) -> bool:
    origin = request.headers.get("origin")
    if origin is None or origins == ANY:
        return True
    # By host and port: behind a proxy that ends TLS the scheme of our own URL may be another.
    if origin != "null" and urlsplit(origin).netloc == urlsplit(request.url).netloc:
        return True
    return origin in origins


# --- the two kinds of sessions ---------------------------------------------------------------------------


def _socket(target: Any, on_send_error: SendError | None) -> Response:
    client, server = pair()
    SocketSession(server, _session(target, on_send_error))
    return Response(None, status=101, websocket=websocket(client))


async def _batch(body: str, target: Any, on_send_error: SendError | None) -> Response:
    said: list[str] = []
    size = 0

    def send(line: str) -> None:
        nonlocal size
        size += len(line)
        said.append(line)
        if size > limits.CAPNWEB_BATCH_UNITS_MAX:
            # In a step of its own: it is in the middle of what it says.
            session.loop.call_soon(
                session.abort, PerdureError(TOO_LARGE.format(max=limits.CAPNWEB_BATCH_UNITS_MAX))
            )

    done = asyncio.Event()
    session = _session(target, on_send_error)(send=send, on_end=lambda *_: done.set(), one_way=True)
    session.on_idle = done.set
    for line in body.split("\n"):
        if line:
            session.receive(line)
    session.input_ended(PerdureError(BATCH_ENDED))
    try:
        while not session.is_idle and session.ended is None:
            done.clear()
            await done.wait()
    finally:
        failure = session.ended
        session.close()
    if failure is not None:
        return Response(text_of(failure) + "\n", status=500)
    return Response("\n".join(said))


def _session(target: Any, on_send_error: SendError | None) -> Any:
    return partial(
        Session,
        main=capability_of(target),
        registry=current_owner(None).registry,
        peer=CLIENT,
        on_send_error=on_send_error,
    )


def capability_of(target: Any) -> Capability:
    """Return a handle to *target* for the other side."""
    if isinstance(target, Stub):
        return target._capability.dup()
    if is_declared(cast(Hashable, type(target))) or type(target) in FUNCTIONS:
        return export(target, None)
    if type(target) is dict:
        return wrap(target)
    promise = RpcPromise(loop=asyncio.get_running_loop())
    promise.set_result(copy(target, cross=Result(None), label="target"))
    return PromiseCapability(promise)
