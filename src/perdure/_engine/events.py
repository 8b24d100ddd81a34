"""What can wake an object, as a closed list. (pure)

The engine asks an event three things: run yourself on this instance, pack what came of it for the caller,
and mark an error for the caller. What a request or a value is, only the public API knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

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


class RpcEvent(Event):
    """A method call or a property read (RPC-04, RPC-05)."""

    __slots__ = ()


class FetchEvent(Event):
    """An HTTP request (STB-04)."""

    __slots__ = ()
    errors_are_remote_on_reset = True


class InternalEvent(Event):
    """Code of the runtime's own tools that runs inside the object, with the object's gates."""

    __slots__ = ()


class DataEvent(InternalEvent):
    """An operator's look at the object's data, or change of it; `run` gets None while there is no instance."""

    __slots__ = ()
    needs_instance = False  # the data of an object whose `__init__` fails must be in reach
