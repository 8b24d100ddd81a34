"""What can wake an object, as a closed list. (pure)

The engine asks an event three things: run yourself on this instance, pack what came of it for the caller,
and mark an error for the caller. What a request or a value is, only the public API knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from perdure._base.awaitables import Call
from perdure._base.clock import Timer


class Event:
    """
    One delivery to an object.

    Attributes:
        future: what the caller awaits.
        run: called with the instance; its result is awaited if it can be.
        pack: turns the result into what the caller gets; runs before the output gate is waited for.
        method: for logs and errors.
        size_bytes: of the arguments or the body that is held for it.
        timer: ends its wait in the queue, or its run.
        is_over: that has happened, and its caller has been told.
    """

    __slots__ = ("future", "is_over", "method", "pack", "run", "size_bytes", "task", "timer")

    needs_instance: ClassVar[bool] = True
    """Without it, an object that is not there yet is not made for the event."""
    is_awaited: ClassVar[bool] = True
    """Whether somebody is told when it fails; if not, the log is the only place."""
    errors_are_remote_on_reset: ClassVar[bool] = False
    """Whether the error of a reset, too, is marked `remote` for the caller (so it is with fetch)."""

    def __init__(
        self,
        future: Call,
        method: str,
        run: Callable[[Any], Any],
        pack: Callable[[Any], Any],
        size_bytes: int = 0,
    ) -> None:
        self.future = future
        self.method = method
        self.run = run
        self.pack = pack
        self.size_bytes = size_bytes
        self.task: Any = None
        self.timer: Timer | None = None
        self.is_over = False

    def refuse(self, error: BaseException) -> None:
        """Hear that it will not be run: too much waits at the object, or there is none any more."""
        if not self.future.done():
            self.future.set_exception(error)


class RpcEvent(Event):
    """A method call or a property read (RPC-04, RPC-05)."""

    __slots__ = ()


class TargetEvent(RpcEvent):
    """The same, of a target that the object handed out; `run` packs what comes of it (RPC-09)."""

    __slots__ = ()
    errors_are_remote_on_reset = True


class DisposerEvent(Event):
    """The last stub of a target of the object is gone (RPC-21); nobody awaits it."""

    __slots__ = ()
    is_awaited = False

    def __init__(self, method: str, run: Callable[[Any], Any]) -> None:
        super().__init__(_NOBODY, method, run, _nothing)


class FetchEvent(Event):
    """An HTTP request (STB-04)."""

    __slots__ = ()
    errors_are_remote_on_reset = True


class AlarmEvent(Event):
    """An alarm whose time has come (ALM-10)."""

    __slots__ = ()


class SocketEvent(Event):
    """
    A message, the close or the failure of a WebSocket (WS-09…13); nobody awaits it.

    Args:
        refused: called when too much waits at the object.
    """

    __slots__ = ("_refused",)
    is_awaited = False

    def __init__(
        self,
        method: str,
        run: Callable[[Any], Any],
        size_bytes: int,
        refused: Callable[[BaseException], None],
    ) -> None:
        super().__init__(_NOBODY, method, run, _nothing, size_bytes)
        self._refused = refused

    def refuse(self, error: BaseException) -> None:
        self._refused(error)


class _Nobody:
    """Stands for the future of an event that nobody awaits."""

    def done(self) -> bool:
        """Nothing is ever owed."""
        return True

    def _foresee(self, value: object, maker: object) -> None:
        """Nobody goes on with it."""


_NOBODY: Final[Any] = _Nobody()


def _nothing(result: Any) -> None:
    return None


class InternalEvent(Event):
    """Code of the runtime's own tools that runs inside the object, with the object's gates."""

    __slots__ = ()


class DataEvent(InternalEvent):
    """An operator's look at the object's data, or change of it; `run` gets None while there is no instance."""

    __slots__ = ()
    needs_instance = False  # the data of an object whose `__init__` fails must be in reach
