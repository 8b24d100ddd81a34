"""RpcStub and RpcProperty: what user code holds of a capability. (cooperative)

Source: RPC-04, RPC-05, RPC-07, RPC-16, RPC-17. Thin fronts: an attribute is a step of a path, a call or an await
asks the capability.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from perdure._base import limits
from perdure._base.current import current, current_invocation
from perdure._base.refusal import refuse
from perdure._rpc.capability import Capability, OnBroken, Path
from perdure._rpc.owner import run_on, run_soon

if TYPE_CHECKING:
    from perdure._rpc.promise import RpcPromise

NOT_THERE: Final = "'{kind}' object is not iterable: await it first."
PATH_TOO_DEEP: Final = f"RPC pipelined property path is too deep (max {limits.RPC_PATH_MAX})."


class Stub:
    """A handle to something that lives elsewhere; any attribute is a method or property of it."""

    __perdure_noun__ = "RpcStub"
    _capability: Capability

    def __getattr__(self, name: str) -> RpcProperty:
        if name[:2] == "__":
            raise AttributeError(name)  # copy, pickle, inspect and their like ask for these
        return RpcProperty(self._capability, (name,))

    def __getitem__(self, name: str | int) -> RpcProperty:
        return RpcProperty(self._capability, (name,))

    __iter__ = None  # else `for` would go through items by index, and those have no end

    def __perdure_cross__(self, crossing: Any) -> Any:
        return crossing.pass_on(self)

    def __repr__(self) -> str:
        return f"<stub of {self._capability.describe()}>"


class RpcStub(Stub):
    """
    A handle to a target, a function, or whatever else was passed by reference.

    Any attribute is a method or property of it: `await stub.method(...)`, `await stub.prop`. A name that the stub
    has itself, or that is no identifier, is reached as an item: `stub["on_broken"]`. A stub of a function is called.

    The target may be told when its last stub is gone: leave the stub's `with` block, call `dispose()`, or drop the
    last reference to it.

    `RpcStub(value)` makes a stub of a target, a function or a dict of this process; calls through it copy as all
    calls do (RPC-11).
    """

    def __init__(self, value: Any) -> None:
        from perdure._rpc.local import wrap  # it builds on this module

        self.__dict__["_capability"] = wrap(value)

    def __call__(self, *args: Any, **kwargs: Any) -> RpcPromise:
        if interceptor is not None:
            return interceptor.call(self._capability, (), args, kwargs)
        return self._capability.call((), args, kwargs)

    def dup(self) -> RpcStub:
        """
        Return another stub of the same target, which is let go when all of them are disposed (RPC-16).

        An object that keeps one stays in memory for as long as it does, or until the target is lost (RPC-23). What code
        of an object or a worker keeps is disposed when that is reset, or over (RPC-22).
        """
        holder = current.get()
        capability = self._capability.dup()
        stub = stub_of(capability) if holder is None else _KeptStub(capability, holder)
        owner = holder or current_invocation.get()
        if owner is not None:
            end_with(owner, stub)
        return stub

    def dispose(self) -> None:
        """Give the stub up; later calls through it fail (RPC-17)."""
        self._capability.dispose()

    def __enter__(self) -> RpcStub:
        return self

    def __exit__(self, *exception: object) -> None:
        self.dispose()

    def on_broken(self, callback: OnBroken) -> None:
        """Call `callback(error)` when the target is lost: its object was reset, its worker's request is over."""
        self._capability.on_broken(callback)

    def map(self, function: Callable[[Any], Any]) -> RpcPromise:
        """Do what *function* says with the target; see `RpcPromise.map`."""
        return _map(self._capability, (), function)


class _KeptStub(RpcStub):
    """A stub that an object keeps: its holder is busy meanwhile."""

    def __init__(self, capability: Capability, holder: Any) -> None:
        self.__dict__["_capability"] = capability
        self.__dict__["_holder"] = holder
        holder.retain()
        here = weakref.ref(self)

        def lost(_: BaseException) -> None:
            kept = here()
            if kept is not None:
                kept._let_go()

        capability.on_broken(lost)

    def dispose(self) -> None:
        super().dispose()
        self._let_go()

    def _let_go(self) -> None:
        holder = self.__dict__.pop("_holder", None)
        if holder is not None:
            run_on(holder.loop, holder.let_go)

    def __del__(self) -> None:
        holder = self.__dict__.pop("_holder", None)
        if holder is not None:
            run_soon(holder.loop, holder.let_go)


def end_with(owner: Any, stub: RpcStub) -> None:
    """Dispose *stub*, if it is there still, when no code of *owner* runs any more."""

    def end(error: BaseException) -> None:
        if (kept := here()) is not None:
            kept.dispose()

    here = weakref.ref(stub, lambda _: owner.forget(end))
    owner.when_broken(end)


def not_there(value: Any) -> TypeError:
    """Return the error of `for item in value`, where an `await` was forgotten."""
    return TypeError(NOT_THERE.format(kind=type(value).__name__))


async def items_of(stream: Awaitable[Any]) -> AsyncIterator[Any]:
    """Go through a stream that is not there yet."""
    async for item in await stream:
        yield item


def stub_of(capability: Capability) -> RpcStub:
    """Return a stub that holds *capability*, and disposes it when it is disposed or dropped."""
    stub = RpcStub.__new__(RpcStub)
    stub.__dict__["_capability"] = capability
    return stub


class RpcProperty:
    """Something at a path from a target: call it, await it to read it, or go on along the path (RPC-05)."""

    __slots__ = ("_capability", "_path")
    __perdure_hint__ = "Await it first."

    def __init__(self, capability: Capability, path: Path) -> None:
        self._capability = capability
        self._path = path

    def __call__(self, *args: Any, **kwargs: Any) -> RpcPromise:
        if interceptor is not None:
            return interceptor.call(self._capability, self._path, args, kwargs)
        return self._capability.call(self._path, args, kwargs)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._capability.get(self._path).__await__()

    def __getattr__(self, name: str) -> RpcProperty:
        if name[:2] == "__":
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str | int) -> RpcProperty:
        if len(self._path) >= limits.RPC_PATH_MAX:
            raise TypeError(PATH_TOO_DEEP)
        return RpcProperty(self._capability, (*self._path, name))

    def __iter__(self) -> NoReturn:
        raise not_there(self)

    def __aiter__(self) -> AsyncIterator[Any]:
        return items_of(self)

    def __perdure_cross__(self, crossing: Any) -> NoReturn:
        raise refuse(self)

    def map(self, function: Callable[[Any], Any]) -> RpcPromise:
        """Do what *function* says with the property's value; see `RpcPromise.map`."""
        return _map(self._capability, self._path, function)

    def __repr__(self) -> str:
        return f"<{'.'.join(map(str, self._path)) or 'all'} of {self._capability.describe()}>"


class Interceptor(Protocol):
    """Takes the calls that are made through stubs, in place of who is called."""

    def call(
        self, capability: Capability, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> RpcPromise: ...


interceptor: Interceptor | None = None
"""Whoever records the function of a `map` at this moment (`recipe.record`); it is set and reset in one step."""


def _map(capability: Capability, path: Path, function: Callable[[Any], Any]) -> RpcPromise:
    from perdure._rpc.recipe import map_over  # it builds on this module

    return map_over(capability, path, function)
