"""Exports: what a session's peer may use of ours, until it has let go of it. (cooperative)

Positive ids are outcomes of the peer's own calls, in the order in which it made them; negative ones are stubs and
streams that we sent. 0 is the main object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from perdure._base import limits
from perdure._base.shapes import LEAVES
from perdure._rpc.capability import Capability
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.imports import MAIN, TOO_MANY
from perdure._rpc.pipes import Pipe, PipeEnd
from perdure._rpc.promise import PromiseCapability, RpcPromise
from perdure._rpc.stub import Stub
from perdure.errors import PerdureError

NO_ENTRY: Final = "no such entry on exports table: {id}"
BELOW_ZERO: Final = "refcount would go negative: {count} < {n}"
NOT_A_PIPE: Final = "Export {id} is not a pipe, or its readable end was already consumed."

if TYPE_CHECKING:
    from perdure._rpc.pipes import ReadableStream


class Export:
    """
    One entry.

    Attributes:
        capability: a handle to it; None for the outcome of a call.
        promise: that outcome.
        count: how often the peer was told of it and has not let go.
        is_pulled: the peer wants the outcome.
        is_answered: it has it, or wants it no more.
        is_stream: it is let go by itself when the peer has been told.
        size: of the message that made the call, while it is under way.
        pipe: what a pipe that the peer made brings, until somebody takes it.
    """

    __slots__ = (
        "_callee",
        "_is_over",
        "_waiting",
        "capability",
        "count",
        "is_answered",
        "is_pulled",
        "is_stream",
        "pipe",
        "promise",
        "size",
    )

    def __init__(self, capability: Capability | None = None, promise: RpcPromise | None = None) -> None:
        self.capability = capability
        self.promise = promise
        self.count = 1
        self.is_pulled = False
        self.is_answered = False
        self.is_stream = False
        self.size = 0
        self.pipe: Pipe | None = None
        self._callee: Capability | None = None
        self._waiting = 0  # calls to it whose arguments are not there yet
        self._is_over = False

    def target(self) -> Capability:
        """Return what calls to it go to; the entry keeps that."""
        if self.capability is not None:
            return self.capability
        assert self.promise is not None, "an entry has one or the other"
        return self.promise._pipeline or ResultCapability(self.promise)

    def callee(self) -> Capability:
        """Return what calls to it go to: for a result that is there, and a stub, what that leads to."""
        if self._callee is None:
            promise = self.promise
            if promise is None or not promise._is_there() or not isinstance(promise.result(), Stub):
                return self.target()
            self._callee = promise.result()._capability
        return self._callee

    def hold(self) -> None:
        """Keep it although the peer may let go: a call to it waits for its arguments."""
        self._waiting += 1

    def unhold(self) -> None:
        """Count such a call out."""
        self._waiting -= 1
        if self._is_over:
            self.dispose()

    def dispose(self) -> None:
        """Give it up, as soon as no call waits."""
        if self._waiting:
            self._is_over = True
        elif self.capability is not None:
            self.capability.dispose()
        elif self.promise is not None and not _is_plain(self.promise):
            self.promise.dispose()


class ResultCapability(PromiseCapability):
    """A handle to the outcome of a peer's call, which the entry alone disposes."""

    __slots__ = ()

    def dispose(self) -> None:
        """The peer lets go of the entry when it wants to."""


def _is_plain(promise: RpcPromise) -> bool:
    """Whether *promise* has brought what there is nothing to dispose of in."""
    return (
        promise.done()
        and not promise.cancelled()
        and promise.exception() is None
        and type(promise.result()) in LEAVES
    )


class Exports:
    """The table."""

    __slots__ = ("_entries", "_given", "_results", "_stubs")

    def __init__(self, main: Capability) -> None:
        self._entries: dict[int, Export] = {MAIN: Export(main)}
        self._results = 0  # messages of the peer that made an entry: its ids count up
        self._given = 0  # entries that we made: their ids count down
        self._stubs = 0  # of those that are there

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: int) -> bool:
        return id in self._entries

    def __getitem__(self, id: int) -> Export:
        export = self._entries.get(id)
        if export is None:
            raise ProtocolError(NO_ENTRY.format(id=id))
        return export

    def take_id(self) -> int:
        """Return the id of what the peer's message makes, which it has taken even if that fails."""
        self._results += 1
        if len(self._entries) - self._stubs > limits.CAPNWEB_RESULTS_MAX:
            raise ProtocolError(TOO_MANY.format(max=limits.CAPNWEB_RESULTS_MAX, what="calls and results"))
        return self._results

    def add(self, id: int, export: Export) -> Export:
        """Add an entry under an id that was taken."""
        self._entries[id] = export
        return export

    def give(self, capability: Capability) -> int:
        """Return the id of a new entry, which has *capability* for itself."""
        self._given -= 1
        self._stubs += 1
        self._entries[self._given] = Export(capability)
        if self._stubs > limits.CAPNWEB_STUBS_MAX:
            self.release(self._given, 1)
            raise PerdureError(TOO_MANY.format(max=limits.CAPNWEB_STUBS_MAX, what="stubs of ours"))
        return self._given

    def release(self, id: int, count: int) -> Export | None:
        """Count the peer's references down; return the entry if that was the last one."""
        export = self[id]
        if count < 0 or export.count < count:
            raise ProtocolError(BELOW_ZERO.format(count=export.count, n=count))
        export.count -= count
        if export.count:
            return None
        del self._entries[id]
        if id < 0:
            self._stubs -= 1
        export.dispose()
        return export

    def take_pipe(self, id: int) -> ReadableStream:
        """Return what reads from the pipe *id*, once."""
        export = self._entries.get(id)
        if export is None or export.pipe is None:
            raise ProtocolError(NOT_A_PIPE.format(id=id))
        pipe, export.pipe = export.pipe, None
        return pipe.readable

    def cut_pipes(self, error: BaseException) -> None:
        """End with *error* what the peer has not closed."""
        for export in self._entries.values():
            if isinstance(export.capability, PipeEnd):
                export.capability.cut(error)

    def clear(self, error: BaseException) -> None:
        """Dispose everything: the session is over."""
        entries, self._entries = self._entries, {}
        self._stubs = 0
        for export in entries.values():
            if export.pipe is not None:
                export.pipe.fail(error)
            export.dispose()
