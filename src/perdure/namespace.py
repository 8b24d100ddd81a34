"""Namespaces, ids and stubs: how one names an object and calls it. (cooperative)

Source: NS-01…19, STB-*, RPC-01…08. A call starts when it is made, so calls through one stub arrive in the
order made (STB-10); from inside an object it leaves once the writes before it are durable (RPC-24).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from perdure._base import ids, limits
from perdure._base.awaitables import Call
from perdure._base.current import current
from perdure._base.failure import for_caller
from perdure._base.values import copy_call, copy_sized
from perdure._engine import lifecycle, methods
from perdure._engine.events import Event, FetchEvent, RpcEvent
from perdure._rpc import reach
from perdure._web.body import Body
from perdure._web.relay import relay
from perdure._web.request import make_request
from perdure._web.response import REDIRECT_STATUSES, check_upgrade
from perdure.errors import PerdureError
from perdure.web import Request, Response, copy_request, copy_response, follow

if TYPE_CHECKING:
    from perdure._engine.host import Space
    from perdure._engine.live import Live

T = TypeVar("T")

NO_FETCH: Final = "Handler does not export a fetch() function."
NO_RESPONSE: Final = "Incorrect type for Promise: the Promise did not resolve to 'Response'."
NO_JURISDICTION: Final = "Jurisdiction restrictions are not implemented in Perdure."
MESSAGE_TOO_LARGE: Final = "Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: {size} bytes."
OTHER_THREAD: Final = "{what} was called from a thread other than the event loop's. Use rt.run(lambda: …), which waits there for the result."


class DurableObjectId:
    """
    The id of an object: 32 bytes, shown as 64 hex digits.

    Two ids are equal if their bytes are, whatever they were made from (NS-15).

    Attributes:
        name: the name it was made from, if it was (NS-16).
        jurisdiction: always None here (NS-17).
    """

    __slots__ = ("_bytes", "_space", "name")
    jurisdiction: None = None

    def __init__(self, object_id: bytes, name: str | None, space: Space) -> None:
        self._bytes = object_id
        self.name = name
        self._space = space

    def equals(self, other: DurableObjectId) -> bool:
        """Whether *other* is the id of the same object; the same as `==`."""
        if not isinstance(other, DurableObjectId):
            raise TypeError(
                "Failed to execute 'equals' on 'DurableObjectId': parameter 1 is not of type 'DurableObjectId'."
            )
        return self._bytes == other._bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DurableObjectId) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __str__(self) -> str:
        return self._bytes.hex()

    def __repr__(self) -> str:
        named = "" if self.name is None else f" name={self.name!r}"
        return f"<DurableObjectId {self._bytes.hex()}{named}>"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """
    An object that stores something, as `Namespace.list` tells of it.

    Attributes:
        id: its id, with the name it was made from; `namespace.get(info.id)` gives a stub.
        name: its name; None if it was never reached by one.
        first_used: when it began to store something.
        last_used: when it was used last, to within ten minutes; now, if it is in memory.
    """

    id: DurableObjectId
    first_used: datetime
    last_used: datetime

    @property
    def name(self) -> str | None:
        return self.id.name


@dataclass(frozen=True, slots=True)
class ObjectList:
    """
    A part of a namespace's objects; iterate over it, or over `objects`.

    Attributes:
        objects: those with a name in the order of the names' UTF-8 bytes, then those without, by id.
        cursor: for the next call of `list`; None: there are no more.
    """

    objects: list[ObjectInfo]
    cursor: str | None

    def __iter__(self) -> Iterator[ObjectInfo]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)


class Namespace(Generic[T]):
    """
    All objects of one class; reached as `env.BINDING`, or `Runtime.namespace(Class)`.

    The type parameter is the class, so that a type checker knows what `stub.method(...)` returns. Making an
    id or a stub creates nothing and sends nothing (NS-02).
    """

    __slots__ = ("_names", "_space")

    def __init__(self, space: Space) -> None:
        self._space = space
        self._names: dict[str, bytes] = {}

    def id_from_name(self, name: str) -> DurableObjectId:
        """Return the id of *name*: always the same one for the same name (NS-04)."""
        return DurableObjectId(self._id_of(name, "id_from_name"), name, self._space)

    def id_from_string(self, hex: str) -> DurableObjectId:
        """
        Return the id that *hex*, 64 hex digits, stands for; it has no name (NS-05).

        Raises:
            TypeError: it is no such text, or the id of another namespace.
        """
        if not isinstance(hex, str):
            raise TypeError(
                "Failed to execute 'id_from_string' on 'DurableObjectNamespace': parameter 1 is not of type 'string'."
            )
        return DurableObjectId(ids.id_from_hex(self._space.key, hex), None, self._space)

    def new_unique_id(self, *, jurisdiction: str | None = None) -> DurableObjectId:
        """Return a fresh id without a name (NS-03); it is only good if somebody writes it down."""
        if jurisdiction is not None:
            raise PerdureError(NO_JURISDICTION)
        return DurableObjectId(ids.with_check(self._space.key, os.urandom(ids.HALF)), None, self._space)

    def get(
        self,
        id: DurableObjectId,
        *,
        location_hint: str | None = None,
        routing_mode: str | None = None,
        **options: Any,
    ) -> T:
        """
        Return a stub of the object with this *id* (NS-06).

        `location_hint` and unknown options are accepted and have no effect on one machine (NS-08).
        """
        if not isinstance(id, DurableObjectId):
            raise TypeError(
                "Failed to execute 'get' on 'DurableObjectNamespace': parameter 1 is not of type 'DurableObjectId'."
            )
        if routing_mode is not None:
            _check_routing(routing_mode)
        if (
            id._space is not self._space
        ):  # of another class, or of an earlier run of the runtime: its bytes count
            id = DurableObjectId(id._bytes, id.name, self._space)
        return cast(T, DurableObjectStub(id))

    def get_by_name(
        self,
        name: str,
        *,
        location_hint: str | None = None,
        routing_mode: str | None = None,
        **options: Any,
    ) -> T:
        """Return a stub of the object called *name*: `get(id_from_name(name))` (NS-07)."""
        if routing_mode is not None:
            _check_routing(routing_mode)
        return cast(
            T, DurableObjectStub(DurableObjectId(self._id_of(name, "get_by_name"), name, self._space))
        )

    def jurisdiction(self, jurisdiction: str | None = None) -> Namespace[T]:
        """Return the namespace itself for None; anything else is not implemented (NS-12)."""
        if jurisdiction is not None:
            raise PerdureError(NO_JURISDICTION)
        return Namespace(self._space)

    def list(
        self,
        *,
        prefix: str | None = None,
        limit: int = 1000,
        cursor: str | None = None,
    ) -> ObjectList:
        """
        List the objects that store something, in the order of their names, then those without a name.

        An object is in it from its first confirmed write until `delete_all()`. Perdure's own: Cloudflare's
        namespaces cannot be listed from code. `async for info in namespace` goes through all objects.

        Args:
            prefix: only objects whose names begin so.
            limit: at most so many, up to 1,000.
            cursor: the one of the list before, to go on behind it; with the same prefix.
        """
        if prefix is not None and not isinstance(prefix, str):
            raise TypeError(f"list(): prefix must be a str, not {type(prefix).__name__}.")
        if not isinstance(limit, int) or isinstance(limit, bool):
            raise TypeError(f"list(): limit must be an int, not {type(limit).__name__}.")
        if not 1 <= limit <= limits.OBJECTS_LISTED_MAX:
            raise ValueError(
                f"list(): limit is {limit:,}; it must be between 1 and {limits.OBJECTS_LISTED_MAX:,}. "
                "For more, call again with the cursor of the list before."
            )
        space = self._space
        if not space.host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=f"list() of {self!r}"))
        rows, next_place = space.list(prefix, None if cursor is None else _place(cursor), limit)
        objects = [
            ObjectInfo(
                DurableObjectId(row.id, row.name, space),
                datetime.fromtimestamp(row.first_used_s, UTC),
                datetime.fromtimestamp(row.last_used_s, UTC),
            )
            for row in rows
        ]
        return ObjectList(
            objects, None if next_place is None else base64.urlsafe_b64encode(next_place).decode()
        )

    async def __aiter__(self) -> AsyncIterator[ObjectInfo]:
        """Go through all objects as `list` orders them; other code runs between every thousand."""
        cursor: str | None = None
        while True:
            page = self.list(cursor=cursor)
            for info in page:
                yield info
            cursor = page.cursor
            if cursor is None:
                return
            await asyncio.sleep(0)

    def _id_of(self, name: str, method: str) -> bytes:
        known = self._names.get(name) if name.__class__ is str else None
        if known is not None:
            return known
        if not isinstance(name, str):
            raise TypeError(
                f"Failed to execute '{method}' on 'DurableObjectNamespace': parameter 1 is not of type 'string'."
            )
        if len(self._names) >= limits.NAMES_CACHED_MAX:
            self._names.clear()
        self._names[name] = found = ids.id_from_name(self._space.key, name)
        return found

    def __repr__(self) -> str:
        return f"<Namespace of {self._space.class_name}>"


class DurableObjectStub:
    """
    A handle to one object: `await stub.method(...)`, `await stub.fetch(url)`.

    Any other attribute is a method or property of the object; assigning one shadows it here (STB-01). A stub
    that saw its object reset fails every later call with the same error: make a new one (STB-11).

    Attributes:
        id: the id it was made with.
        name: the id's name.
    """

    id: DurableObjectId
    name: str | None

    def __init__(self, id: DurableObjectId) -> None:
        own = self.__dict__
        own["id"] = id
        own["name"] = id.name
        own["_live"] = None

    def __getattr__(self, name: str) -> RpcProperty:
        if name[:2] == "__":
            raise AttributeError(name)  # copy, pickle, inspect and their like ask for these
        return RpcProperty(self, name)

    def fetch(self, input: Request | str, **init: Any) -> FetchCall:
        """
        Send an HTTP request to the object's `fetch` handler; await it for the `Response` (STB-04).

        Args:
            input: an absolute URL, whose host nobody looks up, or a request.
            init: as for `Request`: method, headers, body, redirect ("follow" or "manual").
        """
        return FetchCall(
            self, copy_request(input) if isinstance(input, Request) and not init else Request(input, **init)
        )

    def _send(self, event: Event) -> Call:
        """Deliver *event* when the caller's writes so far are durable."""
        caller: Live | None = current.get()
        store = None if caller is None else caller.used_store
        if caller is not None and caller.broken is not None:
            event.future.cancel()  # nothing leaves an object that was reset (GATE-09)
        elif store is None or store.gate.is_open:
            self._deliver(event)
        else:

            def let_out(error: BaseException | None) -> None:
                if event.future.done():
                    return  # the caller gave up before the call left
                if error is None:
                    self._deliver(event)
                else:
                    event.future.cancel()  # the caller is being reset: nobody waits any more

            store.gate.when(store.gate.issued, let_out)
        return event.future

    def _deliver(self, event: Event) -> None:
        live: Live | None = self._live  # type: ignore[assignment]
        if live is None or live.state is lifecycle.EVICTED:
            try:
                live = self.id._space.live(self.id._bytes, visible(self.name))
            except PerdureError as error:
                event.future.set_exception(for_caller(error))
                return
            self.__dict__["_live"] = live
        elif live.broken is not None:
            event.future.set_exception(live.reset_for(event))
            return
        live.deliver(event)

    def __repr__(self) -> str:
        return f"<stub of {self.id._space.class_name} {self.name if self.name is not None else self.id}>"


class RpcProperty:
    """A member of an object, by name: call it, or await it to read a property (RPC-05)."""

    __slots__ = ("_name", "_stub")

    def __init__(self, stub: DurableObjectStub, name: str) -> None:
        self._stub = stub
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Call:
        stub, name = self._stub, self._name
        host = stub.id._space.host
        if not host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=f"{stub!r}.{name}()"))
        size = 0
        if args or kwargs:
            args, kwargs, size, _ = copy_call(args, kwargs, registry=host.registry)
            if size > limits.RPC_MESSAGE_BYTES_MAX:
                raise PerdureError(MESSAGE_TOO_LARGE.format(size=size))
        call = reach.call
        event = RpcEvent(
            Call(loop=host.loop),
            name,
            lambda instance: call(instance, name, args, kwargs),
            _pack_result,
            size,
        )
        return stub._send(event)

    def __await__(self) -> Generator[Any, Any, Any]:
        stub, name = self._stub, self._name
        host = stub.id._space.host
        if not host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=f"{stub!r}.{name}"))
        event = RpcEvent(
            Call(loop=host.loop),
            name,
            lambda instance: reach.read(instance, name),
            _pack_result,
        )
        return stub._send(event).__await__()

    def __repr__(self) -> str:
        return f"<{self._name} of {self._stub!r}>"


def _pack_result(value: Any) -> Any:
    live: Live = current.get()
    packed, size = copy_sized(value, registry=live.host.registry, label="result")
    if size > limits.RPC_MESSAGE_BYTES_MAX:
        raise PerdureError(MESSAGE_TOO_LARGE.format(size=size))
    return packed


class FetchCall(Coroutine[Any, Any, Response]):
    """A request on its way; awaiting it gives the response, redirects followed on the caller's side (STB-05)."""

    __slots__ = ("_first", "_replay", "_response", "_steps", "_stub")

    def __init__(self, stub: DurableObjectStub, request: Request) -> None:
        self._stub = stub
        body = request.body
        # What a redirect would need again. A stream cannot be sent twice, and is only remembered as one.
        again = (
            None if body is None else Body(body.data) if body.data is not None else Body(source=aiter(body))
        )
        self._replay = make_request(
            request.url,
            request.method,
            request.headers.copy(),
            again,
            redirect=request.redirect,
            client=request.client,
        )
        self._first = self._hop(request)
        self._response: Response | None = None
        self._steps: Any = None

    def _hop(self, request: Request) -> Call:
        host = self._stub.id._space.host
        if not host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=f"{self._stub!r}.fetch()"))
        sent = copy_request(request)
        relay(sent, current.get(), host.loop)
        body = sent.body
        return self._stub._send(
            FetchEvent(
                Call(loop=host.loop),
                "fetch",
                lambda instance: _run_fetch(instance, sent),
                lambda value: _pack_response(value, sent),
                0 if body is None else body.size or 0,  # a stream is held by its sender
            )
        )

    async def _finish(self) -> Response:
        response: Response = await self._first
        if self._response is not None:
            return self._response  # it was awaited before
        replay = self._replay
        if response.status not in REDIRECT_STATUSES or replay.redirect == "manual":
            self._response = answer = copy_response(response, url=replay.url)
            return answer
        first: Response | None = response

        async def send(request: Request) -> Response:
            nonlocal first
            if first is not None:
                answer, first = first, None
                return answer
            return cast(Response, await self._hop(request))

        self._response = final = await follow(replay, send)
        return final

    def __await__(self) -> Generator[Any, Any, Response]:
        return self._finish().__await__()

    def send(self, value: Any) -> Any:
        if self._steps is None:
            self._steps = self._finish()
        return self._steps.send(value)

    def throw(self, *args: Any) -> Any:
        if self._steps is None:
            self._steps = self._finish()
        return self._steps.throw(*args)

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()


def _run_fetch(instance: Any, request: Request) -> Any:
    handler = methods.handler(instance, "fetch")
    if handler is None:
        raise PerdureError(NO_FETCH)
    return handler(request)


def _pack_response(value: Any, request: Request) -> Response:
    live: Live = current.get()
    if not isinstance(value, Response):
        raise no_response(value, live.label)
    check_upgrade(value, request)
    answer = copy_response(value)
    relay(answer, live, live.host.loop)
    return answer


def no_response(value: object, label: str) -> TypeError:
    """Return the error of a `fetch` handler that returned something else than a response."""
    error = TypeError(NO_RESPONSE)
    error.add_note(f"fetch() of {label} returned {type(value).__name__}; return a perdure.Response.")
    return error


def _place(cursor: str) -> bytes:
    if not isinstance(cursor, str):
        raise TypeError(f"list(): cursor must be a str, not {type(cursor).__name__}.")
    try:
        place = base64.b64decode(cursor, b"-_", validate=True)
    except (binascii.Error, ValueError):
        place = b""
    if place[:1] not in (b"n", b"i"):  # `catalog.place_of`
        raise ValueError(f"list(): {cursor!r} is not a cursor that list() returned.")
    return place


def _check_routing(mode: str) -> None:
    if mode != "primary-only":
        raise ValueError(f"unknown routing_mode: {mode}")


def visible(name: str | None) -> str | None:
    """Return *name* if an object of it may see it (NS-16)."""
    if name is None or len(name) * 4 <= limits.OBJECT_NAME_VISIBLE_BYTES_MAX:
        return name
    return (
        name if len(name.encode("utf-8", "surrogatepass")) <= limits.OBJECT_NAME_VISIBLE_BYTES_MAX else None
    )
