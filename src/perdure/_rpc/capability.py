"""Capability: one handle to something that can be called, wherever it lives. (cooperative)

Behind every stub is one. What its kinds have in common: arguments and results cross by copy, or by reference
where they have no copy; a call starts when it is made, so calls on one handle start in the order made (STB-10);
a result belongs to who asked for it; a handle that was given up, or never used, costs nobody anything.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from perdure._base.values import copy_exception

if TYPE_CHECKING:
    from perdure._rpc.promise import RpcPromise
    from perdure._rpc.recipe import Recipe

Path: TypeAlias = tuple[str | int, ...]
"""Names of members, keys of dicts and indexes of lists, from the target on; () is the target itself."""

OnBroken: TypeAlias = Callable[[BaseException], object]

DISPOSED: Final = "RPC stub used after being disposed."
GONE: Final = "The execution context which hosts this callback is no longer running."


class Capability(ABC):
    """One handle; `dup` makes another to the same thing."""

    __slots__ = ()

    @abstractmethod
    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        """
        Call what is at *path*; the arguments are copied before this returns.

        Raises:
            DataCloneError: an argument can neither be copied nor passed by reference.
        """

    def call_now(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        """Call likewise, in a step of the loop in which no other code runs: what needs no task is run within it."""
        return self.call(path, args, kwargs)

    @abstractmethod
    def get(self, path: Path) -> RpcPromise:
        """Read what is at *path* (RPC-05)."""

    def map(self, path: Path, recipe: Recipe) -> RpcPromise:
        """Carry out *recipe* on what is at *path*, or on each of its items if it is a list."""
        from perdure._rpc.recipe import apply_to  # it builds on this module

        return apply_to(self.get(path), recipe)

    @abstractmethod
    def dup(self) -> Capability:
        """Return another handle to the same thing (RPC-16)."""

    @abstractmethod
    def dispose(self) -> None:
        """Give this handle up; calls through it fail from now on, those under way go on. Twice is fine (RPC-17)."""

    @abstractmethod
    def on_broken(self, callback: OnBroken) -> None:
        """Call *callback* once with the error when no call can succeed any more; not when the handle is disposed."""

    def is_of(self, owner: Any) -> bool:
        """Whether it is a target in this process that belongs to *owner*."""
        return False

    def describe(self) -> str:
        """What it is, for people."""
        return type(self).__name__


class BrokenCapability(Capability):
    """A handle to what is no more: all that it is asked fails."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        return self.get(path)

    def get(self, path: Path) -> RpcPromise:
        from perdure._rpc.promise import failed  # it builds on this module

        return failed(copy_exception(self._error))

    def dup(self) -> Capability:
        return self

    def dispose(self) -> None:
        """There is nothing to give up."""

    def on_broken(self, callback: OnBroken) -> None:
        asyncio.get_running_loop().call_soon(callback, self._error)
