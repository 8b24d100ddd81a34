"""RpcPromise: the outcome of a call, which can be used before it is there. (cooperative)

Source: RPC-04, RPC-06, RPC-17. Invariant: what is asked of a promise is carried out in the order asked, whether
its outcome is there or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from typing import Any, Final, NoReturn, TypeAlias, cast

from perdure._base.awaitables import Call
from perdure._base.failure import for_caller, mark
from perdure._base.refusal import refuse
from perdure._base.values import copy, copy_call, copy_exception
from perdure._rpc.capability import Capability, OnBroken, Path
from perdure._rpc.crossing import Arguments, Crossing, dispose
from perdure._rpc.reach import not_callable, walk
from perdure._rpc.stub import RpcProperty, RpcStub, Stub, items_of, not_there
from perdure.errors import Disconnected, PerdureError

DISPOSED_PROMISE: Final = "RPC promise used after being disposed."
CANCELLED: Final = "The call was cancelled."


class RpcPromise(Call):
    """
    What a call returns: await it for the result, or go on with the result before it is there.

    `await stub.room("a").messages()` sends both calls at once: any attribute, item or call of a promise is one of
    its result. It is an `asyncio.Future`, so `gather`, `wait_for` and `create_task` take it; a name that a future
    has itself is reached as an item: `promise["result"]`.
    """

    __perdure_hint__ = "Await it first."
    _pipeline: Capability | None = None
    """What goes on with the result before it is there, where that is not this process; set by who made the promise."""
    _waiting: list[_Asked] | None = None
    """What was asked of the result while it was not there."""
    _is_disposed = False

    def _onward(self) -> Capability:
        return self._pipeline or PromiseCapability(self)

    def _then(self, use: Callable[[Any], RpcPromise], path: Path | None = None) -> RpcPromise:
        """
        Return the outcome of *use*, which is called with the result when that is there, and in order.

        *path*: where in the result is all that it uses.
        """
        if self._is_there():
            try:
                return use(self.result())
            except Exception as failure:
                return failed(mark(for_caller(failure), remote=True))
        outcome = RpcPromise(loop=self.get_loop())
        if self._waiting is not None:
            self._waiting.append((use, outcome, path))
        elif self.done():
            self._go_on(use, outcome)
        else:
            self._waiting = [(use, outcome, path)]
            self.add_done_callback(RpcPromise._settled)
        return outcome

    def _is_there(self) -> bool:
        """Whether the result is there, and nothing that was asked of it before waits."""
        return self._waiting is None and self.done() and not self.cancelled() and self.exception() is None

    def _foresee(self, value: Any, maker: Any) -> None:
        """Start what is asked of *maker*'s own targets in *value*: it can begin, though nothing may leave yet."""
        waiting = self._waiting
        while waiting and (path := waiting[0][2]) is not None and _is_of(maker, value, path):
            use, outcome, _ = waiting.pop(0)
            # As code of nobody: what the caller sent has left it long ago.
            Context().run(self._use, use, value, outcome)

    def _settled(self) -> None:
        waiting, self._waiting = self._waiting, None
        self._log_traceback = False  # those who went on with it are told
        for use, outcome, _ in waiting or ():
            self._go_on(use, outcome)

    def _go_on(self, use: Callable[[Any], RpcPromise], outcome: RpcPromise) -> None:
        if outcome.done():
            return  # nobody waits for it any more
        if self.cancelled():
            outcome.cancel()
        elif (error := self.exception()) is not None:
            outcome.set_exception(copy_exception(error))
        else:
            self._use(use, self.result(), outcome)

    def _use(self, use: Callable[[Any], RpcPromise], value: Any, outcome: RpcPromise) -> None:
        if outcome.done():
            return
        try:
            following = use(value)
        except Exception as failure:
            outcome.set_exception(mark(for_caller(failure), remote=True))
        else:
            following.add_done_callback(lambda following: _pass(following, outcome))

    def __getattr__(self, name: str) -> RpcProperty:
        if name[:2] == "__":
            raise AttributeError(name)
        return RpcProperty(self._onward(), (name,))

    def __getitem__(self, name: str | int) -> RpcProperty:
        return RpcProperty(self._onward(), (name,))

    def __iter__(self) -> NoReturn:
        raise not_there(self)

    def __aiter__(self) -> AsyncIterator[Any]:
        """Go through a stream, as `async for item in await promise` does."""
        return items_of(self)

    def __perdure_cross__(self, crossing: Any) -> NoReturn:
        raise refuse(self)

    def __call__(self, *args: Any, **kwargs: Any) -> RpcPromise:
        return RpcProperty(self._onward(), ())(*args, **kwargs)

    def map(self, function: Callable[[Any], Any]) -> RpcPromise:
        """
        Do what *function* says with the result, or with each of its items if it is a list, where the result is.

        *function* is called once, at once, with a promise that stands for the item; it may call, read and put
        together, not await: `await stub.rooms().map(lambda room: room.name)`. None stays None.
        """
        return RpcProperty(self._onward(), ()).map(function)

    def dispose(self) -> None:
        """Give the result up: the stubs in it are disposed as soon as it is there (RPC-17)."""
        if self._is_disposed:
            return
        self._is_disposed = True
        if self._pipeline is not None:
            self._pipeline.dispose()
        self.add_done_callback(_dispose_result)

    def __enter__(self) -> RpcPromise:
        return self

    def __exit__(self, *exception: object) -> None:
        self.dispose()


class PromiseCapability(Capability):
    """A handle to what a promise will bring; held by properties of the promise, never by the promise."""

    __slots__ = ("_promise",)

    def __init__(self, promise: RpcPromise) -> None:
        self._promise = promise

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        # As they are now: they may have changed when the result is there.
        args, kwargs, _, _ = copy_call(args, kwargs, lend=Arguments)
        return self._then(lambda value: call_value(value, path, args, kwargs), path)

    def get(self, path: Path) -> RpcPromise:
        return self._then(lambda value: get_value(value, path), path)

    def _then(self, use: Callable[[Any], RpcPromise], path: Path) -> RpcPromise:
        promise = self._promise
        if promise._is_disposed:
            return failed(PerdureError(DISPOSED_PROMISE))
        return promise._then(use, path)

    def dup(self) -> Capability:
        return self

    def dispose(self) -> None:
        self._promise.dispose()

    def on_broken(self, callback: OnBroken) -> None:
        def done(promise: Call) -> None:
            if promise.cancelled():
                callback(Disconnected(CANCELLED))
            elif (error := promise.exception()) is not None:
                callback(error)
            elif isinstance(value := promise.result(), RpcStub):
                value.on_broken(callback)

        self._promise.add_done_callback(done)

    def describe(self) -> str:
        return "a result that is not there yet"


_Asked: TypeAlias = tuple[Callable[[Any], RpcPromise], RpcPromise, Path | None]
"""What to do with a result, whose outcome that is, and where in the result is all that it uses."""


def _is_of(maker: Any, value: Any, path: Path) -> bool:
    """Whether *path* leads, in *value*, to a target of *maker*."""
    try:
        found, _ = walk(value, path)
    except TypeError:
        return False
    return isinstance(found, Stub) and found._capability.is_of(maker)


def call_value(value: Any, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
    """Call what is at *path* in *value*, a result: that can only be a stub in it."""
    found, rest = walk(value, path)
    if isinstance(found, Stub):
        return found._capability.call(rest, args, kwargs)
    raise not_callable(path)


def get_value(value: Any, path: Path) -> RpcPromise:
    """Read what is at *path* in *value*, a result."""
    found, rest = walk(value, path)
    if rest:
        return cast(Stub, found)._capability.get(rest)
    promise = RpcPromise(loop=asyncio.get_running_loop())
    promise.set_result(copy(found, cross=Crossing()))
    return promise


def failed(error: BaseException) -> RpcPromise:
    """Return a promise that has failed; where there is no event loop, raise *error* at once."""
    loop = asyncio._get_running_loop()
    if loop is None:
        raise error
    promise = RpcPromise(loop=loop)
    promise.set_exception(error)
    return promise


def _pass(following: Call, outcome: RpcPromise) -> None:
    following._log_traceback = False  # the outcome is told
    if outcome.done():
        return
    if following.cancelled():
        outcome.cancel()
    elif (error := following.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(following.result())


def _dispose_result(promise: Call) -> None:
    if not promise.cancelled() and promise.exception() is None:
        dispose(promise.result())
