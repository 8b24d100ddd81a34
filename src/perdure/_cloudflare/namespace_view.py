"""Namespaces, ids and stubs as Cloudflare has them. (cooperative)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import perdure
from perdure._cloudflare.convert import (
    Answer,
    arguments_to_rpc,
    native_of,
    register_incoming,
)
from perdure._cloudflare.exchange import request_to_native, response_from_native
from perdure._cloudflare.views import Value, View, call, methods
from perdure.entrypoint import EntrypointStub, LoopbackStub
from perdure.object_stub import ServiceStub


class IdView(View):
    """The id of an object; `str(id)` and `id.toString()` are its 64 hex digits."""

    _js_name = "DurableObjectId"
    _members = {**methods("toString"), "name": Value(), "jurisdiction": Value()}

    def equals(self, other: Any) -> bool:
        """Whether *other* is the id of the same object."""
        same: bool = call(lambda: self._native.equals(native_of(other)))
        return same

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdView) and bool(other._native == self._native)

    def __hash__(self) -> int:
        return hash(self._native)

    def __str__(self) -> str:
        return str(self._native)

    def __repr__(self) -> str:
        return f"DurableObjectId({self})"


class NamespaceView(View):
    """All objects of one class: `env.ROOM.getByName("lobby")`."""

    _js_name = "DurableObjectNamespace"
    _members = {
        **methods("idFromName:1 idFromString:1 newUniqueId:0:jurisdiction", result=IdView),
    }

    def get(self, id: Any, *args: Any, **options: Any) -> ObjectStubView:
        """Return a stub of the object with this id."""
        _, named = _STUB_OPTIONS.split((id, *args), options)
        stub: ObjectStubView = call(lambda: self._native.get(native_of(id), **named), ObjectStubView)
        return stub

    def getByName(self, name: str, *args: Any, **options: Any) -> ObjectStubView:
        """Return a stub of the object called *name*."""
        _, named = _STUB_OPTIONS.split((name, *args), options)
        stub: ObjectStubView = call(lambda: self._native.get_by_name(name, **named), ObjectStubView)
        return stub

    def jurisdiction(self, jurisdiction: str | None = None) -> NamespaceView:
        """Return the namespace itself for None; there is one machine, and no other jurisdiction."""
        inside: NamespaceView = call(lambda: self._native.jurisdiction(jurisdiction), NamespaceView)
        return inside


_STUB_OPTIONS = methods("get:1:locationHint,routingMode")["get"]


class StubView(View):
    """A worker, or an object that arrived in a call: `await stub.fetch(request)`, `await stub.method(…)`."""

    _js_name = "Fetcher"

    def fetch(self, resource: Any, *options: Any, **init: Any) -> Answer:
        """Send an HTTP request to its `fetch`."""
        request = request_to_native(resource, *options, **init)
        return call(lambda: self._native.fetch(request), response_from_native)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__" or name == "_native":
            raise AttributeError(name)
        if name == "_binding":  # what the SDK's own wrapper holds, and some projects reach for
            return self
        method = self._native[name]

        def call_method(*args: Any, **kwargs: Any) -> Answer:
            return call(lambda: method(*arguments_to_rpc(args, kwargs)))  # type: ignore[no-any-return]

        call_method.__name__ = name
        self.__dict__[name] = call_method
        return call_method

    @property
    def constructor(self) -> Any:
        return View.constructor.__get__(self)

    def __repr__(self) -> str:
        return repr(self._native)


class ObjectStubView(StubView):
    """A stub that a namespace gave."""

    _js_name = "DurableObject"

    @property
    def id(self) -> IdView:
        return IdView(self._native.id)

    @property
    def name(self) -> str | None:
        name: str | None = self._native.name
        return name


class LoopbackView(StubView):
    """A worker in `ctx.exports`; called with props, it is one whose worker finds these in its `ctx`."""

    def __call__(self, *args: Any, **options: Any) -> StubView:
        given: Mapping[str, Any] = {**args[0], **options} if args else options
        stub: StubView = call(lambda: self._native(props=given.get("props") or {}), StubView)
        return stub


for _native, _view in {
    perdure.Namespace: NamespaceView,
    perdure.DurableObjectId: IdView,
    perdure.DurableObjectStub: ObjectStubView,
    LoopbackStub: LoopbackView,
    EntrypointStub: StubView,
    ServiceStub: StubView,
}.items():
    register_incoming(_native, _view)
