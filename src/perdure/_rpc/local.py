"""LocalCapability: a target of this process, and who still holds it. (cooperative)

Each time a target crosses is an `Export` of its own, with as many handles as `dup` made. When the last is given
up, and no call through one is under way, the target's `dispose` runs (RPC-21).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final

from perdure._base import limits
from perdure._base.awaitables import is_awaitable
from perdure._base.current import OTHER_THREAD, current
from perdure._base.registry import Registry
from perdure._base.values import copy_call
from perdure._rpc.capability import DISPOSED, GONE, Capability, OnBroken, Path
from perdure._rpc.crossing import Arguments, check_size, result_for
from perdure._rpc.owner import Owner, current_owner, leave, run_soon
from perdure._rpc.promise import RpcPromise, failed
from perdure._rpc.reach import FUNCTIONS, call_path, read_path
from perdure._rpc.stub import RpcStub
from perdure._rpc.target import RpcTarget
from perdure.errors import PerdureError

WRAPS: Final = "RpcStubs can only wrap plain objects, functions, and RpcTarget derivatives."


class Export:
    """
    A target that was handed out once.

    Attributes:
        handles: how many there are; below one it is over.
        context: where it was handed out; each call runs in a copy, as none can be entered twice.
    """

    __slots__ = ("_lent", "context", "handles", "owner", "target")

    def __init__(self, target: Any, owner: Owner, *, lent: bool = False) -> None:
        self.target = target
        self._lent = lent
        self.owner = owner
        self.context: Context = copy_context()
        self.handles = 0
        owner.retain(lent=lent)
        owner.when_broken(self._lose)

    def _lose(self, error: BaseException) -> None:
        """Let the target go although somebody has handles: none of its code runs any more."""
        self.target = None

    def may_run_now(self) -> bool:
        """Whether the target's code may run in this step of the loop, outside of a task."""
        owner = self.owner
        return owner.has_no_gates and not owner.is_gone and asyncio._get_running_loop() is owner.loop

    def start(
        self,
        path: Path,
        use: Callable[[], Any],
        size: int,
        arguments: Arguments | None,
        context: Context | None = None,
    ) -> RpcPromise:
        """
        Let the owner run *use*, whose result may be awaitable, and return the outcome.

        Args:
            path: what is called or read, for people.
            size: of the arguments.
            arguments: gives back what was lent with them.
            context: of the code; None: a new one.
        """
        owner = self.owner
        if asyncio._get_running_loop() is not owner.loop:
            raise RuntimeError(OTHER_THREAD.format(what=self.describe()))
        if owner.is_gone:
            return failed(PerdureError(GONE))
        promise = RpcPromise(loop=owner.loop)
        under_way = LocalCapability(self)  # the target is held until the call is over, or can never begin

        async def run() -> Any:
            try:
                result = use()
                return result_for(await result if is_awaitable(result) else result, owner.registry)
            finally:
                if arguments is not None:
                    arguments.give_back()
                under_way.dispose()

        begin = partial(
            owner.start_call, promise, self.label(path), run, size, context or self.context.copy()
        )
        if current.get() is None:
            begin()
        else:
            leave(begin, promise)
        return promise

    def label(self, path: Path) -> str:
        """What is at *path*, for logs and errors; without the class of an object, which its own label has."""
        of = [] if self.target is self.owner.instance else [type(self.target).__qualname__]
        return ".".join([*of, *map(str, path)])

    def describe(self) -> str:
        """What the target is, for people."""
        return getattr(self.target, "__qualname__", None) or type(self.target).__qualname__

    def release(self, watchers: Iterable[OnBroken] | None = None) -> None:
        """Count out one handle, and forget who would have been told through it that the owner is gone."""
        for watcher in watchers or ():
            self.owner.forget(watcher)
        self.handles -= 1
        if self.handles:
            return
        target, owner = self.target, self.owner
        self.target = None
        owner.forget(self._lose)
        if isinstance(target, RpcTarget) and callable(end := getattr(target, "dispose", None)):
            owner.start_disposer(f"{type(target).__qualname__}.dispose", end, self.context.copy())
        owner.let_go(lent=self._lent)


class LocalCapability(Capability):
    """One handle of an export."""

    __slots__ = ("_export", "_watchers")

    def __init__(self, export: Export) -> None:
        self._export: Export | None = export
        self._watchers: list[OnBroken] | None = None
        export.handles += 1

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        export = self._export
        if export is None:
            return failed(PerdureError(DISPOSED))
        args, kwargs, size, arguments = copy_call(
            args, kwargs, registry=export.owner.registry, lend=Arguments
        )
        check_size(size)
        target = export.target
        return export.start(path, lambda: call_path(target, path, args, kwargs), size, arguments)

    def call_now(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        export = self._export
        if export is None or not export.may_run_now():
            return self.call(path, args, kwargs)
        owner = export.owner
        args, kwargs, size, arguments = copy_call(args, kwargs, registry=owner.registry, lend=Arguments)
        if size > limits.RPC_MESSAGE_BYTES_MAX:
            check_size(size)
        context = export.context.copy()
        export.handles += 1  # the target is held until the call is over
        try:
            result = context.run(call_path, export.target, path, args, kwargs)
            if is_awaitable(result):
                return export.start(path, lambda: result, size, arguments, context)
            promise = RpcPromise(loop=owner.loop)
            promise.set_result(context.run(result_for, result, owner.registry))
        except BaseException as error:  # SystemExit and its like would stop the whole loop
            promise = failed(owner.failure(error, export.label(path)))
        finally:
            export.release()
        if arguments is not None:
            arguments.give_back()
        return promise

    def get(self, path: Path) -> RpcPromise:
        export = self._export
        if export is None:
            return failed(PerdureError(DISPOSED))
        target = export.target
        return export.start(path, lambda: read_path(target, path), 0, None)

    def dup(self) -> Capability:
        return self if self._export is None else LocalCapability(self._export)

    def dispose(self) -> None:
        export, self._export = self._export, None
        if export is None:
            return
        if asyncio._get_running_loop() is export.owner.loop:
            export.release(self._watchers)
        else:
            run_soon(export.owner.loop, partial(export.release, self._watchers))

    def on_broken(self, callback: OnBroken) -> None:
        if self._export is None:
            return
        watcher = in_this_context(callback)
        if self._watchers is None:
            self._watchers = []
        self._watchers.append(watcher)
        self._export.owner.when_broken(watcher)

    def is_of(self, owner: Any) -> bool:
        return self._export is not None and self._export.owner is owner

    def describe(self) -> str:
        return "what was disposed" if self._export is None else self._export.describe()

    def __del__(self) -> None:
        export = self._export
        if export is not None:
            run_soon(export.owner.loop, partial(export.release, self._watchers))


def in_this_context(callback: OnBroken) -> OnBroken:
    """Return what calls *callback* soon, as code of who is running now."""
    loop = asyncio.get_running_loop()
    context = copy_context()

    def call(error: BaseException) -> None:
        loop.call_soon(callback, error, context=context)

    return call


def export(target: Any, registry: Registry | None, *, lent: bool = False) -> Capability:
    """Return a handle to *target*, which belongs to the running code; *lent* if it goes out in arguments."""
    return LocalCapability(Export(target, current_owner(registry), lent=lent))


def wrap(value: Any) -> Capability:
    """Return a handle to *value* for a stub that is made by hand (RPC-11)."""
    if type(value) is RpcStub:
        return value._capability.dup()
    if not isinstance(value, RpcTarget) and type(value) not in FUNCTIONS and type(value) is not dict:
        raise TypeError(WRAPS)
    return export(value, None)
