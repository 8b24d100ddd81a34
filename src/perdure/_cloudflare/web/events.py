"""Events and their targets as JavaScript shows them. (cooperative)"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Coroutine
from typing import Any, ClassVar

from perdure._base.awaitables import finish
from perdure._cloudflare.tasks import call, start
from perdure._cloudflare.values import relaxed_call, unproxied
from perdure._cloudflare.web.shape import WebObject, read_options

log = logging.getLogger("perdure")


class Event(WebObject):
    """Something that happened: `type`, `target`, and what was given besides."""

    _fields: ClassVar[dict[str, Any]] = {"cancelable": True}

    def __init__(self, type: str, init: Any = None, **named: Any) -> None:
        self.type = type
        self.target: Any = None
        self.defaultPrevented = False
        self.__dict__.update({**self._fields, **read_options(init, named, *self._fields)})

    @property
    def currentTarget(self) -> Any:
        return self.target

    def preventDefault(self) -> None:
        self.defaultPrevented = bool(self.cancelable)

    def stopPropagation(self) -> None:
        """No target here has a parent."""

    def __repr__(self) -> str:
        return f"{type(self).name} {{ type: {self.type!r} }}"


class CustomEvent(Event):
    """An event with a `detail`."""

    _fields: ClassVar[dict[str, Any]] = {**Event._fields, "detail": None}


class MessageEvent(Event):
    """A message: its `data`."""

    _fields: ClassVar[dict[str, Any]] = {**Event._fields, "data": None, "origin": None, "lastEventId": ""}


class CloseEvent(Event):
    """The end of a connection: `code`, `reason`, `wasClean`."""

    _fields: ClassVar[dict[str, Any]] = {**Event._fields, "code": 0, "reason": "", "wasClean": False}


class ErrorEvent(Event):
    """A failure: `error`, and its `message`."""

    _fields: ClassVar[dict[str, Any]] = {**Event._fields, "message": "", "error": None}


class EventTarget(WebObject):
    """
    Tells listeners of events: those added, and the one that is set as `on…`.

    A listener may be async: then it goes on by itself. What one raises is logged, and the others are told.
    """

    _handlers: ClassVar[tuple[str, ...]] = ()
    """Types of events for which `on…` is None until it is set."""

    def addEventListener(self, type: str, listener: Any, options: Any = None, **named: Any) -> None:
        once = bool(read_options(options, named, "once").get("once"))
        listener = unproxied(listener)
        listeners = self._listeners_of(type)
        if all(each != listener for each, _ in listeners):
            listeners.append((listener, once))

    def removeEventListener(self, type: str, listener: Any, _options: Any = None) -> None:
        listeners = self._listeners_of(type)
        listeners[:] = [entry for entry in listeners if entry[0] != unproxied(listener)]

    def dispatchEvent(self, event: Any) -> bool:
        """Tell the listeners of `event.type`; False when one has prevented the default."""
        for rest in self._told(event):
            start(rest)
        return not event.defaultPrevented

    def _told(self, event: Any) -> list[Coroutine[Any, Any, None]]:
        """Tell the listeners; return what is left to do of those that are async."""
        event.target = self
        listeners = self._listeners_of(event.type)
        told = [listener for listener, _ in listeners]
        handler = self.__dict__.get(f"on{event.type}")
        if handler is not None:
            told.append(handler)
        listeners[:] = [entry for entry in listeners if not entry[1]]
        return [rest for listener in told if (rest := self._tell(listener, event)) is not None]

    def _listeners_of(self, type: str) -> list[tuple[Any, bool]]:
        listeners: list[tuple[Any, bool]] = self.__dict__.setdefault("_listeners", {}).setdefault(type, [])
        return listeners

    @staticmethod
    def _tell(listener: Any, event: Any) -> Coroutine[Any, Any, None] | None:
        what = f"a listener of {event.type!r}"
        try:
            told = relaxed_call(getattr(listener, "handleEvent", listener), event)
        except Exception as error:
            log.error("%s failed, and nobody waits for it", what, exc_info=error)
            return None
        return call(finish, (told,), what) if inspect.isawaitable(told) else None

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "on" and name[2:] in self._handlers:
            return None
        return super().__getattr__(name)
