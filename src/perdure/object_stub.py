"""Stubs of durable objects, and the capability behind them. (cooperative)

Source: STB-*, RPC-01…08. A call starts when it is made, so calls through one stub arrive in the order made
(STB-10); from inside an object it leaves once the writes before it are durable (RPC-24).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final, cast

from perdure._base import limits
from perdure._base.awaitables import Call, invoke
from perdure._base.current import OTHER_THREAD, current
from perdure._base.failure import for_caller
from perdure._base.values import copy_call, copy_sized
from perdure._engine import lifecycle, methods
from perdure._engine.events import Event, FetchEvent, RpcEvent
from perdure._rpc.capability import Capability, OnBroken, Path
from perdure._rpc.crossing import Arguments, Result, check_size
from perdure._rpc.owner import leave
from perdure._rpc.promise import RpcPromise
from perdure._rpc.reach import asked_of_call, call, call_path, read_path
from perdure._rpc.stub import Stub
from perdure._web.body import Body
from perdure._web.relay import relay
from perdure._web.request import make_request
from perdure._web.response import REDIRECT_STATUSES, check_upgrade
from perdure.errors import PerdureError
from perdure.web import Request, Response, copy_request, copy_response, follow

if TYPE_CHECKING:
    from perdure._engine.host import Space
    from perdure._engine.live import Live
    from perdure.namespace import DurableObjectId

NO_FETCH: Final = "Handler does not export a fetch() function."
NO_RESPONSE: Final = "Incorrect type for Promise: the Promise did not resolve to 'Response'."


class ObjectCapability(Capability):
    """
    A handle to a durable object: what it is asked is an event of the object.

    It makes the object live at the first call; once it saw it reset, all later calls fail with the same error
    (STB-11).
    """

    __slots__ = ("_id", "_live", "_name", "space")

    def __init__(self, space: Space, object_id: bytes, name: str | None) -> None:
        self.space = space
        self._id = object_id
        self._name = name
        self._live: Live | None = None

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        host = self.space.host
        if not host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=self._member(path) + "()"))
        size = 0
        arguments = None
        if args or kwargs:
            args, kwargs, size, arguments = copy_call(args, kwargs, registry=host.registry, lend=Arguments)
            if size > limits.RPC_MESSAGE_BYTES_MAX:
                check_size(size)
        promise = RpcPromise(loop=host.loop)
        if len(path) == 1:
            name: Any = path[0]
            pack: Callable[[Any], Any] = _pack_result
            asked = asked_of_call(self.space.cls, name)
            if asked is not None:
                args, kwargs = asked.fit(args, kwargs)
                pack = asked.before(pack)
            event = RpcEvent(promise, name, lambda instance: call(instance, name, args, kwargs), pack, size)
        else:
            name = ".".join(map(str, path))
            event = RpcEvent(
                promise, name, lambda instance: call_path(instance, path, args, kwargs), _pack_result, size
            )
        if arguments is not None and arguments.lent:
            _lend(event, arguments)
        self.send(event)
        return promise

    def fetch(self, request: Request) -> FetchCall:
        """Send *request*, which is the call's own."""
        return FetchCall(self, request)

    def get(self, path: Path) -> RpcPromise:
        host = self.space.host
        if not host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=self._member(path)))
        promise = RpcPromise(loop=host.loop)
        self.send(
            RpcEvent(
                promise, ".".join(map(str, path)), lambda instance: read_path(instance, path), _pack_result
            )
        )
        return promise

    def send(self, event: Event) -> Call:
        """Deliver *event* when the caller's writes so far are durable."""
        if current.get() is None:
            self._deliver(event)
        else:
            leave(lambda: self._deliver(event), event.future)
        return event.future

    def _deliver(self, event: Event) -> None:
        live = self._live
        if live is None or live.state is lifecycle.EVICTED:
            try:
                live = self.space.live(self._id, visible(self._name))
            except PerdureError as error:
                event.refuse(for_caller(error))
                return
            self._live = live
        elif live.broken is not None:
            event.refuse(for_caller(live.broken, self.space.host.registry))
            return
        live.deliver(event)

    def dup(self) -> Capability:
        return ObjectCapability(self.space, self._id, self._name)

    def dispose(self) -> None:
        """An object is not told who has stubs of it."""

    def on_broken(self, callback: OnBroken) -> None:
        """It never is for good: a new stub of the object works."""

    def describe(self) -> str:
        return f"{self.space.class_name} {self._name if self._name is not None else self._id.hex()}"

    def _member(self, path: Path) -> str:
        return f"<stub of {self.describe()}>.{'.'.join(map(str, path))}"


def _lend(event: Event, arguments: Arguments) -> None:
    """Let the stubs among the arguments of *event* end when the call has returned (RPC-19)."""
    run, pack = event.run, event.pack

    async def run_and_give_back(instance: Any) -> Any:
        try:
            return pack(await invoke(run, instance))
        finally:
            arguments.give_back()

    event.run = run_and_give_back
    event.pack = _as_it_is


def _as_it_is(packed: Any) -> Any:
    return packed


def _pack_result(value: Any) -> Any:
    live: Live = current.get()
    packed, size = copy_sized(value, registry=live.host.registry, label="result", cross=RESULT)
    if size > limits.RPC_MESSAGE_BYTES_MAX:
        check_size(size)
    return packed


RESULT: Final = Result()


class ServiceStub(Stub):
    """
    A handle to an object or a worker: `await stub.method(...)`, `await stub.fetch(url)`.

    Any other attribute is a method or property of it. It has no `dup` or `dispose`: nothing is kept for it.
    """

    __perdure_noun__ = "ServiceStub"
    _capability: Any

    def fetch(self, input: Request | str, **init: Any) -> Awaitable[Response]:
        """
        Send an HTTP request to its `fetch` handler; await it for the `Response` (STB-04).

        Args:
            input: an absolute URL, whose host nobody looks up, or a request.
            init: as for `Request`: method, headers, body, redirect ("follow" or "manual").
        """
        request = copy_request(input) if isinstance(input, Request) and not init else Request(input, **init)
        sent: Awaitable[Response] = self._capability.fetch(request)
        return sent

    def __perdure_cross__(self, crossing: Any) -> ServiceStub:
        """Arrive as a plain stub of the service: without an id, and not broken (STB-12)."""
        return service_stub(self._capability.dup())


def service_stub(capability: Capability) -> ServiceStub:
    """Return a stub of the object or worker behind *capability*."""
    stub = ServiceStub.__new__(ServiceStub)
    stub.__dict__["_capability"] = capability
    return stub


class DurableObjectStub(ServiceStub):
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
        own["_capability"] = ObjectCapability(id._space, id._bytes, id.name)


class FetchCall(Coroutine[Any, Any, Response]):
    """A request on its way; awaiting it gives the response, redirects followed on the caller's side (STB-05)."""

    __slots__ = ("_capability", "_first", "_replay", "_response", "_steps")

    def __init__(self, capability: ObjectCapability, request: Request) -> None:
        self._capability = capability
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
        host = self._capability.space.host
        if not host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=f"fetch() of {self._capability.describe()}"))
        sent = copy_request(request)
        sent._redirect = "manual"  # passed on by the object, it is its sender who is told of a redirect
        relay(sent, current.get(), host.loop)
        body = sent.body
        return self._capability.send(
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


def visible(name: str | None) -> str | None:
    """Return *name* if an object of it may see it (NS-16)."""
    if name is None or len(name) * 4 <= limits.OBJECT_NAME_VISIBLE_BYTES_MAX:
        return name
    return (
        name if len(name.encode("utf-8", "surrogatepass")) <= limits.OBJECT_NAME_VISIBLE_BYTES_MAX else None
    )
