"""Which object's code is running: one context variable, and what others may ask of it. (cooperative)

Set by the engine when it starts an event; tasks and loop callbacks of user code inherit it. Everything
that needs to know the current object (storage, stubs, `perdure.confirmed`, marked log lines) asks here.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final, Protocol

OTHER_THREAD: Final = "{what} was called from a thread other than the event loop's. Use rt.run(lambda: …), which waits there for the result."


class Running(Protocol):
    """The object whose code runs."""

    @property
    def label(self) -> str:
        """Class and name, for people: `Counter(home)`."""
        ...


current: ContextVar[Any] = ContextVar("perdure_current", default=None)
"""The live object (`_engine.live.Live`) whose code this context belongs to, or None outside objects."""

current_invocation: ContextVar[Any] = ContextVar("perdure_invocation", default=None)
"""The run of a worker (`_rpc.owner.Invocation`) that this context belongs to, or None outside of workers."""

current_env: ContextVar[Any] = ContextVar("perdure_env", default=None)
"""The env of the runtime that this context belongs to, or None outside of events."""


def current_label() -> str:
    """Return class and name of the object whose code runs, for instance `Counter(home)`; "" outside."""
    live = current.get()
    return "" if live is None else str(live.label)
