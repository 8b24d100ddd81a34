"""What every scenario's worker shares: the router, values as JSON, errors as facts. (cooperative)

The router answers

- `POST /call/<class>/<object>/<method>` with a JSON list: the object's method, called with it;
- `/fetch/<class>/<object>/<rest>`: the request goes to the object's `fetch` as `http://do/<rest>`;
- `POST /worker/<function>` with a JSON list: a function of the scenario, after `env` and `ctx`;
- `POST /__evict/<class>/<object>`: drops the object from memory as idleness would.

Names in the path are percent-decoded and may be empty.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from perdure import (
    DataCloneError,
    DurableObject,
    Request,
    Response,
    WebSocket,
    WebSocketPair,
    WorkerEntrypoint,
)
from perdure.testing import evict_durable_object

FLAGS = {
    "remote": "remote",
    "retryable": "retryable",
    "overloaded": "overloaded",
    "durable_object_reset": "durableObjectReset",
}
"""The attributes of an exception that tell a caller what to do, and their recorded names."""

ERROR_NAMES: list[tuple[type[BaseException], str]] = [
    (DataCloneError, "DataCloneError"),
    (TypeError, "TypeError"),
    (ValueError, "RangeError"),
    (Exception, "Error"),
]
"""The recorded name of an exception's class: the first line that fits."""

EPOCH = datetime.fromtimestamp(0, UTC)


def enc(value: Any, seen: tuple[Any, ...] = ()) -> Any:
    """JSON has fewer types than Python: everything else becomes `{"$": kind, ...}`."""
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return enc_float(value)
        case datetime():
            value = value.replace(tzinfo=value.tzinfo or UTC)
            return {"$": "date", "v": (value - EPOCH) // timedelta(milliseconds=1)}
        case bytes() | bytearray() | memoryview():
            return {"$": "bytes", "hex": value.hex()}
        case BaseException():
            return {"$": "error", **err_info(value)}
    for up, outer in enumerate(reversed(seen), start=1):
        if outer is value:
            return {"$": "cycle", "up": up}
    seen = (*seen, value)
    match value:
        case list() | tuple():
            return [enc(item, seen) for item in value]
        case set() | frozenset():
            return {"$": "set", "v": [enc(item, seen) for item in value]}
        case dict() if all(isinstance(key, str) for key in value):
            return {key: enc(item, seen) for key, item in value.items()}
        case dict():
            return {"$": "map", "v": [[enc(key, seen), enc(item, seen)] for key, item in value.items()]}
    if callable(value):
        return {"$": "function"}
    return {"$": "object", "class": type(value).__name__}


def enc_float(value: float) -> Any:
    if math.isnan(value):
        return {"$": "number", "v": "NaN"}
    if math.isinf(value):
        return {"$": "number", "v": "Infinity" if value > 0 else "-Infinity"}
    if value == 0 and math.copysign(1, value) < 0:
        return {"$": "number", "v": "-0"}
    return value


def err_info(error: BaseException) -> dict[str, Any]:
    """The facts a caller can see of an exception; flags appear only when set."""
    name = next((name for kind, name in ERROR_NAMES if isinstance(error, kind)), type(error).__name__)
    message = str(error)
    if hasattr(
        error, "message"
    ):  # an error of JavaScript's: `str` names its class, and the message Python's, if there is one
        message = error.message.removeprefix(f"{type(error).__name__}: ").removeprefix("Exception: ")
    return {"name": name, "message": message} | {FLAGS[flag]: True for flag in flags_of(error)}


def flags_of(error: BaseException) -> list[str]:
    return [flag for flag in FLAGS if getattr(error, flag, False)]


async def attempt(action: Callable[[], Any]) -> dict[str, Any]:
    """Run *action* and tell what came of it: `{"ok": value}` or `{"err": {...}}`."""
    try:
        outcome = action()
        return {"ok": enc(await outcome if inspect.isawaitable(outcome) else outcome)}
    except Exception as error:
        return {"err": err_info(error)}


def attempt_sync(action: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"ok": enc(action())}
    except Exception as error:
        return {"err": err_info(error)}


async def sleep(ms: float) -> None:
    await asyncio.sleep(ms / 1000)


def step(iterator: Iterator[Any]) -> dict[str, Any]:
    """One step of *iterator*, in the words of JavaScript's protocol."""
    try:
        return {"done": False, "value": next(iterator)}
    except StopIteration:
        return {"done": True, "value": None}


def kind(thing: Any, name: str) -> str:
    """What a member of *thing* is, in JavaScript's words; one that is None counts as missing."""
    member = getattr(thing, name, None)
    if member is None:
        return "undefined"
    if callable(member):
        return "function"
    return "number" if isinstance(member, int | float) else "object"


def kinds(thing: Any, names: Iterable[str]) -> list[list[str]]:
    return [[name, kind(thing, name)] for name in names]


def keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Options as a step has them, `{"startAfter": ...}`, as keyword arguments."""
    return {re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), name): v for name, v in options.items()}


def upgrade(client: WebSocket, headers: dict[str, str] | None = None) -> Response:
    return Response(None, status=101, websocket=client, headers=headers)


class Hibernating(DurableObject):
    """An object that takes each client's socket, with the tags in the URL, and notes events in `log`."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.log: list[Any] = []

    async def fetch(self, request: Request) -> Response:
        client, server = WebSocketPair()
        query = parse_qs(urlsplit(request.url).query, keep_blank_values=True)
        self.ctx.accept_websocket(server, query.get("tag", []))
        return upgrade(client)

    async def events(self) -> list[Any]:
        log, self.log = self.log, []
        return log


def serve(*functions: Callable[..., Any]) -> type[WorkerEntrypoint]:
    """Build the worker of a scenario: the router, with *functions* under `/worker/<name>`."""
    by_name = {function.__name__: function for function in functions}

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> Response:
            url = urlsplit(request.url)
            route, *names = [unquote(part) for part in url.path.split("/")[1:]]
            match route, names:
                case "call", [cls, name, method]:
                    args = await request.json()
                    stub = self.env[cls].get_by_name(name)
                    return Response.json(await attempt(lambda: getattr(stub, method)(*args)))
                case "fetch", [cls, name, *rest]:
                    query = f"?{url.query}" if url.query else ""
                    passed = Request(
                        f"http://do/{'/'.join(rest)}{query}",
                        method=request.method,
                        headers=request.headers,
                        body=request.body,
                        redirect="manual",
                    )
                    return await self.pass_on(cls, name, passed)
                case "worker", [name]:
                    args = await request.json()
                    return Response.json(await attempt(lambda: by_name[name](self.env, self.ctx, *args)))
                case "__evict", [cls, name]:
                    return Response.json(
                        await attempt(lambda: evict_durable_object(self.env[cls].get_by_name(name)))
                    )
            return Response("no such route", status=404)

        async def pass_on(self, cls: str, name: str, request: Request) -> Response:
            try:
                return await self.env[cls].get_by_name(name).fetch(request)
            except Exception as error:
                return Response.json({"err": err_info(error)}, status=599)

    return Default
