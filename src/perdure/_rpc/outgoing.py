"""Outgoing: expressions of what we send, and messages in the order in which they may leave. (cooperative)"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perdure._base import limits
from perdure._rpc import pipes
from perdure._rpc.capability import Capability
from perdure._rpc.crossing import MESSAGE_TOO_LARGE, Arguments
from perdure._rpc.form import Form, Line
from perdure._rpc.imports import ImportCapability, RemotePromise
from perdure._rpc.owner import closed_gate
from perdure._rpc.stub import RpcProperty, Stub
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure._rpc.session import Session


class Outgoing:
    """Writes the expressions of one session."""

    __slots__ = ("_form", "_given", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._form = session.form
        self._given: list[int] = []  # by the expression that is being written

    def write(self, value: Any, label: str) -> Any:
        """Return the expression of *value*; if it has none, nothing of it was exported."""
        self._given = []
        try:
            return self._form.encode(value, self._refer, label)
        except BaseException:
            self.take_back()
            raise

    def arguments(self, args: list[Any], kwargs: dict[str, Any], label: str) -> Any:
        """Return the expression of a call's arguments, likewise."""
        self._given = []
        try:
            return self._form.arguments(args, kwargs, self._refer, label)
        except BaseException:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Export no more what the last expression did: it will not be sent."""
        for id in self._given:
            if id in self._session.exports:
                self._session.exports.release(id, 1)

    def write_result(self, value: Any) -> Any:
        """Return the expression of what a call brought."""
        if isinstance(value, Stub) and self._known(value._capability) is not None:
            # The peer's own stub, alone. The protocol has `import` for it, but the npm client (0.12) takes that for a
            # promise, which it then cannot resolve; so it gets a stub that leads to its own by way of us.
            self._given = []
            return ["export", self._give(value._capability.dup())]
        return self.write(value, "result")

    def stub(self, capability: Capability) -> list[Any]:
        """Return the expression of a stub."""
        known = self._known(capability)
        return ["export", self._give(capability.dup())] if known is None else ["import", known]

    def _refer(self, value: Any) -> Any:
        """Return the expression of what passes by reference."""
        if isinstance(value, Stub):
            return self.stub(value._capability)
        if isinstance(value, RemotePromise) and value._pipeline is not None:
            known = self._known(value._pipeline)
            if known is not None:
                return ["pipeline", known]
        if isinstance(value, RpcProperty):
            known = self._known(value._capability)
            if known is not None:
                return ["pipeline", known, list(value._path)]
        if isinstance(value, pipes.WritableStream):
            return ["writable", self._give(value.capability())]
        found = Arguments(self._session.registry)(value)
        if isinstance(found, Stub):
            return self.stub(found._capability)
        return ["readable", self._session.pump(found)]

    def _known(self, capability: Capability) -> int | None:
        """Return the id of what the peer has itself."""
        if isinstance(capability, ImportCapability):
            entry = capability.entry
            if entry is not None and entry.session is self._session and entry.outcome is None:
                return entry.id
        return None

    def _give(self, capability: Capability) -> int:
        id = self._session.exports.give(capability)
        self._given.append(id)
        return id


class Outbox:
    """
    Messages on their way out.

    A call, or what flows into a stream, waits until what the running code wrote so far is durable (RPC-24); whatever
    is said after it, by whomever, waits behind it.
    """

    __slots__ = ("_nothing", "_send", "_waiting")

    def __init__(self, send: Callable[[Line], None], nothing: Line) -> None:
        self._send = send
        self._nothing = nothing
        self._waiting: deque[list[Any]] = deque()  # [line, whether it may leave]

    def add(self, line: Line, *, is_gated: bool) -> None:
        """Send *line* as soon as it may leave."""
        gate = closed_gate() if is_gated else None
        if gate is None:
            if self._waiting:
                self._waiting.append([line, True])
            else:
                self._send(line)
            return
        waiting: list[Any] = [line, False]
        self._waiting.append(waiting)

        def opened(error: BaseException | None) -> None:
            if error is not None:
                waiting[0] = self._nothing  # the object was reset
            waiting[1] = True
            self._flush()

        gate.when(gate.issued, opened)

    def _flush(self) -> None:
        while self._waiting and self._waiting[0][1]:
            self._send(self._waiting.popleft()[0])

    def close(self, line: Line | None = None) -> None:
        """Drop what waits; *line* is the last word."""
        self._waiting.clear()
        if line is not None:
            self._send(line)


def to_line(message: list[Any], form: Form) -> Line:
    """Return *message* as it is sent; one that no peer would take is refused (RPC-15)."""
    line = form.write(message)
    if len(line) > limits.CAPNWEB_MESSAGE_UNITS_MAX:
        raise PerdureError(MESSAGE_TOO_LARGE.format(size=len(line)))
    return line
