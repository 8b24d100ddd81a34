"""AbortController and AbortSignal as JavaScript shows them. (cooperative)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsClass
from perdure._cloudflare.web.events import Event, EventTarget
from perdure._cloudflare.web.shape import WebObject


class AbortSignal(EventTarget):
    """
    Tells that something is no longer wanted.

    Attributes:
        aborted: whether that is so.
        reason: why, as an error that can be raised.
    """

    def __init__(self) -> None:
        self.aborted = False
        self.reason: Any = None

    @classmethod
    def abort(cls, reason: Any = None) -> AbortSignal:
        """Return a signal that has been given already."""
        signal = cls()
        signal._give(reason)
        return signal

    @classmethod
    def timeout(cls, delay_ms: float) -> AbortSignal:
        """Return a signal that is given after *delay_ms* milliseconds."""
        signal = cls()
        error = JsException("The operation was aborted due to timeout", "TimeoutError")
        asyncio.get_running_loop().call_later(delay_ms / 1000, signal._give, error)
        return signal

    @classmethod
    def any(cls, signals: Iterable[AbortSignal]) -> AbortSignal:
        """Return a signal that is given with the first of *signals*."""
        joined = cls()
        for signal in signals:
            signal._when_given(joined._give)
        return joined

    def throwIfAborted(self) -> None:
        if self.aborted:
            raise abort_error(self.reason)

    def _give(self, reason: Any) -> None:
        if not self.aborted:
            self.aborted = True
            self.reason = JsException("The operation was aborted", "AbortError") if reason is None else reason
            self.dispatchEvent(Event("abort"))

    def _when_given(self, tell: Callable[[Any], None]) -> None:
        """Call *tell* with the reason: now if the signal was given already."""
        if self.aborted:
            tell(self.reason)
        else:
            self.addEventListener("abort", lambda _event: tell(self.reason))


class AbortController(WebObject, metaclass=JsClass):
    """Gives its `signal`."""

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: Any = None) -> None:
        self.signal._give(reason)


def abort_error(reason: Any) -> BaseException:
    """Return *reason* as something that can be raised."""
    return reason if isinstance(reason, BaseException) else JsException(str(reason), "AbortError")
