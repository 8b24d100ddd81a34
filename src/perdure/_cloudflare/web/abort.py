"""AbortController and AbortSignal as JavaScript shows them. (cooperative)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.tasks import call, start
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

    _handlers = ("abort",)

    def __init__(self) -> None:
        self.aborted = False
        self.reason: Any = None
        self._waiting: list[Callable[[Any], Any]] = []

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
        asyncio.get_running_loop().call_later(delay_ms / 1000, signal._expire)
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
        if self._stop(reason):
            self.dispatchEvent(Event("abort"))

    def _expire(self) -> None:
        """Be given by the clock: listeners of the project's are told in a task, under the gates of its object."""
        heard = self._listeners_of("abort") or self.__dict__.get("onabort") is not None
        if self._stop(JsException("The operation was aborted due to timeout", "TimeoutError")) and heard:
            start(call(self.dispatchEvent, (Event("abort"),), "a listener of 'abort'"))

    def _stop(self, reason: Any) -> bool:
        """Stop what waits for this signal; tell whether it was not given before."""
        if self.aborted:
            return False
        self.aborted = True
        self.reason = JsException("The operation was aborted", "AbortError") if reason is None else reason
        for tell in self._waiting:
            tell(self.reason)
        self._waiting.clear()
        return True

    def _when_given(self, tell: Callable[[Any], Any]) -> None:
        """Call *tell* with the reason: now if the signal was given already."""
        if self.aborted:
            tell(self.reason)
        else:
            self._waiting.append(tell)

    def _forget(self, tell: Callable[[Any], Any]) -> None:
        """Call *tell* no more."""
        if tell in self._waiting:
            self._waiting.remove(tell)


class AbortController(WebObject, metaclass=JsClass):
    """Gives its `signal`."""

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: Any = None) -> None:
        self.signal._give(reason)


def abort_error(reason: Any) -> BaseException:
    """Return *reason* as something that can be raised."""
    return reason if isinstance(reason, BaseException) else JsException(str(reason), "AbortError")
