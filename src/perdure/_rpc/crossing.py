"""Crossing: what arrives in place of that which has no copy: stubs of targets and functions, other stubs. (cooperative)

Source: RPC-09, RPC-10, RPC-14, RPC-18…20. Stubs in arguments are lent: the callee's end with the call, the
caller keeps its own. Stubs in a result are given: the caller's alone from then on.
"""

from __future__ import annotations

from typing import Any, Final

from perdure._base import limits
from perdure._base.refusal import refuse
from perdure._base.registry import Registry
from perdure._base.shapes import CROSS
from perdure._base.values import copy_sized
from perdure._rpc.capability import DISPOSED, BrokenCapability
from perdure._rpc.reach import FUNCTIONS
from perdure._rpc.stub import RpcStub, stub_of
from perdure._rpc.target import RpcTarget
from perdure.errors import DataCloneError, PerdureError

MESSAGE_TOO_LARGE: Final = "Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: {size} bytes."
NOT_THE_SAME: Final = "Couldn't create a stub for the RcpTarget because it has a dup() method which did not return another RpcTarget. Either remove the dup() method or make sure it returns an RpcTarget."
"""Cloudflare's text, letter by letter."""


class Crossing:
    """Asked by the copier for all that it cannot copy; one for each message."""

    __slots__ = ("registry",)

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        cross = getattr(kind, CROSS, None)
        if cross is not None:
            return cross(value, self)
        if kind in FUNCTIONS:
            return self.export(value)
        if hasattr(kind, "__aiter__"):
            return self.stream(value)
        raise refuse(value)

    def export(self, target: Any) -> RpcStub:
        """Return a stub of *target*, which belongs to the running code."""
        from perdure._rpc.local import export  # it builds on this module

        return stub_of(export(target, self.registry, lent=isinstance(self, Arguments)))

    def stream(self, items: Any) -> Any:
        """Return the stream that arrives for *items*, which its maker can read no longer."""
        from perdure._rpc.stream import stream_of  # it builds on this module

        return stream_of(items, self.registry)

    def pass_on(self, stub: RpcStub) -> RpcStub:
        """Return the stub that arrives for *stub*."""
        return stub_of(stub._capability.dup())


class Arguments(Crossing):
    """
    What crosses in the arguments of one call.

    Attributes:
        lent: the stubs that the callee gets, to be disposed when it returns (RPC-19).
    """

    __slots__ = ("lent",)

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry
        self.lent: list[RpcStub] = []

    def export(self, target: Any) -> RpcStub:
        if isinstance(target, RpcTarget) and (dup := getattr(type(target), "dup", None)) is not None:
            target = dup(target)
            if not isinstance(target, RpcTarget):
                raise DataCloneError(NOT_THE_SAME)
        stub = super().export(target)
        self.lent.append(stub)
        return stub

    def pass_on(self, stub: RpcStub) -> RpcStub:
        passed = super().pass_on(stub)
        self.lent.append(passed)
        return passed

    def give_back(self) -> None:
        """Dispose what was lent: the call has returned."""
        for stub in self.lent:
            stub.dispose()


class Result(Crossing):
    """What crosses in the result of one call."""

    __slots__ = ()

    def pass_on(self, stub: RpcStub) -> RpcStub:
        given = stub_of(stub._capability)
        stub.__dict__["_capability"] = BrokenCapability(PerdureError(DISPOSED))
        return given


def result_for(value: Any, registry: Registry | None) -> Any:
    """Return *value* as the caller gets it."""
    packed, size = copy_sized(value, registry=registry, label="result", cross=Result(registry))
    if size > limits.RPC_MESSAGE_BYTES_MAX:
        check_size(size)
    return packed


def check_size(size: int) -> None:
    """Refuse a message that is too large (RPC-15)."""
    if size > limits.RPC_MESSAGE_BYTES_MAX:
        raise PerdureError(MESSAGE_TOO_LARGE.format(size=size))


def dispose(value: Any) -> None:
    """
    Dispose every stub in *value*, a result that is needed no longer (RPC-18).

    Python does so by itself when the last reference to them is gone; this is for when that is too late.
    """
    copy_sized(value, cross=_Dispose())


class _Dispose(Crossing):
    __slots__ = ()

    def __call__(self, value: Any) -> Any:
        kind = type(value)  # not the value: any attribute of a stub is something of its target
        end = getattr(kind, "dispose", None)
        if end is not None and hasattr(kind, CROSS) and not isinstance(value, RpcTarget):
            end(value)
        return True
